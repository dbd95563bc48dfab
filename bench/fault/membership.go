package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/bench/fault/damage"
	"trihold/bench/fault/history"
	"trihold/bench/fault/operator"
)

// memberFaults lose nodes and bring others.
func memberFaults() []Fault {
	return []Fault{
		{
			Name: "disk-lost", Numbers: "F37", Quick: true,
			About: "a node is killed and loses its disk: it is removed, and comes back as another one with an empty disk",
			Break: func(ctx context.Context, c *Cell) error {
				m, err := c.One(ctx)
				if err != nil {
					return err
				}
				if err := m.Kill(); err != nil {
					return err
				}
				c.Observe(1)
				return c.replace(ctx, m)
			},
		},
		{
			Name: "quorum-lost-for-good", Numbers: "F38", Break: quorumLostForGood,
			About: "two disks of three are lost: the third node, which has everything, is made a cluster of its own, who was left behind is refused, and the others come in anew",
		},
		{
			Name: "snapshot-catch-up", Numbers: "F41", Quick: true, Break: snapshotCatchUp,
			// Items are so long that a log file is soon full.
			Setup: history.Setup{Registers: 64, Accounts: 16, Balance: 1000, Lists: 48, Items: 40, Groups: 5, Names: 4000, Pad: 64 << 10},
			About: "a follower is down until the others have dropped the log that it lacks: it catches up from a snapshot, under load",
		},
		{
			Name: "member-change", Numbers: "F42", Quick: true, Break: memberChange,
			About: "a fourth node is let in and becomes a voter, and one of the others is removed, under load",
		},
		{
			Name: "member-removed-apart", Numbers: "P5", Break: memberRemovedApart,
			About: "a follower is cut off, and removed meanwhile: when it is back it disturbs nobody, and comes in anew with an empty disk",
		},
	}
}

func snapshotCatchUp(ctx context.Context, c *Cell) error {
	m, err := c.Follower(ctx)
	if err != nil {
		return err
	}
	at, err := m.Status(ctx)
	if err != nil {
		return fmt.Errorf("ask %s how far its log goes: %w", m.Name, err)
	}
	if err := m.Kill(); err != nil {
		return err
	}
	err = c.Until(ctx, "the others have dropped the log", func() bool {
		statuses := c.statuses(ctx, c.Others(m))
		for _, s := range statuses {
			if s.FirstLog <= at.LastLog+1 {
				return false
			}
		}
		return len(statuses) > 1
	})
	if err != nil {
		return err
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	target, err := leader.Status(ctx)
	if err != nil {
		return fmt.Errorf("ask the leader how far it is: %w", err)
	}
	if err := m.Start(ctx); err != nil {
		return err
	}
	err = c.Until(ctx, m.Name+" has caught up", func() bool {
		s, err := m.Status(ctx)
		return err == nil && s.Applied >= target.Applied
	})
	if err == nil {
		c.Observe(1)
	}
	return err
}

func memberChange(ctx context.Context, c *Cell) error {
	spare := c.part(func(m *Member) bool { return !m.in })[0]
	if err := c.letIn(ctx, spare); err != nil {
		return err
	}
	c.Observe(1)
	m, err := c.One(ctx)
	if err != nil {
		return err
	}
	if err := c.order(ctx, operator.Command{Do: operator.Remove, Name: m.Name}); err != nil {
		return err
	}
	m.in = false
	if err := c.flows(ctx, 50); err != nil { // whoever was removed is asked, too
		return err
	}
	if err := m.Kill(); err != nil {
		return err
	}
	c.Observe(1)
	return c.awaitMembers(ctx)
}

func memberRemovedApart(ctx context.Context, c *Cell) error {
	m, err := c.Follower(ctx)
	if err != nil {
		return err
	}
	before := c.mesh.Struck()
	c.mesh.Set(c.mesh.Around(m.Name), c.Gone())
	if err := c.flows(ctx, 50); err != nil {
		return err
	}
	m.in = false
	leader, err := c.Leader(ctx, c.Others(m)...)
	if err != nil {
		return err
	}
	if _, err := operator.Send(ctx, leader.Dir, operator.Command{Do: operator.Remove, Name: m.Name}); err != nil {
		return fmt.Errorf("remove %s: %w", m.Name, err)
	}
	c.mesh.Heal()
	c.Observe(c.mesh.Struck() - before)
	if err := c.flows(ctx, 300); err != nil {
		return fmt.Errorf("after %s is back, which is no member any more: %w", m.Name, err)
	}
	if err := m.Kill(); err != nil {
		return err
	}
	if err := m.wipe(); err != nil {
		return err
	}
	return c.letIn(ctx, m)
}

// quorumLostForGood loses one follower, then the leader. What was acknowledged between
// is on both nodes that were left, and so is all that came before.
func quorumLostForGood(ctx context.Context, c *Cell) error {
	if c.run.config.Recover == nil {
		return fmt.Errorf("nobody has said how to recover a node: %w", damage.ErrNothing)
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	followers := c.Others(leader)
	behind, left := followers[0], followers[1]
	if err := behind.Kill(); err != nil {
		return err
	}
	if err := c.flows(ctx, 200); err != nil {
		return err
	}
	if err := c.Kill(); err != nil {
		return err
	}
	leader.in, behind.in = false, false
	if err := c.run.config.Recover(left.Dir); err != nil {
		return fmt.Errorf("recover %s: %w", left.Name, err)
	}
	c.Observe(1)
	if err := left.Start(ctx); err != nil {
		return fmt.Errorf("start %s, which was recovered: %w", left.Name, err)
	}
	if err := c.flows(ctx, 100); err != nil {
		return err
	}
	for _, m := range []*Member{behind, leader} {
		if err := c.comeBack(ctx, m); err != nil {
			return err
		}
		if err := m.wipe(); err != nil {
			return err
		}
		if err := c.letIn(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// comeBack starts a member that a recovery has left behind. It may not take part in
// anything again.
func (c *Cell) comeBack(ctx context.Context, m *Member) error {
	starting, cancel := context.WithTimeout(ctx, comeBackWait)
	defer cancel()
	if err := m.Start(starting); err != nil {
		return ctx.Err() // as it should be
	}
	s, err := m.Status(ctx)
	if err == nil && s.Leader != "" {
		err = fmt.Errorf("%s was left behind by a recovery, and follows %s", m.Name, s.Leader)
	}
	return errors.Join(err, m.Kill())
}

// comeBackWait is how long a member that was left behind may try.
const comeBackWait = 2 * time.Second
