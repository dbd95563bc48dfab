//go:build !linux || !(amd64 || arm64)

package syscalls

import (
	"context"
	"errors"
	"os"
)

var errNotHere = errors.New("faults in system calls need Linux on amd64 or arm64")

// Available returns nil if processes can be supervised here, or says why not.
func Available() error { return errNotHere }

// Install puts this process under a supervisor. Here it cannot.
func Install(Calls, int) error { return errNotHere }

// A Link is what a process and its supervisor find each other by.
type Link struct{}

// NewLink makes a link. Here it cannot.
func NewLink() (*Link, error) { return nil, errNotHere }

// End is the end for the process.
func (*Link) End() *os.File { return nil }

// Close closes both ends.
func (*Link) Close() error { return nil }

// A Supervisor answers the calls of a process. Here there is none.
type Supervisor struct{}

// Supervise begins to supervise a process. Here it cannot.
func Supervise(context.Context, *Link, ...Rule) (*Supervisor, error) { return nil, errNotHere }

// Arm puts a rule in force.
func (*Supervisor) Arm(r Rule) (*Armed, error) { return arm(r, 0) }

// Armed returns the rules in force.
func (*Supervisor) Armed() []*Armed { return nil }

// Clear takes all rules out of force.
func (*Supervisor) Clear() {}

// Err returns the first error.
func (*Supervisor) Err() error { return errNotHere }

// Close ends the supervision.
func (*Supervisor) Close(context.Context) error { return nil }
