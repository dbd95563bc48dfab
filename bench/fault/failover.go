package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trihold/bench/fault/operator"
)

// clusterFaults are for stores of several nodes.
func clusterFaults() []Fault {
	faults := slices.Concat(failoverFaults(), partitionFaults(), memberDiskFaults(), memberFaults())
	for i := range faults {
		faults[i].Nodes, faults[i].Limit = SeveralNodes, time.Minute
	}
	return faults
}

// failoverFaults end and stop some of the nodes.
func failoverFaults() []Fault {
	return []Fault{
		{
			Name: "leader-kill", Numbers: "F01", Quick: true, Break: leaderKill,
			About: "kill -9 of the leader: another one goes on, and the old one comes back as a follower",
		},
		{
			Name: "follower-kill", Numbers: "F02", Break: followerKill,
			About: "kill -9 of a follower: the others go on, and it catches up",
		},
		{
			Name: "leader-pause", Numbers: "F06", Quick: true,
			About: "SIGSTOP of the leader until another one leads and has written, then SIGCONT: it serves nothing stale",
			Break: func(ctx context.Context, c *Cell) error {
				leader, err := c.Leader(ctx)
				if err != nil {
					return err
				}
				return c.pauseMember(ctx, leader)
			},
		},
		{
			Name: "follower-pause", Numbers: "F06",
			About: "SIGSTOP of a follower while the others write, then SIGCONT: it serves nothing stale",
			Break: func(ctx context.Context, c *Cell) error {
				follower, err := c.Follower(ctx)
				if err != nil {
					return err
				}
				return c.pauseMember(ctx, follower)
			},
		},
		{
			Name: "rolling-restart", Numbers: "F08", Break: rollingRestart,
			About: "each node is stopped and started, one after the other, under load",
		},
		{
			Name: "leader-transfer", Numbers: "F42", Break: leaderTransfer,
			About: "the leadership is handed over five times under load",
		},
		{
			Name: "leader-transfer-fails", Numbers: "F42", Break: leaderTransferFails,
			About: "the leadership is to be handed over to a follower that is stopped, five times: nobody takes it, and the leader goes on",
		},
		{
			Name: "quorum-lost", Numbers: "F03", Break: quorumLost,
			About: "two of three are killed: nothing is answered until one of them is back",
		},
	}
}

func leaderKill(ctx context.Context, c *Cell) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	if err := leader.Kill(); err != nil {
		return err
	}
	c.Observe(1)
	if _, err := c.Leader(ctx); err != nil {
		return err
	}
	if err := c.flows(ctx, 100); err != nil {
		return err
	}
	return leader.Start(ctx)
}

func followerKill(ctx context.Context, c *Cell) error {
	follower, err := c.Follower(ctx)
	if err != nil {
		return err
	}
	if err := follower.Kill(); err != nil {
		return err
	}
	c.Observe(1)
	if err := c.flows(ctx, 200); err != nil {
		return err
	}
	return follower.Start(ctx)
}

// pauseMember stops a member until the others have a leader and have answered some
// operations, and lets it go on: with all that clients have asked it meanwhile, and
// then with what they ask it next.
func (c *Cell) pauseMember(ctx context.Context, m *Member) error {
	if err := m.Pause(); err != nil {
		return err
	}
	c.Observe(1)
	if _, err := c.Leader(ctx, c.Others(m)...); err != nil {
		return err
	}
	if err := c.flows(ctx, 200); err != nil {
		return err
	}
	if err := m.Resume(); err != nil {
		return err
	}
	return c.Hold(ctx, 300*time.Millisecond)
}

func rollingRestart(ctx context.Context, c *Cell) error {
	for _, m := range c.running() {
		if err := m.Stop(); err != nil {
			return fmt.Errorf("stop %s: %w", m.Name, err)
		}
		c.Observe(1)
		if err := c.flows(ctx, 50); err != nil {
			return err
		}
		if err := m.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", m.Name, err)
		}
		if err := c.flows(ctx, 50); err != nil {
			return err
		}
	}
	return nil
}

func leaderTransfer(ctx context.Context, c *Cell) error {
	for range 5 {
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		others := c.Others(leader)
		to := others[c.Rand.IntN(len(others))]
		if err := c.order(ctx, operator.Command{Do: operator.Transfer, Name: to.Name}); err != nil {
			return err
		}
		now, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		if now != leader {
			c.Observe(1)
		}
		if err := c.flows(ctx, 50); err != nil {
			return err
		}
	}
	return nil
}

func leaderTransferFails(ctx context.Context, c *Cell) error {
	for range 5 {
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		others := c.Others(leader)
		to := others[c.Rand.IntN(len(others))]
		if err := to.Pause(); err != nil {
			return err
		}
		if _, err := operator.Send(ctx, leader.Dir, operator.Command{Do: operator.Transfer, Name: to.Name}); err != nil {
			c.Observe(1)
		}
		err = c.flows(ctx, 50)
		if err := errors.Join(err, to.Resume()); err != nil {
			return err
		}
	}
	return nil
}

const (
	// leaseWait is how long a leader may go on without a quorum, and answer what it
	// had heard of before.
	leaseWait = 1500 * time.Millisecond
	// outage is how long nothing must be answered then.
	outage = 500 * time.Millisecond
)

func quorumLost(ctx context.Context, c *Cell) error {
	running := c.running()
	left := running[c.Rand.IntN(len(running))]
	if err := each(c.Others(left), (*Member).Kill); err != nil {
		return err
	}
	before := c.NotAnswered()
	if err := c.Hold(ctx, leaseWait); err != nil {
		return err
	}
	acked := c.crowd.Acked()
	if err := c.Hold(ctx, outage); err != nil {
		return err
	}
	if n := c.crowd.Acked() - acked; n > 0 {
		return fmt.Errorf("%s is alone and has answered %d operations", left.Name, n)
	}
	c.Observe(int64(c.NotAnswered() - before))
	return c.Start(ctx)
}
