package fault

import (
	"context"
	"errors"
	"time"

	"trihold/bench/fault/damage"
	"trihold/bench/fault/proxy"
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
	all := []control{
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
	if s.Nodes > 1 {
		all = append(all, control{
			name:  "control-stale",
			about: "a follower that is cut off answers reads with what it has at hand",
			Break: serveStale,
		})
	}
	return all
}

// serveStale cuts off a follower which does not ask whether it is up to date.
func serveStale(ctx context.Context, c *Cell) error {
	follower, err := c.Follower(ctx)
	if err != nil {
		return err
	}
	again := func(stale bool) error {
		follower.stale = stale
		return errors.Join(follower.Kill(), follower.Start(ctx))
	}
	if err := again(true); err != nil {
		return err
	}
	if err := c.flows(ctx, 300); err != nil { // it has caught up
		return err
	}
	before := c.mesh.Struck()
	c.mesh.Set(c.mesh.Around(follower.Name), proxy.Flow{Silence: true})
	err = c.Hold(ctx, time.Second)
	c.mesh.Heal()
	c.Observe(c.mesh.Struck() - before)
	return errors.Join(err, again(false))
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
