package inmem

import (
	"context"
	"iter"

	"trihold/repo/driver"
)

// A snapshot is a root that is being read.
type snapshot struct {
	store *Store
	root  *root // nil after Close
	// tentative: on a member, the root may be an old one, unless this node leads in the
	// tenure, if that is given.
	tentative bool
	tenure    *tenure
}

var _ driver.Snapshot = (*snapshot)(nil)

// Begin implements driver.Store. On a single node every mode gets the latest root.
func (s *Store) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	if err := s.usable(ctx, "begin"); err != nil {
		return nil, err
	}
	r, t, err := s.latest(ctx, m)
	if err != nil {
		return nil, err
	}
	if t != nil && r.closed() && !m.Closed { // that would be an answer, for which the state must be the latest
		m.Tentative = false
		if r, t, err = s.latest(ctx, m); err != nil {
			return nil, err
		}
	}
	if r.closed() && !m.Closed {
		return nil, r.fence.Moved("begin")
	}
	return &snapshot{store: s, root: r, tentative: t != nil || m.MaxAge > 0, tenure: t}, nil
}

// latest returns the root to begin with. With a tenure, it is the latest one if this node
// leads in that tenure: which is not made sure of, for a tentative snapshot.
func (s *Store) latest(ctx context.Context, m driver.Mode) (*root, *tenure, error) {
	if s.member == nil {
		return s.published.Load(), nil, nil
	}
	if t := s.tenure.Load(); m.Tentative && t != nil && s.member.caughtUp() {
		return s.published.Load(), t, nil
	}
	r, err := s.member.read(ctx, m)
	return r, nil, err
}

// Rev implements driver.Snapshot.
func (s *snapshot) Rev() driver.Rev {
	if s.root == nil {
		return 0
	}
	return s.root.rev
}

// Get implements driver.Snapshot.
func (s *snapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	if err := s.usable(ctx); err != nil {
		return driver.Row{}, err
	}
	r := s.root.tables[t.ID].get(key)
	if r == nil {
		return driver.Row{}, driver.ErrNotFound
	}
	return driver.Row{Rev: r.rev, Value: r.value}, nil
}

// Scan implements driver.Snapshot.
func (s *snapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		if err := s.usable(ctx); err != nil {
			yield(driver.Row{}, err)
			return
		}
		n := 0
		for r := range s.root.tables[span.Table.ID].walk(span) {
			if !yield(driver.Row{Rev: r.rev, Value: r.value}, nil) {
				return
			}
			if n++; n%256 != 0 {
				continue
			}
			if err := s.usable(ctx); err != nil {
				yield(driver.Row{}, err)
				return
			}
		}
	}
}

func (s *snapshot) usable(ctx context.Context) error {
	if s.root == nil {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// Confirm implements driver.Snapshot.
func (s *snapshot) Confirm(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.store.member == nil || !s.tentative {
		return nil
	}
	if s.tenure == nil {
		return driver.Failed("confirm", driver.ErrConflict, nil)
	}
	if err := s.store.member.stillLeads(ctx, s.tenure); err != nil {
		return driver.Failed("confirm", driver.ErrConflict, err)
	}
	return nil
}

// Close implements driver.Snapshot.
func (s *snapshot) Close() error {
	s.root = nil
	return nil
}
