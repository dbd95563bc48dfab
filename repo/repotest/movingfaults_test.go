package repotest

import (
	"context"
	"errors"
	"maps"

	"trihold/repo/driver"
)

// movingFaults are those of fences and loads.
var movingFaults = []faultCase{
	{"commits behind a fence are acknowledged", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if errors.Is(err, driver.ErrMoved) {
			return m.now.rev, nil
		}
		return rev, err
	}}, []string{"moving/a commit that writes a fence is the last one, and reading goes on", "moving/of many commits around a fence none is accepted behind it", "moving/a fence survives"}},
	{"the fence comes late", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if f, _, _ := m.schema.FenceOf(c.Writes); f != nil && c.Load == nil {
			m.mu.Lock() // one more commit has slipped through
			m.now.rev++
			m.log = append(m.log, driver.Change{Rev: m.now.rev, ID: newID()})
			m.mu.Unlock()
		}
		return rev, err
	}}, []string{"moving/of many commits around a fence none is accepted behind it", "moving/a commit that writes a fence is the last one, and reading goes on"}},
	{"IDs are not looked at behind a fence", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		f, err := m.Model.fence()
		m.mu.Unlock()
		if err == nil && f != nil && c.Load == nil {
			return 0, f.Moved("commit")
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"moving/a commit that was accepted before the fence is recognised behind it", "moving/a fence survives"}},
	{"a closed store is read", fault{begin: func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
		mode.Closed = true
		return m.Model.Begin(ctx, mode)
	}}, []string{"moving/a closed store is read only by who asks for that"}},
	{"the state is lost on Close", fault{reopen: func(m *Model) { delete(m.now.rows, m.schema.State) }}, []string{"moving/a fence survives", "moving/a load survives"}},
	{"the state counts as changed by nobody", onChanges(func(c driver.Change) []driver.Change {
		var keys []driver.ChangedKey
		for _, k := range c.Keys {
			if k.Table.Name != driver.StateTable {
				keys = append(keys, k)
			}
		}
		c.Keys = keys
		return []driver.Change{c}
	}), []string{"moving/the state is read, checked and written like any table, and is in no digest"}},

	{"loads need no fence, and no order", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if c.Load != nil && errors.Is(err, driver.ErrInvalid) {
			return m.now.rev, nil
		}
		return rev, err
	}}, []string{"moving/a load is refused where there is no fence", "moving/the commits of a load continue those of the store"}},
	{"the checks of a load are skipped where the store is still at Read", onCommit(func(m *mutant, c *driver.Commit) {
		if c.Load != nil && c.Read == m.now.rev {
			c.Checks = driver.Checks{}
		}
	}), []string{"moving/a load whose check does not hold does nothing"}},
	{"loaded rows get the revision of the store", onCommit(func(m *mutant, c *driver.Commit) {
		if c.Load != nil {
			for i := range c.Writes {
				c.Writes[i].Rev = max(m.now.rev, 1)
			}
		}
	}), []string{"moving/a load brings rows with their revisions, and commits with theirs and their IDs, from any revision on", "moving/checks taken at the origin hold in the copy as they do there"}},
	{"a load writes old rows over new ones", onCommit(func(m *mutant, c *driver.Commit) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, w := range c.Writes {
			if c.Load != nil && w.Table != m.schema.State {
				m.now.rows[w.Table] = maps.Clone(m.now.rows[w.Table])
				delete(m.now.rows[w.Table], w.Key)
			}
		}
	}), []string{"moving/a load writes later rows over earlier ones, and leaves alone what is as late"}},
	{"a load drops deletes", onCommit(func(_ *mutant, c *driver.Commit) {
		var kept []driver.Write
		for _, w := range c.Writes {
			if c.Load == nil || w.Kind != driver.Delete || w.Table.Name == driver.StateTable {
				kept = append(kept, w)
			}
		}
		c.Writes = kept
	}), []string{"moving/a load writes later rows over earlier ones, and leaves alone what is as late"}},
	{"a displaced row stays", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		before := m.now
		m.mu.Unlock()
		rev, err := m.Model.Commit(ctx, c)
		if c.Load == nil || err != nil {
			return rev, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		written := map[driver.Key]bool{}
		for _, w := range c.Writes {
			written[w.Key] = true
		}
		for key, r := range before.rows[itemTable] {
			if !written[key] {
				m.now.rows[itemTable][key] = r
			}
		}
		return rev, err
	}}, []string{"moving/a loaded row displaces the rows that hold its unique values"}},
	{"loaded commits are not recognised", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if c.Load != nil && err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, change := range c.Load.Changes {
				delete(m.ids, change.ID)
			}
		}
		return rev, err
	}}, []string{"moving/a load brings rows with their revisions, and commits with theirs and their IDs, from any revision on", "moving/a load survives"}},
	{"a commit that was refused at the origin counts as accepted", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		if c.Load != nil {
			defer func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				for id, change := range m.ids {
					change.Keys = append(change.Keys, driver.ChangedKey{})
					m.ids[id] = change
				}
			}()
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"moving/a commit that was refused for good at the origin is refused in the copy"}},
	{"changes are told from the first revision on", fault{status: func(m *mutant, ctx context.Context) (driver.Status, error) {
		s, err := m.Model.Status(ctx)
		s.Oldest = 0
		return s, err
	}}, []string{"moving/a load brings rows with their revisions, and commits with theirs and their IDs, from any revision on", "moving/a load survives"}},
	{"a load is applied row by row", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		if c.Load != nil && len(c.Writes) > 1 {
			first := *c
			first.Load, first.Writes = &driver.Load{Changes: c.Load.Changes}, c.Writes[:2]
			if rev, err := m.Model.Commit(ctx, &first); err != nil {
				return rev, err
			}
			pause()
			rest := *c
			rest.Checks, rest.Load = driver.Checks{}, &driver.Load{}
			return m.Model.Commit(ctx, &rest)
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"moving/a load is one state, and watchers are told of its commits"}},
	{"an empty store gets some schema", fault{prepare: func(m *mutant, ctx context.Context, s *driver.Schema) error {
		if s == nil && m.schema == nil {
			s = Schema.Driver()
		}
		return m.Model.Prepare(ctx, s)
	}}, []string{"moving/an empty store that is prepared with no schema is ErrInvalid"}},
}
