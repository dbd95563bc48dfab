package repotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var changeCases = []testCase{
	{
		name: "every commit is one change, in order, with its keys",
		why:  "Watchers, mirrors and migration learn from it what happened. A delete of an absent row is listed too: the change says what the commit did, not what it found.",
		check: func(t *T) {
			before := t.rev()
			insert(t, items, Item{ID: "a"}, Item{ID: "b"})
			t.update(func(tx *repo.Tx) error {
				return errors.Join(items.Put(tx, Item{ID: "b", Order: 1}), items.Delete(tx, "a"), seats.Insert(tx, Seat{ID: -1}), events.Put(tx, Event{EventKey: EventKey{"s\x00", 7}}))
			})
			remove(t, items, "absent")
			t.equal("changes", t.changes(before, 3), []string{
				`+1: item["a"] item["b"]`,
				`+2: deleted item["a"] event["s\x00",7] item["b"] order[-1]`,
				`+3: deleted item["absent"]`,
			})
		},
	},
	{
		name: "a change carries the ID of its commit",
		why:  "Whoever does not know whether a commit has landed finds it there.",
		check: func(t *T) {
			before := t.rev()
			var want, got []driver.CommitID
			for i := range 3 {
				row := Item{ID: fmt.Sprint(i)}
				c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, itemTable, &row)}}
				_, err := t.driver.Commit(t.ctx, c)
				t.ok(err)
				want = append(want, c.ID)
			}
			for c, err := range t.driver.Changes(t.ctx, before) {
				t.ok(err)
				if got = append(got, c.ID); len(got) == len(want) {
					break
				}
			}
			t.equal("IDs", got, want)
		},
	},
	{
		name: "a table decodes its keys from a change",
		why:  "A program works with its own types, also when it watches.",
		check: func(t *T) {
			before := t.rev()
			at := time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC)
			key := WideKey{Flag: true, When: at, Raw: "\x00\xFF", Label: "é\x00", Small: -128}
			t.update(func(tx *repo.Tx) error {
				return errors.Join(wides.Insert(tx, Wide{WideKey: key}), items.Delete(tx, "x"), blobs.Put(tx, Blob{Key: "\xFF"}))
			})
			for c, err := range t.store.Changes(t.ctx, before) {
				t.ok(err)
				t.equal("revision", c.Rev, before+1)
				for k, deleted := range wides.Changed(c) {
					t.equal("wide key", k, key)
					t.equal("deleted", deleted, false)
				}
				for k, deleted := range items.Changed(c) {
					t.equal("item key", k, "x")
					t.equal("deleted", deleted, true)
				}
				for k := range seats.Changed(c) {
					t.Errorf("a seat %v has changed", k)
				}
				n := 0
				for k := range blobs.Changed(c) {
					n++
					t.equal("blob key", k, repo.Bytes("\xFF"))
				}
				t.equal("blobs", n, 1)
				break
			}
		},
	},
	{
		name: "what was refused is no change",
		why:  "A watcher would look for what never happened.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			before := t.rev()
			_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "a"}) })
			_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "b", Code: ptr("x")}) })
			_ = t.store.Update(t.ctx, func(tx *repo.Tx) error { return errors.Join(items.Put(tx, Item{ID: "c"}), errOwn) })
			insert(t, items, Item{ID: "d"})
			t.equal("changes", t.changes(before, 1), []string{`+1: item["d"]`})
		},
	},
	{
		name: "a commit that is sent again is no second change",
		why:  "Exactly once also means: not twice.",
		check: func(t *T) {
			before := t.rev()
			row := Item{ID: "a"}
			c := &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, itemTable, &row)}}
			for range 3 {
				_, err := t.driver.Commit(t.ctx, c)
				t.ok(err)
			}
			insert(t, items, Item{ID: "b"})
			t.equal("changes", t.changes(before, 2), []string{`+1: item["a"]`, `+2: item["b"]`})
		},
	},
	{
		name: "changes resume after any revision",
		why:  "A watcher remembers how far it came, and goes on from there.",
		check: func(t *T) {
			before := t.rev()
			var want []string
			for i := range 6 {
				insert(t, items, Item{ID: fmt.Sprint(i)})
				want = append(want, fmt.Sprintf(`+%d: item["%d"]`, i+1, i))
			}
			for i := range want {
				var got []string
				for _, c := range t.changes(before+driver.Rev(i), len(want)-i) {
					got = append(got, fmt.Sprintf("+%d%s", i+int(c[1]-'0'), c[2:]))
				}
				t.equal(fmt.Sprintf("after the first %d", i), got, want[i:])
			}
		},
	},
	{
		name: "changes wait for what is still to come",
		why:  "Who has caught up wants to be told, not to ask again and again.",
		check: func(t *T) {
			before := t.rev()
			const n = 10
			caughtUp := make(chan bool, n+1) // the watcher has seen all that was committed
			t.parallel(2, func(i int) error {
				if i == 0 {
					for want := range n {
						<-caughtUp
						if err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: fmt.Sprint(want)}) }); err != nil {
							return err
						}
					}
					return nil
				}
				defer close(caughtUp) // also if it gives up
				caughtUp <- true
				want := before + 1
				for c, err := range t.store.Changes(t.ctx, before) {
					if err != nil || c.Rev != want {
						return fmt.Errorf("got revision %d and error %w, want revision %d", c.Rev, err, want)
					}
					if c.Rev == before+n {
						return nil
					}
					want++
					caughtUp <- true
				}
				return errors.New("the changes ended")
			})
		},
	},
	{
		name: "what a change is about can be read",
		why:  "A watcher is told of a commit and looks it up at once.",
		check: func(t *T) {
			before := t.rev()
			const n = 30
			t.parallel(2, func(i int) error {
				if i == 0 {
					for n := range n {
						if err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "a", Order: int64(n)}) }); err != nil {
							return err
						}
					}
					return nil
				}
				seen := 0
				for c, err := range t.store.Changes(t.ctx, before) {
					if err != nil {
						return err
					}
					if c.Rev != before+1+driver.Rev(seen) {
						return fmt.Errorf("got revision %d after %d changes since %d", c.Rev, seen, before)
					}
					err := t.store.View(t.ctx, func(tx *repo.ReadTx) error {
						row, err := items.Get(tx, "a")
						if err == nil && (row.Order < int64(seen) || tx.Rev() < c.Rev) {
							err = fmt.Errorf("told of %d at revision %d, read %d at revision %d", seen, c.Rev, row.Order, tx.Rev())
						}
						return err
					})
					if seen++; err != nil || seen == n {
						return err
					}
				}
				return errors.New("the changes ended")
			})
		},
	},
	{
		name: "many may watch at once",
		why:  "Each watcher has its own place.",
		check: func(t *T) {
			before := t.rev()
			const watchers, n = 4, 25
			t.parallel(watchers+1, func(i int) error {
				if i == watchers {
					for n := range n {
						if err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: fmt.Sprint(n)}) }); err != nil {
							return err
						}
					}
					return nil
				}
				want := before
				for c, err := range t.store.Changes(t.ctx, before) {
					if want++; err != nil || c.Rev != want {
						return fmt.Errorf("got revision %d and error %w, want revision %d", c.Rev, err, want)
					}
					if want == before+n {
						return nil
					}
				}
				return errors.New("the changes ended")
			})
		},
	},
	{
		name: "changes end with the error of their context",
		why:  "A server that shuts down stops watching, also while nothing happens.",
		check: func(t *T) {
			ctx, cancel := context.WithTimeout(t.ctx, 50*time.Millisecond)
			defer cancel()
			began, n := time.Now(), 0
			for _, err := range t.store.Changes(ctx, t.rev()) {
				n++
				t.refused(err, context.DeadlineExceeded)
			}
			t.equal("errors", n, 1)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("a context of 50ms ended the changes after %v", took)
			}
		},
	},
	{
		name: "changes after a revision that is not there yet are ErrInvalid",
		why:  "That revision is of another store, and waiting for it would hide the mistake.",
		check: func(t *T) {
			n := 0
			for _, err := range t.store.Changes(t.ctx, t.rev()+1) {
				n++
				t.refused(err, repo.ErrInvalid)
			}
			t.equal("errors", n, 1)
		},
	},
	{
		name: "all changes from the oldest that is retained are there",
		why:  "Status names the oldest revision to resume from, and must mean it.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			s, err := t.store.Status(t.ctx)
			t.ok(err)
			want := s.Oldest + 1
			for c, err := range t.store.Changes(t.ctx, s.Oldest) {
				t.ok(err)
				if c.Rev != want {
					t.Fatalf("got revision %d, want %d", c.Rev, want)
				}
				if c.Rev == s.Rev {
					break
				}
				want++
			}
		},
	},
}

// changes returns the n changes after a revision, one line each: the revision
// relative to the given one, then the keys in order, the deleted ones first.
func (t *T) changes(after driver.Rev, n int) []string {
	t.Helper()
	var out []string
	for c, err := range t.driver.Changes(t.ctx, after) {
		t.ok(err)
		line := fmt.Sprintf("+%d:", c.Rev-after)
		for _, k := range sortedKeys(c) {
			line += " " + k
		}
		if out = append(out, line); len(out) == n {
			break
		}
	}
	return out
}

// sortedKeys returns the keys of a change in printable form. Their order within
// a change says nothing.
func sortedKeys(c driver.Change) []string {
	var keys []string
	for _, k := range c.Keys {
		name := fmt.Sprintf("%s[%s]", k.Table.Name, k.Table.FormatKey(k.Key))
		if k.Deleted {
			name = "deleted " + name
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}
