package repotest

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var readCases = []testCase{
	{
		name: "a row reads back as it was written",
		why:  "This is the least that a store does.",
		check: func(t *T) {
			want := Item{ID: "a", Group: "g", Order: 7, Code: ptr("c"), Text: "hello"}
			insert(t, items, want, Item{ID: "b"})
			t.equal("row a", get(t, items, "a"), want)
			t.equal("row b", get(t, items, "b"), Item{ID: "b"})
		},
	},
	{
		name: "an absent row is ErrNotFound, with table and key",
		why:  "Callers tell absence from failure by errors.Is, and find the row in the message.",
		check: func(t *T) {
			err := t.store.View(t.ctx, func(tx *repo.ReadTx) error {
				_, err := items.Get(tx, "nobody")
				return err
			})
			t.refused(err, repo.ErrNotFound)
			var detail *repo.Error
			if !errors.As(err, &detail) || detail.Table != "item" || detail.Key != `"nobody"` {
				t.Errorf("error detail is %+v, want table item and key \"nobody\"", detail)
			}
		},
	},
	{
		name: "a composite key finds its row and no other",
		why:  "Columns of a key must neither run into each other nor be compared as one text.",
		check: func(t *T) {
			var all []Event
			for i, k := range []EventKey{{"a", 1}, {"a", 11}, {"a", -1}, {"a1", 1}, {"", 1}, {"a\x00", 1}} {
				all = append(all, Event{EventKey: k, At: time.UnixMicro(int64(i)).UTC()})
			}
			insert(t, events, all...)
			for _, want := range all {
				t.equal("row", get(t, events, want.EventKey), want)
			}
			if has(t, events, EventKey{"a1", 11}) {
				t.Error("found a row that is not there")
			}
		},
	},
	{
		name: "a unique index finds its row",
		why:  "Get by a natural key is the second most common read.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")}, Item{ID: "b", Code: ptr("y")}, Item{ID: "c"})
			insert(t, seats, Seat{ID: 1, Hall: "h", Row: 2, Number: ptr(int64(3)), Ticket: "t"})
			t.view(func(tx *repo.ReadTx) error {
				item, err := itemsByCode.Get(tx, ptr("y"))
				t.ok(err)
				t.equal("item", item.ID, "b")
				seat, err := seatsByPlace.Get(tx, "h", 2, ptr(int64(3)))
				t.ok(err)
				t.equal("seat", seat.ID, int64(1))
				seat, err = seatsByTicket.Get(tx, "h", "t")
				t.ok(err)
				t.equal("seat", seat.ID, int64(1))
				_, err = itemsByCode.Get(tx, ptr("z"))
				t.refused(err, repo.ErrNotFound)
				_, err = itemsByCode.Get(tx, nil)
				t.refused(err, repo.ErrInvalid)
				return nil
			})
		},
	},
	{
		name: "a View sees every commit acknowledged before it",
		why:  "Whoever has been told that a write is done must find it, through whatever connection the read goes.",
		check: func(t *T) {
			for i := range int64(20) {
				put(t, items, Item{ID: "a", Order: i})
				t.equal("order", get(t, items, "a").Order, i)
				t.equal("walk", list(t, items.All(), func(r Item) int64 { return r.Order }), []int64{i})
			}
		},
	},
	{
		name: "a walk of an empty table yields nothing",
		why:  "Empty is not an error.",
		check: func(t *T) {
			t.view(func(tx *repo.ReadTx) error {
				all, err := rowsIn(tx, itemsByGroup.All())
				t.ok(err)
				t.equal("rows", len(all), 0)
				n, err := items.All().Count(tx)
				t.ok(err)
				t.equal("count", n, 0)
				_, err = items.All().First(tx)
				t.refused(err, repo.ErrNotFound)
				page, next, err := items.All().Page(tx, "", 10)
				t.ok(err)
				t.equal("page", len(page), 0)
				t.equal("cursor", next, "")
				return nil
			})
		},
	},
	{
		name: "First and Count agree with the walk",
		why:  "A backend may answer them in other ways than by walking.",
		check: func(t *T) {
			insert(t, items, Item{ID: "c"}, Item{ID: "a"}, Item{ID: "b"})
			t.view(func(tx *repo.ReadTx) error {
				first, err := items.All().First(tx)
				t.ok(err)
				t.equal("first", first.ID, "a")
				last, err := items.All().Reverse().First(tx)
				t.ok(err)
				t.equal("last", last.ID, "c")
				n, err := items.All().Count(tx)
				t.ok(err)
				t.equal("count", n, 3)
				return nil
			})
		},
	},
	{
		name: "a long walk yields every row once, in order",
		why:  "A backend that fetches in batches must not lose or repeat a row between two of them.",
		check: func(t *T) {
			const n = 3000
			all := make([]Item, n)
			for i := range all {
				all[i] = Item{ID: fmt.Sprintf("%05d", i), Group: fmt.Sprint(i % 3), Order: int64(i / 7)}
			}
			insert(t, items, all...)
			t.equal("forward", list(t, items.All(), Item.id), each(all, Item.id))
			var reversed, group []string
			for i := range all {
				reversed = append(reversed, all[n-1-i].ID)
				if all[i].Group == "1" {
					group = append(group, all[i].ID)
				}
			}
			t.equal("backward", list(t, items.All().Reverse(), Item.id), reversed)
			t.equal("index", list(t, itemsByGroup.Eq("1"), Item.id), group)
		},
	},
	{
		name: "a transaction may read while it walks",
		why:  "A loop over rows that looks up another row for each is the plainest program there is; it must not deadlock on one connection.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Text: "b"}, Item{ID: "b", Text: "c"}, Item{ID: "c", Text: "a"})
			t.view(func(tx *repo.ReadTx) error { return t.lookUpWhileWalking(tx) })
			t.update(func(tx *repo.Tx) error { return t.lookUpWhileWalking(tx) })
		},
	},
	{
		name: "two walks may be interleaved",
		why:  "A merge of two spans is a common loop.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"}, Item{ID: "c"})
			t.view(func(tx *repo.ReadTx) error {
				next, stop := iter.Pull2(items.All().Reverse().Rows(tx))
				defer stop()
				var met []string
				for row, err := range items.All().Rows(tx) {
					if err != nil {
						return err
					}
					other, err, ok := next()
					if err != nil || !ok {
						return errors.Join(err, fmt.Errorf("second walk ended: %v", !ok))
					}
					met = append(met, row.ID+other.ID)
				}
				t.equal("pairs", met, []string{"ac", "bb", "ca"})
				return nil
			})
		},
	},
	{
		name: "a walk may be left early",
		why:  "What a walk holds must be released by break, or the next read hangs.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"}, Item{ID: "c"})
			for range 50 {
				t.view(func(tx *repo.ReadTx) error {
					for _, err := range items.All().Rows(tx) {
						if err != nil {
							return err
						}
						break
					}
					_, err := items.Get(tx, "b")
					return err
				})
			}
		},
	},
	{
		name: "a transaction ends with its closure",
		why:  "A ReadTx that is kept would read from a snapshot that is gone.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			var kept *repo.ReadTx
			t.view(func(tx *repo.ReadTx) error { kept = tx; return nil })
			_, err := items.Get(kept, "a")
			t.refused(err, repo.ErrClosed)
			for _, err := range items.All().Rows(kept) {
				t.refused(err, repo.ErrClosed)
			}
			var keptTx *repo.Tx
			t.update(func(tx *repo.Tx) error { keptTx = tx; return nil })
			t.refused(items.Put(keptTx, Item{ID: "b"}), repo.ErrClosed)
			t.refused(items.Delete(keptTx, "a"), repo.ErrClosed)
		},
	},
	{
		name: "a View knows the revision that it shows",
		why:  "Watchers and caches compare it with the revisions of changes.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			rev := t.rev()
			t.view(func(tx *repo.ReadTx) error {
				_, err := items.Get(tx, "a")
				t.equal("revision", tx.Rev(), rev)
				return err
			})
		},
	},
	{
		name: "a row carries either the live object or its canonical form",
		why:  "Package repo looks at one of them.",
		check: func(t *T) {
			want := Item{ID: "a", Group: "g", Order: 1}
			rev := t.commit(writeOf(driver.Insert, itemTable, &want))
			var row driver.Row
			t.snapshot(func(s driver.Snapshot) (err error) {
				row, err = s.Get(t.ctx, itemTable, keyOf(itemTable, driver.Row{Value: &want}))
				return err
			})
			if (row.Value == nil) == (row.Data == nil) {
				t.Errorf("row is %+v", row)
			}
			t.equal("revision", row.Rev, rev)
			t.equal("canonical form", row.Canonical(nil, itemTable), itemTable.Encode(nil, &want))
		},
	},
	{
		name: "a closed snapshot refuses to read",
		why:  "Reading on would read from another state.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			s, err := t.driver.Begin(t.ctx, driver.Mode{})
			t.ok(err)
			t.ok(s.Close())
			t.ok(s.Close())
			_, err = s.Get(t.ctx, itemTable, keyOf(itemTable, driver.Row{Value: &Item{ID: "a"}}))
			t.refused(err, driver.ErrClosed)
			_, err = gather(s.Scan(t.ctx, driver.Span{Table: itemTable}))
			t.refused(err, driver.ErrClosed)
		},
	},
	{
		name: "a snapshot that was never read from can be closed",
		why:  "A closure may decide to read nothing.",
		check: func(t *T) {
			t.view(func(*repo.ReadTx) error { return nil })
			t.update(func(*repo.Tx) error { return nil })
			t.refused(t.store.View(t.ctx, func(*repo.ReadTx) error { return errOwn }), errOwn)
		},
	},
}

// errOwn stands for an error of a closure.
var errOwn = errors.New("the closure's own error")

func (t *T) lookUpWhileWalking(tx repo.Reader) error {
	t.Helper()
	var met []string
	for row, err := range itemsByGroup.All().Rows(tx) {
		if err != nil {
			return err
		}
		other, err := items.Get(tx, row.Text)
		if err != nil {
			return err
		}
		first, err := itemsByText.Eq(other.Text).First(tx)
		if err != nil {
			return err
		}
		met = append(met, row.ID+other.ID+first.ID)
	}
	t.equal("rows met", met, []string{"abb", "bcc", "caa"})
	return nil
}
