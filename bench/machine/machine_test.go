package machine

import (
	"os"
	"testing"
	"time"
)

func TestTheMachineIsDescribedAndMeasured(t *testing.T) {
	dir := t.TempDir()
	i, err := Describe(dir)
	if err != nil {
		t.Fatal(err)
	}
	if i.Kernel == "" || i.Cores < 1 || i.MemoryMiB < 1 || i.Filesystem == "" || i.Go == "" {
		t.Errorf("description %+v", i)
	}
	c, err := Calibrate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.SyncP50 <= 0 || c.SyncP99 < c.SyncP50 || c.CreateP50 <= 0 || c.LoopbackP50 <= 0 {
		t.Errorf("calibration %+v", c)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("calibration left %v, %v", left, err)
	}
}

func TestMemoryAsADiskIsACaveat(t *testing.T) {
	const dir = "/dev/shm"
	if kind, _, err := filesystem(dir); err != nil || kind != "tmpfs" {
		t.Skipf("%s is %s here, %v", dir, kind, err)
	}
	i, err := Describe(dir)
	if err != nil || len(i.Caveats) == 0 {
		t.Errorf("caveats %q, %v", i.Caveats, err)
	}
}

func TestPercentiles(t *testing.T) {
	v := []time.Duration{4, 1, 3, 2}
	for p, want := range map[float64]time.Duration{0: 1, 25: 1, 50: 2, 75: 3, 99: 4, 100: 4} {
		if got := Percentile(v, p); got != want {
			t.Errorf("percentile %g is %d, want %d", p, got, want)
		}
	}
}
