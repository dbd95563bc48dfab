package inmem

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// newRaftLogger returns a logger for Raft that writes to a slog.Logger.
func newRaftLogger(to *slog.Logger, node string) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	l.RegisterSink(raftSink{to.With("node", node)})
	return l
}

// A raftSink takes Raft's messages. To whoever runs the store, most of what Raft calls
// news is detail: what matters the store says itself.
type raftSink struct{ to *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s raftSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	if level >= hclog.Error {
		to = slog.LevelWarn
	}
	if s.to.Enabled(context.Background(), to) {
		s.to.Log(context.Background(), to, "raft: "+msg, args...)
	}
}
