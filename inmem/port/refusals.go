package port

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// refusalEvery is how often the same refusal of the same host is logged.
	refusalEvery = 10 * time.Second
	maxRefusals  = 256
)

// refusals logs the connections that came to nothing. Nobody waits for their
// errors here; a node that is refused tries again and again, and a log line each
// time would bury everything else.
type refusals struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time // by host and text
}

func (r *refusals) add(remote string, err error) {
	host, _, splitErr := net.SplitHostPort(remote)
	if splitErr != nil {
		host = remote
	}
	if r.due(host+" "+err.Error(), time.Now()) {
		r.log.Warn("refused a connection", "from", remote, "error", err)
	}
}

func (r *refusals) due(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[key]; ok && now.Sub(last) < refusalEvery {
		return false
	}
	if len(r.last) >= maxRefusals {
		clear(r.last)
	}
	r.last[key] = now
	return true
}
