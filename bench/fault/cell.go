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
	"trihold/bench/fault/node"
	"trihold/bench/fault/syscalls"
	"trihold/bench/fault/traffic"
	"trihold/bench/proc"
	"trihold/repo"
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

	mu   sync.Mutex
	node *victim // guarded by mu; nil while there is none

	sampler  *proc.Sampler // of the memory of node
	peak     int64
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

// Start starts the subject's process and opens the store. With Needs.Calls, the
// rules are in force from the first call on.
func (c *Cell) Start(ctx context.Context, rules ...syscalls.Rule) error {
	v, err := c.spawn(ctx, rules...)
	if err != nil {
		return err
	}
	if _, err := v.Open(ctx); err != nil {
		return fmt.Errorf("open: %w", errors.Join(err, v.kill()))
	}
	c.sampler = proc.Sample(v.Tree())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = v
	return nil
}

// StartAndKill starts the subject's process, and kills it some time after it began
// to open the store, whether it has finished or not.
func (c *Cell) StartAndKill(ctx context.Context, after time.Duration) error {
	n, err := c.spawn(ctx)
	if err != nil {
		return err
	}
	opened := make(chan error, 1)
	go func() {
		_, err := n.Open(ctx)
		opened <- err
	}()
	err = c.Hold(ctx, after)
	err = errors.Join(err, n.kill())
	if openErr := <-opened; openErr != nil && !errors.Is(openErr, node.ErrGone) {
		err = errors.Join(err, fmt.Errorf("open: %w", openErr))
	}
	return err
}

// OpenTwice opens the store in a second process while the first one has it. It is
// an error if that works, or is refused with anything but ErrUnavailable.
func (c *Cell) OpenTwice(ctx context.Context) error {
	n, err := c.spawn(ctx)
	if err != nil {
		return err
	}
	_, err = n.Open(ctx)
	killed := n.kill()
	switch {
	case err == nil:
		return errors.Join(errors.New("a second process has opened the store"), killed)
	case !errors.Is(err, repo.ErrUnavailable):
		return errors.Join(fmt.Errorf("a second process was refused with another error than ErrUnavailable: %w", err), killed)
	}
	return killed
}

// take removes the node, so that clients find nobody.
func (c *Cell) take() (*victim, error) {
	c.mu.Lock()
	n := c.node
	c.node = nil
	c.mu.Unlock()
	if n == nil {
		return nil, errors.New("the store is not running")
	}
	return n, c.sampled()
}

// sampled ends the watch over the memory of a process.
func (c *Cell) sampled() error {
	if c.sampler == nil {
		return nil
	}
	peak, err := c.sampler.Stop()
	c.sampler, c.peak = nil, max(c.peak, peak)
	return err
}

// Kill ends all processes of the subject with SIGKILL.
func (c *Cell) Kill() error {
	n, err := c.take()
	if err != nil {
		return err
	}
	return n.kill()
}

// Stop lets the subject close its store and end.
func (c *Cell) Stop() error {
	n, err := c.take()
	if err != nil {
		return err
	}
	return n.stop()
}

// Pause stops all processes of the subject with SIGSTOP.
func (c *Cell) Pause() error { return c.current().Tree().Stop() }

// Resume lets them go on.
func (c *Cell) Resume() error { return c.current().Tree().Continue() }

// current returns the running node. A script that has killed it and not started
// another one is wrong.
func (c *Cell) current() *victim {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.node
}

// do sends an operation to the node, if there is one.
func (c *Cell) do(ctx context.Context, o *history.Op, timeout time.Duration) (sent bool) {
	n := c.current()
	return n != nil && n.Do(ctx, o, timeout)
}
