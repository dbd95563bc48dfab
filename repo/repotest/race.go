package repotest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"trihold/repo"
)

// race runs writers against readers, until the writers are done or somebody
// fails. Writers get numbers from 1 on.
func (t *T) race(write func(i int) error, read func() error) {
	t.Helper()
	const writers, readers, writes = 3, 3, 25
	ctx, cancel := context.WithTimeout(t.ctx, time.Minute)
	defer cancel()
	errs := make([]error, writers+readers)
	reads := make([]int, readers)
	var busy, all sync.WaitGroup
	var next atomic.Int64
	for w := range writers {
		busy.Go(func() {
			for range writes {
				if errs[w] = write(int(next.Add(1))); errs[w] != nil {
					return
				}
				pause()
			}
		})
	}
	for r := range readers {
		all.Go(func() {
			for ctx.Err() == nil {
				if errs[writers+r] = read(); errs[writers+r] != nil {
					return
				}
				reads[r]++
			}
		})
	}
	busy.Wait()
	cancel()
	all.Wait()
	t.ok(errors.Join(errs...))
	t.ok(read())
	for r, n := range reads {
		if n == 0 {
			t.Logf("reader %d finished no read while the writers ran", r)
		}
	}
}

// readOne reads item a in one of several ways.
func (t *T) readOne(tx repo.Reader, way int) (Item, error) {
	switch way % 3 {
	case 0:
		return items.Get(tx, "a")
	case 1:
		return items.All().First(tx)
	}
	return itemsByGroup.Eq("").First(tx)
}

// sameOrder returns an error if a View shows items with different orders.
func (t *T) sameOrder(a, b string) error {
	return t.store.View(t.ctx, func(tx *repo.ReadTx) error {
		x, err := items.Get(tx, a)
		if err != nil {
			return err
		}
		pause()
		y, err := items.Get(tx, b)
		if err == nil && x.Order != y.Order {
			err = fmt.Errorf("saw %d and %d together", x.Order, y.Order)
		}
		return err
	})
}

// readPair reads items a and b, by a walk or one by one from the given one on.
func readPair(tx repo.Reader, walk bool, first int) ([]Item, error) {
	if walk {
		return rowsIn(tx, items.All())
	}
	x, err := items.Get(tx, string('a'+rune(first)))
	if err != nil {
		return nil, err
	}
	y, err := items.Get(tx, string('b'-rune(first)))
	return []Item{x, y}, err
}

func transfer(tx *repo.Tx, from, to string, amount int64) error {
	a, err := items.Get(tx, from)
	if err != nil {
		return err
	}
	b, err := items.Get(tx, to)
	if err != nil {
		return err
	}
	a.Order -= amount
	b.Order += amount
	return errors.Join(items.Put(tx, a), items.Put(tx, b))
}

// transferOnce returns a function that makes a transfer the first time it is
// called: a closure may run again.
func (t *T) transferOnce() func() {
	return sync.OnceFunc(func() { t.update(func(tx *repo.Tx) error { return transfer(tx, "a", "b", 1) }) })
}

// sumsTo returns an error if items a and b do not add up. It reads them one by
// one, which a backend behind a network must make one state.
func sumsTo(tx repo.Reader, total int64, between func()) error {
	a, err := items.Get(tx, "a")
	if err != nil {
		return err
	}
	between()
	b, err := itemsByText.All().Reverse().First(tx)
	if err != nil {
		return err
	}
	if b.ID != "b" {
		return fmt.Errorf("last row is %s", b.ID)
	}
	if a.Order+b.Order != total {
		return fmt.Errorf("saw %d and %d, which is not %d", a.Order, b.Order, total)
	}
	return nil
}

// pause gives others the time to come between.
func pause() { time.Sleep(100 * time.Microsecond) }

// A barrier lets goroutines through once n of them have come to it.
type barrier struct {
	missing atomic.Int64
	open    chan struct{}
}

func newBarrier(n int64) *barrier {
	b := &barrier{open: make(chan struct{})}
	b.missing.Store(n)
	return b
}

// meet waits for the others. Who comes again, or late, goes through.
func (b *barrier) meet(ctx context.Context) error {
	if b.missing.Add(-1) == 0 {
		close(b.open)
	}
	select {
	case <-b.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
