package fault

import (
	"context"
	"syscall"
	"time"

	"trihold/bench/fault/syscalls"
)

// Arm makes system calls of the running subject fail, wait or be its last ones. It
// needs Needs.Calls. The rule is for files below the cell's directory.
func (c *Cell) Arm(r syscalls.Rule) (*syscalls.Armed, error) {
	return c.members[0].Arm(r)
}

// Strike arms a rule, waits until it has fired, holds it for some time, and clears
// it.
func (c *Cell) Strike(ctx context.Context, r syscalls.Rule, hold time.Duration) error {
	armed, err := c.Arm(r)
	if err != nil {
		return err
	}
	defer armed.Clear()
	if err := c.Until(ctx, "the fault strikes", func() bool { return armed.Hits().Fired > 0 }); err != nil {
		return err
	}
	err = c.Hold(ctx, hold)
	armed.Clear()
	c.Observe(int64(armed.Hits().Fired))
	return err
}

// again kills the subject and starts it.
func (c *Cell) again(ctx context.Context) error {
	if err := c.Kill(); err != nil {
		return err
	}
	return c.Start(ctx)
}

// failing is a fault in which system calls fail, after which the subject is killed
// and started: what it believed afterwards must be true.
func failing(name, numbers, about string, hold time.Duration, r syscalls.Rule) Fault {
	return Fault{
		Name: name, Numbers: numbers, About: about, Needs: Needs{Calls: true},
		Break: func(ctx context.Context, c *Cell) error {
			if err := c.Strike(ctx, r, hold); err != nil {
				return err
			}
			return c.again(ctx)
		},
	}
}

// crashing is a fault in which a process is killed just before a call, several
// times, each time before another one.
func crashing(name, about string, calls syscalls.Calls, spread int) Fault {
	return Fault{
		Name: name, Numbers: "F05 F43", About: about, Needs: Needs{Calls: true},
		Break: func(ctx context.Context, c *Cell) error {
			for range 5 {
				if err := c.Strike(ctx, syscalls.Rule{Calls: calls, After: c.Rand.IntN(spread), Count: 1, Kill: true}, 0); err != nil {
					return err
				}
				if err := c.again(ctx); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// callFaults make system calls fail.
func callFaults() []Fault {
	faults := []Fault{
		failing("sync-error", "F23", "one sync fails with EIO: nothing that it was for is acknowledged, then or later", 300*time.Millisecond,
			syscalls.Rule{Calls: syscalls.Sync, Errno: syscall.EIO, Count: 1}),
		failing("write-error", "F24", "three writes fail with EIO", 300*time.Millisecond,
			syscalls.Rule{Calls: syscalls.WriteAt | syscalls.Resize, Errno: syscall.EIO, Count: 3}),
		failing("no-space", "F20", "writes fail with ENOSPC for a second", time.Second,
			syscalls.Rule{Calls: syscalls.WriteAt | syscalls.Resize, Errno: syscall.ENOSPC}),
		{
			Name: "slow-sync", Numbers: "F22", About: "each sync takes 100 ms longer, for 2 s", Needs: Needs{Calls: true},
			Break: func(ctx context.Context, c *Cell) error {
				return c.Strike(ctx, syscalls.Rule{Calls: syscalls.Sync, Delay: 100 * time.Millisecond}, 2*time.Second)
			},
		},
		{
			Name: "pause-slow-sync", Numbers: "P3", About: "each sync takes 50 ms longer, and everything is stopped for half a second in between", Needs: Needs{Calls: true},
			Break: pauseSlowSync,
		},
		{
			Name: "read-error", Numbers: "F25", Needs: Needs{Calls: true},
			About: "after a kill, the first start meets EIO on a read: it fails with an error or gets over it, and the next one finds everything",
			Break: readError,
		},
		crashing("crash-write", "killed just before the N-th write, five times with another N", syscalls.WriteAt|syscalls.Resize, 200),
		crashing("crash-sync", "killed just before the N-th sync, five times with another N", syscalls.Sync, 100),
	}
	for i := range faults {
		faults[i].Quick = faults[i].Name == "sync-error" || faults[i].Name == "crash-write"
	}
	return faults
}

func readError(ctx context.Context, c *Cell) error {
	if err := c.Kill(); err != nil {
		return err
	}
	rule := syscalls.Rule{Calls: syscalls.ReadAt, Errno: syscall.EIO, After: c.Rand.IntN(4), Count: 1, Under: c.Dir}
	v, err := c.members[0].spawn(ctx, rule)
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, 5*time.Second)
	_, _ = v.Open(opening) // it may fail, and may not damage anything
	cancel()
	c.Observe(int64(v.calls.Armed()[0].Hits().Fired))
	if err := v.kill(); err != nil {
		return err
	}
	return c.Start(ctx)
}

func pauseSlowSync(ctx context.Context, c *Cell) error {
	armed, err := c.Arm(syscalls.Rule{Calls: syscalls.Sync, Delay: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	defer armed.Clear()
	if err := c.Until(ctx, "a sync is slow", func() bool { return armed.Hits().Fired > 0 }); err != nil {
		return err
	}
	if err := c.Pause(); err != nil {
		return err
	}
	err = c.Hold(ctx, 500*time.Millisecond)
	if err := c.Resume(); err != nil {
		return err
	}
	c.Observe(int64(armed.Hits().Fired))
	return err
}
