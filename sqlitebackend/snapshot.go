package sqlitebackend

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A snapshot is a read transaction. It begins with the first read, which sees
// every commit acknowledged before Begin and maybe some that came later.
type snapshot struct {
	store *Store

	// mu is taken by the goroutine that uses the snapshot, for each call, and by
	// whoever ends the snapshot without it.
	mu      sync.Mutex
	session *session // nil before the first read and after the end
	extra   bool     // the session is an extra one
	known   bool     // rev is known; zero is a revision too
	rev     driver.Rev
	pinned  time.Time // when the first read began
	cursors []*cursor // that are open
	over    error     // what every further read returns
	args    []driver.Value
}

var _ driver.Snapshot = (*snapshot)(nil)

// Rev returns the revision of the state. Before the first read it is a revision
// that the state will include.
func (s *snapshot) Rev() driver.Rev {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known {
		return s.rev
	}
	rev, _ := s.store.visible.load()
	return rev
}

// Get returns a row.
func (s *snapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.store.layout.Get(s.args[:0], t, key)
	if err != nil {
		return driver.Row{}, err
	}
	s.args = st.Args
	var row driver.Row
	found := false
	err = s.read(ctx, func(session *session) error {
		values, some, err := session.row(st)
		if err != nil || !some {
			return failed("get", err)
		}
		found = true
		row, err = s.store.layout.Row(t, values)
		return err
	})
	if err == nil && !found {
		err = driver.ErrNotFound
	}
	return row, err
}

// Scan yields the rows of a span.
func (s *snapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		st, some, err := s.store.layout.Scan(nil, span)
		if err != nil {
			yield(driver.Row{}, err)
			return
		}
		if !some {
			return
		}
		c, err := s.open(ctx, st)
		if err != nil {
			yield(driver.Row{}, err)
			return
		}
		defer s.drop(c)
		for {
			row, more, err := s.next(ctx, c, span.Table)
			if err != nil {
				yield(driver.Row{}, err)
				return
			}
			if !more || !yield(row, nil) {
				return
			}
		}
	}
}

// open starts a query and reads its first row, which pins the snapshot.
func (s *snapshot) open(ctx context.Context, st sqlstmt.Stmt) (*cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c *cursor
	err := s.read(ctx, func(session *session) error {
		query, err := session.query(st)
		if err != nil {
			return failed("scan", err)
		}
		// At once: should the snapshot fail to begin, the query is closed with it.
		c = &query
		s.cursors = append(s.cursors, c)
		return nil
	})
	return c, err
}

// next returns the next row of a query.
func (s *snapshot) next(ctx context.Context, c *cursor, t *driver.Table) (row driver.Row, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return row, false, s.over
	}
	if err := ctx.Err(); err != nil {
		return row, false, err
	}
	values, more, err := c.next()
	if err != nil || !more {
		return row, false, failed("scan", err)
	}
	row, err = s.store.layout.Row(t, values)
	return row, true, err
}

// drop closes a query.
func (s *snapshot) drop(c *cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.cursors, c); i >= 0 {
		s.cursors = slices.Delete(s.cursors, i, i+1)
		if err := c.close(); err != nil && s.over == nil {
			s.endLocked(failed("scan", err))
		}
	}
}

// read runs a read. The first one begins the transaction; if that fails, the
// snapshot is over.
func (s *snapshot) read(ctx context.Context, fn func(*session) error) error {
	if s.over != nil {
		return s.over
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.session != nil {
		return fn(s.session)
	}
	var err error
	if s.session, s.extra, err = s.store.readers.lend(ctx, s); err != nil {
		return err
	}
	s.pinned = time.Now()
	if err := s.pin(ctx, fn); err != nil {
		s.store.report("end snapshot", s.endLocked(err))
		return err
	}
	return nil
}

// pin begins the transaction with its first read, and finds out which revision it
// sees: what was there when the first statement began. If no commit was under way
// before it, and none is after it, nothing has changed meanwhile.
func (s *snapshot) pin(ctx context.Context, fn func(*session) error) error {
	before, settled := s.store.visible.load()
	if err := s.session.exec(beginRead); err != nil {
		return failed("begin", err)
	}
	if err := fn(s.session); err != nil {
		return err
	}
	if after, still := s.store.visible.load(); settled && still && before == after {
		s.rev, s.known = before, true
		return nil
	}
	rev, err := s.session.number(revText)
	if err != nil {
		return failed("begin", err)
	}
	s.rev, s.known = driver.Rev(rev), true
	return s.store.visible.wait(ctx, s.rev)
}

// Confirm implements driver.Snapshot. Every state that Begin returns is the latest.
func (s *snapshot) Confirm(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.over
	}
	return ctx.Err()
}

// Close ends the snapshot.
func (s *snapshot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil
	}
	return s.endLocked(errClosed)
}

// end ends the snapshot from outside.
func (s *snapshot) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.store.report("end snapshot", s.endLocked(why))
	}
}

// endIfOlder ends the snapshot if it was pinned before a time.
func (s *snapshot) endIfOlder(than time.Time, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil && s.session != nil && s.pinned.Before(than) {
		s.store.report("end snapshot", s.endLocked(why))
	}
}

// endLocked ends the transaction and gives the session back. The caller holds
// mu. A query that is still open would keep its state of the database beyond the
// ROLLBACK, and show it to the session's next snapshot.
func (s *snapshot) endLocked(why error) error {
	s.over = why
	if s.session == nil {
		return nil
	}
	var failure error
	for _, c := range s.cursors {
		if err := c.close(); err != nil {
			failure = err
		}
	}
	s.cursors = nil
	if err := s.session.exec(rollback); err != nil {
		failure = err
	}
	if err := s.store.readers.giveBack(s, s.session, s.extra, failure == nil && s.session.open == 0); err != nil && failure == nil {
		failure = err
	}
	s.session = nil
	return failed("end snapshot", failure)
}

// limitReached is what a snapshot that was open for too long returns.
func limitReached(limit time.Duration) error {
	return driver.Failed("read", driver.ErrUnavailable, fmt.Errorf(
		"the snapshot has been open for more than %v; read less in one transaction, or raise the limit (snapshot=)", limit))
}
