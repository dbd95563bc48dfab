package repo

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"trihold/repo/driver"
)

// A Store is an opened backend with a schema. It is safe for concurrent use.
type Store struct {
	driver driver.Store
	schema *Schema
	shown  atomic.Int64 // the highest revision that any closure has seen
	turn   turnstile    // for Updates that have met a conflict
	newID  func() driver.CommitID
}

// Open opens the store that name stands for: a URL such as "sqlite:app.db", or
// the name of a store in the file trihold.yaml (see [Config]), or empty for the
// default store of that file. The program must import the backend.
func Open(ctx context.Context, name string, s *Schema) (*Store, error) {
	url, err := Resolve(name)
	if err != nil {
		return nil, err
	}
	d, err := driver.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	return New(ctx, d, s)
}

// New returns a store over an opened backend, which it closes if it fails.
func New(ctx context.Context, d driver.Store, s *Schema) (*Store, error) {
	if err := d.Prepare(ctx, s.driver); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Store{driver: d, schema: s, turn: newTurnstile(), newID: newCommitID}, nil
}

// newCommitID returns the time in milliseconds followed by random bytes, so that
// IDs of one time lie together in an index.
func newCommitID() driver.CommitID {
	var id driver.CommitID
	binary.BigEndian.PutUint64(id[:8], uint64(time.Now().UnixMilli())<<16)
	if _, err := rand.Read(id[6:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	return id
}

// View runs fn on a consistent snapshot that includes every commit acknowledged
// before View was called. fn may run more than once.
func (s *Store) View(ctx context.Context, fn func(*ReadTx) error) error {
	return s.view(ctx, driver.Mode{}, fn)
}

// ViewStale runs fn on a consistent snapshot that may be up to maxAge old, but
// is never older than one that this Store has shown before. fn may run more than
// once.
func (s *Store) ViewStale(ctx context.Context, maxAge time.Duration, fn func(*ReadTx) error) error {
	if maxAge <= 0 {
		return driver.Failed("view", ErrInvalid, fmt.Errorf("a maximal age of %v", maxAge))
	}
	return s.view(ctx, driver.Mode{MaxAge: maxAge, MinRev: Rev(s.shown.Load())}, fn)
}

func (s *Store) view(ctx context.Context, m driver.Mode, fn func(*ReadTx) error) error {
	again, err := s.viewOnce(ctx, m, fn)
	if again {
		return retry(ctx, "view", err, func() (bool, error) { return s.viewOnce(ctx, m, fn) })
	}
	return err
}

// viewOnce is one attempt. It reports whether to try again.
func (s *Store) viewOnce(ctx context.Context, m driver.Mode, fn func(*ReadTx) error) (again bool, err error) {
	tx := &ReadTx{ctx: ctx}
	if err := s.begin(tx, m); err != nil {
		return false, err
	}
	defer s.end(tx)
	return tx.judge(fn(tx))
}

// begin gives a transaction a snapshot.
func (s *Store) begin(tx *ReadTx, m driver.Mode) (err error) {
	tx.snap, err = s.driver.Begin(tx.ctx, m)
	return err
}

// end is the end of a closure, even if it panics.
func (s *Store) end(tx *ReadTx) {
	tx.over, tx.rev = true, tx.snap.Rev()
	s.show(tx.rev)
	if err := tx.snap.Close(); err != nil && tx.failed == nil {
		tx.failed = err
	}
}

// judge turns the error of a closure into the error of the transaction, and
// reports whether the backend wants the closure to run again.
func (r *ReadTx) judge(err error) (again bool, _ error) {
	switch {
	case r.failed == nil:
		return false, err
	case errors.Is(r.failed, ErrConflict):
		return true, r.failed
	case err == nil: // the closure has overlooked it
		return false, r.failed
	}
	return false, err
}

// show remembers that a revision has been seen.
func (s *Store) show(rev Rev) {
	for {
		shown := s.shown.Load()
		if int64(rev) <= shown || s.shown.CompareAndSwap(shown, int64(rev)) {
			return
		}
	}
}
