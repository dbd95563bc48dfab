package fault

import (
	"context"
	"time"
)

// clientFaults are what clients do.
func clientFaults() []Fault {
	return []Fault{
		{
			Name: "hasty-clients", Numbers: "F49", Nodes: AnyNodes, Quick: true,
			About: "the contexts of all operations expire at random within 4 ms: what failed was not done, and what is unknown is said to be",
			Break: func(ctx context.Context, c *Cell) error {
				before := c.NotAnswered()
				c.Hasty(true)
				err := c.Hold(ctx, 2*time.Second)
				c.Hasty(false)
				c.Observe(int64(c.NotAnswered() - before))
				return err
			},
		},
	}
}
