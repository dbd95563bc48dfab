package port

import (
	"errors"

	"trihold/repo/driver"
)

// How a call can fail without an answer. Everything else that Call returns is the
// answer of the other node's handler.
var (
	// ErrNotSent: the other node has not seen the call and never will.
	ErrNotSent = errors.New("not sent")
	// ErrLost: the call was sent, or may have been, and no answer has come.
	ErrLost = errors.New("answer lost")
)

// A Redirect is the answer of a node that is not the leader. It reaches the
// caller as it is.
type Redirect struct {
	Leader string // the leader's address; empty: there is none, as far as the node knows
	ID     string // the leader's ID
}

func (r *Redirect) Error() string {
	if r.Leader == "" {
		return "not the leader, and no leader is known"
	}
	return "not the leader, which is " + r.ID + " at " + r.Leader
}

// Unwrap makes it driver.ErrUnavailable for who does not follow it.
func (r *Redirect) Unwrap() error { return driver.ErrUnavailable }
