package repotest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var contextCases = []testCase{
	{
		name: "a context that has ended does nothing",
		why:  "The caller has gone; nothing may happen in its name.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			before := t.rev()
			ctx, cancel := context.WithCancel(t.ctx)
			cancel()
			t.refused(t.store.View(ctx, func(tx *repo.ReadTx) error { _, err := items.Get(tx, "a"); return err }), context.Canceled)
			t.refused(t.store.Update(ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "b"}) }), context.Canceled)
			t.refused(t.store.ViewStale(ctx, time.Hour, func(tx *repo.ReadTx) error { _, err := items.Get(tx, "a"); return err }), context.Canceled)
			_, err := t.store.Digest(ctx)
			t.refused(err, context.Canceled)
			row := Item{ID: "c"}
			_, err = t.driver.Commit(ctx, &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Insert, itemTable, &row)}})
			t.refused(err, context.Canceled)
			if errors.Is(err, driver.ErrUncertain) {
				t.Errorf("a commit that was never sent is not uncertain: %v", err)
			}
			for _, err := range t.store.Changes(ctx, before) {
				t.refused(err, context.Canceled)
			}
			t.equal("revision", t.rev(), before)
		},
	},
	{
		name: "a context that ends while the closure runs commits nothing, or says so",
		why:  "Between the closure and the commit is a moment like any other.",
		check: func(t *T) {
			for i := range 10 {
				ctx, cancel := context.WithCancel(t.ctx)
				id := fmt.Sprint(i)
				err := t.store.Update(ctx, func(tx *repo.Tx) error {
					_, err := items.Get(tx, "a")
					if errors.Is(err, repo.ErrNotFound) {
						err = items.Insert(tx, Item{ID: id})
					}
					cancel()
					return err
				})
				t.settled(id, err)
				cancel()
			}
		},
	},
	{
		name: "an outcome is definite or ErrUncertain, whenever the context ends",
		why:  "A commit that was reported as failed must not be found later. Only ErrUncertain leaves it open.",
		check: func(t *T) {
			const seed = 3
			rnd := rand.New(rand.NewPCG(seed, 0))
			outcomes := map[string]error{}
			for i := range 120 {
				ctx, cancel := context.WithTimeout(t.ctx, time.Duration(rnd.IntN(1500))*time.Microsecond)
				began, id := time.Now(), fmt.Sprint(i)
				outcomes[id] = t.store.Update(ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: id}) })
				cancel()
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("an Update took %v with a context of at most 1.5ms", took)
				}
			}
			insert(t, items, Item{ID: "after all"}) // what was sent before has landed, or never will
			for id, err := range outcomes {
				t.settled(id, err)
			}
		},
	},
	{
		name: "a deadline ends the fight with conflicts",
		why:  "Update runs again and again, but only as long as the caller waits.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			ctx, cancel := context.WithTimeout(t.ctx, 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			err := t.store.Update(ctx, func(tx *repo.Tx) error {
				row, err := items.Get(tx, "a")
				if err != nil {
					return err
				}
				put(t, items, Item{ID: "a", Order: row.Order + 1})
				time.Sleep(20 * time.Millisecond)
				return items.Put(tx, Item{ID: "a", Order: -1})
			})
			t.refused(err, context.DeadlineExceeded)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v with a context of 100ms", took)
			}
			if get(t, items, "a").Order < 0 {
				t.Error("the transaction was committed over a conflict")
			}
		},
	},
	{
		name: "the end of one context leaves other callers alone",
		why:  "Their commits travel in one group.",
		check: func(t *T) {
			const n = 16
			errs := make([]error, n)
			t.parallel(n, func(i int) error {
				ctx, cancel := context.WithCancel(t.ctx)
				defer cancel()
				if i%2 == 0 {
					go func() {
						time.Sleep(time.Duration(i) * 50 * time.Microsecond)
						cancel()
					}()
				}
				errs[i] = t.store.Update(ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: fmt.Sprint(i)}) })
				return nil
			})
			for i, err := range errs {
				if i%2 == 1 {
					t.ok(err)
				}
				t.settled(fmt.Sprint(i), err)
			}
		},
	},
}

// settled reports whether the outcome of an Update that inserts an item is what
// its error says.
func (t *T) settled(id string, err error) {
	t.Helper()
	there := has(t, items, id)
	switch {
	case err == nil:
		if !there {
			t.Errorf("item %s was acknowledged and is not there", id)
		}
	case errors.Is(err, repo.ErrUncertain):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if there {
			t.Errorf("item %s is there, though its Update failed with %v", id, err)
		}
	default:
		t.Errorf("item %s: the context ended and Update says %v", id, err)
	}
}
