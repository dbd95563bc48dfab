package fault

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"trihold/bench/fault/damage"
	"trihold/bench/fault/syscalls"
	"trihold/repo"
)

// memberDiskFaults break the disk of one node of several, or damage its files.
func memberDiskFaults() []Fault {
	const writes = syscalls.WriteAt | syscalls.Resize
	faults := []Fault{
		memberFails("leader-sync-error", "F23", "one sync of the leader fails with EIO: it takes no part any more, and another one leads", (*Cell).Leader, 300*time.Millisecond,
			syscalls.Rule{Calls: syscalls.Sync, Errno: syscall.EIO, Count: 1}),
		memberFails("follower-sync-error", "F23", "one sync of a follower fails with EIO: it takes no part any more, and the others go on", (*Cell).follower, 300*time.Millisecond,
			syscalls.Rule{Calls: syscalls.Sync, Errno: syscall.EIO, Count: 1}),
		memberFails("member-write-error", "F24", "three writes of a node fail with EIO", (*Cell).one, 300*time.Millisecond, syscalls.Rule{Calls: writes, Errno: syscall.EIO, Count: 3}),
		memberFails("member-no-space", "F20", "the writes of a node fail with ENOSPC for a second: the others go on", (*Cell).one, time.Second,
			syscalls.Rule{Calls: writes, Errno: syscall.ENOSPC}),
		memberFails("leader-hung-sync", "F22", "syncs of the leader hang: it gives up, and another one leads", (*Cell).Leader, 3*time.Second,
			syscalls.Rule{Calls: syscalls.Sync, Delay: time.Minute}),
		memberFails("follower-hung-sync", "F22", "syncs of a follower hang: it gives up, and the others go on", (*Cell).follower, 3*time.Second,
			syscalls.Rule{Calls: syscalls.Sync, Delay: time.Minute}),
		{
			Name: "leader-slow-sync", Numbers: "F22", About: "each sync of the leader takes 50 ms longer, for 1.5 s", Needs: Needs{Calls: true},
			Break: leaderSlowSync,
		},
		{
			Name: "member-disk-low", Numbers: "F20", About: "a node has little space left for a second: nothing is written there, and all goes on by itself when there is more", Needs: Needs{Disk: true},
			Break: func(ctx context.Context, c *Cell) error {
				m, err := c.One(ctx)
				if err != nil {
					return err
				}
				return c.lowOnSpace(ctx, []*Member{m})
			},
		},
		{
			Name: "disks-low", Numbers: "F21", About: "all nodes have little space left for a second: writes are refused, reads go on, and all goes on by itself when there is more", Needs: Needs{Disk: true},
			Break: func(ctx context.Context, c *Cell) error { return c.lowOnSpace(ctx, c.running()) },
		},
		{
			Name: "member-power-loss", Numbers: "F26 F28", About: "the power of one node is cut, twice: of what was not synced a part is there, torn", Needs: Needs{Disk: true},
			Break: memberPowerLoss,
		},
	}
	for _, files := range []FileKind{LogFile, StateFile, SnapshotFile} {
		faults = append(faults, Fault{
			Name: "member-" + string(files) + "-damage", Numbers: map[FileKind]string{LogFile: "F29 F30", StateFile: "F30", SnapshotFile: "F31"}[files], Quick: files == LogFile,
			About: fmt.Sprintf("a file of kind %s of one node is damaged after a kill, in a way that the seed chooses: the node refuses to start with ErrCorrupt and is replaced, or it starts with everything", files),
			Break: func(ctx context.Context, c *Cell) error { return c.memberDamage(ctx, files) },
		})
	}
	return faults
}

// chosen returns a member to break.
type chosen func(c *Cell, ctx context.Context, among ...*Member) (*Member, error)

func (c *Cell) follower(ctx context.Context, _ ...*Member) (*Member, error) { return c.Follower(ctx) }
func (c *Cell) one(ctx context.Context, _ ...*Member) (*Member, error)      { return c.One(ctx) }

// memberFails is a fault in which system calls of one node fail or hang. The others
// go on; and after a kill and a start so does the node.
func memberFails(name, numbers, about string, who chosen, hold time.Duration, r syscalls.Rule) Fault {
	return Fault{
		Name: name, Numbers: numbers, About: about, Needs: Needs{Calls: true}, Quick: name == "leader-sync-error",
		Break: func(ctx context.Context, c *Cell) error {
			m, err := who(c, ctx)
			if err != nil {
				return err
			}
			armed, err := m.Arm(r)
			if err != nil {
				return err
			}
			defer armed.Clear()
			if err := c.Until(ctx, "the fault strikes", func() bool { return armed.Hits().Fired > 0 }); err != nil {
				return err
			}
			if err := c.Hold(ctx, hold); err != nil {
				return err
			}
			if _, err := c.Leader(ctx, c.Others(m)...); err != nil {
				return fmt.Errorf("after the disk of %s has failed: %w", m.Name, err)
			}
			if err := c.flows(ctx, 100); err != nil {
				return fmt.Errorf("after the disk of %s has failed: %w", m.Name, err)
			}
			armed.Clear()
			c.Observe(int64(armed.Hits().Fired))
			if err := m.Kill(); err != nil {
				return err
			}
			return m.Start(ctx)
		},
	}
}

func leaderSlowSync(ctx context.Context, c *Cell) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	armed, err := leader.Arm(syscalls.Rule{Calls: syscalls.Sync, Delay: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	err = c.Hold(ctx, 1500*time.Millisecond)
	armed.Clear()
	c.Observe(int64(armed.Hits().Fired))
	return err
}

// lowOnSpace leaves some members less space than they keep in reserve, until they say
// that they take no commits, and a second longer.
func (c *Cell) lowOnSpace(ctx context.Context, members []*Member) error {
	const room = 40 << 20 // for the log file that a node prepares
	for _, m := range members {
		m.disk.SetCapacity(m.disk.Used() + room)
	}
	restore := func() {
		for _, m := range members {
			m.disk.SetCapacity(0)
		}
	}
	defer restore()
	for _, m := range members {
		err := c.Until(ctx, m.Name+" is read-only", func() bool {
			s, err := m.Status(ctx)
			return err == nil && s.ReadOnly != ""
		})
		if err != nil {
			return err
		}
		c.Observe(1)
	}
	if err := c.Hold(ctx, time.Second); err != nil {
		return err
	}
	restore()
	for _, m := range members {
		err := c.Until(ctx, m.Name+" takes commits again", func() bool {
			s, err := m.Status(ctx)
			return err == nil && s.ReadOnly == "" && s.Failed == ""
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func memberPowerLoss(ctx context.Context, c *Cell) error {
	for range 2 {
		m, err := c.One(ctx)
		if err != nil {
			return err
		}
		if err := m.cutPower([]float64{0, 0.5}[c.Rand.IntN(2)]); err != nil {
			return err
		}
		if err := c.flows(ctx, 100); err != nil {
			return err
		}
		if err := m.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// memberDamage damages a file of one node, in one of the ways that make a difference
// to it.
func (c *Cell) memberDamage(ctx context.Context, files FileKind) error {
	m, err := c.One(ctx)
	if err != nil {
		return err
	}
	older, err := c.olderMember(ctx, m)
	if err != nil {
		return err
	}
	if files == SnapshotFile {
		err := c.Until(ctx, "there is a snapshot", func() bool {
			names, err := damage.Find(m.Dir, c.Subject.Files[SnapshotFile]...)
			return err == nil && len(names) > 0
		})
		if err != nil {
			return err
		}
	}
	if err := m.Kill(); err != nil {
		return err
	}
	err = damage.ErrNothing
	kinds := damage.Kinds()
	for _, i := range c.Rand.Perm(len(kinds)) {
		if err = m.harm(files, kinds[i], older); !errors.Is(err, damage.ErrNothing) {
			break
		}
	}
	if err != nil {
		return err
	}
	err = m.Start(ctx)
	if !errors.Is(err, repo.ErrCorrupt) {
		return err
	}
	c.note("%s refuses to start: %s", m.Name, oneLine(err))
	return c.replace(ctx, m)
}

// olderMember returns an earlier copy of the directory of a member.
func (c *Cell) olderMember(ctx context.Context, m *Member) (string, error) {
	if err := m.Stop(); err != nil {
		return "", err
	}
	to := m.Dir + "-older"
	if err := damage.Save(m.Dir, to); err != nil {
		return "", err
	}
	if err := m.Start(ctx); err != nil {
		return "", err
	}
	return to, c.flows(ctx, 200)
}
