package repotest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"trihold/repo"
	"trihold/repo/driver"
)

var revisionCases = []testCase{
	{
		name: "every accepted commit is one revision",
		why:  "A revision is the number of a commit: watchers, caches and migration count on there being no gap.",
		check: func(t *T) {
			before := t.rev()
			for i := range driver.Rev(5) {
				row := Item{ID: fmt.Sprint(i)}
				t.equal("revision of the commit", t.commit(writeOf(driver.Insert, itemTable, &row)), before+1+i)
				t.equal("revision of the store", t.rev(), before+1+i)
			}
			remove(t, items, "0", "absent")
			t.equal("after a delete", t.rev(), before+6)
			remove(t, items, "absent")
			t.equal("after a delete of nothing", t.rev(), before+7)
			put(t, items, get(t, items, "1"))
			t.equal("after a put of the same", t.rev(), before+8)
		},
	},
	{
		name: "revision 0 is a revision, and who began there conflicts like any other",
		why:  "It is not the absence of one: the first two users of a new service must not overwrite each other.",
		check: func(t *T) {
			for _, read := range []func(tx repo.Reader) error{
				func(tx repo.Reader) error { _, err := items.Get(tx, "a"); return err },
				func(tx repo.Reader) error { _, err := itemsByText.Eq("").First(tx); return err },
			} {
				own := *t
				own.driver, own.store = openStore(t, t.harness, t.TempDir())
				own.equal("revision of the store", own.rev(), driver.Rev(0))
				own.view(func(tx *repo.ReadTx) error {
					t.refused(read(tx), repo.ErrNotFound)
					t.equal("revision of a View", tx.Rev(), driver.Rev(0))
					return nil
				})
				runs := 0
				err := own.store.Update(t.ctx, func(tx *repo.Tx) error {
					err := read(tx)
					if runs++; runs == 1 {
						put(&own, items, Item{ID: "a", Order: 1})
					}
					if err == nil {
						return errOwn // somebody else was first
					}
					return items.Put(tx, Item{ID: "a", Order: 2})
				})
				t.refused(err, errOwn)
				t.equal("row", rows(&own, items.All()), []Item{{ID: "a", Order: 1}})
				t.equal("changes", own.changes(0, 1), []string{`+1: item["a"]`})
			}
		},
	},
	{
		name: "what is not committed takes no revision",
		why:  "A gap in the revisions would look like a lost commit.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			before := t.rev()
			_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "a"}) })
			_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "b", Code: ptr("x")}) })
			_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { t.ok(items.Put(tx, Item{ID: "a"})); return errOwn })
			t.update(func(tx *repo.Tx) error { _, err := items.Get(tx, "a"); return err })
			t.update(func(tx *repo.Tx) error { t.ok(items.Insert(tx, Item{ID: "c"})); return items.Delete(tx, "c") })
			t.view(func(tx *repo.ReadTx) error { _, err := items.Get(tx, "a"); return err })
			row := Item{ID: "d"} // the commit read at revision 0, where nothing was there
			_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Checks: driver.Checks{Rows: []driver.RowCheck{{Table: itemTable, Key: itemKey("a")}}},
				Writes: []driver.Write{writeOf(driver.Put, itemTable, &row)}})
			t.refused(err, driver.ErrConflict)
			t.equal("revision", t.rev(), before)
		},
	},
	{
		name: "a row carries the revision of the commit that wrote it",
		why:  "Checks compare it. A row that keeps an old one, or takes another's, hides a change.",
		check: func(t *T) {
			a, b := Item{ID: "a", Group: "g"}, Item{ID: "b", Group: "g", Order: 1}
			first := t.commit(writeOf(driver.Insert, itemTable, &a), writeOf(driver.Insert, itemTable, &b))
			second := t.commit(writeOf(driver.Put, itemTable, &b))
			t.equal("walk", t.revsIn(driver.Span{Table: itemTable}), []driver.Rev{first, second})
			t.equal("walk of an index", t.revsIn(driver.Span{Table: itemTable, Order: 1, Reverse: true}), []driver.Rev{second, first})
			t.snapshot(func(s driver.Snapshot) error {
				row, err := s.Get(t.ctx, itemTable, itemKey("a"))
				t.equal("get", row.Rev, first)
				return err
			})
		},
	},
	{
		name: "a revision never comes back after delete and insert",
		why:  "A transaction that read the old row would take the new one for it.",
		check: func(t *T) {
			row := Item{ID: "a"}
			first := t.commit(writeOf(driver.Insert, itemTable, &row))
			t.commit(writeOf(driver.Delete, itemTable, &row))
			third := t.commit(writeOf(driver.Insert, itemTable, &row))
			t.equal("revisions apart", third-first, driver.Rev(2))
			t.equal("row", t.revsIn(driver.Span{Table: itemTable}), []driver.Rev{third})
			_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: first, Checks: driver.Checks{Rows: []driver.RowCheck{{Table: itemTable, Key: itemKey("a"), Rev: first}}},
				Writes: []driver.Write{writeOf(driver.Put, itemTable, &row)}})
			t.refused(err, driver.ErrConflict)
		},
	},
	{
		name: "commits at the same time have revisions of their own",
		why:  "A backend groups commits; each must still be one.",
		check: func(t *T) {
			const workers, each = 8, 10
			before := t.rev()
			var mu sync.Mutex
			var got []driver.Rev
			t.parallel(workers, func(w int) error {
				for i := range each {
					row := Item{ID: fmt.Sprint(w, i)}
					rev, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Insert, itemTable, &row)}})
					if err != nil {
						return err
					}
					mu.Lock()
					got = append(got, rev)
					mu.Unlock()
				}
				return nil
			})
			slices.Sort(got)
			for i, rev := range got {
				if want := before + 1 + driver.Rev(i); rev != want {
					t.Fatalf("revisions %v, want each from %d to %d once", got, before+1, before+workers*each)
				}
			}
			stored := t.revsIn(driver.Span{Table: itemTable})
			slices.Sort(stored)
			t.equal("revisions of the rows", stored, got)
		},
	},
	{
		name: "commits at the same time fail alone",
		why:  "One bad commit in a group must not take the others with it, nor be taken along by them.",
		check: func(t *T) {
			insert(t, items, Item{ID: "taken", Code: ptr("x")})
			const n = 16
			errs := make([]error, n)
			t.parallel(n, func(i int) error {
				row := Item{ID: fmt.Sprintf("%02d", i)}
				c := &driver.Commit{ID: newID()}
				switch i % 4 {
				case 1:
					row.Code = ptr("x") // ErrExists
				case 2:
					c.Checks.Rows = []driver.RowCheck{{Table: itemTable, Key: itemKey("taken")}} // ErrConflict
				case 3:
					c.Checks.Rows = []driver.RowCheck{{Table: itemTable, Key: itemKey("absent")}} // holds
				}
				c.Writes = []driver.Write{writeOf(driver.Insert, itemTable, &row)}
				_, errs[i] = t.driver.Commit(t.ctx, c)
				return nil
			})
			want := []string{}
			for i, err := range errs {
				switch i % 4 {
				case 1:
					t.refused(err, driver.ErrExists)
				case 2:
					t.refused(err, driver.ErrConflict)
				default:
					t.ok(err)
					want = append(want, fmt.Sprintf("%02d", i))
				}
			}
			t.equal("rows", list(t, items.All(), Item.id), append(want, "taken"))
		},
	},
	{
		name: "a commit that is sent again is not applied again",
		why:  "An answer is lost on the way, the commit is sent again: it must not happen twice, and its revision is still the first.",
		check: func(t *T) {
			row := Item{ID: "a", Order: 1}
			c := &driver.Commit{ID: newID(), Read: t.rev(), Checks: driver.Checks{Rows: []driver.RowCheck{{Table: itemTable, Key: itemKey("a")}}},
				Writes: []driver.Write{writeOf(driver.Insert, itemTable, &row)}}
			first, err := t.driver.Commit(t.ctx, c)
			t.ok(err)
			again, err := t.driver.Commit(t.ctx, c) // though its check no longer holds, and its key is taken
			t.ok(err)
			t.equal("revision", again, first)
			put(t, items, Item{ID: "a", Order: 2})
			again, err = t.driver.Commit(t.ctx, c)
			t.ok(err)
			t.equal("revision", again, first)
			t.equal("row", get(t, items, "a").Order, int64(2))
			remove(t, items, "a")
			again, err = t.driver.Commit(t.ctx, c)
			t.ok(err)
			t.equal("revision", again, first)
			t.equal("row is there", has(t, items, "a"), false)
			t.equal("revision of the store", t.rev(), first+2)
		},
	},
	{
		name: "a commit that is sent several times at once is applied once",
		why:  "The first copy may still be on its way when the second one is sent.",
		check: func(t *T) {
			for round := range 10 {
				before := t.rev()
				row := Item{ID: fmt.Sprint(round)}
				c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Insert, itemTable, &row)}}
				t.parallel(4, func(int) error {
					rev, err := t.driver.Commit(t.ctx, c)
					if err == nil && rev != before+1 {
						err = fmt.Errorf("revision %d, want %d", rev, before+1)
					}
					return err
				})
				t.equal("revision of the store", t.rev(), before+1)
			}
		},
	},
	{
		name: "the ID of a refused commit is not remembered",
		why:  "Only an accepted commit has happened.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			row := Item{ID: "a", Order: 1}
			c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Insert, itemTable, &row)}}
			_, err := t.driver.Commit(t.ctx, c)
			t.refused(err, driver.ErrExists)
			remove(t, items, "a")
			rev, err := t.driver.Commit(t.ctx, c)
			t.ok(err)
			t.equal("revision", rev, t.rev())
			t.equal("row", get(t, items, "a"), row)
		},
	},
	{
		name: "a row check holds exactly as long as the row keeps its revision",
		why:  "This is what optimistic transactions stand on: an update, a delete, an insert, and a delete followed by an insert of the same row are all changes; what happens to other rows is none.",
		check: func(t *T) {
			a, b, other := Item{ID: "a"}, Item{ID: "b"}, Blob{Key: "a"}
			for _, c := range []struct {
				what   string
				key    string // of the row that was read
				change []driver.Write
				holds  bool
			}{
				{"nothing", "a", nil, true},
				{"a write of another table", "a", []driver.Write{writeOf(driver.Put, table("blob"), &other)}, true},
				{"a write of another row", "a", []driver.Write{writeOf(driver.Put, itemTable, &b)}, true},
				{"an update", "a", []driver.Write{writeOf(driver.Put, itemTable, &a)}, false},
				{"a delete", "a", []driver.Write{writeOf(driver.Delete, itemTable, &a)}, false},
				{"a delete, then an insert", "a", []driver.Write{writeOf(driver.Delete, itemTable, &a), writeOf(driver.Insert, itemTable, &a)}, false},
				{"an insert of the row that was absent", "b", []driver.Write{writeOf(driver.Insert, itemTable, &b)}, false},
				{"a delete of the row that was absent", "b", []driver.Write{writeOf(driver.Delete, itemTable, &b)}, true},
				{"a write of another row than the absent one", "b", []driver.Write{writeOf(driver.Put, itemTable, &a)}, true},
			} {
				t.empty()
				rev := t.commit(writeOf(driver.Insert, itemTable, &a))
				read := driver.RowCheck{Table: itemTable, Key: itemKey(c.key)}
				if c.key == "a" {
					read.Rev = rev
				}
				for _, w := range c.change { // each in a commit of its own
					t.commit(w)
				}
				t.checked("after "+c.what, rev, driver.Checks{Rows: []driver.RowCheck{read}}, c.holds)
			}
		},
	},
	{
		name: "many checks in one commit are all looked at",
		why:  "A backend that checks a set at once must not lose one of them.",
		check: func(t *T) {
			const n = 300
			var writes []driver.Write
			for i := range n {
				writes = append(writes, writeOf(driver.Insert, itemTable, &Item{ID: fmt.Sprintf("%04d", i), Order: int64(i)}))
			}
			writes = append(writes, writeOf(driver.Insert, itemTable, &Item{ID: "not read"}))
			for _, changed := range []int{n, 0, n / 2, n - 1} {
				t.empty()
				rev := t.commit(writes...)
				var checks driver.Checks
				for i := range n {
					checks.Rows = append(checks.Rows, driver.RowCheck{Table: itemTable, Key: writes[i].Key, Rev: rev})
				}
				w := writes[changed]
				w.Kind = driver.Put
				t.commit(w)
				t.checked(fmt.Sprintf("after row %d of %d was written", changed, n), rev, checks, changed == n)
			}
		},
	},
	{
		name: "a span check holds exactly as long as the span keeps its rows",
		why:  "Count and highest revision say whether anything was inserted, updated or deleted between two bounds, in any order, with bounds of any kind.",
		check: func(t *T) {
			const seed = 2
			rnd := rand.New(rand.NewPCG(seed, 0))
			before, after := spanRows(0), spanRows(1)
			t.commit(before...)
			for _, c := range []struct {
				def   *driver.Table
				order int
			}{{itemTable, 0}, {itemTable, 1}, {itemTable, 2}, {eventTable, 0}, {eventTable, 2}, {eventTable, 3}, {table("order"), 2}, {table("wide"), 0}} {
				held := 0
				const rounds = 25
				for range rounds {
					bounds := t.boundsOf(c.def, c.order)
					read, check := t.rev(), driver.SpanCheck{Table: c.def, Order: c.order, Lo: bounds[rnd.IntN(len(bounds))], Hi: bounds[rnd.IntN(len(bounds))]}
					check.Rows, check.MaxRev = t.fingerprint(check.Span())
					w := before[rnd.IntN(len(before))]
					for w.Table != c.def {
						w = before[rnd.IntN(len(before))]
					}
					switch rnd.IntN(3) {
					case 0:
						w = driver.Write{Kind: driver.Delete, Table: w.Table, Key: w.Key}
					case 1:
						w.Kind = driver.Put
					case 2:
						w = after[slices.IndexFunc(after, func(x driver.Write) bool { return x.Table == w.Table && x.Key == w.Key })]
						w.Kind = driver.Put
					}
					t.commit(w)
					rows, highest := t.fingerprint(check.Span())
					holds := rows == check.Rows && highest == check.MaxRev
					if holds {
						held++
					}
					t.checked(fmt.Sprintf("table %s, order %d, from (%s) open %v, to (%s) open %v, %d rows, after %s of %s", c.def.Name, c.order,
						driver.FormatKey(c.def.OrderColumns(c.order), check.Lo.Tuple), check.Lo.Open, driver.FormatKey(c.def.OrderColumns(c.order), check.Hi.Tuple), check.Hi.Open,
						check.Rows, w.Kind, c.def.FormatKey(w.Key)), read, driver.Checks{Spans: []driver.SpanCheck{check}}, holds)
				}
				if held == 0 || held == rounds {
					t.Errorf("%d of %d checks held, so only one answer was tested", held, rounds)
				}
			}
		},
	},
}

// revsIn returns the revisions of the rows of a span.
func (t *T) revsIn(s driver.Span) []driver.Rev {
	t.Helper()
	return each(t.scan(s), func(r driver.Row) driver.Rev { return r.Rev })
}

// fingerprint returns what identifies the rows of a span.
func (t *T) fingerprint(s driver.Span) (rows int64, highest driver.Rev) {
	t.Helper()
	for _, rev := range t.revsIn(s) {
		rows, highest = rows+1, max(highest, rev)
	}
	return rows, highest
}

// checked commits with checks that held at a revision, and reports whether they
// were judged right.
func (t *T) checked(what string, read driver.Rev, checks driver.Checks, holds bool) {
	t.Helper()
	result := Scalar{ID: "written if the checks hold"}
	_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: read, Checks: checks, Writes: []driver.Write{writeOf(driver.Put, table("scalar"), &result)}})
	switch {
	case holds && err != nil:
		t.Errorf("%s: refused with %v, want accepted", what, err)
	case !holds && !errors.Is(err, driver.ErrConflict):
		t.Errorf("%s: got %v, want ErrConflict", what, err)
	}
}

// boundsOf returns an unlimited bound and every bound that a row of the store
// gives: of one or more columns, open and closed.
func (t *T) boundsOf(def *driver.Table, order int) []driver.Bound {
	t.Helper()
	bounds := []driver.Bound{{}}
	cols := def.OrderColumns(order)
	for _, row := range t.scan(driver.Span{Table: def}) {
		values, err := driver.KeyValues(cols, orderKey(def, order, row))
		t.ok(err)
		var tuple []byte
		for i, v := range values {
			tuple, err = driver.AppendKeyValue(tuple, cols[i], v)
			t.ok(err)
			bounds = append(bounds, driver.Bound{Tuple: driver.Key(tuple)}, driver.Bound{Tuple: driver.Key(tuple), Open: true})
		}
	}
	return bounds
}
