package steps

import (
	"context"
	"errors"
	"sync"
)

// A Rule says at which step something is to happen: whoever does it waits there until
// Release, for somebody to kill something.
type Rule struct {
	Step  Step `json:"step"`
	Skip  int  `json:"skip,omitempty"`  // the same steps before it that are left alone
	After bool `json:"after,omitempty"` // behind the step, and not before it
	// Forget, with After, is a negative control: a fence is not written, and where a
	// store is to be closed it is opened.
	Forget bool `json:"forget,omitempty"`
}

// An armed is a rule in force.
type armed struct {
	Rule
	struck   chan struct{} // closed when somebody is at the step
	released chan struct{} // closed when it may go on
}

// current is the rule of this process.
var current struct {
	sync.Mutex
	rule *armed // nil if there is none
}

// errDisarmed is the error of Await when the rule is gone.
var errDisarmed = errors.New("the rule was replaced before anybody came to its step")

// Arm puts a rule in the place of the one before, at which nobody waits any more. A
// rule without a step never strikes.
func Arm(r Rule) {
	current.Lock()
	defer current.Unlock()
	if old := current.rule; old != nil {
		old.release()
	}
	current.rule = &armed{Rule: r, struck: make(chan struct{}), released: make(chan struct{})}
}

// Await waits until somebody is at the step of the rule.
func Await(ctx context.Context) error {
	current.Lock()
	a := current.rule
	current.Unlock()
	if a == nil {
		return errDisarmed
	}
	select {
	case <-a.struck:
		return nil
	case <-a.released:
		return errDisarmed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release lets whoever waits at the step go on.
func Release() {
	current.Lock()
	defer current.Unlock()
	if current.rule != nil {
		current.rule.release()
	}
}

// release is called with current locked.
func (a *armed) release() {
	select {
	case <-a.released:
	default:
		close(a.released)
	}
}

// reach returns the rule if it strikes now, at a step. It strikes once.
func reach(s Step) *armed {
	current.Lock()
	defer current.Unlock()
	a := current.rule
	if a == nil || s == "" || a.Step != s {
		return nil
	}
	if a.Skip > 0 {
		a.Skip--
		return nil
	}
	a.Step = ""
	return a
}

// hold waits at the step.
func (a *armed) hold(ctx context.Context) {
	close(a.struck)
	select {
	case <-a.released:
	case <-ctx.Done():
	}
}
