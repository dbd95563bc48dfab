package fault

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// A control breaks a promise on purpose. If the checkers find nothing, they are
// blind, and so is the run.
type control struct {
	name  string
	about string
	early bool // the node answers some operations before it does them
	Break func(ctx context.Context, c *Cell) error
}

// controls are run on each subject, whatever faults are.
func controls() []control {
	return []control{
		{
			name: "control-early", early: true,
			about: "a client is told ok before the commit, and the process is killed",
			Break: func(ctx context.Context, c *Cell) error {
				if err := c.Kill(); err != nil {
					return err
				}
				c.Observe(1)
				return c.Start(ctx)
			},
		},
		{
			name:  "control-forget",
			about: "a start ignores what was written last: the directory is replaced by an older copy",
			Break: forget,
		},
	}
}

// forget goes back to an older copy of the directory.
func forget(ctx context.Context, c *Cell) error {
	aside := c.Dir + "-older"
	defer os.RemoveAll(aside)
	if err := c.Stop(); err != nil {
		return err
	}
	if err := os.CopyFS(aside, os.DirFS(c.Dir)); err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	if err := c.Hold(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	if err := c.Kill(); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(c.Dir, e.Name())); err != nil {
			return err
		}
	}
	if err := os.CopyFS(c.Dir, os.DirFS(aside)); err != nil {
		return err
	}
	c.Observe(1)
	return c.Start(ctx)
}
