package sqlitebackend

import (
	"context"
	"fmt"
	"iter"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// changesChunk is how many changes are read at a time.
const changesChunk = 256

// Changes yields the commits after a revision, and follows.
func (s *Store) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	return func(yield func(driver.Change, error) bool) {
		for {
			chunk, err := s.changes(ctx, after)
			if err == nil && len(chunk) == 0 {
				err = s.awaitChange(ctx, after)
			}
			if err != nil {
				yield(driver.Change{}, err)
				return
			}
			for _, c := range chunk {
				if !yield(c, nil) {
					return
				}
				after = c.Rev
			}
		}
	}
}

// awaitChange waits until there is a commit after a revision.
func (s *Store) awaitChange(ctx context.Context, after driver.Rev) error {
	changed := s.visible.next()
	if rev, _ := s.visible.load(); rev > after || s.closed() {
		return nil // changes finds out
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// changes reads the next commits after a revision, none if there are none yet.
func (s *Store) changes(ctx context.Context, after driver.Rev) ([]driver.Change, error) {
	if s.closed() {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rev, _ := s.visible.load()
	if after > rev || after < 0 {
		return nil, foreign(after, rev)
	}
	rows, err := s.changeRows(ctx, after, rev)
	// Only now: what is forgotten was announced before it was gone.
	oldest := driver.Rev(s.writer.oldest.Load())
	switch {
	case after < oldest:
		return nil, driver.Failed("changes", driver.ErrCompacted, fmt.Errorf("commits up to revision %d are no longer retained", oldest))
	case err != nil && s.closed():
		return nil, errClosed
	case err != nil:
		return nil, failed("changes", err)
	case after > oldest && len(rows) > 0 && driver.Rev(rows[0].Rev) != after:
		return nil, foreign(after, rev)
	}
	chunk := make([]driver.Change, 0, len(rows))
	for _, r := range rows {
		if driver.Rev(r.Rev) == after {
			continue
		}
		c, err := s.layout.ReadChange(r.Rev, r.ID, r.Touched)
		if err != nil {
			return nil, err
		}
		chunk = append(chunk, c)
	}
	return chunk, nil
}

type changeRow struct {
	Rev     int64  `db:"rev"`
	ID      []byte `db:"id"`
	Touched string `db:"touched"`
}

// changeRows reads the rows from a revision on, itself included: that it is there
// shows that it is one of this store, and not one that was lost before a restore.
// Rows that may not be shown yet are left out.
func (s *Store) changeRows(ctx context.Context, from, upTo driver.Rev) ([]changeRow, error) {
	if from == upTo {
		return nil, nil
	}
	var rows []changeRow
	err := s.readers.pool.SelectContext(ctx, &rows, sqlstmt.ChangesAfter, int64(from)-1, changesChunk)
	for i, r := range rows {
		if driver.Rev(r.Rev) > upTo {
			return rows[:i], err
		}
	}
	return rows, err
}

func foreign(after, rev driver.Rev) error {
	return driver.Failed("changes", driver.ErrInvalid, fmt.Errorf(
		"revision %d is not one of this store, which is at %d; it comes from another one, or was lost before a restore", after, rev))
}
