package rqlitebackend

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"trihold/repo/driver"
)

// maxCommitRequests is how many requests that commit may be under way: one that
// rqlite works on and one that it can begin with at once.
const maxCommitRequests = 2

// commits executes commits. Those that meet while two requests are under way
// travel together in the next; nobody waits for company.
//
// A batch is tried as one transaction, which is the fastest form but says nothing
// about each commit if it fails. Then it is sent again in the form in which each is
// a transaction of its own. That form is used at once for commits that will
// probably be refused, and while so many are refused that a batch would probably
// fail.
type commits struct {
	store *Store

	mu       sync.Mutex
	waiting  []*pending // guarded by mu
	requests int        // guarded by mu; under way
	refusals float64    // guarded by mu; the recent share of commits that were refused unexpectedly
	recent   recent     // guarded by mu
}

// commit returns the outcome of a commit.
func (q *commits) commit(ctx context.Context, p *pending) outcome {
	q.mu.Lock()
	if q.requests < maxCommitRequests && len(q.waiting) == 0 {
		q.requests++
		q.mu.Unlock()
		o := q.execute(ctx, false, p)[0]
		q.done([]*pending{p}, []outcome{o})
		return o
	}
	q.waiting = append(q.waiting, p)
	q.next()
	q.mu.Unlock()
	select {
	case o := <-p.outcome:
		return o
	case <-ctx.Done():
		return q.leave(ctx, p)
	}
}

// leave returns the outcome of a commit whose caller waits no longer.
func (q *commits) leave(ctx context.Context, p *pending) outcome {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case o := <-p.outcome:
		return o
	default:
	}
	if p.taken {
		return outcome{err: driver.Failed("commit", driver.ErrUncertain, context.Cause(ctx))}
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(other *pending) bool { return other == p })
	return outcome{err: driver.Failed("commit", driver.ErrUnavailable, context.Cause(ctx))}
}

// next starts requests for the commits that wait, as long as it may. The caller
// holds mu.
func (q *commits) next() {
	for q.requests < maxCommitRequests && len(q.waiting) > 0 {
		batch, apart := q.take()
		q.requests++
		go func() {
			ctx, cancel := q.store.until(batch)
			defer cancel()
			outcomes := q.execute(ctx, apart, batch...)
			for i, p := range batch {
				p.outcome <- outcomes[i]
			}
			q.done(batch, outcomes)
		}()
	}
}

// take takes the commits of a request from those that wait, and says in which form
// to send them. The caller holds mu.
func (q *commits) take() (batch []*pending, apart bool) {
	for _, p := range q.waiting {
		p.doomed = p.doomed || q.recent.overtaken(p.commit)
	}
	switch n := min(len(q.waiting), maxTogether); {
	case q.waiting[0].lonely:
		batch, q.waiting = q.waiting[:1:1], q.waiting[1:]
	case n > 1 && q.refusals*float64(n) > 0.3:
		batch, q.waiting = takeApart(q.waiting, true)
		apart = true
	case q.waiting[0].doomed:
		batch, q.waiting = takeApart(q.waiting, false)
		apart = len(batch) > 1
	default:
		batch, q.waiting = takeTogether(q.waiting)
	}
	for _, p := range batch {
		p.taken = true
	}
	return batch, apart
}

// done ends a request.
func (q *commits) done(batch []*pending, outcomes []outcome) {
	var latest driver.Rev
	for _, o := range outcomes {
		latest = max(latest, o.rev)
	}
	q.store.advance(latest)
	q.mu.Lock()
	defer q.mu.Unlock()
	refused := 0
	for i, o := range outcomes {
		switch {
		case o.err == nil:
			q.recent.note(batch[i].commit, o.rev)
		case !batch[i].doomed && (errors.Is(o.err, driver.ErrConflict) || errors.Is(o.err, driver.ErrExists)):
			refused++
		}
	}
	const weight = 1. / 16
	q.refusals += weight * (float64(refused)/float64(len(outcomes)) - q.refusals)
	q.requests--
	q.next()
}

// until returns the context of a request for several callers: it lasts as long as
// the most patient of them.
func (s *Store) until(batch []*pending) (context.Context, context.CancelFunc) {
	var latest time.Time
	for _, p := range batch {
		deadline := p.deadline
		if deadline.IsZero() {
			deadline = time.Now().Add(s.c.Patience)
		}
		if deadline.After(latest) {
			latest = deadline
		}
	}
	return context.WithDeadline(s.life, latest)
}
