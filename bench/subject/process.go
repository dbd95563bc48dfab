package subject

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"trihold/bench/proc"
	"trihold/bench/result"
)

// A Command starts a subject process: a program that calls Serve.
type Command struct {
	Path string
	Args []string // without the name of the program
}

// A Process is a subject process. It does one thing at a time.
type Process struct {
	child   *proc.Child
	replies chan reply
}

// Start starts a subject process. The caller ends it with Stop or Kill.
func Start(c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Args[0] = "trihold"
	p := &Process{replies: make(chan reply)}
	var err error
	if p.child, err = proc.StartChild(cmd, p.read); err != nil {
		return nil, fmt.Errorf("subject process: %w", err)
	}
	return p, nil
}

// read passes on what the process replies until it closes its output.
func (p *Process) read(out io.Reader) {
	defer close(p.replies)
	dec := json.NewDecoder(out)
	for {
		var r reply
		if err := dec.Decode(&r); err != nil {
			return
		}
		p.replies <- r
	}
}

// Tree returns the process and its descendants.
func (p *Process) Tree() proc.Tree { return p.child.Tree() }

// Prepare makes the workload's session, which is what the process needs to
// generate load: memory taken up to here is not the store's.
func (p *Process) Prepare(ctx context.Context, s Spec) error {
	return p.do(ctx, call{do: doPrepare, args: s})
}

// Open opens a store. The URL must be that of an empty one, or of one that a
// process of the same Spec has left.
func (p *Process) Open(ctx context.Context, url string) (o Opened, err error) {
	return o, p.do(ctx, call{do: doOpen, args: url, result: &o})
}

// Load fills the store. done is told the number of rows so far.
func (p *Process) Load(ctx context.Context, done func(rows int64)) (l result.Load, err error) {
	return l, p.do(ctx, call{do: doLoad, result: &l, progress: done})
}

// Closed runs a closed loop.
func (p *Process) Closed(ctx context.Context, c Clients) (*result.Loop, error) {
	l := &result.Loop{}
	return l, p.do(ctx, call{do: doClosed, args: c, result: l, lasts: c.Duration})
}

// Paced runs an open loop.
func (p *Process) Paced(ctx context.Context, a Paced) (*result.Loop, error) {
	l := &result.Loop{}
	return l, p.do(ctx, call{do: doPaced, args: a, result: l, lasts: a.Duration})
}

// Settle collects garbage and gives free memory back.
func (p *Process) Settle(ctx context.Context) error { return p.do(ctx, call{do: doSettle}) }

// Verify compares the whole store with what was written.
func (p *Process) Verify(ctx context.Context) (v Verified, err error) {
	return v, p.do(ctx, call{do: doVerify, result: &v})
}

// Check compares rows, and the digest if there is one, with what is expected.
func (p *Process) Check(ctx context.Context, e Expected) error {
	return p.do(ctx, call{do: doCheck, args: e})
}

// Close closes the store.
func (p *Process) Close(ctx context.Context) error { return p.do(ctx, call{do: doClose}) }

// A call is one thing to do, and where its result goes.
type call struct {
	do       verb
	args     any
	result   any
	progress func(rows int64)
	lasts    time.Duration // what it takes at least
}

// silence is how long a process may say nothing beyond what its work lasts. The
// longest quiet work is opening and verifying a large store.
const silence = 5 * time.Minute

// do sends a request and waits for its reply.
func (p *Process) do(ctx context.Context, c call) error {
	args, err := json.Marshal(c.args)
	if err != nil {
		return fmt.Errorf("%s: %w", c.do, err)
	}
	line, err := json.Marshal(request{Do: c.do, Args: args})
	if err != nil {
		return fmt.Errorf("%s: %w", c.do, err)
	}
	if _, err := p.child.In.Write(append(line, '\n')); err != nil {
		return p.died(c.do)
	}
	watchdog := time.NewTimer(c.lasts + silence)
	defer watchdog.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-watchdog.C:
			return fmt.Errorf("%s: the subject process has said nothing for %v; it hangs", c.do, c.lasts+silence)
		case r, ok := <-p.replies:
			switch {
			case !ok:
				return p.died(c.do)
			case r.Rows != nil:
				watchdog.Reset(c.lasts + silence)
				if c.progress != nil {
					c.progress(*r.Rows)
				}
				continue
			case r.Error != nil:
				return r.Error.error()
			case c.result == nil:
				return nil
			}
			if err := json.Unmarshal(r.Result, c.result); err != nil {
				return fmt.Errorf("%s: the reply is not understood: %w", c.do, err)
			}
			return nil
		}
	}
}

// died explains the end of a process that should have gone on.
func (p *Process) died(do verb) error {
	return fmt.Errorf("%s: the subject process died: %s", do, p.child.LastWords())
}

// Stop asks the process to close its store and to end, and kills it if it does
// not.
func (p *Process) Stop() error {
	go p.discard()
	return p.child.Stop()
}

// Kill ends the process and all its descendants at once, as kill -9 does, and
// waits until they are gone.
func (p *Process) Kill() error {
	go p.discard()
	return p.child.Kill()
}

// discard takes the replies that nobody waits for any more.
func (p *Process) discard() {
	for range p.replies {
	}
}
