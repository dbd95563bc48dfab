package repo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"trihold/repo/driver"
)

const (
	// maxAttempts is how often a closure runs before its conflict is returned.
	maxAttempts = 64
	// maxPause is the longest wait between two attempts.
	maxPause = 20 * time.Millisecond
	// uncertainWait is how long an unknown outcome is asked for when the context
	// has no deadline.
	uncertainWait = 30 * time.Second
)

// Update runs fn and commits what it wrote, all of it or nothing. It is strictly
// serialisable: the effect is as if fn had run alone, at one moment between the
// call and the return.
//
// fn may run more than once: if what it read has changed before the commit,
// Update runs it again, up to a bound, and then returns ErrConflict. The state that
// fn sees is consistent and may be out of date, but no outcome rests on that. If fn
// returns an error, nothing is written and Update returns that error. If fn
// wrote nothing, Update is a View. fn must not call Update on the same Store: one
// would wait for the other.
//
// ErrUncertain means that the commit was sent and the context ended before its
// outcome was known: it may have happened or still happen.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	again, err := s.updateOnce(ctx, driver.Mode{Tentative: true}, fn)
	if errors.Is(err, errTentative) {
		again, err = s.updateOnce(ctx, driver.Mode{}, fn)
	}
	if !again {
		return err
	}
	if !s.turn.enter(ctx) {
		return fmt.Errorf("update: %w, after a conflict: %w", ctx.Err(), err)
	}
	defer s.turn.leave()
	return retry(ctx, "update", err, func() (bool, error) { return s.updateOnce(ctx, driver.Mode{}, fn) })
}

// errTentative is the error of an attempt whose closure has returned an answer that may
// rest on an old state.
var errTentative = errors.New("the state may be an old one")

// updateOnce is one attempt. It reports whether to try again.
func (s *Store) updateOnce(ctx context.Context, m driver.Mode, fn func(*Tx) error) (again bool, err error) {
	tx := &Tx{ReadTx: ReadTx{ctx: ctx}}
	tx.tx = tx
	if err := s.run(tx, m, fn); err != nil || len(tx.writes.list) == 0 {
		return tx.judge(err)
	}
	c := &driver.Commit{ID: s.newID(), Read: tx.rev, Checks: tx.checks, Writes: tx.writes.writes()}
	rev, err := s.driver.Commit(ctx, c)
	if errors.Is(err, ErrUncertain) {
		rev, err = s.settle(ctx, c, err)
	}
	if err != nil {
		return errors.Is(err, ErrConflict), err
	}
	s.show(rev)
	return false, nil
}

// run runs a closure on a snapshot. What it writes will be checked against what it has
// read; if it writes nothing, or fails, then that is an answer, and the state that it
// rests on is confirmed.
func (s *Store) run(tx *Tx, m driver.Mode, fn func(*Tx) error) error {
	if err := s.begin(&tx.ReadTx, m); err != nil {
		return err
	}
	defer s.end(&tx.ReadTx)
	err := fn(tx)
	if err == nil {
		err = tx.failed
	}
	if !m.Tentative || tx.failed != nil || err == nil && len(tx.writes.list) > 0 {
		return err
	}
	if unconfirmed := tx.snap.Confirm(tx.ctx); errors.Is(unconfirmed, ErrConflict) {
		return errTentative
	} else if unconfirmed != nil {
		return unconfirmed
	}
	return err
}

// settle sends a commit whose outcome is not known again, until it is known or
// the context ends. The commit's ID makes that harmless.
func (s *Store) settle(ctx context.Context, c *driver.Commit, unknown error) (Rev, error) {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, uncertainWait)
		defer cancel()
	}
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		if !sleep(ctx, jitter(pause)) {
			return 0, unknown
		}
		rev, err := s.driver.Commit(ctx, c)
		switch {
		case errors.Is(err, ErrUncertain), errors.Is(err, ErrUnavailable):
		case errors.Is(err, ErrClosed), ctx.Err() != nil && err != nil:
			return 0, unknown
		default:
			return rev, err
		}
	}
}

// retry runs further attempts after one that met a conflict.
func retry(ctx context.Context, op string, conflict error, attempt func() (again bool, err error)) error {
	for n := 2; n <= maxAttempts; n++ {
		again, err := attempt()
		if !again {
			return err
		}
		if conflict = err; !sleep(ctx, jitter(min(time.Duration(n)*100*time.Microsecond, maxPause))) {
			return fmt.Errorf("%s: %w, after %d conflicts: %w", op, ctx.Err(), n, conflict)
		}
	}
	return fmt.Errorf("%s: gave up after %d attempts: %w", op, maxAttempts, conflict)
}

// A turnstile is where the Updates of a Store that have met a conflict queue one
// behind another, so that they do not fight: whoever has met a conflict competes
// with newcomers only. A View does not queue there: it fights with nobody, and
// may run inside an Update whose turn it is.
//
// A turnstile lets one goroutine through at a time, and can be left waiting for
// when a context ends.
type turnstile chan struct{}

func newTurnstile() turnstile { return make(turnstile, 1) }

func (t turnstile) enter(ctx context.Context) bool {
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t turnstile) leave() { <-t }

// jitter returns a random duration up to d.
func jitter(d time.Duration) time.Duration { return rand.N(d) + 1 }

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
