package repotest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var closeCases = []testCase{
	{
		name: "after Close everything is ErrClosed, and Close may be called again",
		why:  "A program shuts down from several places at once.",
		check: func(t *T) {
			own := *t
			own.driver, own.store = openStore(t, t.harness, t.TempDir())
			insert(&own, items, Item{ID: "a"})
			watched := make(chan error, 1)
			go func() {
				for _, err := range own.store.Changes(t.ctx, 1) { // waits
					watched <- err
				}
			}()
			time.Sleep(20 * time.Millisecond) // so that it probably does
			t.ok(own.store.Close())
			select {
			case err := <-watched:
				t.refused(err, driver.ErrClosed)
			case <-time.After(10 * time.Second):
				t.Error("Changes is still waiting 10 s after Close")
			}
			t.ok(own.store.Close())
			t.ok(own.driver.Close())

			t.refused(own.store.View(t.ctx, func(*repo.ReadTx) error { return nil }), driver.ErrClosed)
			t.refused(own.store.ViewStale(t.ctx, time.Hour, func(*repo.ReadTx) error { return nil }), driver.ErrClosed)
			t.refused(own.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "b"}) }), driver.ErrClosed)
			_, err := own.store.Digest(t.ctx)
			t.refused(err, driver.ErrClosed)
			_, err = own.store.Status(t.ctx)
			t.refused(err, driver.ErrClosed)
			_, err = own.driver.Begin(t.ctx, driver.Mode{})
			t.refused(err, driver.ErrClosed)
			_, err = own.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "b"})}})
			t.refused(err, driver.ErrClosed)
			n := 0
			for _, err := range own.store.Changes(t.ctx, 0) {
				t.refused(err, driver.ErrClosed)
				n++
			}
			t.equal("errors of Changes", n, 1)
		},
	},
	{
		name: "commits in flight at Close finish, or say that they did not",
		why:  "What was acknowledged is there afterwards; what was refused is not.",
		check: func(t *T) {
			dir := t.TempDir()
			var mu sync.Mutex
			outcomes := map[string]error{}
			own := *t
			own.driver, own.store = openStore(t, t.harness, dir)
			const workers = 8
			begun := newBarrier(workers + 1)
			t.parallel(workers+1, func(w int) error {
				if w == workers {
					if err := begun.meet(t.ctx); err != nil {
						return err
					}
					time.Sleep(30 * time.Millisecond)
					return own.store.Close()
				}
				for i := 0; ; i++ {
					id := fmt.Sprint(w, i)
					err := own.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: id}) })
					mu.Lock()
					outcomes[id] = err
					mu.Unlock()
					if err != nil {
						return nil
					}
					if i == 0 {
						if err := begun.meet(t.ctx); err != nil {
							return err
						}
					}
				}
			})
			acknowledged := 0
			t.reopened(dir, func(t *T) {
				for id, err := range outcomes {
					there := has(t, items, id)
					switch {
					case err == nil && there:
						acknowledged++
					case err == nil:
						t.Errorf("item %s was acknowledged and is not there", id)
					case errors.Is(err, driver.ErrUncertain):
					case !errors.Is(err, driver.ErrClosed):
						t.Errorf("item %s: a commit during Close failed with %v, want ErrClosed", id, err)
					case there:
						t.Errorf("item %s is there, though its Update failed with %v", id, err)
					}
				}
			})
			if acknowledged < workers {
				t.Errorf("only %d commits were acknowledged before Close", acknowledged)
			}
		},
		reopens: true,
	},
	{
		name: "Close waits for no context",
		why:  "A context that the store was opened or used with may have ended long ago.",
		check: func(t *T) {
			own := *t
			own.driver, own.store = openStore(t, t.harness, t.TempDir())
			ctx, cancel := context.WithCancel(t.ctx)
			_ = own.store.Update(ctx, func(tx *repo.Tx) error { cancel(); return items.Put(tx, Item{ID: "a"}) })
			done := make(chan error, 1)
			go func() { done <- own.store.Close() }()
			select {
			case err := <-done:
				t.ok(err)
			case <-time.After(30 * time.Second):
				t.Fatal("Close has not returned after 30 s")
			}
		},
	},
}
