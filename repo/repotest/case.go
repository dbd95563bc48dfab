package repotest

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trihold/repo"
	"trihold/repo/driver"
)

// A T is what a case works with: the shared store, all tables of which are empty
// when the case begins, and short ways to use it.
type T struct {
	testing.TB
	ctx     context.Context // ends when the case has taken too long
	driver  driver.Store
	store   *repo.Store // over driver
	harness Harness
	before  *beforeClose // in the group reopen
}

// empty deletes all rows. It works below package repo, so as to cope with
// whatever a case has left.
func (t *T) empty() {
	t.Helper()
	var writes []driver.Write
	flush := func() {
		if len(writes) > 0 {
			_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Writes: writes})
			t.ok(err)
			writes = nil
		}
	}
	for _, def := range Schema.Driver().Tables {
		for _, row := range t.scan(driver.Span{Table: def}) {
			writes = append(writes, driver.Write{Kind: driver.Delete, Table: def, Key: keyOf(def, row)})
			if len(writes) == driver.MaxWrites {
				flush()
			}
		}
	}
	flush()
}

// ok ends the case if there is an error.
func (t *T) ok(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// refused ends the case if err is not the error that the contract names.
func (t *T) refused(err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want one that is %q", err, want)
	}
}

// equal reports a difference.
func (t *T) equal(what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

func (t *T) update(fn func(tx *repo.Tx) error) {
	t.Helper()
	t.ok(t.store.Update(t.ctx, fn))
}

func (t *T) view(fn func(tx *repo.ReadTx) error) {
	t.Helper()
	t.ok(t.store.View(t.ctx, fn))
}

// insert inserts rows in one transaction.
func insert[R, K any](t *T, table *repo.Table[R, K], rows ...R) {
	t.Helper()
	t.update(func(tx *repo.Tx) error { return insertAll(tx, table, rows) })
}

func insertAll[R, K any](tx *repo.Tx, table *repo.Table[R, K], rows []R) error {
	for _, row := range rows {
		if err := table.Insert(tx, row); err != nil {
			return err
		}
	}
	return nil
}

// put puts rows in one transaction.
func put[R, K any](t *T, table *repo.Table[R, K], rows ...R) {
	t.Helper()
	t.update(func(tx *repo.Tx) error {
		for _, row := range rows {
			if err := table.Put(tx, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// remove deletes rows in one transaction.
func remove[R, K any](t *T, table *repo.Table[R, K], keys ...K) {
	t.Helper()
	t.update(func(tx *repo.Tx) error {
		for _, key := range keys {
			if err := table.Delete(tx, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// get returns a row that must be there.
func get[R, K any](t *T, table *repo.Table[R, K], key K) R {
	t.Helper()
	var row R
	t.view(func(tx *repo.ReadTx) (err error) {
		row, err = table.Get(tx, key)
		return err
	})
	return row
}

// has reports whether a row is there.
func has[R, K any](t *T, table *repo.Table[R, K], key K) bool {
	t.Helper()
	err := t.store.View(t.ctx, func(tx *repo.ReadTx) error {
		_, err := table.Get(tx, key)
		return err
	})
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		t.ok(err)
	}
	return err == nil
}

// rows returns the rows of a span in a View of its own.
func rows[R any](t *T, span repo.Span[R]) []R {
	t.Helper()
	var all []R
	t.view(func(tx *repo.ReadTx) (err error) {
		all, err = rowsIn(tx, span)
		return err
	})
	return all
}

// rowsIn returns the rows of a span.
func rowsIn[R any](tx repo.Reader, span repo.Span[R]) ([]R, error) {
	var all []R
	for row, err := range span.Rows(tx) {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

// list returns one property of each row of a span.
func list[R, V any](t *T, span repo.Span[R], of func(R) V) []V {
	t.Helper()
	return each(rows(t, span), of)
}

// listIn is list within a transaction.
func listIn[R, V any](tx repo.Reader, span repo.Span[R], of func(R) V) ([]V, error) {
	all, err := rowsIn(tx, span)
	return each(all, of), err
}

func each[R, V any](rows []R, of func(R) V) []V {
	out := make([]V, len(rows))
	for i, row := range rows {
		out[i] = of(row)
	}
	return out
}

// parallel runs fn in n goroutines and ends the case with the first error.
func (t *T) parallel(n int, fn func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	t.ok(errors.Join(errs...))
}

// Below package repo.

// table returns a table of the suite as backends see it.
func table(name string) *driver.Table {
	for _, def := range Schema.Driver().Tables {
		if def.Name == name {
			return def
		}
	}
	panic("repotest: no table is called " + name)
}

var (
	itemTable  = table("item")
	eventTable = table("event")
)

func newID() (id driver.CommitID) {
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	return id
}

// writeOf returns a write of a row, which is a pointer to a struct.
func writeOf(kind driver.WriteKind, def *driver.Table, row any) driver.Write {
	w := driver.Write{Kind: kind, Table: def, Key: driver.Key(def.AppendKey(nil, 0, row))}
	if kind != driver.Delete {
		w.Data = def.Encode(nil, row)
	}
	return w
}

// keyOf returns the primary key of a stored row.
func keyOf(def *driver.Table, row driver.Row) driver.Key { return orderKey(def, 0, row) }

// orderKey returns the key of a stored row in an order.
func orderKey(def *driver.Table, order int, row driver.Row) driver.Key {
	live := row.Value
	if live == nil {
		var err error
		if live, err = def.Decode(row.Data); err != nil {
			panic(err)
		}
	}
	return driver.Key(def.AppendKey(nil, order, live))
}

// commit commits writes with a fresh ID and no checks.
func (t *T) commit(writes ...driver.Write) driver.Rev {
	t.Helper()
	rev, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Writes: writes})
	t.ok(err)
	return rev
}

// rev returns the store's revision.
func (t *T) rev() driver.Rev {
	t.Helper()
	s, err := t.driver.Status(t.ctx)
	t.ok(err)
	return s.Rev
}

// snapshot runs fn on a snapshot, and again if the backend says that it was
// overtaken by a commit.
func (t *T) snapshot(fn func(s driver.Snapshot) error) {
	t.Helper()
	t.ok(onSnapshot(t.ctx, t.driver, fn))
}

func onSnapshot(ctx context.Context, d driver.Store, fn func(s driver.Snapshot) error) error {
	for {
		s, err := d.Begin(ctx, driver.Mode{})
		if err != nil {
			return err
		}
		err = fn(s)
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
		if !errors.Is(err, driver.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

// scan returns the rows of a span below package repo.
func (t *T) scan(span driver.Span) []driver.Row {
	t.Helper()
	var all []driver.Row
	t.snapshot(func(s driver.Snapshot) (err error) {
		all, err = gather(s.Scan(t.ctx, span))
		return err
	})
	return all
}

// gather returns what a scan yields.
func gather(seq iter.Seq2[driver.Row, error]) ([]driver.Row, error) {
	var all []driver.Row
	for row, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

// ptr returns a pointer to a copy of v.
func ptr[V any](v V) *V { return &v }
