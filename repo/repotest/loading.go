package repotest

import (
	"bytes"
	"context"
	"fmt"

	"trihold/repo"
	"trihold/repo/driver"
)

var loadCases = []testCase{
	{
		name: "a load brings rows with their revisions, and commits with theirs and their IDs, from any revision on",
		why:  "A copy is the same store to everybody who knew the original: checks, watchers, and commits that are sent again.",
		check: func(t *T) {
			changes := []driver.Change{loaded(40, "a"), loaded(41, "b", "a"), loaded(42, "b")}
			rev, err := t.load(changes[:2], fenceAt(41), at(7, Item{ID: "old", Code: ptr("x")}), at(41, Item{ID: "a"}))
			t.ok(err)
			t.atRev("revision that the load returns", rev, 41)
			t.atRev("revision", t.rev(), 41)
			rev, err = t.load(changes[2:], fenceAt(42), at(42, Item{ID: "b"}))
			t.ok(err)
			t.atRev("revision that the load returns", rev, 42)
			t.equal("rows", t.itemRevs(), []string{"a at 41", "b at 42", "old at 7"})
			t.equal("by code", list(t, itemsByCode.Eq(ptr("x")), Item.id), []string{"old"})
			t.loadedChanges(39, changes)
			t.loadedChanges(41, changes[2:])
			s, err := t.driver.Status(t.ctx)
			t.ok(err)
			t.atRev("oldest revision to resume from", s.Oldest, 39)
			for _, after := range []driver.Rev{0, 38} {
				t.refused(t.changesErr(after), driver.ErrCompacted)
			}
			t.refused(t.changesErr(43), driver.ErrInvalid)
			for range 2 { // behind the fence, and without it
				for _, c := range changes {
					rev, err := t.driver.Commit(t.ctx, &driver.Commit{ID: c.ID, Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "again"})}})
					t.ok(err)
					t.atRev("revision of a loaded commit that is sent again", rev, c.Rev)
				}
				_, err = t.load(nil, fenceAt(42), Schema.Driver().DeleteState("none"))
				t.ok(err)
				t.reopenByLoad()
			}
			t.atRev("next revision", t.commit(writeOf(driver.Delete, itemTable, &Item{ID: "old"})), 43)
			t.equal("rows", t.itemRevs(), []string{"a at 41", "b at 42"})
		},
	},
	{
		name: "the commits of a load continue those of the store",
		why:  "A gap would be commits that no watcher is ever told of.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			t.commit(putState(driver.FenceRow, driver.Fence{By: "m"}, 0))
			for _, revs := range [][]driver.Rev{{4}, {2}, {1}, {0}, {3, 5}, {3, 3}, {3, 4, 2}} {
				var changes []driver.Change
				for _, rev := range revs {
					changes = append(changes, loaded(rev, "b"))
				}
				_, err := t.load(changes, at(3, Item{ID: "b"}))
				t.refused(err, driver.ErrInvalid)
				t.atRev("revision", t.rev(), 2)
			}
			t.equal("rows", t.itemRevs(), []string{"a at 1"})
			rev, err := t.load([]driver.Change{loaded(3, "b"), loaded(4, "c")}, at(3, Item{ID: "b"}), at(4, Item{ID: "c"}))
			t.ok(err)
			t.atRev("revision", rev, 4)
			t.equal("changes", t.changes(0, 4)[2:], []string{`+3: item["b"]`, `+4: item["c"]`})
		},
	},
	{
		name: "a load is refused where there is no fence",
		why:  "A store that takes commits of its own has no place for those of another.",
		check: func(t *T) {
			none := func() {
				t.Helper()
				for _, writes := range [][]driver.Write{nil, {at(1, Item{ID: "x"})}, {at(1, Item{ID: "x"}), Schema.Driver().DeleteState(driver.FenceRow)}} {
					_, err := t.load([]driver.Change{loaded(t.rev()+1, "x")}, writes...)
					t.refused(err, driver.ErrInvalid)
				}
				t.equal("item x", has(t, items, "x"), false)
			}
			none()
			t.atRev("revision", t.rev(), 0)
			t.atRev("revision", t.commit(writeOf(driver.Insert, itemTable, &Item{ID: "a"})), 1)
			none()
			_, err := t.load(nil, fenceAt(1), at(1, Item{ID: "y"}))
			t.ok(err)
			t.refused(t.try(&driver.Commit{Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "z"})}}), driver.ErrMoved)
			t.reopenByLoad()
			none()
			t.atRev("next revision", t.commit(writeOf(driver.Put, itemTable, &Item{ID: "z"})), 2)
		},
	},
	{
		name: "a load whose check does not hold does nothing",
		why:  "Two that fill one store, or one that sends a load twice, must not get in each other's way.",
		check: func(t *T) {
			first := loaded(5, "a")
			_, err := t.load([]driver.Change{first}, fenceAt(5), at(5, Item{ID: "a"}))
			t.ok(err)
			span := driver.SpanCheck{Table: itemTable, Rows: 1, MaxRev: 5}
			wrong := span
			wrong.MaxRev = 4
			second := loaded(6, "b")
			for _, checks := range []driver.Checks{
				{Rows: []driver.RowCheck{fenceCheck(4)}}, {Rows: []driver.RowCheck{fenceCheck(0)}}, {Spans: []driver.SpanCheck{wrong}},
				{Rows: []driver.RowCheck{fenceCheck(5), {Table: itemTable, Key: itemKey("b"), Rev: 1}}, Spans: []driver.SpanCheck{span}},
			} {
				for _, read := range []driver.Rev{0, 5, 6} { // a load's checks are looked at whatever it has read
					_, err := t.driver.Commit(t.ctx, &driver.Commit{Read: read, Checks: checks, Load: &driver.Load{Changes: []driver.Change{second}},
						Writes: []driver.Write{fenceAt(6), at(6, Item{ID: "b"})}})
					t.refused(err, driver.ErrConflict)
				}
			}
			t.equal("rows", t.itemRevs(), []string{"a at 5"})
			t.atRev("revision", t.rev(), 5)
			_, err = t.driver.Commit(t.ctx, &driver.Commit{ID: second.ID}) // its ID was not taken
			t.refused(err, driver.ErrMoved)
			c := &driver.Commit{Read: 5, Checks: driver.Checks{Rows: []driver.RowCheck{fenceCheck(5)}, Spans: []driver.SpanCheck{span}},
				Load: &driver.Load{Changes: []driver.Change{second}}, Writes: []driver.Write{fenceAt(6), at(6, Item{ID: "b"})}}
			rev, err := t.driver.Commit(t.ctx, c)
			t.ok(err)
			t.atRev("revision", rev, 6)
			_, err = t.driver.Commit(t.ctx, c) // sent twice, applied once
			t.refused(err, driver.ErrConflict)
			t.equal("rows", t.itemRevs(), []string{"a at 5", "b at 6"})
			t.loadedChanges(4, []driver.Change{first, second})
			c.Checks, c.Load, c.Writes = driver.Checks{Rows: []driver.RowCheck{fenceCheck(6)}}, &driver.Load{}, []driver.Write{Schema.Driver().DeleteState(driver.FenceRow)}
			_, err = t.driver.Commit(t.ctx, c)
			t.ok(err)
			_, err = t.driver.Commit(t.ctx, c)
			t.refused(err, driver.ErrConflict)
		},
	},
	{
		name: "a commit that was refused for good at the origin is refused in the copy",
		why:  "An origin that cannot call back an attempt takes the ID of a refused commit with a change that touches nothing; it was never accepted.",
		check: func(t *T) {
			refused := driver.Change{Rev: 5, ID: newID()}
			_, err := t.load([]driver.Change{refused}, fenceAt(5))
			t.ok(err)
			c := &driver.Commit{ID: refused.ID, Writes: []driver.Write{writeOf(driver.Insert, itemTable, &Item{ID: "a"})}}
			for range 2 {
				_, err = t.driver.Commit(t.ctx, c)
				t.refused(err, driver.ErrConflict)
				_, err = t.load(nil, Schema.Driver().DeleteState(driver.FenceRow))
				if err != nil { // the fence has gone already
					t.refused(err, driver.ErrInvalid)
				}
			}
			t.atRev("revision", t.rev(), 5)
		},
	},
	{
		name: "a load writes later rows over earlier ones, and leaves alone what is as late",
		why:  "Rows are copied while they change; what comes late must not undo what came first.",
		check: func(t *T) {
			_, err := t.load([]driver.Change{loaded(9, "a")}, fenceAt(9), at(5, Item{ID: "a", Text: "5"}), at(5, Item{ID: "b", Text: "5"}), at(5, Item{ID: "c", Text: "5"}), at(5, Item{ID: "d"}))
			t.ok(err)
			insertB := at(5, Item{ID: "b", Text: "not 5"})
			insertB.Kind = driver.Insert
			insertC := at(6, Item{ID: "c", Text: "6"})
			insertC.Kind = driver.Insert
			_, err = t.load(nil, at(4, Item{ID: "a", Text: "4"}), insertB, insertC, writeOf(driver.Delete, itemTable, &Item{ID: "d"}), writeOf(driver.Delete, itemTable, &Item{ID: "e"}))
			t.ok(err)
			t.equal("rows", t.itemRevs(), []string{"a at 5", "b at 5", "c at 6"})
			t.equal("texts", list(t, items.All(), func(r Item) string { return r.Text }), []string{"5", "5", "6"})
			t.equal("by text", list(t, itemsByText.From("5"), Item.id), []string{"a", "b", "c"})
			_, err = t.load(nil, putState("s", "late", 8))
			t.ok(err)
			_, err = t.load(nil, putState("s", "early", 3))
			t.ok(err)
			value, rev := readState[string](t, "s")
			t.equal("state, which is written as told", value, "early")
			t.atRev("revision of the state", rev, 3)
		},
	},
	{
		name: "a loaded row displaces the rows that hold its unique values",
		why:  "Rows that have swapped their values arrive one after the other.",
		check: func(t *T) {
			_, err := t.load([]driver.Change{loaded(9, "a")}, fenceAt(9),
				at(1, Item{ID: "a", Code: ptr("x"), Text: "t"}), at(2, Item{ID: "b", Code: ptr("y"), Text: "t"}), at(2, Item{ID: "c"}), at(2, Item{ID: "d"}),
				seatAt(3, Seat{ID: 1, Hall: "h", Row: 1, Number: ptr(int64(1)), Ticket: "1"}), seatAt(3, Seat{ID: 2, Hall: "h", Row: 2, Number: ptr(int64(1)), Ticket: "2"}),
				seatAt(3, Seat{ID: 3, Hall: "h", Row: 1, Ticket: "3"}), seatAt(3, Seat{ID: 4, Hall: "h", Row: 1, Ticket: "4"}))
			t.ok(err)
			_, err = t.load(nil, at(5, Item{ID: "b", Code: ptr("x")}), at(6, Item{ID: "e"}),
				seatAt(6, Seat{ID: 5, Hall: "h", Row: 1, Number: ptr(int64(1)), Ticket: "2"}))
			t.ok(err)
			t.equal("rows", t.itemRevs(), []string{"b at 5", "c at 2", "d at 2", "e at 6"})
			t.equal("by text", list(t, itemsByText.All(), Item.id), []string{"b", "c", "d", "e"})
			t.equal("by code x", list(t, itemsByCode.Eq(ptr("x")), Item.id), []string{"b"})
			t.equal("by code y", list(t, itemsByCode.Eq(ptr("y")), Item.id), []string{})
			t.equal("seats", list(t, seats.All(), Seat.id), []int64{3, 4, 5})
			_, err = t.load(nil, at(6, Item{ID: "a", Code: ptr("y")}), at(4, Item{ID: "c", Code: ptr("z")}), at(7, Item{ID: "e", Code: ptr("z")}))
			t.ok(err)
			t.equal("rows", t.itemRevs(), []string{"a at 6", "b at 5", "d at 2", "e at 7"})
			// Two rows swap in one load, and one takes what another one gives up.
			_, err = t.load(nil, at(8, Item{ID: "a", Code: ptr("x")}), at(8, Item{ID: "b", Code: ptr("y")}),
				writeOf(driver.Delete, itemTable, &Item{ID: "e"}), at(8, Item{ID: "d", Code: ptr("z")}))
			t.ok(err)
			t.equal("rows", t.itemRevs(), []string{"a at 8", "b at 8", "d at 8"})
			t.equal("by code", list(t, itemsByCode.All(), Item.id), []string{"a", "b", "d"})
			t.reopenByLoad()
			t.collision(t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "f", Code: ptr("z")}) }), "item", "code")
		},
	},
	{
		name: "checks taken at the origin hold in the copy as they do there",
		why:  "A transaction may begin before the move and commit after it.",
		check: func(t *T) {
			_, err := t.load([]driver.Change{loaded(20, "b")}, fenceAt(20), at(3, Item{ID: "a", Group: "g"}), at(20, Item{ID: "b", Group: "g"}), at(4, Item{ID: "c"}))
			t.ok(err)
			t.reopenByLoad()
			row := func(id string, rev driver.Rev) driver.Checks {
				return driver.Checks{Rows: []driver.RowCheck{{Table: itemTable, Key: itemKey(id), Rev: rev}}}
			}
			spanOf := func(order int, rows int64, highest driver.Rev) driver.Checks {
				bound := driver.Bound{Tuple: driver.Key(driver.AppendKeyText(nil, "g"))}
				if order == 0 {
					bound = driver.Bound{}
				}
				return driver.Checks{Spans: []driver.SpanCheck{{Table: itemTable, Order: order, Lo: bound, Hi: bound, Rows: rows, MaxRev: highest}}}
			}
			next := driver.Rev(20)
			for _, read := range []driver.Rev{19, 20} {
				for _, c := range []driver.Checks{row("a", 3), row("none", 0), spanOf(1, 2, 20), spanOf(0, 3, 20)} {
					rev, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: min(read, 20), Checks: c, Writes: []driver.Write{writeOf(driver.Put, blobTable, &Blob{Key: "k"})}})
					t.ok(err)
					next++
					t.atRev("revision", rev, next)
				}
				for _, c := range []driver.Checks{row("a", 2), row("a", 0), row("b", 19), row("none", 3), spanOf(1, 2, 19), spanOf(1, 1, 20), spanOf(0, 2, 20)} {
					t.refused(t.try(&driver.Commit{Read: min(read, 19), Checks: c, Writes: []driver.Write{writeOf(driver.Put, blobTable, &Blob{Key: "no"})}}), driver.ErrConflict)
				}
			}
			t.atRev("revision", t.rev(), next)
		},
	},
	{
		name: "a load is one state, and watchers are told of its commits",
		why:  "A mirror of the copy follows it as it would follow the original.",
		check: func(t *T) {
			_, err := t.load([]driver.Change{loaded(10, "a", "b")}, fenceAt(10), at(10, Item{ID: "a"}), at(10, Item{ID: "b"}))
			t.ok(err)
			const n = 25
			ctx, cancel := context.WithCancel(t.ctx) // ended early if the loads fail
			defer cancel()
			t.parallel(3, func(i int) error {
				switch i {
				case 0:
					for rev := driver.Rev(11); rev <= 10+n; rev++ {
						if _, err := t.load([]driver.Change{loaded(rev, "a", "b")}, fenceAt(rev), at(rev, Item{ID: "a", Order: int64(rev)}), at(rev, Item{ID: "b", Order: int64(rev)})); err != nil {
							cancel()
							return err
						}
					}
				case 1:
					for range n {
						if err := t.sameOrder("a", "b"); err != nil {
							return err
						}
					}
				case 2:
					want := driver.Rev(10)
					for c, err := range t.driver.Changes(ctx, 10) {
						if want++; err != nil || c.Rev != want || len(c.Keys) != 2 {
							return fmt.Errorf("got revision %d with %d keys and error %w, want revision %d", c.Rev, len(c.Keys), err, want)
						}
						if want == 10+n {
							return nil
						}
					}
				}
				return nil
			})
			t.equal("order", get(t, items, "a").Order, int64(10+n))
		},
	},
	{
		name: "a load has the limits of a commit, and as many commits as writes",
		why:  "It travels and is logged in the same way.",
		check: func(t *T) {
			writes := []driver.Write{fenceAt(1)}
			var changes []driver.Change
			for i := range driver.MaxWrites {
				id := fmt.Sprintf("%05d", i)
				row := Item{ID: id, Group: fmt.Sprint(i % 7)}
				if i%10 == 0 {
					row.Code = ptr(id)
				}
				writes = append(writes, at(driver.Rev(i+1), row))
				changes = append(changes, loaded(driver.Rev(i+1), id))
			}
			_, err := t.load(nil, writes...)
			t.refused(err, driver.ErrTooLarge)
			_, err = t.load(append(changes, loaded(driver.MaxWrites+1)), writes[:2]...)
			t.refused(err, driver.ErrTooLarge)
			large := bytes.Repeat([]byte("a"), driver.MaxRow-100)
			tooMuch := []driver.Write{fenceAt(1)}
			for i := range 9 {
				tooMuch = append(tooMuch, blobAt(1, Blob{Key: repo.Bytes(fmt.Sprint(i)), Data: large}))
			}
			_, err = t.load(nil, tooMuch...)
			t.refused(err, driver.ErrTooLarge)
			t.atRev("revision", t.rev(), 0)
			rev, err := t.load(changes, writes[:driver.MaxWrites]...)
			t.ok(err)
			t.atRev("revision", rev, driver.MaxWrites)
			_, err = t.load(nil, writes[driver.MaxWrites:]...)
			t.ok(err)
			t.equal("rows", len(rows(t, items.All())), driver.MaxWrites)
			t.equal("index", len(rows(t, itemsByGroup.Eq("3"))), (driver.MaxWrites+3)/7)
			t.loadedChanges(0, changes)
		},
	},
	{
		name:    "a load survives",
		why:     "A copy is made over hours; the process that makes it, or the machine, may not last so long.",
		reopens: true,
		check: func(t *T) {
			dir := t.TempDir()
			changes := []driver.Change{loaded(30, "a"), loaded(31, "b"), loaded(32, "c")}
			t.reopened(dir, func(t *T) {
				_, err := t.load(changes[:2], fenceAt(31), at(7, Item{ID: "a"}), at(31, Item{ID: "b", Code: ptr("x")}))
				t.ok(err)
			})
			t.reopened(dir, func(t *T) {
				t.atRev("revision", t.rev(), 31)
				t.equal("rows", t.itemRevs(), []string{"a at 7", "b at 31"})
				_, rev := readState[driver.Fence](t, driver.FenceRow)
				t.atRev("revision of the fence", rev, 31)
				t.loadedChanges(29, changes[:2])
				_, err := t.load(changes[2:], fenceAt(32), at(32, Item{ID: "c", Code: ptr("x")}))
				t.ok(err)
				t.reopenByLoad()
			})
			t.reopened(dir, func(t *T) {
				s, err := t.driver.Status(t.ctx)
				t.ok(err)
				t.atRev("oldest revision to resume from", s.Oldest, 29)
				t.refused(t.changesErr(28), driver.ErrCompacted)
				t.loadedChanges(29, changes)
				t.equal("rows", t.itemRevs(), []string{"a at 7", "c at 32"})
				for _, c := range changes {
					rev, err := t.driver.Commit(t.ctx, &driver.Commit{ID: c.ID, Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "again"})}})
					t.ok(err)
					t.atRev("revision of a loaded commit that is sent again", rev, c.Rev)
				}
				t.atRev("next revision", t.commit(writeOf(driver.Put, itemTable, &Item{ID: "d"})), 33)
			})
			t.reopened(dir, func(t *T) { t.equal("rows", t.itemRevs(), []string{"a at 7", "c at 32", "d at 33"}) })
		},
	},
}

// load sends a load.
func (t *T) load(changes []driver.Change, writes ...driver.Write) (driver.Rev, error) {
	return t.driver.Commit(t.ctx, &driver.Commit{Load: &driver.Load{Changes: changes}, Writes: writes})
}

// atRev reports a revision that is not the one that is wanted.
func (t *T) atRev(what string, got, want driver.Rev) {
	t.Helper()
	t.equal(what, got, want)
}

// reopenByLoad takes the fence away.
func (t *T) reopenByLoad() {
	t.Helper()
	_, err := t.load(nil, Schema.Driver().DeleteState(driver.FenceRow))
	t.ok(err)
}

// loaded returns a commit of another store that has put items.
func loaded(rev driver.Rev, ids ...string) driver.Change {
	c := driver.Change{Rev: rev, ID: newID()}
	for _, id := range ids {
		c.Keys = append(c.Keys, driver.ChangedKey{Table: itemTable, Key: itemKey(id)})
	}
	return c
}

// at returns the write of an item that has a revision.
func at(rev driver.Rev, row Item) driver.Write { return writeAt(rev, itemTable, &row) }

func seatAt(rev driver.Rev, row Seat) driver.Write { return writeAt(rev, table("order"), &row) }

func blobAt(rev driver.Rev, row Blob) driver.Write { return writeAt(rev, blobTable, &row) }

func writeAt(rev driver.Rev, def *driver.Table, row any) driver.Write {
	w := writeOf(driver.Put, def, row)
	w.Rev = rev
	return w
}

// fenceAt returns the write of a fence in a load.
func fenceAt(rev driver.Rev) driver.Write {
	return putState(driver.FenceRow, driver.Fence{By: "m"}, rev)
}

func fenceCheck(rev driver.Rev) driver.RowCheck {
	return driver.RowCheck{Table: stateTable, Key: driver.StateKey(driver.FenceRow), Rev: rev}
}

// itemRevs returns the keys of all items with their revisions.
func (t *T) itemRevs() []string {
	t.Helper()
	return each(t.scan(driver.Span{Table: itemTable}), func(r driver.Row) string {
		values, err := driver.KeyValues(itemTable.OrderColumns(0), keyOf(itemTable, r))
		t.ok(err)
		return fmt.Sprintf("%s at %d", values[0], r.Rev)
	})
}

// loadedChanges reports what differs in the changes after a revision.
func (t *T) loadedChanges(after driver.Rev, want []driver.Change) {
	t.Helper()
	format := func(c driver.Change) string { return fmt.Sprintf("%d %s %q", c.Rev, c.ID, sortedKeys(c)) }
	var got []string
	for c, err := range t.driver.Changes(t.ctx, after) {
		t.ok(err)
		if got = append(got, format(c)); len(got) == len(want) {
			break
		}
	}
	t.equal(fmt.Sprintf("changes after %d", after), got, each(want, format))
}

// changesErr returns the error that changes end with at once.
func (t *T) changesErr(after driver.Rev) error {
	for c, err := range t.driver.Changes(t.ctx, after) {
		if err == nil {
			err = fmt.Errorf("got revision %d", c.Rev)
		}
		return err
	}
	return nil
}
