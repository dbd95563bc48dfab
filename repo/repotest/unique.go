package repotest

import (
	"errors"
	"fmt"

	"trihold/repo"
	"trihold/repo/driver"
)

var uniqueCases = []testCase{
	{
		name: "a taken value is ErrExists, with table and index",
		why:  "The caller tells the user which field collides.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "b", Code: ptr("x")}) })
			t.collision(err, "item", "code")
			err = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "b", Code: ptr("x")}) })
			t.collision(err, "item", "code")
			t.equal("rows", list(t, items.All(), Item.id), []string{"a"})

			insert(t, seats, Seat{ID: 1, Hall: "h", Row: 2, Number: ptr(int64(3)), Ticket: "t"})
			err = t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return seats.Insert(tx, Seat{ID: 2, Hall: "h", Row: 2, Number: ptr(int64(3)), Ticket: "u"})
			})
			t.collision(err, "order", "from,row,select")
			err = t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return seats.Insert(tx, Seat{ID: 2, Hall: "h", Row: 9, Number: ptr(int64(3)), Ticket: "t"})
			})
			t.collision(err, "order", "from,Ticket")
		},
	},
	{
		name: "a taken key is ErrExists, with table and without index",
		why:  "The caller tells a taken key from a taken value.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "a"}) })
			t.collision(err, "item", "")
			insert(t, events, Event{EventKey: EventKey{"s", 1}})
			err = t.store.Update(t.ctx, func(tx *repo.Tx) error { return events.Insert(tx, Event{EventKey: EventKey{"s", 1}}) })
			t.collision(err, "event", "")
		},
	},
	{
		name: "a collision writes nothing",
		why:  "A commit is all or nothing, also where a late write breaks a rule.",
		check: func(t *T) {
			insert(t, items, Item{ID: "m", Code: ptr("x")})
			before := t.rev()
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Put(tx, Item{ID: "a", Code: ptr("1")}), items.Delete(tx, "zz"),
					seats.Insert(tx, Seat{ID: 1}), items.Put(tx, Item{ID: "z", Code: ptr("x")}))
			})
			t.collision(err, "item", "code")
			t.equal("items", list(t, items.All(), Item.id), []string{"m"})
			t.equal("seats", len(rows(t, seats.All())), 0)
			t.equal("revision", t.rev(), before)
		},
	},
	{
		name: "two new rows of one commit collide",
		why:  "The rule is about the result of the commit, not about what was there before.",
		check: func(t *T) {
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Insert(tx, Item{ID: "a", Code: ptr("x")}), items.Insert(tx, Item{ID: "b", Code: ptr("x")}))
			})
			t.collision(err, "item", "code")
			t.equal("rows", len(rows(t, items.All())), 0)
		},
	},
	{
		name: "two rows swap their values in one commit",
		why:  "The result is unique, whatever order the writes are applied in.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")}, Item{ID: "b", Code: ptr("y")}, Item{ID: "c", Code: ptr("z")})
			put(t, items, Item{ID: "a", Code: ptr("y")}, Item{ID: "b", Code: ptr("x")})
			t.equal("swapped", list(t, itemsByCode.All(), Item.id), []string{"b", "a", "c"})
			put(t, items, Item{ID: "a", Code: ptr("z")}, Item{ID: "b", Code: ptr("y")}, Item{ID: "c", Code: ptr("x")}) // a ring of three
			t.equal("rotated", list(t, itemsByCode.All(), Item.id), []string{"c", "b", "a"})
			insert(t, seats, Seat{ID: 1, Hall: "h", Row: 1, Number: ptr(int64(1)), Ticket: "s"}, Seat{ID: 2, Hall: "h", Row: 1, Number: ptr(int64(2)), Ticket: "t"})
			put(t, seats, Seat{ID: 1, Hall: "h", Row: 1, Number: ptr(int64(2)), Ticket: "t"}, Seat{ID: 2, Hall: "h", Row: 1, Number: ptr(int64(1)), Ticket: "s"})
			t.equal("by place", list(t, seatsByPlace.All(), Seat.id), []int64{2, 1})
			t.equal("by ticket", list(t, seatsByTicket.All(), Seat.id), []int64{2, 1})
		},
	},
	{
		name: "a value moves to another row in one commit",
		why:  "The row that had it gives it up in the same commit; in which order a program writes the two must not matter.",
		check: func(t *T) {
			insert(t, items, Item{ID: "m", Code: ptr("x")})
			put(t, items, Item{ID: "m", Code: ptr("y")}, Item{ID: "a", Code: ptr("x")})
			put(t, items, Item{ID: "z", Code: ptr("x")}, Item{ID: "a"})
			put(t, items, Item{ID: "b", Code: ptr("x")}, Item{ID: "z", Code: ptr("other")})
			t.equal("by code", list(t, itemsByCode.All(), Item.id), []string{"a", "z", "b", "m"})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "c", Code: ptr("x")}) })
			t.collision(err, "item", "code")
		},
	},
	{
		name: "a deleted row gives its value to an inserted one",
		why:  "Replacing a row by one with another key is one commit.",
		check: func(t *T) {
			insert(t, items, Item{ID: "m", Code: ptr("x")})
			t.update(func(tx *repo.Tx) error {
				return errors.Join(items.Insert(tx, Item{ID: "a", Code: ptr("x")}), items.Delete(tx, "m"))
			})
			t.update(func(tx *repo.Tx) error {
				return errors.Join(items.Delete(tx, "a"), items.Insert(tx, Item{ID: "z", Code: ptr("x")}))
			})
			t.equal("rows", list(t, itemsByCode.Eq(ptr("x")), Item.id), []string{"z"})
		},
	},
	{
		name: "a row does not collide with itself",
		why:  "Writing a row again with the value it has is no collision.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x"), Order: 1})
			put(t, items, Item{ID: "a", Code: ptr("x"), Order: 2})
			t.update(func(tx *repo.Tx) error {
				return errors.Join(items.Delete(tx, "a"), items.Insert(tx, Item{ID: "a", Code: ptr("x"), Order: 3}))
			})
			t.equal("row", get(t, items, "a"), Item{ID: "a", Code: ptr("x"), Order: 3})
		},
	},
	{
		name: "NULLs do not collide",
		why:  "A row without a value claims none. One NULL among several columns is enough.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"})
			insert(t, items, Item{ID: "c"}, Item{ID: "d", Code: ptr("")})
			t.equal("rows", list(t, itemsByCode.Eq(nil), Item.id), []string{"a", "b", "c"})
			insert(t, seats, Seat{ID: 1, Hall: "h", Row: 1, Ticket: "1"}, Seat{ID: 2, Hall: "h", Row: 1, Ticket: "2"})
			insert(t, seats, Seat{ID: 3, Hall: "h", Row: 1, Ticket: "3"})
			t.equal("seats", list(t, seatsByPlace.Eq2("h", 1), Seat.id), []int64{1, 2, 3})
		},
	},
	{
		name: "a value is free once its row is gone, and taken once it is back",
		why:  "An index that forgets a delete, or remembers it too long, refuses or admits the wrong rows.",
		check: func(t *T) {
			for i := range 5 {
				insert(t, items, Item{ID: fmt.Sprint("a", i), Code: ptr("x")})
				err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "b", Code: ptr("x")}) })
				t.collision(err, "item", "code")
				remove(t, items, fmt.Sprint("a", i))
			}
			insert(t, items, Item{ID: "b", Code: ptr("x")})
		},
	},
	{
		name: "several columns collide only together",
		why:  "A unique index is over a tuple. Texts must not run into each other.",
		check: func(t *T) {
			insert(t, seats, Seat{ID: 1, Hall: "a", Row: 1, Number: ptr(int64(1)), Ticket: "t"},
				Seat{ID: 2, Hall: "a", Row: 1, Number: ptr(int64(2)), Ticket: "u"},
				Seat{ID: 3, Hall: "a", Row: 2, Number: ptr(int64(1)), Ticket: "v"},
				Seat{ID: 4, Hall: "b", Row: 1, Number: ptr(int64(1)), Ticket: "t"},
				Seat{ID: 5, Hall: "a\x00", Row: 1, Number: ptr(int64(1)), Ticket: "t"},
				Seat{ID: 6, Hall: "at", Row: 1, Number: ptr(int64(1)), Ticket: ""})
			t.equal("rows", list(t, seats.All(), Seat.id), []int64{1, 2, 3, 4, 5, 6})
		},
	},
	{
		name: "values that only look alike do not collide",
		why:  "Case, spaces, Unicode forms and digits are bytes like any others.",
		check: func(t *T) {
			alike := []string{"a", "A", "a ", " a", "a\x00", "\u00e9", "e\u0301", "1", "01", "1.0", "", "null", "NULL", "x'61'", "61"}
			for i, code := range alike {
				insert(t, items, Item{ID: fmt.Sprintf("%02d", i), Code: &code})
			}
			for i, code := range alike {
				t.view(func(tx *repo.ReadTx) error {
					row, err := itemsByCode.Get(tx, &code)
					t.equal(fmt.Sprintf("row with %q", code), row.ID, fmt.Sprintf("%02d", i))
					return err
				})
			}
		},
	},
	{
		name: "of many that claim a value at once, one gets it",
		why:  "Uniqueness is judged where commits are serialised; a check before that is a race.",
		check: func(t *T) {
			const n = 12
			won := make([]bool, n)
			t.parallel(n, func(i int) error {
				err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
					return items.Insert(tx, Item{ID: fmt.Sprint(i), Code: ptr("x")})
				})
				won[i] = err == nil
				if errors.Is(err, repo.ErrExists) {
					return nil
				}
				return err
			})
			winners := 0
			for _, w := range won {
				if w {
					winners++
				}
			}
			t.equal("winners", winners, 1)
			t.equal("rows", len(rows(t, itemsByCode.Eq(ptr("x")))), 1)
		},
	},
	{
		name: "a stale check is ErrConflict, even if a unique index would be violated too",
		why:  "A transaction that read too early is run again and then decides with the right data. ErrExists would be an answer from a state that never was.",
		check: func(t *T) {
			a, b := Item{ID: "a", Code: ptr("x")}, Item{ID: "b", Code: ptr("x")}
			read := t.rev()
			t.commit(writeOf(driver.Insert, itemTable, &a))
			_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: read,
				Checks: driver.Checks{Rows: []driver.RowCheck{{Table: itemTable, Key: writeOf(driver.Delete, itemTable, &a).Key}}},
				Writes: []driver.Write{writeOf(driver.Insert, itemTable, &b)}})
			t.refused(err, driver.ErrConflict)
			_, err = t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: read,
				Checks: driver.Checks{Spans: []driver.SpanCheck{{Table: itemTable}}},
				Writes: []driver.Write{writeOf(driver.Insert, itemTable, &a)}})
			t.refused(err, driver.ErrConflict)
		},
	},
}

// collision ends the case if err is not ErrExists in the given unique index, or
// in the primary key if index is empty.
func (t *T) collision(err error, table, index string) {
	t.Helper()
	t.refused(err, repo.ErrExists)
	var detail *repo.Error
	if !errors.As(err, &detail) {
		t.Fatalf("error %v has no detail", err)
	}
	if detail.Table != table || detail.Index != index {
		t.Errorf("error says table %q, index %q; want table %q, index %q", detail.Table, detail.Index, table, index)
	}
}
