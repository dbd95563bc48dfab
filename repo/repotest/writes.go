package repotest

import (
	"errors"
	"fmt"

	"trihold/repo"
)

var writeCases = []testCase{
	{
		name: "a transaction reads its own writes",
		why:  "Inside a transaction a program must not have to remember what it has written.",
		check: func(t *T) {
			insert(t, items, Item{ID: "b", Group: "g", Order: 2, Code: ptr("B")}, Item{ID: "c", Group: "g", Order: 3}, Item{ID: "e", Group: "g", Order: 5})
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Insert(tx, Item{ID: "a", Group: "g", Order: 9}))                // new, first by key, last by index
				t.ok(items.Put(tx, Item{ID: "b", Group: "h", Order: 2, Code: ptr("BB")}))  // leaves the group
				t.ok(items.Delete(tx, "c"))                                                // gone
				t.ok(items.Put(tx, Item{ID: "d", Group: "g", Order: 1, Code: ptr("D")}))   // new
				t.ok(items.Put(tx, Item{ID: "e", Group: "g", Order: 5, Text: "new text"})) // same place, new text
				t.readOwnWrites(tx)
				return nil
			})
			t.view(func(tx *repo.ReadTx) error { t.readOwnWrites(tx); return nil })
		},
	},
	{
		name: "own inserts fill an empty table",
		why:  "With nothing in the store, all that a walk yields is the transaction's own.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				t.ok(insertAll(tx, items, []Item{{ID: "b"}, {ID: "a"}, {ID: "c"}}))
				ids, err := listIn(tx, items.All(), Item.id)
				t.equal("forward", ids, []string{"a", "b", "c"})
				t.ok(err)
				ids, err = listIn(tx, items.All().Reverse(), Item.id)
				t.equal("backward", ids, []string{"c", "b", "a"})
				return err
			})
		},
	},
	{
		name: "own deletes empty a table",
		why:  "Rows deleted at the front of a span must not count against First or a page.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"}, Item{ID: "c"}, Item{ID: "d"})
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Delete(tx, "a"))
				t.ok(items.Delete(tx, "b"))
				first, err := items.All().First(tx)
				t.ok(err)
				t.equal("first", first.ID, "c")
				page, next, err := items.All().Page(tx, "", 1)
				t.ok(err)
				t.equal("page", each(page, Item.id), []string{"c"})
				page, next, err = items.All().Page(tx, next, 1)
				t.ok(err)
				t.equal("page", each(page, Item.id), []string{"d"})
				t.equal("cursor", next, "")
				t.ok(items.Delete(tx, "c"))
				t.ok(items.Delete(tx, "d"))
				_, err = items.All().First(tx)
				t.refused(err, repo.ErrNotFound)
				return nil
			})
			t.equal("rows left", rows(t, items.All()), []Item(nil))
		},
	},
	{
		name: "a walk shows the rows as they were when it began",
		why:  "A loop that writes the rows it walks over must meet each of them once, as it was.",
		check: func(t *T) {
			for _, before := range []bool{false, true} {
				t.empty()
				insert(t, items, Item{ID: "a", Order: 1}, Item{ID: "b", Order: 2}, Item{ID: "c", Order: 3}, Item{ID: "e", Order: 5})
				t.update(func(tx *repo.Tx) error {
					if before { // one write before the walk, far from it
						t.ok(items.Put(tx, Item{ID: "z", Order: 26}))
					}
					var met []string
					for row, err := range items.All().Rows(tx) {
						t.ok(err)
						met = append(met, fmt.Sprint(row.ID, row.Order))
						if row.ID == "a" {
							t.ok(items.Put(tx, Item{ID: "b", Order: 20}))
							t.ok(items.Delete(tx, "c"))
							t.ok(items.Insert(tx, Item{ID: "d", Order: 4}))
						}
					}
					want := []string{"a1", "b2", "c3", "e5"}
					if before {
						want = append(want, "z26")
					}
					t.equal(fmt.Sprintf("walk, with a write before it: %v", before), met, want)
					return nil
				})
			}
		},
	},
	{
		name: "Insert of a key that the transaction has written is ErrExists at once",
		why:  "The second insert is a mistake of the closure, and the closure can still act on it.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Insert(tx, Item{ID: "a", Order: 1}))
				t.refused(items.Insert(tx, Item{ID: "a", Order: 2}), repo.ErrExists)
				t.ok(items.Put(tx, Item{ID: "b", Order: 3}))
				t.refused(items.Insert(tx, Item{ID: "b", Order: 4}), repo.ErrExists)
				return nil
			})
			t.equal("orders", list(t, items.All(), Item.order), []int64{1, 3})
		},
	},
	{
		name: "Insert of a key that is taken is ErrExists, and nothing is written",
		why:  "A commit is all or nothing.",
		check: func(t *T) {
			insert(t, items, Item{ID: "b", Order: 1})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Put(tx, Item{ID: "a"}), items.Insert(tx, Item{ID: "b", Order: 2}), items.Put(tx, Item{ID: "c"}))
			})
			t.refused(err, repo.ErrExists)
			t.equal("rows", rows(t, items.All()), []Item{{ID: "b", Order: 1}})
		},
	},
	{
		name: "Put after Insert still claims that the key was free",
		why:  "What a transaction has claimed must hold at its commit, whatever it did afterwards.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 1})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Insert(tx, Item{ID: "a", Order: 2}), items.Put(tx, Item{ID: "a", Order: 3}))
			})
			t.refused(err, repo.ErrExists)
			t.equal("order", get(t, items, "a").Order, int64(1))
		},
	},
	{
		name: "Insert after Delete replaces the row",
		why:  "Delete and insert in one transaction is how a program replaces what it does not want to read.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 1, Code: ptr("x")})
			t.update(func(tx *repo.Tx) error {
				return errors.Join(items.Delete(tx, "a"), items.Insert(tx, Item{ID: "a", Order: 2, Code: ptr("x")}))
			})
			t.equal("row", get(t, items, "a"), Item{ID: "a", Order: 2, Code: ptr("x")})
			t.update(func(tx *repo.Tx) error { // also where there was none
				return errors.Join(items.Delete(tx, "b"), items.Insert(tx, Item{ID: "b", Order: 3}))
			})
			t.equal("orders", list(t, items.All(), Item.order), []int64{2, 3})
		},
	},
	{
		name: "Delete after Insert leaves nothing",
		why:  "The two cancel out; the claim that the key was free does not.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Insert(tx, Item{ID: "a", Code: ptr("x")}))
				t.ok(items.Delete(tx, "a"))
				_, err := items.Get(tx, "a")
				t.refused(err, repo.ErrNotFound)
				return items.Insert(tx, Item{ID: "b", Code: ptr("x")})
			})
			t.equal("rows", list(t, items.All(), Item.id), []string{"b"})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Insert(tx, Item{ID: "b"}), items.Delete(tx, "b"))
			})
			t.refused(err, repo.ErrExists)
		},
	},
	{
		name: "the last of several writes of a row counts",
		why:  "A commit holds at most one write for each row.",
		check: func(t *T) {
			insert(t, items, Item{ID: "b", Order: 1}, Item{ID: "c", Order: 1})
			t.update(func(tx *repo.Tx) error {
				return errors.Join(
					items.Put(tx, Item{ID: "a", Order: 1}), items.Put(tx, Item{ID: "a", Order: 2}), items.Put(tx, Item{ID: "a", Order: 3}),
					items.Put(tx, Item{ID: "b", Order: 2}), items.Delete(tx, "b"),
					items.Delete(tx, "c"), items.Put(tx, Item{ID: "c", Order: 4}),
				)
			})
			t.equal("rows", rows(t, items.All()), []Item{{ID: "a", Order: 3}, {ID: "c", Order: 4}})
		},
	},
	{
		name: "Put inserts or replaces the whole row",
		why:  "A row is a value: columns that the new row leaves empty are empty.",
		check: func(t *T) {
			put(t, items, Item{ID: "a", Group: "g", Order: 1, Code: ptr("x"), Text: "t"})
			put(t, items, Item{ID: "a", Order: 2})
			t.equal("row", get(t, items, "a"), Item{ID: "a", Order: 2})
		},
	},
	{
		name: "Delete of an absent row succeeds",
		why:  "The row is gone afterwards, and that is what was asked for.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			remove(t, items, "a", "b")
			remove(t, items, "a", "b")
			t.equal("rows", rows(t, items.All()), []Item(nil))
		},
	},
	{
		name: "one commit writes several tables",
		why:  "Tables are one store, not several.",
		check: func(t *T) {
			t.update(func(tx *repo.Tx) error {
				return errors.Join(items.Insert(tx, Item{ID: "a"}), seats.Insert(tx, Seat{ID: 1}), events.Insert(tx, Event{EventKey: EventKey{"s", 1}}))
			})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Delete(tx, "a"), seats.Delete(tx, 1), events.Insert(tx, Event{EventKey: EventKey{"s", 1}}))
			})
			t.refused(err, repo.ErrExists)
			t.equal("item", has(t, items, "a"), true)
			t.equal("seat", has(t, seats, 1), true)
		},
	},
	{
		name: "an error of the closure aborts",
		why:  "Returning an error is the way to change nothing.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 1})
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
				return errors.Join(items.Put(tx, Item{ID: "a", Order: 2}), items.Insert(tx, Item{ID: "b"}), errOwn)
			})
			t.refused(err, errOwn)
			t.equal("rows", rows(t, items.All()), []Item{{ID: "a", Order: 1}})
		},
	},
	{
		name: "a panic of the closure aborts and leaves the store usable",
		why:  "A server recovers from a panic in one request and goes on with the next.",
		check: func(t *T) {
			func() {
				defer func() { _ = recover() }()
				_ = t.store.Update(t.ctx, func(tx *repo.Tx) error {
					t.ok(items.Insert(tx, Item{ID: "a"}))
					panic("the closure's own panic")
				})
			}()
			insert(t, items, Item{ID: "b"})
			t.equal("rows", list(t, items.All(), Item.id), []string{"b"})
		},
	},
	{
		name: "an updated row moves in every index",
		why:  "An index that keeps the old entry finds rows that are not there.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Group: "g", Order: 1, Text: "old", Code: ptr("x")}, Item{ID: "b", Group: "g", Order: 2, Text: "b"})
			put(t, items, Item{ID: "a", Group: "h", Order: 3, Text: "new", Code: ptr("y")})
			t.equal("old group", list(t, itemsByGroup.Eq("g"), Item.id), []string{"b"})
			t.equal("new group", list(t, itemsByGroup.Eq("h"), Item.id), []string{"a"})
			t.equal("old text", list(t, itemsByText.Eq("old"), Item.id), []string{})
			t.equal("new text", list(t, itemsByText.Eq("new"), Item.id), []string{"a"})
			t.equal("old code", list(t, itemsByCode.Eq(ptr("x")), Item.id), []string{})
			remove(t, items, "a")
			t.equal("deleted", list(t, itemsByGroup.Eq("h"), Item.id), []string{})
		},
	},
}

// readOwnWrites reads, in every way, what the case before it has written.
func (t *T) readOwnWrites(tx repo.Reader) {
	t.Helper()
	e, err := items.Get(tx, "e")
	t.ok(err)
	t.equal("text of e", e.Text, "new text")
	_, err = items.Get(tx, "c")
	t.refused(err, repo.ErrNotFound)
	d, err := itemsByCode.Get(tx, ptr("D"))
	t.ok(err)
	t.equal("unique value", d.ID, "d")
	_, err = itemsByCode.Get(tx, ptr("B"))
	t.refused(err, repo.ErrNotFound)

	all, err := listIn(tx, items.All(), Item.id)
	t.ok(err)
	t.equal("all", all, []string{"a", "b", "d", "e"})
	all, err = listIn(tx, items.All().Reverse(), Item.id)
	t.ok(err)
	t.equal("all in reverse", all, []string{"e", "d", "b", "a"})
	all, err = listIn(tx, items.Between("b", "d"), Item.id)
	t.ok(err)
	t.equal("between", all, []string{"b", "d"})

	group := itemsByGroup.Eq("g")
	all, err = listIn(tx, group, Item.id)
	t.ok(err)
	t.equal("group", all, []string{"d", "e", "a"})
	all, err = listIn(tx, group.Reverse(), Item.id)
	t.ok(err)
	t.equal("group in reverse", all, []string{"a", "e", "d"})
	first, err := group.First(tx)
	t.ok(err)
	t.equal("first", first.ID, "d")
	last, err := group.Reverse().First(tx)
	t.ok(err)
	t.equal("last", last.ID, "a")
	n, err := group.Count(tx)
	t.ok(err)
	t.equal("count", n, 3)

	var paged []string
	for cursor, more := "", true; more; more = cursor != "" {
		var page []Item
		page, cursor, err = group.Page(tx, cursor, 1)
		t.ok(err)
		paged = append(paged, each(page, Item.id)...)
	}
	t.equal("pages", paged, []string{"d", "e", "a"})
}
