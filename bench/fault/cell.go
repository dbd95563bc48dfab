package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"trihold/bench/fault/check"
	"trihold/bench/fault/history"
	"trihold/bench/fault/mesh"
	"trihold/bench/fault/syscalls"
	"trihold/bench/fault/traffic"
)

// A Cell is a fault at work on a subject: what a script speaks to. A script calls
// its methods from one goroutine.
type Cell struct {
	Subject Subject
	Rand    *rand.Rand // of the cell's seed
	Dir     string     // where the subject keeps everything

	home   string // what Dir lies in, or is
	run    *run
	crowd  *traffic.Crowd
	volume volume
	early  bool // the node is a negative control
	tools  tools

	migration *migration // nil unless the store is moved

	members []*Member  // in the order of their names
	mesh    *mesh.Mesh // what lies between them; nil if there is one
	routes  []route    // where clients send to, by their slots in the crowd

	observed int64
	damage   []string
	verdicts []check.Verdict // besides those of the checkers
	injected time.Duration   // when the script began
	healed   time.Duration   // when it ended, or last called Healed
}

// Observe adds to the count of how often the fault has struck. A cell in which it
// never did fails.
func (c *Cell) Observe(n int64) { c.observed += n }

// Healed says that from now on nothing is broken. Without it, that is when the
// script ends.
func (c *Cell) Healed() { c.healed = c.crowd.Now() }

// Hold lets the traffic go on for some time.
func (c *Cell) Hold(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Until waits until a condition holds.
func (c *Cell) Until(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		if err := c.Hold(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
	return nil
}

// Between returns a random duration.
func (c *Cell) Between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(c.Rand.Int64N(int64(hi-lo)))
}

// Hasty makes the deadlines of operations so short that many pass.
func (c *Cell) Hasty(on bool) { c.crowd.Hasty.Store(on) }

// NotAnswered is the number of operations so far that were not answered well.
func (c *Cell) NotAnswered() int {
	n := 0
	h := c.crowd.History()
	for i := range h.Ops {
		if h.Ops[i].Outcome != history.OK {
			n++
		}
	}
	return n
}

// Start starts the subject's processes and opens the store in each. With Needs.Calls,
// the rules are in force from the first call on.
func (c *Cell) Start(ctx context.Context, rules ...syscalls.Rule) error {
	return each(c.part(func(m *Member) bool { return m.in && m.current() == nil }), func(m *Member) error { return m.Start(ctx, rules...) })
}

// StartAndKill starts the subject's processes, and kills them some time after they
// began to open the store, whether they have finished or not.
func (c *Cell) StartAndKill(ctx context.Context, after time.Duration) error {
	return each(c.part(func(m *Member) bool { return m.in }), func(m *Member) error { return m.startAndKill(ctx, after) })
}

// OpenTwice opens the store in a second process while the first one has it. It is
// an error if that works, or is refused with anything but ErrUnavailable.
func (c *Cell) OpenTwice(ctx context.Context) error {
	return c.members[0].openTwice(ctx)
}

// part returns some of the members.
func (c *Cell) part(is func(*Member) bool) []*Member {
	var out []*Member
	for _, m := range c.members {
		if is(m) {
			out = append(out, m)
		}
	}
	return out
}

// running returns the members whose processes run.
func (c *Cell) running() []*Member {
	return c.part(func(m *Member) bool { return m.current() != nil })
}

// each does something with several members at once.
func each(members []*Member, do func(*Member) error) error {
	errs := make([]error, len(members))
	var wait sync.WaitGroup
	for i, m := range members {
		wait.Go(func() { errs[i] = do(m) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// errStopped is that of a script which has killed the store already.
var errStopped = errors.New("the store is not running")

// eachRunning does something with all members whose processes run, at once.
func (c *Cell) eachRunning(do func(*Member) error) error {
	members := c.running()
	if len(members) == 0 {
		return errStopped
	}
	return each(members, do)
}

// Kill ends all processes of the subject with SIGKILL.
func (c *Cell) Kill() error { return c.eachRunning((*Member).Kill) }

// Stop lets the subject close its store and end.
func (c *Cell) Stop() error { return c.eachRunning((*Member).Stop) }

// Pause stops all processes of the subject with SIGSTOP.
func (c *Cell) Pause() error { return c.eachRunning((*Member).Pause) }

// Resume lets them go on.
func (c *Cell) Resume() error { return c.eachRunning((*Member).Resume) }

// current returns the running node, of several the first; nil if there is none.
func (c *Cell) current() *victim {
	for _, m := range c.members {
		if n := m.current(); n != nil {
			return n
		}
	}
	return nil
}

// note adds to what is told of the damage that was done.
func (c *Cell) note(format string, args ...any) {
	c.damage = append(c.damage, fmt.Sprintf(format, args...))
}
