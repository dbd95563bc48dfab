package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/fault/steps"
	"trihold/bench/proc"
	"trihold/bench/remote"
)

// A Config says how to start a node.
type Config struct {
	// Command starts a process that calls Serve. Path, Args, Env and ExtraFiles
	// are used.
	Command *exec.Cmd
	Name    string // of the node, in a history.Final
	URL     string // of the store
	Setup   history.Setup
	// Early makes the node a negative control: it answers operations of kind
	// history.Note before it does them.
	Early bool
	// Stale makes the node a negative control: it answers reads with what it has at
	// hand, however old.
	Stale bool
	// Follow makes the node follow the changes from the time when it is opened.
	Follow bool
	// Grace is how much longer than its deadline an operation's answer is waited for;
	// the default is 10 s.
	Grace time.Duration
}

// A Node is a process with a store. Its methods may be called concurrently.
type Node struct {
	config Config
	child  *proc.Child

	write sync.Mutex // one request at a time is written

	mu      sync.Mutex
	last    int64                // guarded by mu; the latest request's ID
	waiting map[int64]chan reply // guarded by mu; nil once no answer can come
}

// ErrGone is the error of a request that was sent to a node which ended before it
// answered. Whether it was done is not known.
var ErrGone = errors.New("the node ended before it answered")

// errUnsent is the error of a request that was not sent.
var errUnsent = errors.New("the node has ended")

// Start starts a node. It does not open the store. The caller ends the node with
// Stop or Kill.
func Start(c Config) (*Node, error) {
	n := &Node{config: c, waiting: map[int64]chan reply{}}
	var err error
	if n.child, err = proc.StartChild(c.Command, n.read); err != nil {
		return nil, fmt.Errorf("node %s: %w", c.Name, err)
	}
	return n, nil
}

// read hands out answers until the process ends.
func (n *Node) read(out io.Reader) {
	dec := json.NewDecoder(out)
	for {
		var r reply
		if err := dec.Decode(&r); err != nil {
			break
		}
		n.mu.Lock()
		ch := n.waiting[r.ID]
		delete(n.waiting, r.ID)
		n.mu.Unlock()
		if ch != nil {
			ch <- r // it has room for the one answer
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ch := range n.waiting {
		close(ch)
	}
	n.waiting = nil
}

// Tree returns the process and its descendants.
func (n *Node) Tree() proc.Tree { return n.child.Tree() }

// Open opens the store.
func (n *Node) Open(ctx context.Context) (o Opened, err error) {
	args := openArgs{URL: n.config.URL, Setup: n.config.Setup, Early: n.config.Early, Stale: n.config.Stale, Follow: n.config.Follow}
	return o, n.call(ctx, doOpen, args, &o)
}

// Fill writes what the store holds before the first operation.
func (n *Node) Fill(ctx context.Context) error { return n.call(ctx, doFill, nil, nil) }

// Final reads the whole store.
func (n *Node) Final(ctx context.Context) (*history.Final, error) {
	f := &history.Final{}
	return f, n.call(ctx, doFinal, n.config.Name, f)
}

// Followed returns the changes that were followed, up to a revision.
func (n *Node) Followed(ctx context.Context, rev int64) (f Followed, err error) {
	return f, n.call(ctx, doFollowed, rev, &f)
}

// Rev returns the revision of the store.
func (n *Node) Rev(ctx context.Context) (rev int64, err error) {
	return rev, n.call(ctx, doRev, nil, &rev)
}

// Arm puts a rule of package steps in force.
func (n *Node) Arm(ctx context.Context, r steps.Rule) error { return n.call(ctx, doArm, r, nil) }

// Await waits until the rule strikes.
func (n *Node) Await(ctx context.Context) error { return n.call(ctx, doAwait, nil, nil) }

// Release lets whoever waits at the rule's step go on.
func (n *Node) Release(ctx context.Context) error { return n.call(ctx, doRelease, nil, nil) }

// Close closes the store; the process goes on.
func (n *Node) Close(ctx context.Context) error { return n.call(ctx, doClose, nil, nil) }

const defaultGrace = 10 * time.Second

// Do runs an operation, with the meaning of traffic.Crowd.Do.
func (n *Node) Do(ctx context.Context, o *history.Op, timeout time.Duration) (sent bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout+cmp.Or(n.config.Grace, defaultGrace))
	defer cancel()
	done := history.Op{}
	err := n.call(ctx, doOp, opArgs{*o, timeout}, &done)
	switch {
	case err == nil:
		done.Begin = o.Begin
		*o = done
	case errors.Is(err, errUnsent):
		return false
	case errors.As(err, new(*remote.Failure)):
		// Served by a process that could not even try.
		o.Outcome, o.Error = history.Failed, err.Error()
	default:
		o.Outcome, o.Error = history.Unknown, err.Error()
	}
	return true
}

// call sends a request and waits for its answer.
func (n *Node) call(ctx context.Context, do verb, args, result any) error {
	text, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("%s: %w", do, err)
	}
	answer := make(chan reply, 1)
	n.mu.Lock()
	if n.waiting == nil {
		n.mu.Unlock()
		return fmt.Errorf("%s: %w", do, errUnsent)
	}
	n.last++
	id := n.last
	n.waiting[id] = answer
	n.mu.Unlock()
	line, err := json.Marshal(request{ID: id, Do: do, Args: text})
	if err != nil {
		return fmt.Errorf("%s: %w", do, err)
	}
	n.write.Lock()
	_, err = n.child.In.Write(append(line, '\n'))
	n.write.Unlock()
	if err != nil { // a part of it may have been read
		return fmt.Errorf("%s: %w", do, ErrGone)
	}
	select {
	case <-ctx.Done():
		n.mu.Lock()
		delete(n.waiting, id)
		n.mu.Unlock()
		return fmt.Errorf("%s: %w", do, context.Cause(ctx))
	case r, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", do, ErrGone)
		case r.Error != nil:
			return r.Error
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(r.Result, result); err != nil {
			return fmt.Errorf("%s: the answer is not understood: %w", do, err)
		}
		return nil
	}
}

// Stop asks the process to close its store and to end, and kills it if it does
// not.
func (n *Node) Stop() error { return n.child.Stop() }

// Kill ends the process and all its descendants with SIGKILL.
func (n *Node) Kill() error { return n.child.Kill() }

// LastWords waits for the end of the process and says how it ended.
func (n *Node) LastWords() string { return n.child.LastWords() }

// Ended is closed when the process has ended.
func (n *Node) Ended() <-chan struct{} { return n.child.Ended() }
