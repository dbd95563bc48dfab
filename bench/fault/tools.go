package fault

import (
	"context"
	"errors"
	"fmt"
	"os"

	"trihold/bench/fault/node"
)

// tools are what a cell breaks a store with, beyond signals.
type tools struct {
	link *link
}

// missing says why this machine cannot give what a fault needs; empty if it can.
func missing(n Needs) string {
	if n.Calls || n.Disk {
		return "not built"
	}
	return ""
}

// prepare makes the tools that a fault needs.
func (t *tools) prepare(ctx context.Context, c *Cell, n Needs) (err error) {
	if n.Link {
		if t.link, err = newLink(ctx, c); err != nil {
			return fmt.Errorf("prepare the link: %w", err)
		}
	}
	return nil
}

// start starts a node in the way that the tools need.
func (t *tools) start(config node.Config) (*node.Node, error) { return node.Start(config) }

// close puts the tools away.
func (t *tools) close() error {
	var errs []error
	if t.link != nil {
		errs = append(errs, t.link.close())
	}
	return errors.Join(errs...)
}

// tier says how much the user may break.
func tier() string {
	if os.Geteuid() == 0 {
		return "root: everything that the kernel has"
	}
	return "none: signals, system calls of our own processes, connections, files"
}
