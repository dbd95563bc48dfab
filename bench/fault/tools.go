package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"trihold/bench/fault/fusefs"
	"trihold/bench/fault/syscalls"
)

// tools are what a cell breaks a store with, beyond signals.
type tools struct {
	link  *link
	calls bool
}

// missing says why this machine cannot give what a fault needs; empty if it can.
func missing(n Needs) string {
	if n.Calls {
		if err := syscalls.Available(); err != nil {
			return err.Error()
		}
	}
	if n.Disk {
		if err := fusefs.Available(); err != nil {
			return err.Error()
		}
	}
	return ""
}

// prepare makes the tools that a fault needs, and the members, which are not started.
func (c *Cell) prepare(ctx context.Context, t *trial) error {
	n := t.needs()
	c.tools.calls = n.Calls
	if err := c.prepareMembers(); err != nil {
		return err
	}
	if n.Disk {
		if err := c.prepareDisks(n, t.control != nil); err != nil {
			return fmt.Errorf("prepare the disk: %w", err)
		}
	}
	if n.Link {
		var err error
		if c.tools.link, err = newLink(ctx, c); err != nil {
			return fmt.Errorf("prepare the link: %w", err)
		}
	}
	return nil
}

// prepareMembers makes the members, and what lies between them.
func (c *Cell) prepareMembers() error {
	if c.Subject.Nodes > 1 {
		return c.prepareCluster()
	}
	c.members = []*Member{{Name: "n1", Dir: c.Dir, cell: c, in: true}}
	return nil
}

// prepareDisks gives each member a file system of its own.
func (c *Cell) prepareDisks(n Needs, lie bool) error {
	for _, m := range c.members {
		config := fusefs.Config{Back: filepath.Join(c.home, "back"), Mountpoint: filepath.Join(c.home, "disk"), KeepNames: !n.Names, LieAboutSync: lie}
		if c.Subject.Nodes > 1 {
			config.Back, config.Mountpoint = filepath.Join(c.home, "back-"+m.Name), m.Dir
		}
		disk, err := fusefs.Mount(config)
		if err != nil {
			return err
		}
		m.disk, m.Dir = disk, config.Mountpoint
	}
	if c.Subject.Nodes <= 1 {
		c.Dir = c.members[0].Dir
	}
	return nil
}

// urlOf returns the URL with which a member opens its store.
func (c *Cell) urlOf(m *Member) string {
	switch {
	case c.mesh != nil:
		return c.clusterURL(m)
	case c.tools.link != nil:
		return strings.ReplaceAll(c.Subject.Linked, addrMark, c.tools.link.proxy.Addr())
	}
	return c.Subject.at(c.Dir)
}

// putAway puts the tools away.
func (c *Cell) putAway() error {
	var errs []error
	if c.tools.link != nil {
		errs = append(errs, c.tools.link.close())
	}
	if c.mesh != nil {
		errs = append(errs, c.mesh.Close())
	}
	for _, m := range c.members {
		if m.disk != nil {
			errs = append(errs, m.disk.Unmount())
		}
	}
	return errors.Join(errs...)
}

// tier says how much the user may break.
func tier() string {
	if os.Geteuid() != 0 {
		return "none: signals, system calls of our own processes, connections, files"
	}
	// The map of a namespace is a part of all user IDs.
	if ids, err := os.ReadFile("/proc/self/uid_map"); err == nil && !strings.Contains(string(ids), "4294967295") {
		return "user namespaces: as none, and file systems of our own"
	}
	return "root: everything that the kernel has"
}
