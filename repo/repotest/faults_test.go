package repotest

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"trihold/repo/driver"
)

// A faultCase is a fault and the cases that notice it, among others.
type faultCase struct {
	name    string
	fault   fault
	noticed []string
}

var faultCases = []faultCase{
	{"an index loses a row", onRows(func(s driver.Span, rows []driver.Row) []driver.Row {
		if s.Order > 0 && len(rows) > 2 {
			return rows[:len(rows)-1]
		}
		return rows
	}), []string{"spans/an index of two columns has all its spans", "histories/random histories are answered as the model answers them"}},
	{"a long walk loses a row between two batches", onRows(func(s driver.Span, rows []driver.Row) []driver.Row {
		if len(rows) > 1000 {
			return slices.Delete(rows, 1000, 1001)
		}
		return rows
	}), []string{"reads/a long walk yields every row once, in order"}},
	{"span checks are ignored", onCommit(func(_ *mutant, c *driver.Commit) { c.Checks.Spans = nil }),
		[]string{"isolation/no phantom: a span that was read stays as it was read", "isolation/no find-or-create race: of many that look and then create, one creates",
			"conflicts/a transaction commits only if all that it has read is unchanged", "revisions/a span check holds exactly as long as the span keeps its rows"}},
	{"row checks are ignored", onCommit(func(_ *mutant, c *driver.Commit) { c.Checks.Rows = nil }),
		[]string{"isolation/no lost update: increments add up", "revisions/a row check holds exactly as long as the row keeps its revision", "histories/random histories are answered as the model answers them"}},
	{"only the first row check is looked at", onCommit(func(_ *mutant, c *driver.Commit) { c.Checks.Rows = c.Checks.Rows[:min(1, len(c.Checks.Rows))] }),
		[]string{"revisions/many checks in one commit are all looked at", "isolation/no write skew: two transactions that read both rows and write one each cannot both succeed blindly"}},
	{"absent rows are not checked", onCommit(func(_ *mutant, c *driver.Commit) {
		c.Checks.Rows = slices.DeleteFunc(slices.Clone(c.Checks.Rows), func(r driver.RowCheck) bool { return r.Rev == 0 })
	}), []string{"revisions/a row check holds exactly as long as the row keeps its revision"}},
	{"a span check looks at the number of rows only", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		changed := *c
		changed.Checks.Spans = slices.Clone(c.Checks.Spans)
		for i, s := range changed.Checks.Spans {
			m.mu.Lock()
			for _, r := range m.now.scan(s.Span()) {
				changed.Checks.Spans[i].MaxRev = max(r.rev, changed.Checks.Spans[i].MaxRev)
			}
			m.mu.Unlock()
		}
		return m.Model.Commit(ctx, &changed)
	}}, []string{"conflicts/a transaction commits only if all that it has read is unchanged", "revisions/a span check holds exactly as long as the span keeps its rows"}},
	{"checks and writes are not one", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		err := m.now.check(c.Checks)
		m.mu.Unlock()
		if err != nil {
			return 0, err
		}
		time.Sleep(time.Millisecond)
		changed := *c
		changed.Checks = driver.Checks{}
		return m.Model.Commit(ctx, &changed)
	}}, []string{"isolation/no lost update: increments add up", "histories/concurrent histories are linearisable"}},
	{"what was not disturbed is refused", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		if m.now.rev != c.Read && len(c.Checks.Rows)+len(c.Checks.Spans) > 0 {
			return 0, driver.ErrConflict
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"conflicts/a transaction is not disturbed by what it has not read"}},
	{"a collision is reported before a conflict", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		_, err := m.now.apply(c.Writes)
		_, again := m.ids[c.ID]
		m.mu.Unlock()
		if err != nil && !again {
			return 0, err
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"unique/a stale check is ErrConflict, even if a unique index would be violated too"}},
	{"a refused commit writes half", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if errors.Is(err, driver.ErrExists) {
			_, _ = m.Model.Commit(ctx, &driver.Commit{ID: newID(), Writes: c.Writes[:1]})
		}
		return rev, err
	}}, []string{"unique/a collision writes nothing", "writes/Insert of a key that is taken is ErrExists, and nothing is written"}},
	{"a commit is two", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		if len(c.Writes) > 1 && len(c.Checks.Spans)+len(c.Checks.Rows) > 0 {
			first := *c
			first.ID, first.Writes = newID(), c.Writes[:1]
			if _, err := m.Model.Commit(ctx, &first); err != nil {
				return 0, err
			}
			time.Sleep(time.Millisecond)
			return m.Model.Commit(ctx, &driver.Commit{ID: c.ID, Writes: c.Writes[1:]})
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"isolation/no read skew: rows that change together are read together"}},
	{"Insert is Put", onCommit(func(_ *mutant, c *driver.Commit) {
		for i := range c.Writes {
			if c.Writes[i].Kind == driver.Insert {
				c.Writes[i].Kind = driver.Put
			}
		}
	}), []string{"writes/Insert of a key that is taken is ErrExists, and nothing is written", "unique/a taken key is ErrExists, with table and without index"}},
	{"Delete of an absent row fails", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		for _, w := range c.Writes {
			if _, there := m.now.rows[w.Table][w.Key]; !there && w.Kind == driver.Delete {
				return 0, driver.ErrNotFound
			}
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"writes/Delete of an absent row succeeds", "revisions/every accepted commit is one revision"}},
	{"unique indices are judged write by write", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		state := m.now
		for i := range c.Writes {
			next, err := state.apply(c.Writes[i : i+1])
			if err != nil {
				m.mu.Unlock()
				return 0, err
			}
			state = next
		}
		m.mu.Unlock()
		return m.Model.Commit(ctx, c)
	}}, []string{"unique/two rows swap their values in one commit", "unique/a value moves to another row in one commit"}},
	{"two writes of a commit may collide", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		lenient := map[*driver.Index]bool{}
		for _, w := range c.Writes {
			for _, x := range w.Table.Indices {
				lenient[x], x.Unique = lenient[x] || x.Unique, false
			}
		}
		m.mu.Unlock()
		rev, err := m.Model.Commit(ctx, c)
		m.mu.Lock()
		for x, unique := range lenient {
			x.Unique = unique
		}
		return rev, err
	}}, []string{"unique/two new rows of one commit collide", "unique/a taken value is ErrExists, with table and index"}},
	{"NULLs collide", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		for _, w := range c.Writes {
			row, err := newModelRow(w, 0)
			if w.Kind == driver.Delete || err != nil || w.Table != itemTable || row.values[3] != nil {
				continue
			}
			for key, other := range m.now.rows[w.Table] {
				if key != w.Key && other.values[3] == nil {
					return 0, &driver.Error{Kind: driver.ErrExists, Table: "item", Index: "code"}
				}
			}
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"unique/NULLs do not collide"}},
	{"a collision does not say where", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if errors.Is(err, driver.ErrExists) {
			err = driver.Failed("commit", driver.ErrExists, nil)
		}
		return rev, err
	}}, []string{"unique/a taken value is ErrExists, with table and index", "errors/errors are sentinels with detail, on one line"}},

	{"a snapshot is one commit old", fault{begin: func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
		m.beforeMu.Lock()
		defer m.beforeMu.Unlock()
		s := m.before
		if s == nil {
			s, _ = m.Model.Begin(ctx, mode)
		}
		m.before, _ = m.Model.Begin(ctx, mode)
		return &modelSnapshot{state: s.(*modelSnapshot).state}, nil
	}}, []string{"reads/a View sees every commit acknowledged before it", "isolation/a commit is seen by everyone who begins after it was acknowledged"}},
	{"reads are of the moment, not of the snapshot", fault{
		get: func(s driver.Snapshot, ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
			return s.(*liveSnapshot).fresh().Get(ctx, t, key)
		},
		scan: func(s driver.Snapshot, ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
			return s.(*liveSnapshot).fresh().Scan(ctx, span)
		},
		begin: func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
			s, err := m.Model.Begin(ctx, mode)
			return &liveSnapshot{s, m.Model}, err
		},
	}, []string{"isolation/no non-repeatable read: a transaction reads one state", "isolation/no read skew: rows that change together are read together", "isolation/an error of the closure is the answer of a consistent state", "stale/a stale View is one state"}},
	{"stale Views are as old as the store", fault{begin: func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
		m.beforeMu.Lock()
		defer m.beforeMu.Unlock()
		s, err := m.Model.Begin(ctx, mode)
		if mode.MaxAge == 0 {
			m.before = s
		} else if m.before != nil {
			s = &modelSnapshot{state: m.before.(*modelSnapshot).state}
		}
		return s, err
	}}, []string{"stale/a stale View is never older than what this store has shown", "stale/a stale View is no older than was allowed"}},
	{"a closed snapshot reads on", fault{begin: func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
		s, err := m.Model.Begin(ctx, mode)
		return &openSnapshot{s}, err
	}}, []string{"reads/a closed snapshot refuses to read"}},
	{"the bytes of a row are the store's own", fault{
		get: func(s driver.Snapshot, ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
			r, ok := s.(*modelSnapshot).state.rows[t][key]
			if !ok {
				return driver.Row{}, driver.ErrNotFound
			}
			return driver.Row{Rev: r.rev, Data: r.data}, nil
		},
	}, []string{"values/bytes of a row belong to the reader"}},

	{"text is ordered without case", sorted(func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }), []string{"types/text is ordered by its bytes"}},
	{"text is ordered by length", sorted(func(a, b string) int { return len(a) - len(b) }), []string{"types/text is ordered by its bytes", "spans/a composite primary key is ordered column by column"}},
	{"equal index values come in any order", onRows(func(s driver.Span, rows []driver.Row) []driver.Row {
		if s.Order > 0 {
			n := len(s.Table.Indices[s.Order-1].Columns)
			cols := s.Table.OrderColumns(s.Order)
			slices.SortStableFunc(rows, func(a, b driver.Row) int {
				va, _ := driver.KeyValues(cols, orderKey(s.Table, s.Order, a))
				vb, _ := driver.KeyValues(cols, orderKey(s.Table, s.Order, b))
				return cmp.Or(map[bool]int{true: -1, false: 1}[s.Reverse]*compareValues(va[:n], vb[:n]), -compareValues(va[n:], vb[n:]))
			})
		}
		return rows
	}), []string{"spans/rows with equal index values are in the order of their primary key", "pages/pages of any size make up the walk"}},
	{"NULL is last", onRows(func(s driver.Span, rows []driver.Row) []driver.Row {
		if s.Order == 0 || s.Reverse {
			return rows
		}
		null := func(r driver.Row) bool {
			values, _ := driver.KeyValues(s.Table.OrderColumns(s.Order), orderKey(s.Table, s.Order, r))
			return values[0] == nil
		}
		var nulls []driver.Row
		for _, r := range rows {
			if null(r) {
				nulls = append(nulls, r)
			}
		}
		return append(slices.DeleteFunc(rows, null), nulls...)
	}), []string{"spans/NULL sorts before every value, and can be a bound", "types/every kind of index column is in order"}},
	{"open bounds are closed", onSpans(func(s driver.Span) driver.Span { s.Lo.Open, s.Hi.Open = false, false; return s }),
		[]string{"spans/a span yields the rows between its bounds, whatever they are", "pages/pages of any size make up the walk"}},
	{"a closed bound of some columns excludes its rows", onSpans(func(s driver.Span) driver.Span {
		values, _ := driver.KeyValues(s.Table.OrderColumns(s.Order), s.Hi.Tuple)
		s.Hi.Open = s.Hi.Open || len(values) > 0 && len(values) < len(s.Table.OrderColumns(s.Order))
		return s
	}), []string{"spans/an index of two columns has all its spans", "spans/an index of one column has all its spans"}},
	{"the limit is one row less", onSpans(func(s driver.Span) driver.Span {
		if s.Limit > 1 {
			s.Limit--
		}
		return s
	}), []string{"spans/a span yields the rows between its bounds, whatever they are", "pages/pages of any size make up the walk"}},
	{"Reverse is ignored with a limit", onSpans(func(s driver.Span) driver.Span { s.Reverse = s.Reverse && s.Limit == 0; return s }),
		[]string{"reads/First and Count agree with the walk", "pages/pages of any size make up the walk"}},

	{"a revision comes back", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, w := range c.Writes { // a row that is inserted has the revision of the first one with its key
			if row, ok := m.now.rows[w.Table][w.Key]; ok && err == nil && w.Kind == driver.Insert {
				for _, old := range m.log[:rev-1] {
					if slices.ContainsFunc(old.Keys, func(k driver.ChangedKey) bool { return k.Table == w.Table && k.Key == w.Key && !k.Deleted }) {
						row.rev = old.Rev
						rows := maps.Clone(m.now.rows[w.Table])
						rows[w.Key] = row
						m.now.rows[w.Table] = rows
						break
					}
				}
			}
		}
		return rev, err
	}}, []string{"revisions/a revision never comes back after delete and insert", "revisions/a row check holds exactly as long as the row keeps its revision"}},
	{"a refused commit takes a revision", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if err != nil {
			_, _ = m.Model.Commit(ctx, &driver.Commit{ID: newID()})
		}
		return rev, err
	}}, []string{"revisions/what is not committed takes no revision", "changes/what was refused is no change"}},
	{"Status lags behind", fault{status: func(m *mutant, ctx context.Context) (driver.Status, error) {
		s, err := m.Model.Status(ctx)
		s.Rev = max(0, s.Rev-1)
		return s, err
	}}, []string{"revisions/every accepted commit is one revision"}},
	{"commits are not recognised", onCommit(func(_ *mutant, c *driver.Commit) { c.ID = newID() }),
		[]string{"revisions/a commit that is sent again is not applied again", "revisions/a commit that is sent several times at once is applied once", "changes/a commit that is sent again is no second change", "histories/random histories are answered as the model answers them"}},
	{"a commit is recognised after its checks", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		m.mu.Lock()
		err := m.now.check(c.Checks)
		m.mu.Unlock()
		if err != nil {
			return 0, err
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"revisions/a commit that is sent again is not applied again"}},
	{"a refused commit is remembered", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if err != nil && ctx.Err() == nil {
			m.mu.Lock()
			m.ids[c.ID] = driver.Change{Rev: m.now.rev, Keys: make([]driver.ChangedKey, 1)}
			m.mu.Unlock()
		}
		return rev, err
	}}, []string{"revisions/the ID of a refused commit is not remembered"}},

	{"a change is lost", onChanges(func(c driver.Change) []driver.Change {
		if c.Rev%5 == 0 {
			return nil
		}
		return []driver.Change{c}
	}), []string{"changes/changes resume after any revision", "changes/many may watch at once"}},
	{"a change comes twice", onChanges(func(c driver.Change) []driver.Change { return []driver.Change{c, c} }), []string{"changes/changes wait for what is still to come"}},
	{"deletes look like writes", onChanges(func(c driver.Change) []driver.Change {
		keys := slices.Clone(c.Keys)
		for i := range keys {
			keys[i].Deleted = false
		}
		c.Keys = keys
		return []driver.Change{c}
	}), []string{"changes/every commit is one change, in order, with its keys"}},
	{"changes end where the store is", fault{changes: func(m *mutant, ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
		return func(yield func(driver.Change, error) bool) {
			s, err := m.Model.Status(ctx)
			for c, err := range m.Model.Changes(ctx, after) {
				if !yield(c, err) || c.Rev >= s.Rev {
					return
				}
			}
			_ = err
		}
	}}, []string{"changes/changes wait for what is still to come"}},
	{"changes begin with the revision itself", fault{changes: func(m *mutant, ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
		return m.Model.Changes(ctx, max(0, after-1))
	}}, []string{"changes/changes resume after any revision", "changes/changes after a revision that is not there yet are ErrInvalid"}},
	{"changes are told before they can be read", fault{
		commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
			m.mu.Lock()
			old := m.now
			m.mu.Unlock()
			m.lag.Store(&old)
			rev, err := m.Model.Commit(ctx, c)
			time.Sleep(2 * time.Millisecond)
			m.lag.Store(nil)
			return rev, err
		},
		begin: func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
			if old := m.lag.Load(); old != nil {
				return &modelSnapshot{state: *old}, nil
			}
			return m.Model.Begin(ctx, mode)
		},
	}, []string{"changes/what a change is about can be read"}},

	{"integers go through float64", onValues(func(v driver.Value) driver.Value {
		if n, ok := v.(int64); ok && n < 1<<60 && n > -1<<60 {
			return int64(float64(n))
		}
		return v
	}), []string{"types/integers are exact", "digest/content that differs in one bit has another digest", "digest/the digest of known content is known"}},
	{"text that looks like a blob is one", onValues(func(v driver.Value) driver.Value {
		if s, ok := v.(string); ok && strings.HasPrefix(s, "x'") {
			return "blob"
		}
		return v
	}), []string{"types/text is text, whatever it looks like"}},
	{"text ends at NUL", onValues(func(v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			s, _, _ = strings.Cut(s, "\x00")
			return s
		}
		return v
	}), []string{"types/text is text, whatever it looks like"}},
	{"a large row is cut", onValues(func(v driver.Value) driver.Value {
		if b, ok := v.([]byte); ok && len(b) > 1_000_000 {
			return b[:1_000_000]
		}
		return v
	}), []string{"limits/a row of 1 MiB is a row, one byte more is ErrTooLarge"}},
	{"a large commit is cut", onCommit(func(_ *mutant, c *driver.Commit) { c.Writes = c.Writes[:min(len(c.Writes), 9_999)] }),
		[]string{"limits/a commit of 10,000 writes is a commit, one more is ErrTooLarge and writes nothing"}},
	{"large commits are refused", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		if c.Size() >= driver.MaxCommit {
			return 0, driver.ErrTooLarge
		}
		return m.Model.Commit(ctx, c)
	}}, []string{"limits/a commit of 8 MiB is a commit, one byte more is ErrTooLarge and writes nothing"}},

	{"a context that has ended is ignored", fault{
		begin: func(m *mutant, _ context.Context, mode driver.Mode) (driver.Snapshot, error) {
			return m.Model.Begin(context.Background(), mode)
		},
		commit: func(m *mutant, _ context.Context, c *driver.Commit) (driver.Rev, error) {
			return m.Model.Commit(context.Background(), c)
		},
	}, []string{"context/a context that has ended does nothing"}},
	{"a commit lands after it was reported as failed", fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		rev, err := m.Model.Commit(ctx, c)
		if ctx.Err() != nil {
			_, _ = m.Model.Commit(context.Background(), c)
		}
		return rev, err
	}}, []string{"context/a context that ends while the closure runs commits nothing, or says so", "context/a context that has ended does nothing"}},

	{"Close is ignored", fault{close: func(*mutant) error { return nil }}, []string{"close/after Close everything is ErrClosed, and Close may be called again"}},
	{"the last commit is lost on Close", fault{reopen: func(m *Model) {
		if n := len(m.log); n > 0 {
			for _, k := range m.log[n-1].Keys {
				m.now.rows[k.Table] = maps.Clone(m.now.rows[k.Table])
				delete(m.now.rows[k.Table], k.Key)
			}
		}
	}}, []string{"reopen/every row is there, in every order, with its revision", "reopen/a store can be opened again and again", "close/commits in flight at Close finish, or say that they did not"}},
	{"commits are not recognised after a restart", fault{reopen: func(m *Model) { m.ids = map[driver.CommitID]driver.Change{} }},
		[]string{"reopen/a commit from before that is sent again is recognised"}},
	{"revisions begin anew after a restart", fault{reopen: func(m *Model) { m.now.rev, m.log = 0, nil }},
		[]string{"reopen/a store that is opened again is at the revision that it was closed at", "reopen/changes from before can be resumed from any revision", "histories/a random history goes on after restarts"}},
	{"the schema is not looked at", fault{prepare: func(m *mutant, ctx context.Context, s *driver.Schema) error {
		m.schema = nil
		return m.Model.Prepare(ctx, s)
	}}, []string{"reopen/a store made with another schema is ErrInvalid, and left alone"}},
}

// liveSnapshot reads the state of the moment.
type liveSnapshot struct {
	driver.Snapshot
	model *Model
}

func (s *liveSnapshot) fresh() driver.Snapshot {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	return &modelSnapshot{state: s.model.now}
}

// openSnapshot cannot be closed.
type openSnapshot struct{ driver.Snapshot }

func (s *openSnapshot) Confirm(context.Context) error { return nil }

func (s *openSnapshot) Close() error { return nil }
