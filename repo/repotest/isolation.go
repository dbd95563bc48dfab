package repotest

import (
	"errors"
	"fmt"
	"sync"

	"trihold/repo"
)

// Cases are named by the anomaly that must not happen.
var isolationCases = []testCase{
	{
		name: "no dirty read: nobody sees what is not committed",
		why:  "It may never be.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 1})
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Put(tx, Item{ID: "a", Order: 2}))
				t.ok(items.Insert(tx, Item{ID: "b"}))
				t.equal("rows seen by another", rows(t, items.All()), []Item{{ID: "a", Order: 1}})
				return nil
			})
			t.equal("rows after the commit", list(t, items.All(), Item.order), []int64{2, 0})
		},
	},
	{
		name: "no aborted read: what a closure wrote and then refused is never seen",
		why:  "A reader that acted on it would act on something that never was.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 0})
			t.race(func(int) error {
				err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
					return errors.Join(items.Put(tx, Item{ID: "a", Order: -1}), items.Put(tx, Item{ID: "b", Order: -1}), errOwn)
				})
				if !errors.Is(err, errOwn) {
					return fmt.Errorf("closure's error became %w", err)
				}
				return nil
			}, func() error {
				return t.store.View(t.ctx, func(tx *repo.ReadTx) error {
					all, err := rowsIn(tx, items.All())
					if err == nil && (len(all) != 1 || all[0].Order != 0) {
						err = fmt.Errorf("saw %v", all)
					}
					return err
				})
			})
		},
	},
	{
		name: "no intermediate read: only the last write of a transaction is seen",
		why:  "A transaction happens at one moment.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 0})
			t.race(func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error {
					return errors.Join(items.Put(tx, Item{ID: "a", Order: -1}), items.Put(tx, Item{ID: "b"}), items.Put(tx, Item{ID: "a", Order: int64(i)}), items.Delete(tx, "b"))
				})
			}, func() error {
				return t.store.View(t.ctx, func(tx *repo.ReadTx) error {
					all, err := rowsIn(tx, items.All())
					if err == nil && (len(all) != 1 || all[0].Order < 0) {
						err = fmt.Errorf("saw %v", all)
					}
					return err
				})
			})
		},
	},
	{
		name: "no dirty write: the writes of two transactions do not mix",
		why:  "If one writes two rows and another writes the same two, both rows come from one of them.",
		check: func(t *T) {
			put(t, items, Item{ID: "a"}, Item{ID: "b"})
			t.race(func(i int) error {
				a, b := Item{ID: "a", Order: int64(i)}, Item{ID: "b", Order: int64(i)}
				return t.store.Update(t.ctx, func(tx *repo.Tx) error {
					if i%2 == 0 {
						a, b = b, a
					}
					return errors.Join(items.Put(tx, a), items.Put(tx, b))
				})
			}, func() error { return t.sameOrder("a", "b") })
		},
	},
	{
		name: "no lost update: increments add up",
		why:  "Read, add one, write: the plainest race there is.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			const workers, each = 6, 15
			t.parallel(workers, func(i int) error {
				for range each {
					err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
						row, err := t.readOne(tx, i)
						if err != nil {
							return err
						}
						pause()
						row.Order++
						return items.Put(tx, row)
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
			t.equal("sum", get(t, items, "a").Order, int64(workers*each))
		},
	},
	{
		name: "no non-repeatable read: a transaction reads one state",
		why:  "What was read at the beginning of a closure still goes with what is read at its end.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 1, Group: "g"}, Item{ID: "b", Order: 1, Group: "g"})
			once := true
			t.view(func(tx *repo.ReadTx) error {
				before, err := rowsIn(tx, items.All())
				if err != nil {
					return err
				}
				if once { // a backend may have to run the closure again
					once = false
					put(t, items, Item{ID: "a", Order: 2}, Item{ID: "c"})
					remove(t, items, "b")
				}
				for _, span := range []repo.Span[Item]{items.All(), itemsByText.All(), items.All().Reverse().Reverse()} {
					after, err := rowsIn(tx, span)
					if err != nil {
						return err
					}
					t.equal("rows read again", after, before)
				}
				a, err := items.Get(tx, "a")
				t.equal("row read again", a, before[0])
				return err
			})
			t.equal("rows afterwards", list(t, items.All(), Item.id), []string{"a", "c"})
		},
	},
	{
		name: "no read skew: rows that change together are read together",
		why:  "A transfer between two accounts must never show as money made or lost.",
		check: func(t *T) {
			const total = 100
			insert(t, items, Item{ID: "a", Order: total}, Item{ID: "b"})
			t.race(func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error { return transfer(tx, "a", "b", 1) })
			}, func() error {
				return t.store.View(t.ctx, func(tx *repo.ReadTx) error { return sumsTo(tx, total, pause) })
			})
			between := t.transferOnce()
			t.view(func(tx *repo.ReadTx) error { return sumsTo(tx, total, between) })
		},
	},
	{
		name: "no read skew between tables: a snapshot stays as it is, whichever table was written before and after it",
		why:  "A store that copies only the tables that a commit touched may share the others with those who read them.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Order: 1})
			for _, last := range []func(){
				func() {},
				func() { put(t, documents, Document{ID: "x"}) },
			} {
				last()
				written := false
				t.view(func(tx *repo.ReadTx) error {
					before, err := rowsIn(tx, items.All())
					if !written {
						written = true
						put(t, items, Item{ID: "a", Order: before[0].Order + 1})
					}
					after, againErr := rowsIn(tx, items.All())
					if err = errors.Join(err, againErr); err == nil {
						t.equal("rows read again", after, before)
					}
					return err
				})
			}
		},
	},
	{
		name: "an error of the closure is the answer of a consistent state",
		why:  "A closure that finds money missing says so; with a half-done transfer before its eyes it would be wrong.",
		check: func(t *T) {
			const total = 100
			insert(t, items, Item{ID: "a", Order: total}, Item{ID: "b"})
			t.race(func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error { return transfer(tx, "a", "b", 1) })
			}, func() error {
				err := t.store.Update(t.ctx, func(tx *repo.Tx) error {
					if err := sumsTo(tx, total, pause); err != nil {
						return err
					}
					return errors.Join(items.Put(tx, Item{ID: "x"}), errOwn)
				})
				if !errors.Is(err, errOwn) {
					return fmt.Errorf("closure's error became %w", err)
				}
				return nil
			})
			between := t.transferOnce()
			t.update(func(tx *repo.Tx) error { return sumsTo(tx, total, between) })
			t.equal("row of the refused closures", has(t, items, "x"), false)
		},
	},
	{
		name: "no write skew: two transactions that read both rows and write one each cannot both succeed blindly",
		why:  "Two doctors are on call. Each goes home if the other stays. One must stay.",
		check: func(t *T) {
			for round := range 5 {
				put(t, items, Item{ID: "a", Order: 1}, Item{ID: "b", Order: 1})
				met := newBarrier(2)
				t.parallel(2, func(i int) error {
					first := true
					return t.store.Update(t.ctx, func(tx *repo.Tx) error {
						all, err := readPair(tx, round%2 == 0, i)
						if err != nil {
							return err
						}
						if first { // both have read before either commits
							first = false
							if err := met.meet(t.ctx); err != nil {
								return err
							}
						}
						if all[0].Order+all[1].Order < 2 {
							return nil
						}
						return items.Put(tx, Item{ID: string('a' + rune(i)), Order: 0})
					})
				})
				left := get(t, items, "a").Order + get(t, items, "b").Order
				t.equal(fmt.Sprintf("doctors on call in round %d", round), left, int64(1))
			}
		},
	},
	{
		name: "no phantom: a span that was read stays as it was read",
		why:  "Two transactions that count the rows of a group, and insert one if there is room, must not both see the room.",
		check: func(t *T) {
			for round := range 5 {
				t.empty()
				insert(t, items, Item{ID: "x", Group: "other"})
				const room = 2
				t.parallel(4, func(i int) error {
					return t.store.Update(t.ctx, func(tx *repo.Tx) error {
						n, err := itemsByGroup.Eq("g").Count(tx)
						if err != nil || n >= room {
							return err
						}
						pause()
						return items.Insert(tx, Item{ID: fmt.Sprint(i), Group: "g"})
					})
				})
				t.equal(fmt.Sprintf("rows in round %d", round), len(rows(t, itemsByGroup.Eq("g"))), room)
			}
		},
	},
	{
		name: "no find-or-create race: of many that look and then create, one creates",
		why:  "Look for a channel by its name, create it if it is not there: without a unique index, only the read of an empty span protects it.",
		check: func(t *T) {
			const n = 8
			found := make([]string, n)
			t.parallel(n, func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error {
					row, err := itemsByText.Eq("main").First(tx)
					if errors.Is(err, repo.ErrNotFound) {
						pause()
						row = Item{ID: fmt.Sprint(i), Text: "main"}
						err = items.Insert(tx, row)
					}
					found[i] = row.ID
					return err
				})
			})
			t.equal("rows", len(rows(t, items.All())), 1)
			for i := range found {
				t.equal("what each found", found[i], found[0])
			}
		},
	},
	{
		name: "a commit is seen by everyone who begins after it was acknowledged",
		why:  "Real time counts: who is told by a friend that it is done, and looks, must find it.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			for n := range int64(40) {
				t.parallel(1, func(int) error {
					return t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "a", Order: n}) })
				})
				t.parallel(3, func(int) error { // others, who have been told
					return t.store.View(t.ctx, func(tx *repo.ReadTx) error {
						row, err := items.Get(tx, "a")
						if err == nil && row.Order != n {
							err = fmt.Errorf("%d was acknowledged, then a View saw %d", n, row.Order)
						}
						return err
					})
				})
			}
		},
	},
	{
		name: "causality: who sees an effect sees its cause",
		why:  "An answer without the question it answers makes no sense to anybody.",
		check: func(t *T) {
			put(t, items, Item{ID: "question"}, Item{ID: "answer"})
			t.race(func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error {
					id := "question"
					q, err := items.Get(tx, "question")
					if err != nil {
						return err
					}
					a, err := items.Get(tx, "answer")
					if err != nil {
						return err
					}
					if a.Order < q.Order {
						id = "answer"
					}
					return items.Put(tx, Item{ID: id, Order: a.Order + 1})
				})
			}, func() error {
				return t.store.View(t.ctx, func(tx *repo.ReadTx) error {
					a, err := items.Get(tx, "answer") // the effect first
					if err != nil {
						return err
					}
					pause()
					q, err := items.Get(tx, "question")
					if err == nil && q.Order < a.Order {
						err = fmt.Errorf("saw answer %d and only question %d", a.Order, q.Order)
					}
					return err
				})
			})
		},
	},
	{
		name: "time does not run backward for a reader",
		why:  "A View that began later never shows an earlier state.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			var mu sync.Mutex
			var highest int64
			t.race(func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error {
					row, err := items.Get(tx, "a")
					row.Order++
					return errors.Join(err, items.Put(tx, row))
				})
			}, func() error {
				mu.Lock()
				floor := highest
				mu.Unlock()
				var seen int64
				err := t.store.View(t.ctx, func(tx *repo.ReadTx) error {
					row, err := items.Get(tx, "a")
					seen = row.Order
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				highest = max(highest, seen)
				if err == nil && seen < floor {
					err = fmt.Errorf("saw %d after %d", seen, floor)
				}
				return err
			})
		},
	},
}
