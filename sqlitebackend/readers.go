package sqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"trihold/repo/driver"
)

// readers lends sessions of the read pool to snapshots. The one that came back
// last goes out first: its pages are the warmest.
//
// There is a number of regular sessions, enough to keep the processors busy. A
// snapshot that gets none of them waits a little, and then gets an extra one for
// itself: those who have the others may be waiting for it.
type readers struct {
	pool  *sqlx.DB
	slots chan struct{} // holds one token for each regular session that is out

	mu    sync.Mutex
	idle  []*session             // guarded by mu; regular ones
	out   map[*snapshot]struct{} // guarded by mu; snapshots that have a session
	extra int                    // guarded by mu; how many of them have an extra one
	quiet bool                   // guarded by mu; no snapshot may begin
	shut  bool                   // guarded by mu
}

const (
	// patience is how long a snapshot waits for a regular session.
	patience = 5 * time.Millisecond
	// maxExtra bounds the extra sessions; each is three file descriptors and up to
	// 2 MiB of cache.
	maxExtra = 1000
)

// maxRegular is the number of regular sessions. One that is not needed is not
// made.
func maxRegular() int { return max(8, 4*runtime.GOMAXPROCS(0)) }

func newReaders(pool *sqlx.DB) *readers {
	n := maxRegular()
	pool.SetMaxOpenConns(0) // the bounds are here
	pool.SetMaxIdleConns(1) // for what does not go through a session
	return &readers{pool: pool, slots: make(chan struct{}, n), out: map[*snapshot]struct{}{}}
}

// lend returns a session for a snapshot, and whether it is an extra one.
func (r *readers) lend(ctx context.Context, s *snapshot) (session *session, extra bool, err error) {
	select {
	case r.slots <- struct{}{}:
	default:
		if extra, err = r.wait(ctx); err != nil {
			return nil, false, err
		}
	}
	if session, err = r.take(ctx, s, extra); err != nil {
		r.free(extra)
		return nil, false, err
	}
	return session, extra, nil
}

// wait gets the right to a regular session or, after a while, to an extra one.
func (r *readers) wait(ctx context.Context) (extra bool, err error) {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case r.slots <- struct{}{}:
			return false, nil
		case <-tick.C:
			if r.grantExtra() {
				return true, nil
			}
		case <-ctx.Done():
			return false, driver.Failed("begin", driver.ErrUnavailable, fmt.Errorf("all read sessions are in use: %w", ctx.Err()))
		}
	}
}

func (r *readers) grantExtra() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quiet || r.extra == maxExtra {
		return false
	}
	r.extra++
	return true
}

// take hands out a session to one who has the right to it.
func (r *readers) take(ctx context.Context, s *snapshot, extra bool) (*session, error) {
	r.mu.Lock()
	if r.shut {
		r.mu.Unlock()
		return nil, errClosed
	}
	r.out[s] = struct{}{}
	if n := len(r.idle); n > 0 && !extra {
		session := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		return session, nil
	}
	r.mu.Unlock()
	session, err := newSession(ctx, r.pool)
	if err != nil {
		r.mu.Lock()
		delete(r.out, s)
		r.mu.Unlock()
		return nil, failed("begin", err)
	}
	return session, nil
}

// free returns the right to a session.
func (r *readers) free(extra bool) {
	if !extra {
		<-r.slots
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.extra--
}

// giveBack takes a session back from a snapshot. One that is extra is closed, and
// so is the connection of one that may be in an unknown state.
func (r *readers) giveBack(s *snapshot, session *session, extra, sound bool) error {
	defer r.free(extra)
	r.mu.Lock()
	delete(r.out, s)
	if sound && !extra && !r.shut {
		r.idle = append(r.idle, session)
		session = nil
	}
	r.mu.Unlock()
	switch {
	case session == nil:
		return nil
	case !sound:
		return session.discard()
	}
	return session.close()
}

// quiesce keeps new snapshots waiting until resume is called, and waits some time
// for those that are open.
func (r *readers) quiesce(limit time.Duration) (resume func()) {
	r.setQuiet(true)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	taken := 0
	for waiting := true; waiting && taken < cap(r.slots); {
		select {
		case r.slots <- struct{}{}:
			taken++
		case <-deadline.C:
			waiting = false
		}
	}
	return func() {
		r.setQuiet(false)
		for range taken {
			<-r.slots
		}
	}
}

func (r *readers) setQuiet(quiet bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet = quiet
}

// endOlder ends the snapshots that were pinned before a time.
func (r *readers) endOlder(than time.Time, why error) {
	for _, s := range r.outstanding() {
		s.endIfOlder(than, why)
	}
}

func (r *readers) outstanding() []*snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*snapshot, 0, len(r.out))
	for s := range r.out {
		all = append(all, s)
	}
	return all
}

// close ends every snapshot and closes the sessions and the pool.
func (r *readers) close() error {
	r.mu.Lock()
	idle := r.idle
	r.idle, r.shut = nil, true
	r.mu.Unlock()
	var errs []error
	for _, session := range idle {
		errs = append(errs, session.close())
	}
	for _, s := range r.outstanding() {
		s.end(errClosed)
	}
	return errors.Join(append(errs, r.pool.Close())...)
}
