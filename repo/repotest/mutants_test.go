package repotest

import (
	"cmp"
	"context"
	"flag"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trihold/repo/driver"
)

// A mutant is the model with one fault, such as backends have.
type mutant struct {
	*Model
	fault    fault
	beforeMu sync.Mutex
	before   driver.Snapshot            // for faults that remember one
	lag      atomic.Pointer[modelState] // for a fault that shows it for a while
}

// A fault replaces some of what the model does. Nil functions replace nothing.
type fault struct {
	begin   func(m *mutant, ctx context.Context, mode driver.Mode) (driver.Snapshot, error)
	get     func(s driver.Snapshot, ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error)
	scan    func(s driver.Snapshot, ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error]
	commit  func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error)
	changes func(m *mutant, ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error]
	status  func(m *mutant, ctx context.Context) (driver.Status, error)
	prepare func(m *mutant, ctx context.Context, s *driver.Schema) error
	close   func(m *mutant) error
	reopen  func(m *Model) // changes what was kept
}

func (m *mutant) Begin(ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
	s, err := m.Model.Begin(ctx, mode)
	if m.fault.begin != nil {
		s, err = m.fault.begin(m, ctx, mode)
	}
	if err != nil {
		return nil, err
	}
	return &mutantSnapshot{s, m.fault}, nil
}

func (m *mutant) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if m.fault.commit != nil {
		return m.fault.commit(m, ctx, c)
	}
	return m.Model.Commit(ctx, c)
}

func (m *mutant) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	if m.fault.changes != nil {
		return m.fault.changes(m, ctx, after)
	}
	return m.Model.Changes(ctx, after)
}

func (m *mutant) Status(ctx context.Context) (driver.Status, error) {
	if m.fault.status != nil {
		return m.fault.status(m, ctx)
	}
	return m.Model.Status(ctx)
}

func (m *mutant) Prepare(ctx context.Context, s *driver.Schema) error {
	if m.fault.prepare != nil {
		return m.fault.prepare(m, ctx, s)
	}
	return m.Model.Prepare(ctx, s)
}

func (m *mutant) Close() error {
	if m.fault.close != nil {
		return m.fault.close(m)
	}
	return m.Model.Close()
}

type mutantSnapshot struct {
	driver.Snapshot
	fault fault
}

func (s *mutantSnapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	if s.fault.get != nil {
		return s.fault.get(s.Snapshot, ctx, t, key)
	}
	return s.Snapshot.Get(ctx, t, key)
}

func (s *mutantSnapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	if s.fault.scan != nil {
		return s.fault.scan(s.Snapshot, ctx, span)
	}
	return s.Snapshot.Scan(ctx, span)
}

// onCommit is a fault of what is committed.
func onCommit(change func(m *mutant, c *driver.Commit)) fault {
	return fault{commit: func(m *mutant, ctx context.Context, c *driver.Commit) (driver.Rev, error) {
		changed := *c
		changed.Writes = slices.Clone(c.Writes)
		change(m, &changed)
		return m.Model.Commit(ctx, &changed)
	}}
}

// onValues is a fault of how values are stored.
func onValues(change func(v driver.Value) driver.Value) fault {
	return onCommit(func(_ *mutant, c *driver.Commit) {
		for i, w := range c.Writes {
			if w.Kind == driver.Delete {
				continue
			}
			values, err := driver.RowValues(nil, w.Table.Columns, w.Data)
			if err != nil {
				panic(err)
			}
			for at := range values {
				if !slices.Contains(w.Table.Key, at) {
					values[at] = change(values[at])
				}
			}
			if c.Writes[i].Data, err = driver.AppendValues(nil, w.Table.Columns, values); err != nil {
				panic(err)
			}
		}
	})
}

// onSpans is a fault of how a span is walked.
func onSpans(change func(s driver.Span) driver.Span) fault {
	return fault{scan: func(s driver.Snapshot, ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
		return s.Scan(ctx, change(span))
	}}
}

// onRows is a fault of what a walk yields.
func onRows(change func(span driver.Span, rows []driver.Row) []driver.Row) fault {
	return fault{scan: func(s driver.Snapshot, ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
		rows, err := gather(s.Scan(ctx, span))
		return func(yield func(driver.Row, error) bool) {
			for _, row := range change(span, rows) {
				if !yield(row, nil) {
					return
				}
			}
			if err != nil {
				yield(driver.Row{}, err)
			}
		}
	}}
}

// onChanges is a fault of what is told of commits.
func onChanges(change func(c driver.Change) []driver.Change) fault {
	return fault{changes: func(m *mutant, ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
		return func(yield func(driver.Change, error) bool) {
			for c, err := range m.Model.Changes(ctx, after) {
				if err != nil {
					yield(c, err)
					return
				}
				for _, c := range change(c) {
					if !yield(c, nil) {
						return
					}
				}
			}
		}
	}}
}

// sorted is a fault of the order of text.
func sorted(compare func(a, b string) int) fault {
	return onRows(func(span driver.Span, rows []driver.Row) []driver.Row {
		cols := span.Table.OrderColumns(span.Order)
		slices.SortStableFunc(rows, func(a, b driver.Row) int {
			if span.Reverse {
				a, b = b, a
			}
			va, _ := driver.KeyValues(cols, orderKey(span.Table, span.Order, a))
			vb, _ := driver.KeyValues(cols, orderKey(span.Table, span.Order, b))
			for i := range va {
				x, okX := va[i].(string)
				y, okY := vb[i].(string)
				if c := compareValue(va[i], vb[i]); c != 0 {
					if okX && okY {
						return cmp.Or(compare(x, y), c)
					}
					return c
				}
			}
			return 0
		})
		return rows
	})
}

// The suite has teeth: every fault is noticed by the cases that are about it.
func TestConformanceNoticesEveryFault(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "100ms"} {
		f := flag.Lookup(name)
		old := f.Value.String()
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(old) })
	}
	for _, fc := range slices.Concat(faultCases, movingFaults) {
		t.Run(fc.name, func(t *testing.T) {
			for _, name := range fc.noticed {
				r := runFaulty(t, fc.fault, name)
				if !r.Failed() {
					t.Errorf("%q does not notice", name)
				}
				if testing.Verbose() {
					t.Logf("%s:\n%.600s", name, r)
				}
			}
		})
	}
}

// The cases named above pass without a fault, so that it is the fault which they
// notice.
func TestCasesPassWithoutAFault(t *testing.T) {
	names := map[string]bool{}
	for _, fc := range slices.Concat(faultCases, movingFaults) {
		for _, name := range fc.noticed {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if r := runFaulty(t, fault{}, name); r.Failed() {
			t.Errorf("%q fails without a fault:\n%s", name, r)
		}
	}
}

// runFaulty runs one case, named as group/name, on a store with a fault.
func runFaulty(t *testing.T, f fault, name string) *recorder {
	t.Helper()
	kept := map[string]*Model{}
	h := Harness{Open: func(_ testing.TB, dir string) driver.Store {
		m := NewModel()
		if old, ok := kept[dir]; ok {
			m = old.Reopen()
			if f.reopen != nil {
				f.reopen(m)
			}
		}
		kept[dir] = m
		return &mutant{Model: m, fault: f}
	}}
	for _, g := range groups() {
		for _, c := range g.cases {
			if g.name+"/"+c.name != name {
				continue
			}
			return record(t, func(tb testing.TB) {
				const timeout = 2 * time.Second // some faults make a case wait for what never comes
				fixture := openFixture(tb, h, timeout)
				if g.reopened {
					fixture = reopenedFixture(tb, h, timeout)
				}
				fixture.run(tb, c)
			})
		}
	}
	t.Fatalf("no case is called %q", name)
	return nil
}
