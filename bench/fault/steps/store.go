package steps

import (
	"context"
	"fmt"
	"slices"

	"trihold/repo/driver"
)

// Scheme is the scheme of a watched store's URL.
const Scheme = "stepped"

func init() { driver.Register(Scheme, open) }

// A Store is a watched store.
type Store struct {
	driver.Store
	schema *driver.Schema // set by Prepare
	closed bool           // it is read even if a fence has closed it
}

func open(ctx context.Context, u *driver.URL) (driver.Store, error) {
	closed := u.Params.String("closed", "")
	inner := u.Path
	if rest := u.Params.Rest(); rest != "" {
		inner += "?" + rest
	}
	if u.Hosts != nil || closed != "" && closed != "read" {
		return nil, fmt.Errorf("write %s: and then the whole URL of a store; closed can be read: %w", Scheme, driver.ErrInvalid)
	}
	d, err := driver.Open(ctx, inner)
	if err != nil {
		return nil, err
	}
	return &Store{Store: d, closed: closed != ""}, nil
}

// Prepare implements driver.Store.
func (s *Store) Prepare(ctx context.Context, schema *driver.Schema) error {
	if err := s.Store.Prepare(ctx, schema); err != nil {
		return err
	}
	st, err := s.Status(ctx)
	s.schema = st.Schema
	return err
}

// Begin implements driver.Store.
func (s *Store) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	if m.Closed {
		if a := reach(Read); a != nil {
			a.hold(ctx)
		}
	}
	m.Closed = m.Closed || s.closed
	return s.Store.Begin(ctx, m)
}

// Commit implements driver.Store.
func (s *Store) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	step, err := s.stepOf(ctx, c)
	if err != nil {
		return 0, err
	}
	a := reach(step)
	switch {
	case a == nil:
		return s.Store.Commit(ctx, c)
	case !a.After:
		a.hold(ctx)
		return s.Store.Commit(ctx, c)
	}
	if a.Forget {
		c = s.forgetful(c)
	}
	rev, err := s.Store.Commit(ctx, c)
	a.hold(ctx)
	return rev, err
}

// forgetful returns a commit as one would write it that had forgotten what the fence
// is for.
func (s *Store) forgetful(c *driver.Commit) *driver.Commit {
	other := *c
	fence := driver.StateKey(driver.FenceRow)
	other.Writes = slices.DeleteFunc(slices.Clone(c.Writes), func(w driver.Write) bool { return w.Table == s.schema.State && w.Key == fence })
	if c.Load != nil {
		other.Writes = append(other.Writes, s.schema.DeleteState(driver.FenceRow))
	}
	return &other
}
