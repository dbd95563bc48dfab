package fault

import (
	"context"

	"trihold/bench/fault/damage"
)

// A control breaks a promise on purpose. If the checkers find nothing, they are
// blind, and so is the run.
type control struct {
	name  string
	about string
	early bool // the node answers some operations before it does them
	needs Needs
	of    Fault // what its cell is otherwise like
	Break func(ctx context.Context, c *Cell) error
}

// controls are run on a subject, whatever faults are.
func controls(s Subject) []control {
	if s.To != "" {
		return migrationControls()
	}
	return []control{
		{
			name: "control-early", early: true,
			about: "a client is told ok before the commit, and the process is killed",
			Break: func(ctx context.Context, c *Cell) error {
				if err := c.Kill(); err != nil {
					return err
				}
				c.Observe(1)
				c.early = false // or the end would be in doubt too
				return c.Start(ctx)
			},
		},
		{
			name:  "control-forget",
			about: "a start ignores what was written last: the directory is replaced by an older copy",
			Break: forget,
		},
		{
			name: "control-lie", needs: Needs{Disk: true},
			about: "the disk says that it has synced, and has not, and the power is cut",
			Break: func(ctx context.Context, c *Cell) error {
				if err := c.cutPower(0); err != nil {
					return err
				}
				return c.Start(ctx)
			},
		},
	}
}

// forget goes back to an older copy of the directory.
func forget(ctx context.Context, c *Cell) error {
	older, err := c.older(ctx, damage.OldVersion)
	if err != nil {
		return err
	}
	if err := c.Kill(); err != nil {
		return err
	}
	if err := damage.Restore(older, c.Dir); err != nil {
		return err
	}
	c.Observe(1)
	return c.Start(ctx)
}

// needs returns what a cell needs.
func (t *trial) needs() Needs {
	if t.control != nil {
		return t.control.needs
	}
	return t.fault.Needs
}
