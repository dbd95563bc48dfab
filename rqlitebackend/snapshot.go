package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A snapshot is a state that is read in several requests. Its revision is that of
// the first read. If a later read finds another revision, everything read so far
// is validated at the latest one: if it is still the same, the snapshot is now
// there, and else the read is a conflict.
type snapshot struct {
	store *Store
	mode  driver.Mode
	rev   driver.Rev
	fixed bool // rev is that of the first read
	// fresh: read no more stale states, because there was none.
	fresh  bool
	closed bool
	read   driver.Checks // everything returned so far
}

// Begin implements driver.Store. Nothing is sent before the first read.
func (s *Store) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	if err := s.usable(ctx, "begin"); err != nil {
		return nil, err
	}
	stale := m.MaxAge >= maxLease || m.MaxAge > 0 && s.node != nil
	return &snapshot{store: s, mode: m, fresh: !stale}, nil
}

// maxLease is how long a leader that was cut off may believe that it still leads.
// It answers reads of any freshness then. A managed node has nobody to be cut off
// from.
const maxLease = time.Second

// Rev implements driver.Snapshot.
func (s *snapshot) Rev() driver.Rev { return s.rev }

// Confirm implements driver.Snapshot. What a tentative snapshot has read was up to date
// when it was read.
func (s *snapshot) Confirm(ctx context.Context) error {
	if s.closed {
		return driver.Failed("confirm", driver.ErrClosed, nil)
	}
	return ctx.Err()
}

// Close implements driver.Snapshot.
func (s *snapshot) Close() error {
	s.closed = true
	return nil
}

// Get implements driver.Snapshot.
func (s *snapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	st, err := s.store.layout.Get(nil, t, key)
	if err != nil {
		return driver.Row{}, err
	}
	rd := &read{Stmt: st, columns: s.store.reads.columns[t.ID], table: t, key: key}
	if err := s.fetch(ctx, rd, 1); err != nil {
		return driver.Row{}, err
	}
	var row driver.Row
	if len(rd.rows) > 0 {
		if row, err = s.store.layout.Row(t, rd.rows[0]); err != nil {
			return driver.Row{}, err
		}
	}
	s.read.Rows = append(s.read.Rows, driver.RowCheck{Table: t, Key: key, Rev: row.Rev})
	if err := s.follow(ctx, rd.rev); err != nil {
		return driver.Row{}, err
	}
	if row.Data == nil {
		return driver.Row{}, &driver.Error{Op: "get", Table: t.Name, Key: t.FormatKey(key), Kind: driver.ErrNotFound}
	}
	return row, nil
}

// open returns why nothing can be read any more, if so.
func (s *snapshot) open(ctx context.Context) error {
	if s.closed {
		return driver.Failed("read", driver.ErrClosed, nil)
	}
	return s.store.usable(ctx, "read")
}

// smallRead is the number of rows up to which a read travels with those of
// others.
const smallRead = 16

// fetch executes a read of about so many rows, on a state that the mode allows.
func (s *snapshot) fetch(ctx context.Context, rd *read, rows int) error {
	if err := s.ask(ctx, rd, rows); err != nil {
		return err
	}
	if rd.shut != "" && !s.mode.Closed {
		return movedBy("read", rd.shut)
	}
	return nil
}

// ask executes a read, on a store that may be closed.
func (s *snapshot) ask(ctx context.Context, rd *read, rows int) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if !s.fresh {
		err := s.store.reads.stale(ctx, s.mode.MaxAge, rd)
		if err == nil && rd.rev >= max(s.mode.MinRev, s.rev) {
			return nil
		}
		if err != nil && !errors.Is(err, errStale) {
			return s.store.orClosed("read", err)
		}
		s.fresh = true
		rd.rows, rd.err = nil, nil
	}
	if rows <= smallRead {
		return s.store.orClosed("read", s.store.reads.latest(ctx, rd))
	}
	return s.store.orClosed("read", s.store.reads.large(ctx, rd))
}

// follow makes the snapshot one of revision rev, at which the latest read was
// made. What was read by it is in s.read already.
func (s *snapshot) follow(ctx context.Context, rev driver.Rev) error {
	if !s.fixed || s.rev == rev {
		s.fixed, s.rev = true, rev
		return nil
	}
	guards, err := s.store.layout.Guards(nil, &s.read)
	if err != nil {
		return err
	}
	s.fresh = true
	now, broken, err := s.store.broken(ctx, guards)
	switch {
	case err != nil:
		return s.store.orClosed("read", err)
	case broken:
		return driver.Failed("read", driver.ErrConflict, errors.New("what this snapshot has read was changed meanwhile"))
	}
	s.rev = now
	return nil
}

// intoGuard is how the guards of sqlstmt begin. What follows selects rows if the
// guard does not hold.
const intoGuard = `INSERT INTO "_trihold_guard" `

// broken evaluates guards on the latest state, and returns its revision.
func (s *Store) broken(ctx context.Context, guards []sqlstmt.Stmt) (rev driver.Rev, broken bool, err error) {
	ask := []sqlstmt.Stmt{{SQL: latestRev}}
	for _, g := range guards {
		text, ok := strings.CutPrefix(g.SQL, intoGuard)
		if !ok {
			return 0, false, fmt.Errorf("a guard begins with %.40q: %w", g.SQL, driver.ErrInvalid)
		}
		ask = append(ask, sqlstmt.Stmt{SQL: text + " LIMIT 1", Args: g.Args})
	}
	results, err := s.queries(ctx, ask)
	if err != nil {
		return 0, false, err
	}
	for _, r := range results[1:] {
		broken = broken || len(r.rows) > 0
	}
	return revOf(results[0].rows), broken, nil
}
