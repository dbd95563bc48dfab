package repotest

import (
	"errors"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var staleCases = []testCase{
	{
		name: "a stale View is never older than what this store has shown",
		why:  "A user who has saved a page and then lists pages must find it, however stale the list may be.",
		check: func(t *T) {
			for i := range int64(20) {
				put(t, items, Item{ID: "a", Order: i})
				t.equal("after an Update", t.staleOrder(time.Hour), i)
				row := Item{ID: "a", Order: -i}
				t.commit(writeOf(driver.Put, itemTable, &row)) // not through this store
				t.equal("View", get(t, items, "a").Order, -i)
				t.equal("after a View", t.staleOrder(time.Hour), -i)
			}
		},
	},
	{
		name: "a stale View is no older than was allowed",
		why:  "The caller has said how old is too old.",
		check: func(t *T) {
			put(t, items, Item{ID: "a"})
			const maxAge = 20 * time.Millisecond
			for i := int64(1); i <= 5; i++ {
				row := Item{ID: "a", Order: i}
				t.commit(writeOf(driver.Put, itemTable, &row)) // not through this store
				time.Sleep(2 * maxAge)
				t.equal("order", t.staleOrder(maxAge), i)
			}
		},
	},
	{
		name: "a stale View is one state",
		why:  "Old is not the same as torn.",
		check: func(t *T) {
			const total = 100
			insert(t, items, Item{ID: "a", Order: total}, Item{ID: "b"})
			t.race(func(int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error { return transfer(tx, "a", "b", 1) })
			}, func() error {
				return t.store.ViewStale(t.ctx, time.Second, func(tx *repo.ReadTx) error { return sumsTo(tx, total, pause) })
			})
			between := t.transferOnce()
			t.ok(t.store.ViewStale(t.ctx, time.Second, func(tx *repo.ReadTx) error { return sumsTo(tx, total, between) }))
		},
	},
	{
		name: "stale Views do not run backward",
		why:  "A list that shows a new row and then does not is a broken list.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			t.parallel(2, func(i int) error {
				if i == 0 {
					for n := range int64(60) {
						if err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "a", Order: n}) }); err != nil {
							return err
						}
					}
					return nil
				}
				var seen int64
				for range 200 {
					var now int64
					err := t.store.ViewStale(t.ctx, time.Hour, func(tx *repo.ReadTx) error {
						row, err := items.Get(tx, "a")
						now = row.Order
						return err
					})
					if err == nil && now < seen {
						err = errors.New("a stale View went back in time")
					}
					if err != nil {
						return err
					}
					seen = now
				}
				return nil
			})
		},
	},
	{
		name: "a stale View of no age is ErrInvalid",
		why:  "Zero would be a View; whoever wants that says View.",
		check: func(t *T) {
			for _, age := range []time.Duration{0, -time.Second} {
				t.refused(t.store.ViewStale(t.ctx, age, func(*repo.ReadTx) error { return nil }), repo.ErrInvalid)
			}
		},
	},
}

// staleOrder returns the order of item a in a stale View.
func (t *T) staleOrder(maxAge time.Duration) (order int64) {
	t.Helper()
	t.ok(t.store.ViewStale(t.ctx, maxAge, func(tx *repo.ReadTx) error {
		row, err := items.Get(tx, "a")
		order = row.Order
		return err
	}))
	return order
}
