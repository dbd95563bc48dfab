package inmem

import (
	"context"
	"sync"
	"time"
)

// rounds shares the answers to a question that costs a round trip: everyone who asks
// while one is on its way is answered by the next, which begins after they asked.
type rounds struct {
	mu      sync.Mutex
	running bool   // guarded by mu
	next    *round // guarded by mu: the one that has not begun; nil if nobody waits
}

// A round is one question. Its fields are set before done is closed.
type round struct {
	done  chan struct{}
	value uint64
	begun time.Time
	err   error
}

// wait returns the answer to a question that is asked after wait was called, and when
// it was asked.
func (q *rounds) wait(ctx context.Context, ask func() (uint64, error)) (uint64, time.Time, error) {
	q.mu.Lock()
	if q.next == nil {
		q.next = &round{done: make(chan struct{})}
	}
	r := q.next
	if !q.running {
		q.running = true
		go q.run(ask)
	}
	q.mu.Unlock()
	select {
	case <-r.done:
		return r.value, r.begun, r.err
	case <-ctx.Done():
		return 0, time.Time{}, context.Cause(ctx)
	}
}

// run asks until nobody waits.
func (q *rounds) run(ask func() (uint64, error)) {
	for {
		q.mu.Lock()
		r := q.next
		q.next = nil
		q.running = r != nil
		q.mu.Unlock()
		if r == nil {
			return
		}
		r.begun = time.Now()
		r.value, r.err = ask()
		close(r.done)
	}
}
