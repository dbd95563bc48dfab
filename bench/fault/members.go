package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trihold/bench/fault/operator"
	"trihold/repo"
)

// passing reports whether an error is one that somebody else, or the same node a
// little later, might not answer with.
func passing(err error) bool {
	return err == nil || errors.Is(err, repo.ErrUnavailable) || errors.Is(err, repo.ErrUncertain) || errors.Is(err, repo.ErrConflict)
}

// awaitMembers waits until the leader counts exactly the members that are in, and all of
// them as voters but for those that never are.
func (c *Cell) awaitMembers(ctx context.Context) error {
	var want []string
	in := c.part(func(m *Member) bool { return m.in })
	for _, m := range in {
		if !m.reader {
			want = append(want, m.Name)
		}
	}
	var seen []operator.Member
	ctx, cancel := context.WithTimeoutCause(ctx, promotionWait, fmt.Errorf("not in %v", promotionWait))
	defer cancel()
	for {
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		s, err := leader.Status(ctx)
		if err == nil {
			var voters []string
			for _, m := range s.Members {
				if m.Voter {
					voters = append(voters, m.Name)
				}
			}
			slices.Sort(voters)
			if seen = s.Members; slices.Equal(voters, want) && len(seen) == len(in) {
				return nil
			}
		}
		if err := c.Hold(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait until %v are the voters, and not %+v: %w", want, seen, err)
		}
	}
}

// promotionWait is how long a member may take to catch up and become a voter.
const promotionWait = 20 * time.Second

// letIn starts a member with an empty directory, and waits until it is a voter.
func (c *Cell) letIn(ctx context.Context, m *Member) error {
	m.joins = true
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("let %s in: %w", m.Name, err)
	}
	m.in = true
	return c.awaitMembers(ctx)
}

// replace gives a member that does not run an empty disk, and lets it in as another
// one of the same name. Who it was before is removed.
func (c *Cell) replace(ctx context.Context, m *Member) error {
	if err := m.wipe(); err != nil {
		return err
	}
	m.in = false
	if err := c.order(ctx, operator.Command{Do: operator.Remove, Name: m.Name}); err != nil {
		return err
	}
	return c.letIn(ctx, m)
}

// flows waits until a number of operations more have been answered.
func (c *Cell) flows(ctx context.Context, ops int64) error {
	from := c.crowd.Acked()
	return c.Until(ctx, fmt.Sprintf("%d more operations are answered", ops), func() bool { return c.crowd.Acked() >= from+ops })
}

// level waits until all members that run are at one revision, and stay there.
func (c *Cell) level(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, levelWait, fmt.Errorf("not in %v", levelWait))
	defer cancel()
	var before []int64
	for same := 0; same < 3; {
		var revs []int64
		for _, m := range c.running() {
			rev, err := m.current().Rev(ctx)
			if err != nil {
				return fmt.Errorf("ask %s for its revision: %w", m.Name, err)
			}
			revs = append(revs, rev)
		}
		if slices.Equal(revs, before) && slices.Min(revs) == slices.Max(revs) {
			same++
		} else {
			same, before = 0, revs
		}
		if err := c.Hold(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait until all members are at the same revision, and not at %v: %w", revs, err)
		}
	}
	return nil
}

// levelWait is how long members may take to catch up when nobody writes any more.
const levelWait = 15 * time.Second
