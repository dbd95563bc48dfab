package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// load accepts a commit that is a load. It is one transaction in a request of its
// own, guards first, and has no ID: if it was sent twice, and the second attempt is
// refused, the first one may be why. The error is of kind ErrUncertain then, and the
// caller reads the state to find out.
func (s *Store) load(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if n := len(c.Load.Changes); n > driver.MaxWrites {
		return 0, driver.Failed("load", driver.ErrTooLarge, fmt.Errorf("%d changes, the limit is %d", n, driver.MaxWrites))
	}
	if s.dir != nil {
		if err := s.dir.mustHaveFree(freeToStart); err != nil {
			return 0, err
		}
	}
	body, elements, err := formLoad(s.layout, c)
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	results, resent, err := s.commits.submit(ctx, executeAtomic, body)
	if err != nil {
		return 0, err
	}
	for _, r := range results {
		if r.err != "" {
			return 0, uncertainIf(resent, s.loadRefusal(r.err))
		}
	}
	if len(results) != elements {
		return 0, driver.Failed("load", driver.ErrUncertain, fmt.Errorf("rqlite answered %d of %d statements", len(results), elements))
	}
	return s.loaded(ctx, c.Load)
}

// formLoad returns the request and the number of its elements.
func formLoad(l *sqlstmt.Layout, c *driver.Commit) (body []byte, elements int, err error) {
	statements, err := l.Load(nil, c)
	if err != nil {
		return nil, 0, err
	}
	f := former{body: append(make([]byte, 0, loadSize(c)), '[')}
	f.add(statements...)
	f.flush()
	return append(f.body, ']'), f.elements, f.err
}

// loadSize returns about as many bytes as the request has.
func loadSize(c *driver.Commit) int {
	size := 1024 + c.Size()*5/4 + 64*len(c.Writes)
	for i := range c.Load.Changes {
		size += 64
		for _, k := range c.Load.Changes[i].Keys {
			size += 24 + len(k.Table.Name) + len(k.Key)
		}
	}
	return size
}

// loadRefusal says what the failure of a load's statement means.
func (s *Store) loadRefusal(message string) error {
	err := s.layout.Refusal(message)
	switch {
	case errors.Is(err, sqlstmt.ErrCommitted):
		return driver.Failed("load", driver.ErrInvalid, errors.New("one of its changes has an ID that the store has already"))
	case err == nil && strings.Contains(message, "too big"):
		return driver.Failed("load", driver.ErrTooLarge, errors.New("rqlite: "+message))
	case err == nil:
		return driver.Failed("load", driver.ErrInvalid, errors.New("rqlite: "+message))
	}
	return err
}

// loaded returns the revision of the store after a load.
func (s *Store) loaded(ctx context.Context, l *driver.Load) (driver.Rev, error) {
	if n := len(l.Changes); n > 0 {
		rev := l.Changes[n-1].Rev
		s.advance(rev)
		return rev, nil
	}
	_, latest, err := s.changesRange(ctx)
	if err != nil {
		return 0, driver.Failed("load", driver.ErrUncertain, errors.Join(errors.New("it was accepted, and the revision could not be read"), err))
	}
	return latest, nil
}
