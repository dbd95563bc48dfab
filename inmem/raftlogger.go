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

// A raftSink takes Raft's messages. To whoever runs the store they are detail, the
// warnings too, of which there are several a second while a peer is down: what matters
// the store says itself, once.
type raftSink struct{ to *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s raftSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	if s.to.Enabled(context.Background(), slog.LevelDebug) {
		s.to.Debug("raft: "+msg, append(args, "level", level.String())...)
	}
}
