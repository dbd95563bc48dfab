package repotest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"trihold/repo/driver"
)

// A Model is a driver.Store that is meant to be obviously right, and is nothing
// else: one mutex, plain maps, a copy of everything at every commit, a sort at
// every scan. It judges keys by their decoded values, not by their bytes.
// Histories run on it to say what the answers of a backend should have been. It
// is kept in memory only, where Reopen finds it.
type Model struct {
	// Live makes reads return live objects, as a backend that keeps Go values in
	// memory does. The zero value returns rows in canonical form.
	Live bool

	mu     sync.Mutex
	schema *driver.Schema
	now    modelState
	oldest driver.Rev      // before the first change of log
	log    []driver.Change // the change of revision oldest+i is log[i-1]
	ids    map[driver.CommitID]driver.Change
	closed bool
	grown  chan struct{} // closed at the next commit, and by Close
}

var _ driver.Store = (*Model)(nil)

// NewModel returns an empty model.
func NewModel() *Model {
	return &Model{ids: map[driver.CommitID]driver.Change{}, grown: make(chan struct{})}
}

// Reopen returns a model that holds what m, which is closed, has held.
func (m *Model) Reopen() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Model{Live: m.Live, schema: m.schema, now: m.now, oldest: m.oldest, log: m.log, ids: m.ids, grown: make(chan struct{})}
}

func (m *Model) Prepare(ctx context.Context, s *driver.Schema) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return driver.Failed("prepare", driver.ErrClosed, nil)
	}
	if m.schema == nil {
		if s == nil {
			return driver.Failed("prepare", driver.ErrInvalid, errors.New("nothing is stored there yet"))
		}
		m.schema = s
		return ctx.Err()
	}
	if s == nil {
		var err error
		if s, err = driver.ParseSchema(m.schema.Describe()); err != nil {
			return driver.Failed("prepare", nil, err)
		}
	}
	if err := s.MustMatch(m.schema.Describe()); err != nil {
		return driver.Failed("prepare", driver.ErrInvalid, err)
	}
	if err := m.adopt(s); err != nil {
		return driver.Failed("prepare", nil, err)
	}
	return ctx.Err()
}

// adopt makes what is stored refer to the tables of another schema that is equal.
// The caller holds mu.
func (m *Model) adopt(s *driver.Schema) error {
	tables := s.Stored()
	now := modelState{rev: m.now.rev, rows: map[*driver.Table]map[driver.Key]modelRow{}}
	for t, rows := range m.now.rows {
		adopted := map[driver.Key]modelRow{}
		for key, r := range rows {
			var err error
			if r.live, err = tables[t.ID].Decode(r.data); err != nil {
				return err
			}
			adopted[key] = r
		}
		now.rows[tables[t.ID]] = adopted
	}
	log := slices.Clone(m.log)
	for i := range log {
		log[i].Keys = slices.Clone(log[i].Keys)
		for k := range log[i].Keys {
			log[i].Keys[k].Table = tables[log[i].Keys[k].Table.ID]
		}
	}
	m.schema, m.now, m.log = s, now, log
	return nil
}

func (m *Model) Begin(ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx, "begin"); err != nil {
		return nil, err
	}
	fence, err := m.fence()
	if err != nil {
		return nil, err
	}
	if fence != nil && fence.Closed && !mode.Closed {
		return nil, fence.Moved("begin")
	}
	return &modelSnapshot{state: m.now, live: m.Live}, nil
}

// usable returns why nothing can be done, if so. The caller holds mu.
func (m *Model) usable(ctx context.Context, op string) error {
	if m.closed {
		return driver.Failed(op, driver.ErrClosed, nil)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// fence returns the fence, or nil if there is none. The caller holds mu.
func (m *Model) fence() (*driver.Fence, error) {
	row, ok := m.now.rows[m.schema.State][driver.StateKey(driver.FenceRow)]
	if !ok {
		return nil, nil
	}
	f := &driver.Fence{}
	return f, m.schema.DecodeState(row.data, f)
}

func (m *Model) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx, "commit"); err != nil {
		return 0, err
	}
	if n := len(c.Writes); n > driver.MaxWrites || c.Size() > driver.MaxCommit {
		return 0, driver.Failed("commit", driver.ErrTooLarge, fmt.Errorf("%d writes of %d bytes", n, c.Size()))
	}
	fence, err := m.fence()
	if err != nil {
		return 0, err
	}
	if c.Load != nil {
		return m.load(c, fence)
	}
	if known, ok := m.ids[c.ID]; ok && known.Refused(c) {
		return 0, driver.Failed("commit", driver.ErrConflict, driver.ErrRefusedBefore)
	} else if ok {
		return known.Rev, nil
	}
	if fence != nil {
		return 0, fence.Moved("commit")
	}
	if err := m.now.check(c.Checks); err != nil {
		return 0, err
	}
	next, err := m.now.apply(c.Writes)
	if err != nil {
		return 0, err
	}
	change := driver.Change{Rev: next.rev, ID: c.ID}
	for _, w := range c.Writes {
		change.Keys = append(change.Keys, driver.ChangedKey{Table: w.Table, Key: w.Key, Deleted: w.Kind == driver.Delete})
	}
	m.grow(next, change)
	return next.rev, nil
}

// load is Commit of a load. The caller holds mu.
func (m *Model) load(c *driver.Commit, fence *driver.Fence) (driver.Rev, error) {
	if n := len(c.Load.Changes); n > driver.MaxWrites {
		return 0, driver.Failed("load", driver.ErrTooLarge, fmt.Errorf("%d changes", n))
	}
	if err := m.now.check(c.Checks); err != nil {
		return 0, err
	}
	written, _, err := m.schema.FenceOf(c.Writes)
	if err != nil {
		return 0, err
	}
	if fence == nil && written == nil {
		return 0, driver.Failed("load", driver.ErrInvalid, errors.New("there is no fence"))
	}
	next, err := m.now.load(m.schema.State, c.Writes)
	if err != nil {
		return 0, err
	}
	oldest := m.oldest
	for i, change := range c.Load.Changes {
		if i == 0 && next.rev == 0 && change.Rev > 0 {
			oldest = change.Rev - 1
		} else if change.Rev != next.rev+1 {
			return 0, driver.Failed("load", driver.ErrInvalid, fmt.Errorf("a change of revision %d after %d", change.Rev, next.rev))
		}
		next.rev = change.Rev
	}
	m.oldest = oldest
	m.grow(next, c.Load.Changes...)
	return next.rev, nil
}

// grow makes next the state, and tells of what led to it. The caller holds mu.
func (m *Model) grow(next modelState, changes ...driver.Change) {
	for _, c := range changes {
		m.ids[c.ID] = c
	}
	m.now, m.log = next, append(m.log, changes...)
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *Model) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	return func(yield func(driver.Change, error) bool) {
		for at := after; ; {
			m.mu.Lock()
			err := m.usable(ctx, "changes")
			if err == nil && at > m.now.rev {
				err = driver.Failed("changes", driver.ErrInvalid, fmt.Errorf("revision %d is not of this store, which is at %d", at, m.now.rev))
			}
			if err == nil && at < m.oldest {
				err = driver.Failed("changes", driver.ErrCompacted, fmt.Errorf("revision %d is older than %d", at, m.oldest))
			}
			log, oldest, grown := m.log, m.oldest, m.grown
			m.mu.Unlock()
			if err != nil {
				yield(driver.Change{}, err)
				return
			}
			if at < oldest+driver.Rev(len(log)) {
				if !yield(log[at-oldest], nil) {
					return
				}
				at++
				continue
			}
			select {
			case <-grown:
			case <-ctx.Done():
			}
		}
	}
}

func (m *Model) Status(ctx context.Context) (driver.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx, "status"); err != nil {
		return driver.Status{}, err
	}
	return driver.Status{Backend: "model", Class: driver.Memory, Rev: m.now.rev, Oldest: m.oldest, Free: -1, Schema: m.schema}, nil
}

func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		close(m.grown)
	}
	return nil
}

// A modelSnapshot reads one state.
type modelSnapshot struct {
	state  modelState
	live   bool
	closed bool
}

func (s *modelSnapshot) Rev() driver.Rev { return s.state.rev }

func (s *modelSnapshot) usable(ctx context.Context, op string) error {
	if s.closed {
		return driver.Failed(op, driver.ErrClosed, nil)
	}
	return ctx.Err()
}

func (s *modelSnapshot) row(r modelRow) driver.Row {
	if s.live {
		return driver.Row{Rev: r.rev, Value: r.live}
	}
	return driver.Row{Rev: r.rev, Data: slices.Clone(r.data)}
}

func (s *modelSnapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	if err := s.usable(ctx, "get"); err != nil {
		return driver.Row{}, err
	}
	r, ok := s.state.rows[t][key]
	if !ok {
		return driver.Row{}, &driver.Error{Op: "get", Table: t.Name, Key: t.FormatKey(key), Kind: driver.ErrNotFound}
	}
	return s.row(r), nil
}

func (s *modelSnapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for _, r := range s.state.scan(span) {
			if err := s.usable(ctx, "scan"); err != nil {
				yield(driver.Row{}, err)
				return
			}
			if !yield(s.row(r), nil) {
				return
			}
		}
		if err := s.usable(ctx, "scan"); err != nil {
			yield(driver.Row{}, err)
		}
	}
}

func (s *modelSnapshot) Confirm(ctx context.Context) error { return s.usable(ctx, "confirm") }

func (s *modelSnapshot) Close() error {
	s.closed = true
	return nil
}
