package inmem

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"trihold/repo/driver"
)

// recent holds the latest published commits, for Changes and for recognising a commit
// that is sent again. Whoever publishes adds to it; anyone reads.
type recent struct {
	mu   sync.RWMutex
	ring []driver.Change // the commit with revision r is at r % driver.Retained
	byID map[driver.CommitID]driver.Rev
	last driver.Rev // of the newest commit
	n    int        // commits held
	wake chan struct{}
}

func newRecent() *recent {
	return &recent{byID: map[driver.CommitID]driver.Rev{}, wake: make(chan struct{})}
}

// add adds the commit that follows the newest one. The first one may have any
// revision.
func (r *recent) add(c driver.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := int(c.Rev % driver.Retained)
	for len(r.ring) <= at { // grows once, as commits come in
		r.ring = append(r.ring, driver.Change{})
	}
	if r.n == driver.Retained {
		delete(r.byID, r.ring[at].ID)
		r.n--
	}
	r.ring[at] = c
	r.byID[c.ID] = c.Rev
	r.last = c.Rev
	r.n++
}

// addAll adds the commits of a load.
func (r *recent) addAll(changes []driver.Change) {
	for _, c := range changes {
		r.add(c)
	}
}

// replace takes the content of another one.
func (r *recent) replace(by *recent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.byID, r.last, r.n = by.ring, by.byID, by.last, by.n
}

// begin says where a store without changes is.
func (r *recent) begin(rev driver.Rev) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == 0 {
		r.last = rev
	}
}

// find returns what a commit touched, if it is held.
func (r *recent) find(id driver.CommitID) (c driver.Change, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rev, ok := r.byID[id]
	if !ok {
		return c, false
	}
	return r.ring[rev%driver.Retained], true
}

// oldest returns the lowest revision after which all commits are held.
func (r *recent) oldest() driver.Rev {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.last - driver.Rev(r.n)
}

// between returns commits after one revision and up to another, some at a time.
// It reports false if they are no longer all held.
func (r *recent) between(after, to driver.Rev, dst []driver.Change) ([]driver.Change, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if after < to && after < r.last-driver.Rev(r.n) {
		return nil, false
	}
	for rev := after + 1; rev <= to && len(dst) < cap(dst); rev++ {
		dst = append(dst, r.ring[rev%driver.Retained])
	}
	return dst, true
}

// published wakes those who wait for changes.
func (r *recent) published() {
	r.mu.Lock()
	close(r.wake)
	r.wake = make(chan struct{})
	r.mu.Unlock()
}

// waiting returns a channel that is closed at the next publication.
func (r *recent) waiting() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.wake
}

// Changes implements driver.Store. Only what has been published is shown.
func (s *Store) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	return func(yield func(driver.Change, error) bool) {
		fail := func(kind, cause error) { yield(driver.Change{}, driver.Failed("changes", kind, cause)) }
		if err := s.usable(ctx, "changes"); err != nil {
			yield(driver.Change{}, err)
			return
		}
		rev := s.published.Load().rev
		if after > rev && s.member != nil { // it may be one that this node has not heard of yet
			r, err := s.member.read(ctx, driver.Mode{})
			if err != nil {
				yield(driver.Change{}, err)
				return
			}
			rev = r.rev
		}
		if after < 0 || after > rev {
			fail(driver.ErrInvalid, fmt.Errorf("revision %d is not one of this store, which is at %d", after, rev))
			return
		}
		buf := make([]driver.Change, 0, 256)
		for {
			wake := s.recent.waiting()
			to := s.published.Load().rev
			some, ok := s.recent.between(after, to, buf[:0])
			if !ok {
				fail(driver.ErrCompacted, fmt.Errorf("changes after revision %d are gone; the oldest to resume from is %d", after, s.recent.oldest()))
				return
			}
			for _, c := range some {
				if err := ctx.Err(); err != nil {
					fail(nil, err)
					return
				}
				if !yield(c, nil) {
					return
				}
				after = c.Rev
			}
			if len(some) > 0 {
				continue
			}
			select {
			case <-wake:
			case <-ctx.Done():
				fail(nil, ctx.Err())
				return
			case <-s.closed:
				fail(driver.ErrClosed, nil)
				return
			case <-s.ended(): // nothing more will come
				yield(driver.Change{}, s.member.refused("changes", context.Cause(s.member.life)))
				return
			}
		}
	}
}
