package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/bench/fault/node"
	"trihold/bench/fault/syscalls"
)

// SupervisedCalls are the system calls that a cell with Needs.Calls intercepts, and
// what a node installs. It leaves out those that reading and writing sockets needs,
// which are many.
const SupervisedCalls = syscalls.WriteAt | syscalls.Resize | syscalls.Sync | syscalls.ReadAt | syscalls.Rename | syscalls.Unlink

// A victim is a node, and the supervisor of its system calls if it has one.
type victim struct {
	*node.Node
	calls *syscalls.Supervisor
}

// startVictim starts a node, with its system calls under a link if there is one.
func startVictim(ctx context.Context, config node.Config, l *syscalls.Link, rules ...syscalls.Rule) (*victim, error) {
	n, err := node.Start(config)
	if err != nil {
		return nil, err
	}
	v := &victim{Node: n}
	if l == nil {
		return v, nil
	}
	if v.calls, err = syscalls.Supervise(ctx, l, rules...); err != nil {
		return nil, errors.Join(err, n.Kill())
	}
	return v, nil
}

// ended kills a node that could not do what it was asked for, and says why it ended
// if that was before.
func (v *victim) ended(err error) error {
	err = errors.Join(err, v.kill())
	if errors.Is(err, node.ErrGone) {
		err = fmt.Errorf("%w: %s", err, v.LastWords())
	}
	return err
}

// calmWait is how long a supervisor waits for processes that were killed.
const calmWait = 10 * time.Second

func (v *victim) kill() error { return v.end(v.Node.Kill) }
func (v *victim) stop() error { return v.end(v.Node.Stop) }

func (v *victim) end(end func() error) error {
	err := end()
	if v.calls == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), calmWait)
	defer cancel()
	return errors.Join(err, v.calls.Close(ctx))
}
