package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"trihold/bench/fault/mesh"
	"trihold/bench/fault/proxy"
	"trihold/bench/fault/syscalls"
)

// partitionFaults break what the nodes say to each other.
func partitionFaults() []Fault {
	return []Fault{
		{
			Name: "leader-isolated", Numbers: "F09", Quick: true,
			About: "the leader is cut off until another one leads and has written; clients go on asking it, and it serves nothing stale",
			Break: func(ctx context.Context, c *Cell) error {
				return c.withoutLeader(ctx, func(m *mesh.Mesh, leader string) []mesh.Pair { return m.Around(leader) })
			},
		},
		{
			Name: "leader-deaf", Numbers: "F10",
			About: "the leader is heard and hears nobody: another one leads",
			Break: func(ctx context.Context, c *Cell) error {
				return c.withoutLeader(ctx, func(m *mesh.Mesh, leader string) []mesh.Pair { return m.Into(leader) })
			},
		},
		{
			Name: "leader-mute", Numbers: "F10",
			About: "the leader hears the others and is not heard: another one leads",
			Break: func(ctx context.Context, c *Cell) error {
				return c.withoutLeader(ctx, func(m *mesh.Mesh, leader string) []mesh.Pair { return m.OutOf(leader) })
			},
		},
		{
			Name: "leader-isolated-with-reader", Numbers: "F09 P5", Break: leaderIsolatedWithReader,
			About: "a fourth node that never votes is cut off together with the leader: what it learns from that one is not taken for the newest",
		},
		{
			Name: "follower-isolated", Numbers: "F09", Break: followerIsolated,
			About: "a follower is cut off: the others go on, it serves nothing stale, and its return disturbs nobody",
		},
		{
			Name: "bridge", Numbers: "F11", Break: bridge,
			About: "two nodes see a third and not each other: the cluster goes on",
		},
		{
			Name: "swizzle", Numbers: "F12", Break: swizzle,
			About: "directions are clogged one by one, and opened in another order",
		},
		{
			Name: "isolated-leader-kill", Numbers: "P1", Break: isolatedLeaderKill,
			About: "the leader is cut off, and the next one is killed; then the first comes back",
		},
		{
			Name: "apart-and-full", Numbers: "P2", Break: apartAndFull, Needs: Needs{Calls: true},
			About: "a follower is cut off and the disk of the other one is full: nothing is lost, and the leader goes on with the first when it is back",
		},
		linksFault("links-slow", "F14", "every byte between nodes takes 10 to 30 ms longer, each way, for 1.5 s",
			proxy.Flow{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}),
		linksFault("links-cut", "F17", "every connection between nodes is reset after 30,000 bytes, for 1.5 s", proxy.Flow{CutEvery: 30_000}),
		linksFault("links-flip", "F18", "a bit is flipped in every 10,000 bytes between nodes, each way, for 1.5 s", proxy.Flow{FlipEvery: 10_000}),
		{
			Name: "links-narrow", Numbers: "F16", Break: linksNarrow,
			About: "64 KiB a second between each two nodes, for 2 s, and the traffic fills it",
		},
	}
}

// withoutLeader breaks directions that the leader has a part in, until the others
// have another leader and have answered some operations.
// Those who go with the leader are not asked.
func (c *Cell) withoutLeader(ctx context.Context, pairs func(m *mesh.Mesh, leader string) []mesh.Pair, with ...*Member) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	before := c.mesh.Struck()
	c.mesh.Set(pairs(c.mesh, leader.Name), c.Gone())
	_, err = c.Leader(ctx, c.part(func(m *Member) bool { return m != leader && m.current() != nil && !slices.Contains(with, m) })...)
	if err == nil {
		err = c.flows(ctx, 200)
	}
	c.mesh.Heal()
	c.Observe(c.mesh.Struck() - before)
	if err != nil {
		return fmt.Errorf("while %s is cut off: %w", leader.Name, err)
	}
	return c.Hold(ctx, 200*time.Millisecond)
}

func leaderIsolatedWithReader(ctx context.Context, c *Cell) error {
	reader := c.part(func(m *Member) bool { return !m.in })[0]
	reader.reader = true
	if err := c.letIn(ctx, reader); err != nil {
		return err
	}
	c.routes[0].to.Store(reader)
	c.routes[len(c.routes)-1].to.Store(reader)
	if err := c.flows(ctx, 200); err != nil {
		return err
	}
	return c.withoutLeader(ctx, func(m *mesh.Mesh, leader string) []mesh.Pair {
		return m.Between([]string{leader, reader.Name})
	}, reader)
}

func followerIsolated(ctx context.Context, c *Cell) error {
	follower, err := c.Follower(ctx)
	if err != nil {
		return err
	}
	before := c.mesh.Struck()
	c.mesh.Set(c.mesh.Around(follower.Name), c.Gone())
	err = c.Hold(ctx, time.Second) // several elections' worth
	if err == nil {
		err = c.flows(ctx, 200)
	}
	c.mesh.Heal()
	c.Observe(c.mesh.Struck() - before)
	if err != nil {
		return fmt.Errorf("while %s is cut off: %w", follower.Name, err)
	}
	return nil
}

// bridge makes a follower the only one that the leader hears. With the leader in the
// middle the others would not miss each other.
func bridge(ctx context.Context, c *Cell) error {
	middle, err := c.Follower(ctx)
	if err != nil {
		return err
	}
	before := c.mesh.Struck()
	c.mesh.Set(c.mesh.Besides(middle.Name), c.Gone())
	err = c.Hold(ctx, time.Second)
	if err == nil {
		err = c.flows(ctx, 300)
	}
	c.mesh.Heal()
	c.Observe(c.mesh.Struck() - before)
	if err != nil {
		return fmt.Errorf("while %s is the bridge: %w", middle.Name, err)
	}
	return nil
}

func swizzle(ctx context.Context, c *Cell) error {
	pairs := c.mesh.All()
	before := c.mesh.Struck()
	for _, f := range []proxy.Flow{{Silence: true}, {}} {
		for _, i := range c.Rand.Perm(len(pairs)) {
			c.mesh.Set(pairs[i:i+1], f)
			if err := c.Hold(ctx, c.Between(20*time.Millisecond, 120*time.Millisecond)); err != nil {
				return err
			}
		}
	}
	c.Observe(c.mesh.Struck() - before)
	return nil
}

func isolatedLeaderKill(ctx context.Context, c *Cell) error {
	first, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	before := c.mesh.Struck()
	c.mesh.Set(c.mesh.Around(first.Name), c.Gone())
	second, err := c.Leader(ctx, c.Others(first)...)
	if err == nil {
		err = c.flows(ctx, 100)
	}
	if err != nil {
		return fmt.Errorf("while %s is cut off: %w", first.Name, err)
	}
	if err := second.Kill(); err != nil {
		return err
	}
	if err := c.Hold(ctx, c.Between(50*time.Millisecond, 500*time.Millisecond)); err != nil {
		return err
	}
	c.mesh.Heal()
	c.Observe(c.mesh.Struck() - before)
	// What the second leader has acknowledged is known to one of the two.
	if err := c.flows(ctx, 100); err != nil {
		return fmt.Errorf("after %s was killed: %w", second.Name, err)
	}
	return second.Start(ctx)
}

func apartAndFull(ctx context.Context, c *Cell) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	followers := c.Others(leader)
	apart, full := followers[0], followers[1]
	before := c.mesh.Struck()
	c.mesh.Set(c.mesh.Around(apart.Name), c.Gone())
	armed, err := full.Arm(syscalls.Rule{Calls: syscalls.WriteAt | syscalls.Resize, Errno: syscall.ENOSPC})
	if err != nil {
		return err
	}
	defer armed.Clear()
	err = c.Hold(ctx, 700*time.Millisecond)
	c.mesh.Heal()
	if err != nil {
		return err
	}
	if err := c.flows(ctx, 100); err != nil {
		return fmt.Errorf("after %s is back: %w", apart.Name, err)
	}
	armed.Clear()
	c.Observe(min(c.mesh.Struck()-before, int64(armed.Hits().Fired)))
	return errors.Join(full.Kill(), full.Start(ctx))
}

// linksFault breaks all directions for as long as it takes to notice.
func linksFault(name, numbers, about string, f proxy.Flow) Fault {
	return Fault{
		Name: name, Numbers: numbers, About: about,
		Break: func(ctx context.Context, c *Cell) error {
			before := c.mesh.Struck()
			c.mesh.Set(c.mesh.All(), f)
			err := c.Hold(ctx, 1500*time.Millisecond)
			c.mesh.Heal()
			c.Observe(c.mesh.Struck() - before)
			return err
		},
	}
}

// linksNarrow has struck if one direction has carried about what it could.
func linksNarrow(ctx context.Context, c *Cell) error {
	const perSecond, seconds = 64 << 10, 2
	before := c.mesh.Carried(c.mesh.All())
	c.mesh.Set(c.mesh.All(), proxy.Flow{Bandwidth: perSecond})
	err := c.Hold(ctx, seconds*time.Second)
	c.mesh.Heal()
	if n := c.mesh.Carried(c.mesh.All()) - before; n > perSecond*seconds/4 {
		c.Observe(n)
	}
	return err
}
