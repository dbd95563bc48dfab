package migrate

import (
	"context"
	"errors"
	"iter"

	"trihold/repo/driver"
)

// A snapshot is one of the live store. A backend may find out only at the first read
// that its store is closed; then it is begun again where the data is now.
type snapshot struct {
	driver.Snapshot
	live  *Live
	mode  driver.Mode
	route *route
	read  bool // something has been returned
}

// Get implements driver.Snapshot.
func (s *snapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	for {
		row, err := s.Snapshot.Get(ctx, t, key)
		if s.read || !errors.Is(err, driver.ErrMoved) {
			s.read = true
			return row, err
		}
		if err := s.again(ctx, err); err != nil {
			return driver.Row{}, err
		}
	}
}

// Scan implements driver.Snapshot.
func (s *snapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for again := true; again; {
			again = false
			for row, err := range s.Snapshot.Scan(ctx, span) {
				if !s.read && errors.Is(err, driver.ErrMoved) {
					if err := s.again(ctx, err); err != nil {
						yield(driver.Row{}, err)
						return
					}
					again = true
					break
				}
				s.read = true
				if !yield(row, err) {
					return
				}
			}
		}
		s.read = true
	}
}

// again begins the snapshot anew.
func (s *snapshot) again(ctx context.Context, cause error) error {
	if err := s.live.moved(ctx, s.route, s.live.woken.Load(), cause); err != nil {
		return err
	}
	next, err := s.live.Begin(ctx, s.mode)
	if err != nil {
		return err
	}
	fresh := next.(*snapshot)
	err = s.Snapshot.Close()
	s.Snapshot, s.route = fresh.Snapshot, fresh.route
	return err
}
