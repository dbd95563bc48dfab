package rqlitebackend

import (
	"context"
	"fmt"
	"slices"
	"time"

	"trihold/repo/driver"
)

// A pending commit waits for its outcome.
type pending struct {
	commit   *driver.Commit
	size     int          // about as many bytes as its arguments have
	lonely   bool         // it travels in a request of its own
	deadline time.Time    // of its caller; zero is none
	outcome  chan outcome // of one element, so that sending never blocks

	taken  bool // guarded by commits.mu; it is in a request
	doomed bool // guarded by commits.mu; it will probably be refused
}

// An outcome is what a commit returns.
type outcome struct {
	rev driver.Rev
	err error
}

// writesState reports whether a commit writes the state of the store. If that puts
// up a fence, whoever is behind it in the same transaction would already have been
// let through.
func (s *Store) writesState(c *driver.Commit) bool {
	state := s.layout.Schema().State
	return slices.ContainsFunc(c.Writes, func(w driver.Write) bool { return w.Table == state })
}

// Commit implements driver.Store.
func (s *Store) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.busy.Done()
	if err := ctx.Err(); err != nil {
		return 0, driver.Failed("commit", driver.ErrUnavailable, err)
	}
	if n := len(c.Writes); n > driver.MaxWrites {
		return 0, driver.Failed("commit", driver.ErrTooLarge, fmt.Errorf("%d writes, the limit is %d", n, driver.MaxWrites))
	}
	size := c.Size()
	if size > driver.MaxCommit {
		return 0, driver.Failed("commit", driver.ErrTooLarge, fmt.Errorf("%d bytes, the limit is %d", size, driver.MaxCommit))
	}
	size += 64 * (len(c.Writes) + len(c.Checks.Rows) + len(c.Checks.Spans))
	if c.Load != nil {
		return s.load(ctx, c)
	}
	p := &pending{commit: c, size: size, lonely: s.writesState(c), outcome: make(chan outcome, 1)}
	p.deadline, _ = ctx.Deadline()
	o := s.commits.commit(ctx, p)
	return o.rev, o.err
}
