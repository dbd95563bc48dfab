package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

const (
	numAccounts = 8
	balance     = 100 // of each account, to begin with
	numItems    = 60
	numCodes    = 40
	numGroups   = 8
	groupLimit  = 6
	maxData     = 600
	maxLarge    = 5000
)

// A load is clients at work on one opened store.
type load struct {
	store   *repo.Store // over a recorder
	history *history
	disk    *simdisk.Disk
	numbers *atomic.Int64 // of transfers and commits, for the whole iteration
	// faulty: errors are to be expected even though the disk has not crashed.
	faulty bool

	mu       sync.Mutex
	problems []string
}

func (l *load) problem(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// run lets some clients do some operations each, until all have or the disk
// crashes.
func (l *load) run(ctx context.Context, seed uint64, clients, ops int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	over := make(chan struct{})
	go func() {
		select {
		case <-l.disk.Dead():
			cancel() // asking for unknown outcomes would not end
		case <-over:
		}
	}()
	l.begin(ctx)
	for i := range clients {
		all.Go(func() {
			c := &client{load: l, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
			for range ops {
				if ctx.Err() != nil {
					return
				}
				c.step(ctx)
			}
		})
	}
	all.Wait()
	close(over)
}

// begin makes the accounts, if they are not there.
func (l *load) begin(ctx context.Context) {
	err := l.store.Update(ctx, func(tx *repo.Tx) error {
		if _, err := accounts.Get(tx, 0); !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		for id := range int64(numAccounts) {
			if err := accounts.Insert(tx, account{id, balance}); err != nil {
				return err
			}
		}
		return nil
	})
	l.judge("make the accounts", err)
}

// judge looks at how an Update has ended.
func (l *load) judge(what string, err error) {
	switch {
	case err == nil, errors.Is(err, driver.ErrExists):
	case !l.faulty && !isDead(l.disk):
		l.problem("%s: %v, though nothing was wrong", what, err)
	case errors.Is(err, driver.ErrUncertain), errors.Is(err, driver.ErrUnavailable), errors.Is(err, driver.ErrConflict),
		errors.Is(err, driver.ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	default:
		l.problem("%s: %v, which is no error that the contract knows", what, err)
	}
}

func isDead(d *simdisk.Disk) bool {
	select {
	case <-d.Dead():
		return true
	default:
		return false
	}
}

// A client does one operation after another.
type client struct {
	*load
	rng *rand.Rand
}

func (c *client) step(ctx context.Context) {
	switch p := c.rng.IntN(100); {
	case p < 30:
		c.update(ctx, "put an item", c.put)
	case p < 40:
		c.update(ctx, "insert an item", func(tx *repo.Tx) error { return items.Insert(tx, c.item()) })
	case p < 48:
		id := c.rng.Int64N(numItems)
		c.update(ctx, "delete an item", func(tx *repo.Tx) error { return items.Delete(tx, id) })
	case p < 68:
		c.transfer(ctx)
	case p < 80:
		c.update(ctx, "add to a group", c.addToGroup)
	case p < 86:
		c.update(ctx, "pass on a code", c.passOn)
	case p < 90:
		c.view(ctx)
	case p < 93:
		c.sendAgain(ctx)
	case p < 96:
		c.sendRefused(ctx)
	default:
		c.sendStale(ctx)
	}
}

func (c *client) update(ctx context.Context, what string, fn func(*repo.Tx) error) {
	c.judge(what, c.store.Update(ctx, fn))
}

// item returns a random item. Its code is often one that is taken.
func (c *client) item() item {
	i := item{ID: c.rng.Int64N(numItems), Group: c.rng.Int64N(numGroups)}
	if c.rng.IntN(3) > 0 {
		code := c.rng.Int64N(numCodes)
		i.Code = &code
	}
	size := c.rng.IntN(maxData)
	if c.rng.IntN(20) == 0 {
		size = c.rng.IntN(maxLarge)
	}
	data := make([]byte, size)
	for at := range data {
		data[at] = byte(c.rng.Uint32())
	}
	i.Data = repo.Bytes(data)
	return i
}

// put puts an item, and sometimes several.
func (c *client) put(tx *repo.Tx) error {
	for {
		if err := items.Put(tx, c.item()); err != nil || c.rng.IntN(4) > 0 {
			return err
		}
	}
}

// transfer moves money between two accounts.
func (c *client) transfer(ctx context.Context) {
	t := transfer{ID: c.numbers.Add(1), From: c.rng.Int64N(numAccounts), To: c.rng.Int64N(numAccounts), Amount: c.rng.Int64N(20)}
	c.update(ctx, "transfer", func(tx *repo.Tx) error {
		from, err := accounts.Get(tx, t.From)
		if err != nil {
			return err
		}
		from.Balance -= t.Amount
		if err := accounts.Put(tx, from); err != nil {
			return err
		}
		to, err := accounts.Get(tx, t.To)
		if err != nil {
			return err
		}
		to.Balance += t.Amount
		if err := accounts.Put(tx, to); err != nil {
			return err
		}
		return transfers.Insert(tx, t)
	})
}

// addToGroup puts an item into a group and, if that is full, deletes the others:
// what it decides rests on a span.
func (c *client) addToGroup(tx *repo.Tx) error {
	i := c.item()
	i.Code = nil
	n := 0
	for other, err := range itemsByGroup.Eq(i.Group).Rows(tx) {
		if err != nil {
			return err
		}
		if n++; n < groupLimit {
			continue
		}
		if err := items.Delete(tx, other.ID); err != nil {
			return err
		}
	}
	return items.Put(tx, i)
}

// passOn gives the code of one item to another, in one commit.
func (c *client) passOn(tx *repo.Tx) error {
	code := c.rng.Int64N(numCodes)
	to := c.item()
	from, err := itemsByCode.Get(tx, &code)
	switch {
	case errors.Is(err, repo.ErrNotFound):
	case err != nil:
		return err
	case from.ID != to.ID:
		from.Code = nil
		if err := items.Put(tx, from); err != nil {
			return err
		}
	}
	to.Code = &code
	return items.Put(tx, to)
}

// view reads, which goes on whatever happens to the disk.
func (c *client) view(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	err := c.store.View(ctx, func(tx *repo.ReadTx) error {
		var sum, n int64
		for a, err := range accounts.All().Rows(tx) {
			if err != nil {
				return err
			}
			sum, n = sum+a.Balance, n+1
		}
		if n != 0 && sum != numAccounts*balance {
			c.problem("%d accounts hold %d together, want %d", n, sum, numAccounts*balance)
		}
		return nil
	})
	if err != nil {
		c.problem("a view failed: %v", err)
	}
}

// sendAgain sends a commit that was acknowledged: it must be recognised.
func (c *client) sendAgain(ctx context.Context) {
	a := c.history.some(c.rng)
	if a == nil || c.history.early {
		return
	}
	rev, err := c.store.Driver().Commit(ctx, a.commit)
	if err != nil {
		c.judge("send a commit again", err)
	} else if want := c.history.ackedRev(a); rev != want {
		c.problem("a commit that was sent again got revision %d, and had %d", rev, want)
	}
}

// sendRefused sends a commit again that was refused, which may succeed now. The
// check finds out whether it did.
func (c *client) sendRefused(ctx context.Context) {
	if a := c.history.someRefused(c.rng); a != nil {
		_, err := c.store.Driver().Commit(ctx, a.commit)
		if !errors.Is(err, driver.ErrConflict) {
			c.judge("send a refused commit again", err)
		}
	}
}

// sendStale sends what an old commit has read and written as a new one: it must
// be refused if what was read has changed. The check finds out.
func (c *client) sendStale(ctx context.Context) {
	a := c.history.some(c.rng)
	if a == nil {
		return
	}
	again := *a.commit
	again.ID = driver.CommitID{}
	copy(again.ID[:], fmt.Sprintf("stale%011d", c.numbers.Add(1)))
	_, err := c.store.Driver().Commit(ctx, &again)
	if !errors.Is(err, driver.ErrConflict) {
		c.judge("send a stale commit", err)
	}
}
