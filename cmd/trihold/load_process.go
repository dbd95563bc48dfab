package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"trihold/bench/proc"
)

// A loadProcess is trihold load in a process of its own, which ends with this one.
type loadProcess struct {
	child *proc.Child
	began chan struct{} // closed when writing has begun

	mu   sync.Mutex
	fill *loadFilled // guarded by mu
	last *loadEnd    // guarded by mu
	slow float64     // the highest p99 of a second since it was asked for; guarded by mu
}

func startLoad(store string, flags ...string) (*loadProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(exe, append([]string{"load", store, "--json"}, flags...)...)
	cmd.Args[0] = "trihold"
	p := &loadProcess{began: make(chan struct{})}
	p.child, err = proc.StartChild(cmd, p.read)
	return p, err
}

// read takes in what the process prints.
func (p *loadProcess) read(out io.Reader) {
	for dec := json.NewDecoder(out); ; {
		var e loadEvent
		if dec.Decode(&e) != nil {
			_, _ = io.Copy(io.Discard, out) // it has ended, or prints what is not for us
			return
		}
		p.mu.Lock()
		switch {
		case e.Filled != nil:
			p.fill = e.Filled
			close(p.began)
		case e.Second != nil:
			p.slow = max(p.slow, e.Second.P99Ms)
		case e.End != nil:
			p.last = e.End
		}
		p.mu.Unlock()
	}
}

// filled waits until writing has begun.
func (p *loadProcess) filled(ctx context.Context) (*loadFilled, error) {
	select {
	case <-p.began:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.fill, nil
	case <-p.child.Ended():
		return nil, fmt.Errorf("the load has ended: %s", p.child.LastWords())
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// worst returns the highest p99 of a second, in milliseconds, since it was asked for.
func (p *loadProcess) worst() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	worst := p.slow
	p.slow = 0
	return worst
}

// end interrupts the load and returns what it says then.
func (p *loadProcess) end(ctx context.Context) (*loadEnd, error) {
	if err := syscall.Kill(p.child.Tree().Root, syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("interrupt the load: %w", err)
	}
	select {
	case <-p.child.Ended():
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return nil, fmt.Errorf("the load has ended and said nothing of its ledger: %s", p.child.LastWords())
	}
	return p.last, nil
}

// kill ends the process if it still runs.
func (p *loadProcess) kill() error {
	select {
	case <-p.child.Ended():
		return nil
	default:
		return p.child.Kill()
	}
}
