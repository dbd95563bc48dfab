package simulate

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// An Open opens the store under test in a directory of a disk. Log files and
// snapshots should be small, so that there are many.
type Open func(ctx context.Context, fs vfs.FS, dir string) (driver.Store, error)

// A Control says what a campaign spoils on purpose. With any but None, it must
// find failures.
type Control string

const (
	None Control = ""
	// LieAboutSync: the disk says that it has synced, and has not.
	LieAboutSync Control = "lie-about-sync"
	// AcknowledgeEarly: a commit counts as acknowledged before it is sent.
	AcknowledgeEarly Control = "acknowledge-early"
	// ForgetTail: a restart finds an older copy of the whole directory.
	ForgetTail Control = "forget-tail"
	// SkipChecksums: the store is opened by Config.Unchecked.
	SkipChecksums Control = "skip-checksums"
)

// A Config says what to run.
type Config struct {
	Open Open
	// Unchecked opens the store with its checksums switched off. It is needed for
	// the control SkipChecksums only.
	Unchecked Open
	Seed      uint64
	// Iterations is how often; the default is 100, and for a Sweep until there is
	// nothing left.
	Iterations int
	Control    Control
	// Workers is how many iterations run at a time; the default is one for each
	// processor.
	Workers int
	// Patience is how long an iteration may take; the default is a minute.
	Patience time.Duration
	// Enough is how many iterations may go wrong before the campaign ends; the
	// default is 10.
	Enough int
}

// A Result is what a campaign found.
type Result struct {
	Name       string `json:"name"`
	Iterations int    `json:"iterations"`
	// Injected is how many faults have happened: power cuts, damages, errors.
	Injected int `json:"injected"`
	// Acked is how many commits were acknowledged.
	Acked int64 `json:"acked"`
	// Lost is how many acknowledged commits were gone afterwards.
	Lost int `json:"lost"`
	// Silent is how many iterations ended in a wrong state that nothing told of.
	Silent int `json:"silent"`
	// Of the damages that changed a file: Detected were refused with ErrCorrupt,
	// Repaired had no effect on what the store holds. Unaffected are those that
	// changed nothing.
	Detected   int `json:"detected"`
	Repaired   int `json:"repaired"`
	Unaffected int `json:"unaffected"`
	// Failures are what went wrong. A campaign ends early if there is enough.
	Failures []Failure     `json:"failures"`
	Took     time.Duration `json:"took"`
}

// A Failure is an iteration that went wrong. Seed repeats it.
type Failure struct {
	Seed uint64 `json:"seed"`
	What string `json:"what"`
}

// OK reports whether nothing went wrong.
func (r Result) OK() bool { return len(r.Failures) == 0 && r.Lost == 0 && r.Silent == 0 }

func (r Result) String() string {
	return fmt.Sprintf("%s: %d iterations in %.1fs, %d faults, %d commits acknowledged, %d lost, %d silent; %d detected, %d repaired, %d unaffected; %d failures",
		r.Name, r.Iterations, r.Took.Seconds(), r.Injected, r.Acked, r.Lost, r.Silent, r.Detected, r.Repaired, r.Unaffected, len(r.Failures))
}

func (r *Result) add(o Result) {
	r.Iterations += o.Iterations
	r.Injected += o.Injected
	r.Acked += o.Acked
	r.Lost += o.Lost
	r.Silent += o.Silent
	r.Detected += o.Detected
	r.Repaired += o.Repaired
	r.Unaffected += o.Unaffected
	r.Failures = append(r.Failures, o.Failures...)
}

// A Campaign is a campaign by its name.
type Campaign struct {
	Name string
	Why  string
	Run  func(context.Context, Config) (Result, error)
	// Controls are the controls that it must fail with.
	Controls []Control
}

// Campaigns returns all campaigns.
func Campaigns() []Campaign {
	return []Campaign{
		{"powercut", "the power is cut at any operation of the disk, again and again, under load", PowerCut, []Control{LieAboutSync, AcknowledgeEarly, ForgetTail}},
		{"damage", "a file at rest is damaged", Damage, []Control{SkipChecksums, ForgetTail}},
		{"sweep", "the power is cut at the first, second, third, ... operation of each kind", Sweep, []Control{LieAboutSync, AcknowledgeEarly}},
		{"ioerror", "the disk fails or is full", IOError, []Control{AcknowledgeEarly}},
	}
}

// An iteration is one disk with one store, from empty to the verdict.
type iteration struct {
	Config
	seed    uint64
	result  Result
	skipped bool // there was nothing to do
}

func (it *iteration) fail(format string, args ...any) {
	it.result.Failures = append(it.result.Failures, Failure{it.seed, fmt.Sprintf(format, args...)})
}

func (c Config) validate(name string, controls ...Control) (Config, error) {
	known := c.Control == None
	for _, k := range controls {
		known = known || k == c.Control
	}
	switch {
	case c.Open == nil:
		return c, fmt.Errorf("campaign %s: no store to open: %w", name, driver.ErrInvalid)
	case !known:
		return c, fmt.Errorf("campaign %s: control %q is not one of %q: %w", name, c.Control, controls, driver.ErrInvalid)
	case c.Control == SkipChecksums && c.Unchecked == nil:
		return c, fmt.Errorf("campaign %s: control %q needs a store that can be opened so: %w", name, c.Control, driver.ErrInvalid)
	}
	if c.Control == SkipChecksums {
		c.Open = c.Unchecked
	}
	if c.Iterations == 0 {
		c.Iterations = 100
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Enough == 0 {
		c.Enough = 10
	}
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	return c, nil
}

// run runs the iterations of a campaign. More says whether there is anything
// left to do at a seed.
func (c Config) run(ctx context.Context, name string, more func(seed uint64) bool, iterate func(context.Context, *iteration)) (Result, error) {
	total := Result{Name: name}
	began := time.Now()
	var mu sync.Mutex // guards what follows and total
	next, wrong := 0, 0
	var workers sync.WaitGroup
	for range c.Workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				seed := c.Seed + uint64(next)
				next++
				end := next > c.Iterations || wrong >= c.Enough || !more(seed)
				mu.Unlock()
				if end {
					return
				}
				r := c.one(ctx, seed, iterate)
				mu.Lock()
				total.add(r)
				if !r.OK() {
					wrong++
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	total.Took = time.Since(began)
	return total, ctx.Err()
}

// one runs one iteration. One that hangs is a failure, and is left behind.
func (c Config) one(ctx context.Context, seed uint64, iterate func(context.Context, *iteration)) Result {
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	done := make(chan Result, 1)
	go func() {
		it := &iteration{Config: c, seed: seed}
		iterate(ctx, it)
		if !it.skipped {
			it.result.Iterations = 1
		}
		done <- it.result
	}()
	select {
	case r := <-done:
		return r
	case <-time.After(c.Patience + c.Patience/2):
		return Result{Iterations: 1, Failures: []Failure{{seed, fmt.Sprintf("the store hangs: no end after %v", c.Patience)}}}
	}
}
