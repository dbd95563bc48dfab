package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"trihold/bench/fault/fusefs"
	"trihold/bench/fault/node"
	"trihold/bench/fault/syscalls"
)

// tools are what a cell breaks a store with, beyond signals.
type tools struct {
	link  *link
	disk  *fusefs.FS
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

// prepare makes the tools that a fault needs.
func (c *Cell) prepare(ctx context.Context, t *trial) (err error) {
	n := t.needs()
	c.tools.calls = n.Calls
	if n.Disk {
		config := fusefs.Config{Back: filepath.Join(c.home, "back"), Mountpoint: filepath.Join(c.home, "disk"), KeepNames: !n.Names, LieAboutSync: t.control != nil}
		if c.tools.disk, err = fusefs.Mount(config); err != nil {
			return fmt.Errorf("prepare the disk: %w", err)
		}
		c.Dir = config.Mountpoint
	}
	if n.Link {
		if c.tools.link, err = newLink(ctx, c); err != nil {
			return fmt.Errorf("prepare the link: %w", err)
		}
	}
	return nil
}

// spawn starts a process that has not opened the store yet.
func (c *Cell) spawn(ctx context.Context, rules ...syscalls.Rule) (*victim, error) {
	config := node.Config{Name: "n1", URL: c.Subject.at(c.Dir), Setup: c.crowd.Setup, Early: c.early, Follow: c.Subject.To != ""}
	if c.tools.link != nil {
		config.URL = strings.ReplaceAll(c.Subject.Linked, addrMark, c.tools.link.proxy.Addr())
	}
	var l *syscalls.Link
	if c.tools.calls {
		var err error
		if l, err = syscalls.NewLink(); err != nil {
			return nil, err
		}
		defer l.Close()
	}
	config.Command = c.run.config.Node(l)
	return startVictim(ctx, config, l, rules...)
}

// putAway puts the tools away.
func (t *tools) putAway() error {
	var errs []error
	if t.link != nil {
		errs = append(errs, t.link.close())
	}
	if t.disk != nil {
		errs = append(errs, t.disk.Unmount())
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
