package migrate

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"trihold/repo/driver"
)

// Changes implements driver.Store. It goes over to the next store where the one
// before has ended.
func (l *Live) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	return func(yield func(driver.Change, error) bool) {
		for {
			r := l.current.Load()
			more, err := l.changesOf(ctx, r, &after, yield)
			if err != nil {
				yield(driver.Change{}, err)
			}
			if !more {
				return
			}
		}
	}
}

// changesOf yields the changes of a route until the next one has those behind them. It
// reports whether to go on there.
func (l *Live) changesOf(ctx context.Context, r *route, after *driver.Rev, yield func(driver.Change, error) bool) (more bool, _ error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var at atomic.Int64
	at.Store(int64(*after))
	go l.leaveWhenMoved(inner, cancel, r, &at)
	for c, err := range r.store.Changes(inner, *after) {
		switch {
		case err == nil:
			if !yield(c, nil) {
				return false, nil
			}
			*after = c.Rev
			at.Store(int64(c.Rev))
		case inner.Err() != nil && ctx.Err() == nil:
			return true, nil
		default:
			return false, err
		}
	}
	return true, nil
}

// leaveWhenMoved calls cancel when another route is current and has the changes after
// at. Until it has, those of the route before go on: it follows the other one.
func (l *Live) leaveWhenMoved(ctx context.Context, cancel func(), r *route, at *atomic.Int64) {
	for {
		woken, current := l.woken.Load(), l.current.Load()
		wait := time.Duration(1<<63 - 1)
		if current != r {
			st, err := current.store.Status(ctx)
			if err == nil && st.Rev >= driver.Rev(at.Load()) && st.Oldest <= driver.Rev(at.Load()) {
				cancel()
				return
			}
			wait = fencePoll
		}
		select {
		case <-*woken:
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
