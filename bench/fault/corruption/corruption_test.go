package corruption_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"trihold/bench/fault/corruption"
	"trihold/bench/fault/simulate"
	"trihold/inmem"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// alone opens the in-memory store of one process.
func alone(skipChecksums bool) simulate.Open {
	return func(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
		c := inmem.Config{Dir: dir, FS: fs, SegmentBytes: 32 << 10, SnapshotBytes: 24 << 10, Logger: slog.New(slog.DiscardHandler)}
		c.Unsafe.SkipChecksums = skipChecksums
		return inmem.Open(c)
	}
}

// member opens the only voter of a cluster.
func member(_ context.Context, fs vfs.FS, dir string) (driver.Store, error) {
	return inmem.Open(inmem.Config{
		Dir: dir, FS: fs, SegmentBytes: 64 << 10, SnapshotBytes: 48 << 10, Logger: slog.New(slog.DiscardHandler),
		Cluster: inmem.ClusterConfig{Node: "n1", Listen: "127.0.0.1:0", Election: 20 * time.Millisecond},
	})
}

// run runs some cases. TRIHOLD_CASES asks for more, TRIHOLD_SEED begins with a seed.
func run(t *testing.T, open simulate.Open) *corruption.Result {
	t.Helper()
	c := corruption.Config{Open: open, Seed: uint64(rand.Uint32()), Cases: 600, PerImage: 150}
	if n, err := strconv.Atoi(os.Getenv("TRIHOLD_CASES")); err == nil {
		c.Cases, c.PerImage = n, 0
	}
	if n, err := strconv.ParseUint(os.Getenv("TRIHOLD_SEED"), 10, 64); err == nil {
		c.Seed = n
	}
	r, err := corruption.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := corruption.Table(&table, corruption.Subject{Name: "inmem", Result: r}); err != nil {
		t.Fatal(err)
	}
	t.Logf("from seed %d, in %v:\n%s", c.Seed, r.Took, &table)
	return r
}

func TestNoDamageToAStoreGoesUnnoticed(t *testing.T) { noneUnnoticed(t, alone(false)) }

func TestNoDamageToAMemberGoesUnnoticed(t *testing.T) { noneUnnoticed(t, member) }

func noneUnnoticed(t *testing.T, open simulate.Open) {
	t.Helper()
	r := run(t, open)
	for _, f := range r.Failures {
		t.Error(f)
	}
	if !r.OK() || r.Outcomes[corruption.Refused] < r.Cases/4 {
		t.Errorf("%d cases: %v", r.Cases, r.Outcomes)
	}
}

func TestAStoreWithoutChecksumsIsFoundOut(t *testing.T) {
	if r := run(t, alone(true)); r.Outcomes[corruption.Silent] == 0 {
		t.Errorf("no damage has gone unnoticed: %v", r.Outcomes)
	}
}
