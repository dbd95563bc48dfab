//go:build amd64 || arm64

package syscalls

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Supervisor answers the intercepted calls of one process and of all that it has
// started. It is safe for concurrent use.
type Supervisor struct {
	listener listener
	calls    Calls
	shapes   map[int32]*syscallShape // by number; not changed
	done     chan struct{}           // closed when no supervised process is left
	delayed  sync.WaitGroup          // calls that wait for longer

	mu    sync.Mutex
	rules []*Armed // guarded by mu; those in force, and some cleared ones
	err   error    // guarded by mu; the first
}

// Supervise waits until the process at the other end of a link calls Install, and
// answers its calls from then on. The process must have been started. The rules are
// in force before it goes on; Armed returns them in the same order.
func Supervise(ctx context.Context, l *Link, rules ...Rule) (*Supervisor, error) {
	defer l.Close()
	listener, calls, err := l.accept(ctx)
	if err != nil {
		return nil, fmt.Errorf("supervise system calls: %w", err)
	}
	s := &Supervisor{
		listener: listener,
		calls:    calls,
		shapes:   map[int32]*syscallShape{},
		done:     make(chan struct{}),
	}
	for _, shape := range shapes(calls) {
		s.shapes[int32(shape.nr)] = &shape
	}
	for _, r := range rules {
		if _, err := s.Arm(r); err != nil {
			_ = unix.Close(int(listener)) // the process learns by the link that it must end
			return nil, fmt.Errorf("supervise system calls: %w", err)
		}
	}
	listener.runNear()
	go s.run()
	if err := l.ready(); err != nil {
		// The process is gone, or about to end.
		return nil, errors.Join(fmt.Errorf("supervise system calls: %w", err), s.Close(ctx))
	}
	return s, nil
}

// Arm puts a rule in force.
func (s *Supervisor) Arm(r Rule) (*Armed, error) {
	a, err := arm(r, s.calls)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	inForce := make([]*Armed, 0, len(s.rules)+1) // a new one: a call may be looking at the old
	for _, old := range s.rules {
		if !old.isCleared() {
			inForce = append(inForce, old)
		}
	}
	s.rules = append(inForce, a)
	return a, nil
}

// Armed returns the rules in force, in the order in which they were armed.
func (s *Supervisor) Armed() []*Armed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var inForce []*Armed
	for _, a := range s.rules {
		if !a.isCleared() {
			inForce = append(inForce, a)
		}
	}
	return inForce
}

// Clear takes all rules out of force.
func (s *Supervisor) Clear() {
	for _, a := range s.Armed() {
		a.Clear()
	}
}

// Err returns the first call that could not be judged although a rule was for calls
// of its kind, or why the supervisor had to stop.
func (s *Supervisor) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close clears all rules, waits until every supervised process is gone and closes
// the listener; then it returns Err. The caller ends the processes, and waits for
// those that are its children. If some are still there when ctx is done, Close
// returns an error, and their calls go on being answered.
func (s *Supervisor) Close(ctx context.Context) error {
	s.Clear()
	select {
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return fmt.Errorf("close supervisor of system calls: processes are still running under it: %w", context.Cause(ctx))
	}
}

func (s *Supervisor) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// run answers calls until there are no callers.
func (s *Supervisor) run() {
	defer close(s.done)
	for {
		n, more, err := s.listener.wait()
		if err != nil {
			s.fail(err)
		}
		if !more {
			break
		}
		s.answer(&n)
	}
	s.delayed.Wait()
	if err := unix.Close(int(s.listener)); err != nil {
		s.fail(fmt.Errorf("close listener for system calls: %w", err))
	}
}

// A verdict is what the rules say about one call.
type verdict struct {
	by      *Armed   // the one that decided; nil if the call is to be made
	counted []*Armed // all that took the call, among them by
}

// answer does to a call what the rules say.
func (s *Supervisor) answer(n *notification) {
	v := s.judge(n)
	if v.by == nil || v.by.rule.Delay == 0 {
		s.carryOut(n, v)
		return
	}
	s.delayed.Add(1)
	go func() {
		defer s.delayed.Done()
		timer := time.NewTimer(v.by.rule.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-v.by.cleared:
		}
		s.carryOut(n, v)
	}()
}

// judge asks the rules.
func (s *Supervisor) judge(n *notification) (v verdict) {
	shape := s.shapes[n.nr]
	s.mu.Lock()
	rules := s.rules
	s.mu.Unlock()
	var files []string
	looked := false
	for _, a := range rules {
		if shape == nil || a.rule.Calls&shape.class == 0 || a.isCleared() {
			continue
		}
		if a.rule.Part > 0 && !divisible(n, a.rule.Part) {
			continue
		}
		if !looked {
			var err error
			files, err = paths(shape, n)
			if !s.listener.waiting(n) {
				return v // and what was found may be another's
			}
			if err != nil {
				s.fail(fmt.Errorf("judge %v: %w", shape.class, err))
			}
			looked = true
		}
		for _, file := range files {
			if !a.rule.matches(file) {
				continue
			}
			due, ok := a.take(v.by != nil)
			if ok {
				v.counted = append(v.counted, a)
			}
			if due {
				v.by = a
			}
			break
		}
	}
	return v
}

// carryOut answers a call.
func (s *Supervisor) carryOut(n *notification, v verdict) {
	err := s.effect(n, v.by)
	if err == nil {
		return
	}
	gone := errors.Is(err, errGone)
	delayed := v.by != nil && v.by.rule.Delay > 0 && !v.by.rule.Kill
	if !gone || !delayed { // the delay was real
		for _, a := range v.counted {
			a.untake(a == v.by)
		}
	}
	if !gone {
		s.fail(err)
	}
}

// effect gives a call what a rule says; none lets it be made.
func (s *Supervisor) effect(n *notification, by *Armed) error {
	if by == nil {
		return s.listener.goOn(n)
	}
	written := 0
	if by.rule.Part > 0 {
		var err error
		if written, err = s.writePart(n, by.rule.Part); err != nil {
			return errors.Join(err, s.listener.goOn(n))
		}
	}
	switch {
	case by.rule.Kill:
		return s.kill(n)
	case by.rule.Errno != 0:
		return s.listener.refuse(n, by.rule.Errno)
	case by.rule.Part > 0:
		return s.listener.result(n, written)
	}
	return s.listener.goOn(n)
}

// kill ends the process that called. The call stays without an answer, and is not
// made.
func (s *Supervisor) kill(n *notification) error {
	if !s.listener.waiting(n) {
		return errGone
	}
	// A signal to a thread's ID goes to its process.
	err := unix.Kill(int(n.pid), unix.SIGKILL)
	switch {
	case errors.Is(err, unix.ESRCH):
		return errGone
	case err != nil:
		return fmt.Errorf("kill process of thread %d: %w", n.pid, err)
	}
	return nil
}
