package simulate_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"trihold/bench/fault/simulate"
	"trihold/inmem"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// open opens the in-memory store with small files. Warnings are to be expected.
func open(skipChecksums bool) simulate.Open {
	return func(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
		c := inmem.Config{Dir: dir, FS: fs, SegmentBytes: 32 << 10, SnapshotBytes: 24 << 10, Logger: slog.New(slog.DiscardHandler)}
		c.Unsafe.SkipChecksums = skipChecksums
		return inmem.Open(c)
	}
}

// config returns a configuration with a seed that is printed. TRIHOLD_SEED
// replays one iteration, TRIHOLD_ITERATIONS makes a longer run.
func config(t *testing.T, iterations int) simulate.Config {
	t.Helper()
	c := simulate.Config{Open: open(false), Unchecked: open(true), Seed: uint64(rand.Uint32()), Iterations: iterations}
	for name, set := range map[string]func(n uint64){
		"TRIHOLD_ITERATIONS": func(n uint64) { c.Iterations = int(n) },
		"TRIHOLD_SEED":       func(n uint64) { c.Seed, c.Iterations = n, 1 },
	} {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			set(n)
		}
	}
	t.Logf("seed %d", c.Seed)
	return c
}

func run(t *testing.T, campaign simulate.Campaign, c simulate.Config) simulate.Result {
	t.Helper()
	r, err := campaign.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	return r
}

// smoke is how many iterations of each campaign take about two seconds.
var smoke = map[string]int{"powercut": 200, "damage": 150, "sweep": 400, "ioerror": 120}

func TestTheStoreComesThroughEveryCampaign(t *testing.T) {
	for _, campaign := range simulate.Campaigns() {
		t.Run(campaign.Name, func(t *testing.T) {
			c := config(t, smoke[campaign.Name])
			if campaign.Name == "sweep" && c.Iterations > 1 {
				c.Seed = 0 // seeds are positions
			}
			r := run(t, campaign, c)
			for i, f := range r.Failures {
				if i < 10 {
					t.Errorf("TRIHOLD_SEED=%d: %s", f.Seed, f.What)
				}
			}
			if !r.OK() {
				t.Errorf("%d failures", len(r.Failures))
			}
			if c.Iterations > 1 && (r.Injected < r.Iterations/4 || r.Acked < int64(5*r.Iterations)) {
				t.Errorf("%d faults and %d commits in %d iterations prove little", r.Injected, r.Acked, r.Iterations)
			}
		})
	}
}

// A campaign that cannot fail proves nothing.
func TestEveryControlIsRed(t *testing.T) {
	for _, campaign := range simulate.Campaigns() {
		for _, control := range campaign.Controls {
			t.Run(campaign.Name+"/"+string(control), func(t *testing.T) {
				c := config(t, 100)
				c.Control = control
				if campaign.Name == "sweep" {
					c.Seed, c.Iterations = 0, 200
				}
				r := run(t, campaign, c)
				if r.OK() || len(r.Failures) == 0 {
					t.Error("the campaign finds nothing wrong")
				} else {
					t.Logf("found: %s", r.Failures[0].What)
				}
			})
		}
	}
}

func TestAControlThatDoesNotFitACampaignIsRefused(t *testing.T) {
	for _, campaign := range simulate.Campaigns() {
		c := config(t, 1)
		c.Control = "no such control"
		if _, err := campaign.Run(t.Context(), c); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %v", campaign.Name, err)
		}
		c.Control, c.Open = simulate.None, nil
		if _, err := campaign.Run(t.Context(), c); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s without a store: %v", campaign.Name, err)
		}
	}
}

// hangs is a store that never answers a commit.
type hangs struct{ driver.Store }

func (h hangs) Commit(context.Context, *driver.Commit) (driver.Rev, error) { select {} }

func TestAStoreThatHangsIsAFailure(t *testing.T) {
	c := config(t, 1)
	c.Patience = 200 * time.Millisecond
	c.Open = func(ctx context.Context, fs vfs.FS, dir string) (driver.Store, error) {
		s, err := open(false)(ctx, fs, dir)
		return hangs{s}, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := simulate.PowerCut(ctx, c)
	for ; err == nil && len(r.Failures) == 0; c.Seed++ { // a cut before the first commit ends it
		r, err = simulate.PowerCut(ctx, c)
	}
	if err != nil {
		t.Error(err)
	}
}
