package repotest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"trihold/repo"
	"trihold/repo/driver"
)

var fenceCases = []testCase{
	{
		name: "the state is read, checked and written like any table, and is in no digest",
		why:  "A migration keeps its place there, in the same commits as the rows; programs do not see it.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			digest, before := t.digest(), t.rev()
			t.atRev("revision", t.commit(putState("b", 1, 0), putState("a", []string{"x"}, 0), writeOf(driver.Put, blobTable, &Blob{Key: "k"})), before+1)
			t.atRev("revision", t.commit(putState("a", "y\x00", 0), writeOf(driver.Delete, blobTable, &Blob{Key: "k"})), before+2)
			t.equal("changes", t.changes(before, 2), []string{`+1: _trihold_state["a"] _trihold_state["b"] blob[x'6b']`, `+2: _trihold_state["a"] deleted blob[x'6b']`})
			value, rev := readState[string](t, "a")
			t.equal("value", value, "y\x00")
			t.atRev("revision of the row", rev, before+2)
			_, rev = readState[string](t, "none")
			t.atRev("revision of no row", rev, 0)
			t.equal("scan", t.stateKeys(driver.Span{}), []driver.Key{driver.StateKey("a"), driver.StateKey("b")})
			t.equal("backward", t.stateKeys(driver.Span{Reverse: true, Limit: 1}), []driver.Key{driver.StateKey("b")})
			check := driver.RowCheck{Table: stateTable, Key: driver.StateKey("a"), Rev: before + 1}
			t.refused(t.try(&driver.Commit{Checks: driver.Checks{Rows: []driver.RowCheck{check}}, Writes: []driver.Write{putState("c", 1, 0)}}), driver.ErrConflict)
			check.Rev++
			span := driver.SpanCheck{Table: stateTable, Rows: 2, MaxRev: before + 2}
			checks := driver.Checks{Rows: []driver.RowCheck{check}, Spans: []driver.SpanCheck{span}}
			t.ok(t.try(&driver.Commit{Read: before + 2, Checks: checks, Writes: []driver.Write{Schema.Driver().DeleteState("b")}}))
			t.refused(t.try(&driver.Commit{Read: before + 2, Checks: checks, Writes: []driver.Write{putState("c", 1, 0)}}), driver.ErrConflict)
			t.equal("scan", t.stateKeys(driver.Span{}), []driver.Key{driver.StateKey("a")})
			t.equal("digest", t.digest().Sum, digest.Sum)
			t.equal("tables of the digest", t.digest().Tables, digest.Tables)
		},
	},
	{
		name: "a commit that writes a fence is the last one, and reading goes on",
		why:  "What is committed behind the back of the copy would be lost in the move.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			before := t.rev()
			fence := driver.Fence{To: "there", By: "m1"}
			last := t.commit(writeOf(driver.Put, itemTable, &Item{ID: "b"}), putState(driver.FenceRow, fence, 0))
			t.atRev("revision of the fence", last, before+1)
			got, rev := readState[driver.Fence](t, driver.FenceRow)
			t.equal("fence", got, fence)
			t.atRev("revision of its row", rev, last)
			for _, w := range []driver.Write{
				writeOf(driver.Put, itemTable, &Item{ID: "c"}), writeOf(driver.Delete, itemTable, &Item{ID: "a"}), putState("own", 1, 0),
				putState(driver.FenceRow, driver.Fence{By: "m2"}, 0), Schema.Driver().DeleteState(driver.FenceRow),
			} {
				t.refused(t.try(&driver.Commit{Read: last, Writes: []driver.Write{w}}), driver.ErrMoved)
			}
			t.refused(t.store.Update(t.ctx, func(tx *repo.Tx) error {
				if _, err := items.Get(tx, "a"); err != nil {
					return err
				}
				return items.Delete(tx, "b")
			}), repo.ErrMoved)
			t.equal("rows", list(t, items.All(), Item.id), []string{"a", "b"})
			t.atRev("revision", t.rev(), last)
			t.equal("changes", t.changes(before, 1), []string{`+1: _trihold_state["fence"] item["b"]`})
			t.atRev("revision of the digest", t.digest().Rev, last)
		},
	},
	{
		name: "a commit that was accepted before the fence is recognised behind it",
		why:  "Who did not get the answer must learn that the commit is part of what moves.",
		check: func(t *T) {
			first := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Insert, itemTable, &Item{ID: "a"})}}
			fence := &driver.Commit{ID: newID(), Writes: []driver.Write{putState(driver.FenceRow, driver.Fence{By: "m"}, 0)}}
			for range 2 {
				for want, c := range []*driver.Commit{first, fence} {
					rev, err := t.driver.Commit(t.ctx, c)
					t.ok(err)
					t.atRev("revision", rev, driver.Rev(want+1))
				}
			}
			t.refused(t.try(&driver.Commit{Writes: first.Writes}), driver.ErrMoved)
			t.atRev("revision", t.rev(), 2)
		},
	},
	{
		name: "of many commits around a fence none is accepted behind it",
		why:  "Commits are made in batches; the fence holds within its own batch, too.",
		check: func(t *T) {
			for range 5 {
				before := t.rev()
				last, accepted := t.commitAroundFence(8)
				t.atRev("revision", t.rev(), last)
				t.atRev("accepted commits", driver.Rev(len(accepted)), last-before-1)
				for c, want := range accepted {
					rev, err := t.driver.Commit(t.ctx, c)
					t.ok(err)
					t.atRev("revision of a commit sent again", rev, want)
					if rev >= last {
						t.Errorf("revision %d is accepted behind the fence at %d", rev, last)
					}
				}
				rev, err := t.load(nil, Schema.Driver().DeleteState(driver.FenceRow))
				t.ok(err)
				t.atRev("revision after the load", rev, last)
			}
		},
	},
	{
		name: "a closed store is read only by who asks for that",
		why:  "The history goes on elsewhere: whoever reads here would read the past, and take it for the present.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			closed := driver.Fence{Closed: true, To: "there", By: "m"}
			last := t.commit(putState(driver.FenceRow, closed, 0))
			readRow := func(mode driver.Mode) error {
				s, err := t.driver.Begin(t.ctx, mode)
				if err != nil {
					return err
				}
				_, err = s.Get(t.ctx, itemTable, itemKey("a"))
				return errors.Join(err, s.Close())
			}
			readAll := func(mode driver.Mode) error {
				s, err := t.driver.Begin(t.ctx, mode)
				if err != nil {
					return err
				}
				_, err = gather(s.Scan(t.ctx, driver.Span{Table: itemTable}))
				return errors.Join(err, s.Close())
			}
			for range 2 {
				t.refused(readRow(driver.Mode{}), driver.ErrMoved)
				t.refused(readAll(driver.Mode{}), driver.ErrMoved)
				t.refused(t.store.View(t.ctx, func(tx *repo.ReadTx) error { _, err := items.Get(tx, "a"); return err }), repo.ErrMoved)
				t.refused(t.try(&driver.Commit{Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "b"})}}), driver.ErrMoved)
				t.ok(readRow(driver.Mode{Closed: true}))
				t.ok(readAll(driver.Mode{Closed: true}))
				t.atRev("revision", t.rev(), last)
				t.equal("changes", len(t.changes(0, 2)), 2)
				// A load opens it for reading, and closes it again.
				open := closed
				open.Closed = false
				_, err := t.load(nil, putState(driver.FenceRow, open, last))
				t.ok(err)
				t.ok(readRow(driver.Mode{}))
				t.ok(readAll(driver.Mode{Closed: true}))
				_, err = t.load(nil, putState(driver.FenceRow, closed, last))
				t.ok(err)
			}
			_, err := t.load(nil, Schema.Driver().DeleteState(driver.FenceRow))
			t.ok(err)
			t.equal("row", get(t, items, "a"), Item{ID: "a"})
		},
	},
	{
		name:    "a fence survives",
		why:     "A store that was moved and is opened again months later must still say so.",
		reopens: true,
		check: func(t *T) {
			dir := t.TempDir()
			c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "a"})}}
			fence := driver.Fence{To: "there", By: "m"}
			t.reopened(dir, func(t *T) {
				_, err := t.driver.Commit(t.ctx, c)
				t.ok(err)
				t.commit(putState(driver.FenceRow, fence, 0))
			})
			t.reopened(dir, func(t *T) {
				got, rev := readState[driver.Fence](t, driver.FenceRow)
				t.equal("fence", got, fence)
				t.atRev("revision of its row", rev, 2)
				t.refused(t.try(&driver.Commit{Writes: c.Writes}), driver.ErrMoved)
				rev, err := t.driver.Commit(t.ctx, c)
				t.ok(err)
				t.atRev("revision of the commit from before", rev, 1)
				_, err = t.load(nil, Schema.Driver().DeleteState(driver.FenceRow))
				t.ok(err)
			})
			t.reopened(dir, func(t *T) {
				t.atRev("revision without the fence", t.commit(c.Writes...), 3)
			})
		},
	},
}

var (
	blobTable  = table("blob")
	stateTable = Schema.Driver().State
)

// putState returns the write of a row of the state; rev is for loads.
func putState(name string, value any, rev driver.Rev) driver.Write {
	w, err := Schema.Driver().PutState(name, value, rev)
	if err != nil {
		panic(err) // what cases write can be written as JSON
	}
	return w
}

// readState reads a row of the state, and its revision.
func readState[V any](t *T, name string) (value V, rev driver.Rev) {
	t.Helper()
	t.snapshot(func(s driver.Snapshot) (err error) {
		rev, err = Schema.Driver().ReadState(t.ctx, s, name, &value)
		return err
	})
	return value, rev
}

// stateKeys returns the keys of the state's rows in a span of it.
func (t *T) stateKeys(s driver.Span) []driver.Key {
	t.Helper()
	s.Table = stateTable
	return each(t.scan(s), func(r driver.Row) driver.Key { return keyOf(stateTable, r) })
}

// try commits with a fresh ID.
func (t *T) try(c *driver.Commit) error {
	c.ID = newID()
	_, err := t.driver.Commit(t.ctx, c)
	return err
}

// commitAroundFence has callers commit, each one commit after the other, until
// they meet the fence that is put up meanwhile. It returns the revision of the
// fence and those of the commits that were accepted.
func (t *T) commitAroundFence(callers int) (last driver.Rev, accepted map[*driver.Commit]driver.Rev) {
	t.Helper()
	accepted = map[*driver.Commit]driver.Rev{}
	var mu sync.Mutex
	warm := newBarrier(int64(callers) + 1) // everybody has committed once
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	t.parallel(callers+1, func(i int) (err error) {
		defer func() {
			if err != nil {
				cancel() // the others would go on
			}
		}()
		if i == callers {
			if err := warm.meet(ctx); err != nil {
				return err
			}
			last, err = t.driver.Commit(ctx, &driver.Commit{ID: newID(), Writes: []driver.Write{putState(driver.FenceRow, driver.Fence{By: "m"}, 0)}})
			return err
		}
		for n := 0; ; n++ {
			c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: fmt.Sprint(i), Order: int64(n)})}}
			rev, err := t.driver.Commit(ctx, c)
			if errors.Is(err, driver.ErrMoved) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			accepted[c] = rev
			mu.Unlock()
			if n == 0 {
				if err := warm.meet(ctx); err != nil {
					return err
				}
			}
		}
	})
	return last, accepted
}
