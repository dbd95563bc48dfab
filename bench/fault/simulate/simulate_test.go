package simulate_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"trihold/bench/fault/simulate"
	"trihold/inmem"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

func config(t *testing.T, iterations int) simulate.Config {
	t.Helper()
	seed := uint64(rand.Uint32())
	if s := os.Getenv("TRIHOLD_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		iterations = 1
	}
	t.Logf("seed %d", seed)
	return simulate.Config{Seed: seed, Iterations: iterations, Open: func(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
		return inmem.Open(inmem.Config{Dir: dir, FS: fs, SegmentBytes: 32 << 10, SnapshotBytes: 24 << 10, Logger: slog.New(slog.DiscardHandler)})
	}}
}

func TestCampaign(t *testing.T) {
	n := 100
	if s := os.Getenv("N"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for _, c := range simulate.Campaigns() {
		t.Run(c.Name, func(t *testing.T) {
			conf := config(t, n)
			if c.Name == "sweep" {
				conf.Seed, conf.Iterations = 0, 0
			}
			r, err := c.Run(t.Context(), conf)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			for i, f := range r.Failures {
				if i < 40 {
					t.Errorf("seed %d: %s", f.Seed, f.What)
				}
			}
		})
	}
}
