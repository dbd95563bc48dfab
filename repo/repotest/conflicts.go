package repotest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var conflictCases = []testCase{
	{
		name: "who looks before inserting is never told ErrExists",
		why:  "If the row has come since it was looked for, that is a conflict: the closure runs again and finds it.",
		check: func(t *T) {
			const n = 8
			t.parallel(n, func(i int) error {
				for key := range 10 {
					err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
						id := fmt.Sprint(key)
						_, err := items.Get(tx, id)
						if !errors.Is(err, repo.ErrNotFound) {
							return err
						}
						_, err = itemsByCode.Get(tx, &id)
						if !errors.Is(err, repo.ErrNotFound) {
							return fmt.Errorf("code %s is there without its row: %w", id, err)
						}
						return items.Insert(tx, Item{ID: id, Code: &id, Order: int64(i)})
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
			t.equal("rows", len(rows(t, items.All())), 10)
		},
	},
	{
		name: "an open View holds up nobody",
		why:  "A report that runs for a minute must not stop the service.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			const n = 100
			first := true
			t.view(func(tx *repo.ReadTx) error {
				row, err := items.Get(tx, "a")
				if err != nil || !first {
					return err
				}
				first = false
				for i := range n {
					put(t, items, Item{ID: "a", Order: int64(i + 1)}, Item{ID: fmt.Sprint(i)})
				}
				again, err := items.Get(tx, "a")
				t.equal("row in the View", again.Order, row.Order)
				return err
			})
			t.equal("rows", len(rows(t, items.All())), n+1)
		},
	},
	{
		name: "many transactions may be open at once, and one inside another",
		why:  "A server has many requests under way; a function called from a closure may read on its own. A pool of connections must not lock itself up.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			const n = 64
			ctx, cancel := context.WithTimeout(t.ctx, 20*time.Second)
			defer cancel()
			open := newBarrier(n)
			t.parallel(n, func(i int) error {
				return t.store.View(ctx, func(tx *repo.ReadTx) error {
					if _, err := items.Get(tx, "a"); err != nil {
						return err
					}
					if err := open.meet(ctx); err != nil {
						return err
					}
					return t.store.View(ctx, func(tx *repo.ReadTx) error {
						_, err := items.Get(tx, "a")
						return err
					})
				})
			})
		},
	},
	{
		name: "a transaction commits only if all that it has read is unchanged",
		why:  "Every way to read leaves a check, and every kind of change breaks it: insert, delete, update, a move into the span or out of it, and a delete followed by an insert of the same.",
		check: func(t *T) {
			for what, read := range waysToRead {
				for change, write := range waysToChange {
					t.empty()
					insert(t, items, Item{ID: "b", Group: "g", Order: 1, Text: "t", Code: ptr("B")}, Item{ID: "d", Group: "g", Order: 3, Text: "t", Code: ptr("D")}, Item{ID: "x", Group: "other"})
					runs := 0
					var last string
					t.update(func(tx *repo.Tx) error {
						runs++
						seen, err := read(tx)
						if err != nil {
							return err
						}
						if runs == 1 {
							t.update(write)
						}
						last = seen
						return items.Put(tx, Item{ID: "result", Text: "result"})
					})
					now := ""
					t.view(func(tx *repo.ReadTx) (err error) { now, err = read(tx); return err })
					if last != now {
						t.Errorf("%s, then %s: the transaction committed with %s, but %s was there", what, change, last, now)
					}
				}
			}
		},
	},
	{
		name: "a transaction is not disturbed by what it has not read",
		why:  "A backend that refuses more than it must is correct and useless. A page is checked up to its last row.",
		check: func(t *T) {
			insert(t, items, Item{ID: "b", Group: "g", Order: 1}, Item{ID: "d", Group: "g", Order: 3}, Item{ID: "f", Group: "g", Order: 5}, Item{ID: "h", Group: "g", Order: 7})
			read := t.rev()
			checks := driver.Checks{
				Rows:  []driver.RowCheck{{Table: itemTable, Key: itemKey("b"), Rev: read}, {Table: itemTable, Key: itemKey("a")}},
				Spans: []driver.SpanCheck{{Table: itemTable, Hi: driver.Bound{Tuple: itemKey("d")}, Rows: 2, MaxRev: read}},
			}
			insert(t, items, Item{ID: "e", Group: "g", Order: 4})
			put(t, items, Item{ID: "f"})
			remove(t, items, "h")
			row := Item{ID: "result"}
			_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: read, Checks: checks, Writes: []driver.Write{writeOf(driver.Put, itemTable, &row)}})
			t.ok(err)
		},
	},
	{
		name: "blind writes do not conflict",
		why:  "Who has read nothing has nothing to be wrong about.",
		check: func(t *T) {
			before := t.rev()
			const workers, each = 6, 10
			var runs atomic.Int64
			t.parallel(workers, func(i int) error {
				for n := range each {
					err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
						runs.Add(1)
						return items.Put(tx, Item{ID: "a", Order: int64(i*each + n)})
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
			t.equal("runs of the closure", runs.Load(), int64(workers*each))
			t.equal("commits", t.rev()-before, driver.Rev(workers*each))
		},
	},
	{
		name: "an Update that writes nothing is a View",
		why:  "It must neither conflict nor take a revision.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			before := t.rev()
			runs := 0
			t.update(func(tx *repo.Tx) error {
				if runs++; runs == 1 {
					if _, err := items.Get(tx, "a"); err != nil {
						return err
					}
					put(t, items, Item{ID: "a", Order: 1})
				}
				return nil
			})
			t.equal("runs of the closure", runs, 1)
			t.equal("commits", t.rev()-before, driver.Rev(1))
		},
	},
	{
		name: "a transaction that meets a conflict every time gives up with ErrConflict",
		why:  "Trying forever would look like a hanging program.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			runs := 0
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				runs++
				row, err := items.Get(tx, "a")
				if err != nil {
					return err
				}
				put(t, items, Item{ID: "a", Order: int64(runs)})
				row.Text = "never"
				return items.Put(tx, row)
			})
			t.refused(err, repo.ErrConflict)
			t.equal("row", get(t, items, "a"), Item{ID: "a", Order: int64(runs)})
			if runs < 10 {
				t.Errorf("gave up after %d runs", runs)
			}
		},
	},
}

// waysToRead are ways to read rows b and d of group g. What they return differs
// whenever any of waysToChange was done.
var waysToRead = map[string]func(tx repo.Reader) (string, error){
	"get": func(tx repo.Reader) (string, error) { return readEach(tx, "b", "c") },
	"walk of the primary key": func(tx repo.Reader) (string, error) {
		return readSpan(tx, items.Between("a", "e"))
	},
	"walk of it, backward": func(tx repo.Reader) (string, error) {
		return readSpan(tx, items.Between("a", "e").Reverse())
	},
	"prefix":           func(tx repo.Reader) (string, error) { return readSpan(tx, items.Prefix("b"), items.Prefix("c")) },
	"walk of an index": func(tx repo.Reader) (string, error) { return readSpan(tx, itemsByGroup.Eq("g")) },
	"part of it":       func(tx repo.Reader) (string, error) { return readSpan(tx, itemsByGroup.Between("g", 0, 2)) },
	"walk of it, left early": func(tx repo.Reader) (string, error) {
		for row, err := range itemsByGroup.Eq("g").Rows(tx) {
			return show(row), err
		}
		return "none", nil
	},
	"first": func(tx repo.Reader) (string, error) { return readFirst(tx, itemsByGroup.From("g", 1)) },
	"page": func(tx repo.Reader) (string, error) {
		page, _, err := itemsByText.Eq("t").Page(tx, "", 1)
		return fmt.Sprint(each(page, show)), err
	},
	"count":        func(tx repo.Reader) (string, error) { return readCount(tx, itemsByGroup.Between("g", 0, 2)) },
	"unique index": func(tx repo.Reader) (string, error) { return readFirst(tx, itemsByCode.Eq(ptr("B"))) },
}

// waysToChange change what is read at b, or between b and d.
var waysToChange = map[string]func(tx *repo.Tx) error{
	"update": func(tx *repo.Tx) error {
		return items.Put(tx, Item{ID: "b", Group: "g", Order: 1, Text: "t", Code: ptr("B2")})
	},
	"delete": func(tx *repo.Tx) error { return items.Delete(tx, "b") },
	"insert": func(tx *repo.Tx) error {
		return items.Insert(tx, Item{ID: "c", Group: "g", Order: 0, Text: "t"})
	},
	"move out": func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "b", Group: "other"}) },
	"move in":  func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "x", Group: "g", Order: 1, Text: "t"}) },
	"change of places": func(tx *repo.Tx) error {
		return errors.Join(items.Delete(tx, "b"), items.Insert(tx, Item{ID: "c", Group: "g", Order: 1, Text: "t", Code: ptr("B")}))
	},
}

func readEach(tx repo.Reader, keys ...string) (string, error) {
	out := ""
	for _, key := range keys {
		row, err := items.Get(tx, key)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return "", err
		}
		out += show(row)
	}
	return out, nil
}

func readSpan(tx repo.Reader, spans ...repo.Span[Item]) (string, error) {
	out := ""
	for _, span := range spans {
		all, err := rowsIn(tx, span)
		if err != nil {
			return "", err
		}
		for _, row := range all {
			out += show(row)
		}
	}
	return out, nil
}

func readFirst(tx repo.Reader, span repo.Span[Item]) (string, error) {
	row, err := span.First(tx)
	if errors.Is(err, repo.ErrNotFound) {
		return "none", nil
	}
	return show(row), err
}

func readCount(tx repo.Reader, span repo.Span[Item]) (string, error) {
	n, err := span.Count(tx)
	return fmt.Sprint(n), err
}

func show(row Item) string {
	code := "NULL"
	if row.Code != nil {
		code = *row.Code
	}
	return fmt.Sprintf("{%s %s %d %s %s}", row.ID, row.Group, row.Order, code, row.Text)
}

// itemKey returns the primary key of an item.
func itemKey(id string) driver.Key { return driver.Key(driver.AppendKeyText(nil, id)) }
