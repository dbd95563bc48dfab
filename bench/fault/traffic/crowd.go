package traffic

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trihold/bench/fault/history"
)

// A Crowd is clients that send operations and record what becomes of them. The
// zero value of a number means its default.
type Crowd struct {
	Setup   history.Setup
	Seed    uint64
	Clients int     // default 8
	Readers int     // the last so many of them, who write nothing
	Rate    float64 // operations a second of all clients together; default 1500
	// Patience is how long an operation may take; default 5 s.
	Patience time.Duration
	// Do sends an operation, waits for its answer, and sets its outcome, error and
	// what it saw. It reports false if it could not be sent; then it never was.
	Do func(ctx context.Context, o *history.Op, timeout time.Duration) (sent bool)

	// Hasty makes the deadlines of operations so short that many pass.
	Hasty atomic.Bool

	start time.Time
	acked atomic.Int64

	mu  sync.Mutex
	ops []history.Op // guarded by mu
}

const (
	defaultClients  = 8
	defaultRate     = 1500
	defaultPatience = 5 * time.Second
	// hastyTimeout is the longest deadline of a hasty crowd.
	hastyTimeout = 4 * time.Millisecond
	// downPause is how long a client waits that could not send.
	downPause = 5 * time.Millisecond
)

// Start begins to count time. It is called once, before Run.
func (c *Crowd) Start() {
	c.start = time.Now()
	if c.Clients == 0 {
		c.Clients = defaultClients
	}
	if c.Rate == 0 {
		c.Rate = defaultRate
	}
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
}

// Now is the time since Start.
func (c *Crowd) Now() time.Duration { return time.Since(c.start) }

// Acked is the number of operations that were answered without an error.
func (c *Crowd) Acked() int64 { return c.acked.Load() }

// Run sends operations until ctx ends, and returns when the last one has ended.
func (c *Crowd) Run(ctx context.Context) {
	var wait sync.WaitGroup
	for slot := range c.Clients {
		wait.Go(func() { c.client(ctx, slot) })
	}
	wait.Wait()
}

// client is one slot of the crowd. After an operation with an unknown outcome it
// goes on as another client, because the old one may still have it under way.
func (c *Crowd) client(ctx context.Context, slot int) {
	source := NewSource(c.Setup, c.Seed, slot, c.Clients)
	source.reads = slot >= c.Clients-c.Readers
	haste := rand.New(rand.NewPCG(c.Seed, uint64(slot)^0xA5A5))
	every := time.Duration(float64(c.Clients) / c.Rate * float64(time.Second))
	due := time.Now()
	number := slot
	for ctx.Err() == nil {
		o := source.Next()
		o.Client = number
		timeout := c.Patience
		if c.Hasty.Load() {
			timeout = time.Duration(haste.Int64N(int64(hastyTimeout))) + time.Microsecond
		}
		o.Begin = c.Now()
		// Not ctx: an operation that is under way at the end is waited for.
		if !c.Do(context.WithoutCancel(ctx), &o, timeout) {
			pause(ctx, downPause)
			due = time.Now()
			continue
		}
		o.End = c.Now()
		if o.Outcome == history.Unknown {
			o.End = history.Never
			number += c.Clients
		}
		c.record(o)
		source.Learn(&o)
		// Sent late is sent at once, but a backlog is not made up for.
		due = due.Add(every)
		if late := time.Since(due); late > 0 {
			due = due.Add(late)
		}
		pause(ctx, time.Until(due))
	}
}

func (c *Crowd) record(o history.Op) {
	if o.Outcome == history.OK {
		c.acked.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ops = append(c.ops, o)
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// History returns what has been recorded so far.
func (c *Crowd) History() *history.History {
	c.mu.Lock()
	defer c.mu.Unlock()
	ops := slices.Clone(c.ops)
	slices.SortStableFunc(ops, func(a, b history.Op) int { return int(a.Begin - b.Begin) })
	return &history.History{Seed: c.Seed, Setup: c.Setup, Ops: ops}
}
