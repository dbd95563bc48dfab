package sqlitebackend

import (
	"context"
	"sync"
	"sync/atomic"

	"trihold/repo/driver"
)

// visible is the revision up to which commits are as durable as the class
// promises, and may be shown. The writer sets it; snapshots and Changes follow
// it. SQLite shows a commit a little earlier, and in class replica it may still
// be lost then: a snapshot that sees one waits.
type visible struct {
	// state is twice the revision, plus one while a commit is under way. Reading
	// it before and after pinning a transaction tells which revision that sees,
	// without a query.
	state atomic.Int64

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed by the next set; nil if nobody waits
}

// load returns the revision, and whether no commit is under way.
func (v *visible) load() (rev driver.Rev, settled bool) {
	state := v.state.Load()
	return driver.Rev(state >> 1), state&1 == 0
}

// begin says that a commit is under way.
func (v *visible) begin() { v.state.Store(v.state.Load() | 1) }

// set says that no commit is under way and that rev may be shown.
func (v *visible) set(rev driver.Rev) {
	v.state.Store(int64(rev) << 1)
	v.wake()
}

// wake wakes those who wait for a change.
func (v *visible) wake() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changed != nil {
		close(v.changed)
		v.changed = nil
	}
}

// next returns a channel that the next change closes.
func (v *visible) next() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changed == nil {
		v.changed = make(chan struct{})
	}
	return v.changed
}

// wait waits until rev may be shown.
func (v *visible) wait(ctx context.Context, rev driver.Rev) error {
	for {
		if shown, _ := v.load(); shown >= rev {
			return nil
		}
		changed := v.next()
		if shown, _ := v.load(); shown >= rev {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
