package fault

import (
	"context"
	"time"
)

// processFaults end, stop and start processes.
func processFaults() []Fault {
	return []Fault{
		{
			Name: "kill", Numbers: "F01 F03", Nodes: AnyNodes, Quick: true,
			About: "kill -9 of all processes under load, then a start: nothing acknowledged is lost",
			Break: func(ctx context.Context, c *Cell) error {
				if err := c.Kill(); err != nil {
					return err
				}
				c.Observe(1)
				return c.Start(ctx)
			},
		},
		{
			Name: "kill-loop", Numbers: "F04", Quick: true, Break: killLoop,
			About: "kill -9 and start, again and again, also while it is starting",
		},
		{
			Name: "pause", Numbers: "F06", Nodes: AnyNodes, Quick: true,
			About: "SIGSTOP of all processes for a second, then SIGCONT: nothing is lost, nothing stale is served",
			Break: func(ctx context.Context, c *Cell) error { return c.pauseFor(ctx, time.Second) },
		},
		{
			Name: "stutter", Numbers: "F07", Nodes: AnyNodes, Break: stutter,
			About: "twenty stops of 50 to 300 ms each",
		},
		{
			Name: "restart", Numbers: "F08", Nodes: AnyNodes, Quick: true, Break: restart,
			About: "three graceful restarts under load",
		},
		{
			Name: "two-processes", Numbers: "F40 F50", Nodes: AnyNodes, Quick: true,
			About: "a second process opens the same directory: it is refused, and the first one goes on",
			Break: func(ctx context.Context, c *Cell) error {
				for range 3 {
					if err := c.OpenTwice(ctx); err != nil {
						return err
					}
					c.Observe(1)
				}
				return nil
			},
		},
	}
}

func killLoop(ctx context.Context, c *Cell) error {
	for range 8 {
		if err := c.Hold(ctx, c.Between(20*time.Millisecond, 300*time.Millisecond)); err != nil {
			return err
		}
		if err := c.Kill(); err != nil {
			return err
		}
		c.Observe(1)
		if err := c.StartAndKill(ctx, c.Between(time.Millisecond, 60*time.Millisecond)); err != nil {
			return err
		}
		if err := c.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pauseFor stops all processes for some time.
func (c *Cell) pauseFor(ctx context.Context, d time.Duration) error {
	if err := c.Pause(); err != nil {
		return err
	}
	c.Observe(1)
	if err := c.Hold(ctx, d); err != nil {
		return err
	}
	return c.Resume()
}

func stutter(ctx context.Context, c *Cell) error {
	for range 20 {
		if err := c.pauseFor(ctx, c.Between(50*time.Millisecond, 300*time.Millisecond)); err != nil {
			return err
		}
		if err := c.Hold(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func restart(ctx context.Context, c *Cell) error {
	for range 3 {
		if err := c.Stop(); err != nil {
			return err
		}
		c.Observe(1)
		if err := c.Start(ctx); err != nil {
			return err
		}
		if err := c.Hold(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
