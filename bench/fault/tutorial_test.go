package fault_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trihold/bench/fault"
)

// clutter is a fault of our own: while the store is down, somebody leaves files in
// its directory. A store must not take them for its own, nor remove them.
var clutter = fault.Fault{
	Name:  "clutter",
	About: "files of others appear in the store's directories while it is down",
	Break: func(ctx context.Context, c *fault.Cell) error {
		if err := c.Kill(); err != nil {
			return err
		}
		for dir := range directories(c.Dir) {
			if err := os.WriteFile(filepath.Join(dir, "README"), []byte("hello\n"), 0o644); err != nil {
				return err
			}
			c.Observe(1) // the fault has struck once more
		}
		if err := c.Start(ctx); err != nil {
			return err
		}
		return c.Hold(ctx, 100*time.Millisecond) // some traffic goes by
	},
}

func directories(root string) map[string]bool {
	dirs := map[string]bool{}
	_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs[path] = true
		}
		return err
	})
	return dirs
}

func TestTheFaultOfTheTutorialIsSurvived(t *testing.T) {
	cell := run(t, fault.Config{Extra: []fault.Fault{clutter}, Faults: []string{"clutter"}, Stores: []string{"inmem/disk"}})["clutter"]
	if cell.Verdict != "passed" || cell.Observed < 2 {
		t.Errorf("%s: %s (struck %d times)", cell.Verdict, cell.Why, cell.Observed)
	}
}
