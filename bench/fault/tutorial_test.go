package fault_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trihold/bench/fault"
)

// clutter is a fault of our own: while the store is down, somebody leaves files in
// its directories. A store must not take them for its own, nor remove them.
var clutter = fault.Fault{
	Name:  "clutter",
	About: "files of others appear in the store's directories while it is down",
	Break: func(ctx context.Context, c *fault.Cell) error {
		if err := c.Kill(); err != nil {
			return err
		}
		err := filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			c.Observe(1) // the fault has struck once more
			return os.WriteFile(filepath.Join(path, "README"), []byte("hello\n"), 0o644)
		})
		if err != nil {
			return err
		}
		if err := c.Start(ctx); err != nil {
			return err
		}
		return c.Hold(ctx, 100*time.Millisecond) // some traffic goes by
	},
}

func TestTheFaultOfTheTutorialIsSurvived(t *testing.T) {
	cell := run(t, fault.Config{Extra: []fault.Fault{clutter}, Faults: []string{"clutter"}, Stores: []string{"inmem/disk"}})["clutter"]
	if cell.Verdict != "passed" || cell.Observed < 2 {
		t.Errorf("%s: %s (struck %d times)", cell.Verdict, cell.Why, cell.Observed)
	}
}
