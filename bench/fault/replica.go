package fault

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"trihold/bench/fault/syscalls"
)

// replicated fits subjects that wait for their replica.
func replicated(s Subject) string {
	if s.Class == "replica" {
		return ""
	}
	return "it has no replica that commits wait for"
}

// replicaFaults break the place where a database is replicated to.
func replicaFaults() []Fault {
	slow := syscalls.Rule{Calls: syscalls.Sync, Delay: 100 * time.Millisecond}
	full := syscalls.Rule{Calls: syscalls.Sync, Errno: syscall.ENOSPC}
	faults := []Fault{
		{
			Name: "replica-restore", Numbers: "F37", Quick: true, GapsAllowed: true,
			About: "kill -9, and the disk is lost: the database is restored from the replica, with everything acknowledged",
			Break: func(ctx context.Context, c *Cell) error { return c.lose(ctx, 1) },
		},
		{
			Name: "replica-restore-again", Numbers: "F39", GapsAllowed: true,
			About: "the disk is lost, restored from the replica, written to, and lost again, three times",
			Break: func(ctx context.Context, c *Cell) error { return c.lose(ctx, 3) },
		},
		{
			Name: "replica-missing", Numbers: "F34",
			About: "the replica's directory is away for a second: writes are refused or wait, and go on when it is back",
			Break: replicaMissing,
		},
		{
			Name: "replica-missing-kill", Numbers: "P4",
			About: "the same, and the process is killed and started meanwhile, as soon as the replica is back",
			Break: func(ctx context.Context, c *Cell) error {
				return c.withoutReplica(ctx, func() error { return c.Kill() }, func() error { return c.Start(ctx) })
			},
		},
		{
			Name: "replica-slow", Numbers: "F35", Needs: Needs{Calls: true},
			About: "each sync of the replica takes 100 ms longer, for 2 s",
			Break: func(ctx context.Context, c *Cell) error { return c.strikeReplica(ctx, slow, 2*time.Second) },
		},
		{
			Name: "replica-full", Numbers: "F35", Needs: Needs{Calls: true},
			About: "the replica has no space for a second: writes are refused, and go on when it has",
			Break: func(ctx context.Context, c *Cell) error { return c.strikeReplica(ctx, full, time.Second) },
		},
	}
	for i := range faults {
		faults[i].Fits = replicated
	}
	return faults
}

// lose loses the disk, several times, with traffic in between.
func (c *Cell) lose(ctx context.Context, times int) error {
	for range times {
		if err := c.Kill(); err != nil {
			return err
		}
		if err := c.loseDatabase(); err != nil {
			return err
		}
		c.Observe(1)
		if err := c.Start(ctx); err != nil {
			return err
		}
		from := c.crowd.Acked()
		if err := c.Until(ctx, "the store answers again", func() bool { return c.crowd.Acked() > from+100 }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cell) strikeReplica(ctx context.Context, r syscalls.Rule, hold time.Duration) error {
	r.Under = filepath.Join(c.Dir, "replica")
	return c.Strike(ctx, r, hold)
}

func replicaMissing(ctx context.Context, c *Cell) error {
	nothing := func() error { return nil }
	return c.withoutReplica(ctx, nothing, nothing)
}

// withoutReplica takes the replica's directory away for a second. Something is done
// while it is, and when it is back.
func (c *Cell) withoutReplica(ctx context.Context, meanwhile, afterwards func() error) error {
	// A file takes its place, and at one moment: or the replica would be begun anew.
	at, away := filepath.Join(c.Dir, "replica"), filepath.Join(c.Dir, "away")
	if err := os.WriteFile(away, nil, 0o644); err != nil {
		return err
	}
	exchange := func() error { return unix.Renameat2(unix.AT_FDCWD, at, unix.AT_FDCWD, away, unix.RENAME_EXCHANGE) }
	before := c.NotAnswered()
	if err := exchange(); err != nil {
		return err
	}
	if err := c.Hold(ctx, time.Second); err != nil {
		return err
	}
	c.Observe(int64(c.NotAnswered() - before))
	if err := meanwhile(); err != nil {
		return err
	}
	if err := exchange(); err != nil {
		return err
	}
	return afterwards()
}
