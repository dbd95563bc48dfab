//go:build mutants

package victim

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"trihold/bench/fault/simulate"
	"trihold/inmem"
	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func open(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
	return inmem.Open(inmem.Config{Dir: dir, FS: fs, SegmentBytes: 32 << 10, SnapshotBytes: 24 << 10, Logger: slog.New(slog.DiscardHandler)})
}

// The seeds are fixed: whether a mutant is caught should not be a matter of luck,
// as far as that goes with goroutines.
func TestSimulate(t *testing.T) {
	iterations := map[string]int{"powercut": 500, "damage": 400, "sweep": 600, "ioerror": 150}
	for _, campaign := range simulate.Campaigns() {
		t.Run(campaign.Name, func(t *testing.T) {
			c := simulate.Config{Open: open, Iterations: iterations[campaign.Name], Patience: 5 * time.Second, Enough: 1}
			r, err := campaign.Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range r.Failures {
				if i < 3 {
					t.Errorf("seed %d: %s", f.Seed, f.What)
				}
			}
			if !r.OK() {
				t.Fatal(r)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	repotest.Conformance(t, repotest.Harness{Open: func(t testing.TB, dir string) driver.Store {
		if err := disk.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
		s, err := inmem.Open(inmem.Config{Dir: dir, FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}
