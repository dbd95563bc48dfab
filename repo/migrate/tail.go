package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"trihold/repo/driver"
)

const (
	// tailBuffer and bufferKeys bound the commits that are read ahead and the keys in
	// them, and tailKeys the keys of those that are applied at a time. A commit may
	// exceed the latter two on its own.
	tailBuffer = 4096
	bufferKeys = 50_000
	tailKeys   = 1000
)

// A tail reads the commits of the live store ahead of the one that applies them.
type tail struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	wake   *sync.Cond      // signalled when anything below has changed
	queue  []driver.Change // read and not yet taken; guarded by mu
	keys   int             // in the queue; guarded by mu
	last   driver.Rev      // the latest that was read; guarded by mu
	since  time.Time       // when the queue was empty last; guarded by mu
	failed error           // why reading has ended; guarded by mu
}

// follow starts to read the commits of a store after a revision.
func follow(ctx context.Context, store driver.Store, after driver.Rev) *tail {
	ctx, stop := context.WithCancel(ctx)
	t := &tail{stop: stop, last: after, since: time.Now()}
	t.wake = sync.NewCond(&t.mu)
	context.AfterFunc(ctx, t.broadcast) // a reader that waits for room must end, too
	t.done.Go(func() { t.read(ctx, store, after) })
	return t
}

// broadcast wakes all who wait.
func (t *tail) broadcast() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wake.Broadcast()
}

func (t *tail) read(ctx context.Context, store driver.Store, after driver.Rev) {
	for c, err := range store.Changes(ctx, after) {
		t.mu.Lock()
		for err == nil && t.full() && ctx.Err() == nil {
			t.wake.Wait()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && c.Rev != t.last+1 {
			err = fmt.Errorf("revision %d follows %d in the changes: %w", c.Rev, t.last, driver.ErrCorrupt)
		}
		if err == nil {
			t.queue, t.last = append(t.queue, c), c.Rev
			t.keys += len(c.Keys)
		}
		t.failed = err
		t.wake.Broadcast()
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// full reports whether no more is read ahead. The caller holds mu.
func (t *tail) full() bool { return len(t.queue) >= tailBuffer || t.keys >= bufferKeys }

// unread gives back what was taken last and has not been applied.
func (t *tail) unread(changes []driver.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(changes, t.queue...)
	for _, c := range changes {
		t.keys += len(c.Keys)
	}
}

// close ends reading.
func (t *tail) close() {
	t.stop()
	t.done.Wait()
}

// take returns the next commits, none if there are none, and not beyond a revision.
func (t *tail) take(upTo driver.Rev) ([]driver.Change, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys, n := 0, 0
	for n < len(t.queue) && t.queue[n].Rev <= upTo {
		more := len(t.queue[n].Keys)
		if n > 0 && keys+more > tailKeys {
			break
		}
		keys += more
		n++
	}
	t.keys -= keys
	out := t.queue[:n:n]
	if t.queue = t.queue[n:]; len(t.queue) == 0 {
		t.since = time.Now()
	}
	t.wake.Broadcast()
	if n == 0 && len(t.queue) == 0 && t.failed != nil {
		return nil, t.failed
	}
	return out, nil
}

// pending calls visit for the commits up to a revision that nobody has taken. They
// must have been read; see await.
func (t *tail) pending(upTo driver.Rev, visit func(driver.Change)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.queue {
		if c.Rev <= upTo {
			visit(c)
		}
	}
}

// errBehind is the error of await when the queue is full before the revision.
var errBehind = errors.New("the commits to be applied first are too many")

// await waits until the commits up to a revision have been read.
func (t *tail) await(ctx context.Context, rev driver.Rev) error {
	defer context.AfterFunc(ctx, t.broadcast)()
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.last < rev {
		switch {
		case t.failed != nil:
			return t.failed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case t.full():
			return errBehind
		}
		t.wake.Wait()
	}
	return nil
}

// idle waits until there is a commit to take, or for d.
func (t *tail) idle(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	defer context.AfterFunc(ctx, t.broadcast)()
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) == 0 && t.failed == nil && ctx.Err() == nil {
		t.wake.Wait()
	}
}

// lag returns how many commits are waiting.
func (t *tail) lag() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(len(t.queue))
}
