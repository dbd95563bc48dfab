package inmem

import (
	"context"
	"sync"
)

// A progress is how far a replica has come in the Raft log, with what it has published.
type progress struct {
	mu    sync.Mutex
	index uint64        // guarded by mu: of the last entry
	wake  chan struct{} // guarded by mu: closed when the index grows; nil if nobody waits
}

// reached notes that everything up to an entry has been published.
func (p *progress) reached(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index <= p.index {
		return
	}
	p.index = index
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// has reports whether everything up to an entry has been published.
func (p *progress) has(index uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index >= index
}

// await waits until everything up to an entry has been published, or one of the contexts
// ends.
func (p *progress) await(ctx, life context.Context, index uint64) error {
	for {
		p.mu.Lock()
		if p.index >= index {
			p.mu.Unlock()
			return nil
		}
		if p.wake == nil {
			p.wake = make(chan struct{})
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-life.Done():
			return context.Cause(life)
		}
	}
}
