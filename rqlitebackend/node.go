package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"trihold/repo/driver"
)

const (
	nodeID = "node1"
	// electionTimeout is all three of Raft's timeouts for a node that is alone: it
	// waits as long before it elects itself. From start to the first read that is
	// 75 ms, and 1 to 2 s with rqlite's own second; below 25 ms the leader's timer
	// begins to show in an idle process.
	electionTimeout = 25 * time.Millisecond
	// stopWait is how long a node may take to stop before it is killed.
	stopWait = 10 * time.Second
	// maxRestartPause is the longest pause before a node is started again.
	maxRestartPause = 5 * time.Second
	// maxPortTries bounds how often another program may be faster to take a port.
	maxPortTries = 20
)

// A node is a child process that runs rqlited, and is started again when it ends
// before its time. Its address is in peers while it is ready.
//
// It dies with this process, however that ends: the kernel kills it when the
// thread that started it ends, so one goroutine keeps that thread and waits.
type node struct {
	binary string
	dir    *directory
	peers  *peers
	logger *slog.Logger

	stopOnce sync.Once
	stopping chan struct{} // closed by stop
	done     chan struct{} // closed when the process has ended for good

	mu      sync.Mutex
	process *os.Process // guarded by mu; nil while there is none

	// Owned by the goroutine of run.
	http, raft string // addresses, kept over restarts
	everReady  bool
}

func newNode(binary string, dir *directory, p *peers, logger *slog.Logger) *node {
	return &node{binary: binary, dir: dir, peers: p, logger: logger,
		stopping: make(chan struct{}), done: make(chan struct{})}
}

// start starts the node and waits until it is ready.
func (n *node) start(ctx context.Context) error {
	ready := make(chan struct{})
	failed := make(chan error, 1)
	go n.run(sync.OnceFunc(func() { close(ready) }), failed)
	select {
	case <-ready:
		return nil
	case err := <-failed:
		<-n.done
		return err
	case <-ctx.Done():
		n.stop()
		return driver.Failed("run rqlited", driver.ErrUnavailable, fmt.Errorf(
			"%w before it was ready; its log is %s", ctx.Err(), n.dir.file(nodeID+".log")))
	}
}

// run keeps the process running until stop. If it ends before it was ever ready,
// that is an error.
func (n *node) run(ready func(), failed chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(n.done)
	const shortPause = 50 * time.Millisecond
	pause := shortPause
	for tries := 1; ; tries++ {
		l := n.live(ready)
		n.peers.set(l.err)
		n.everReady = n.everReady || l.ready
		switch {
		case n.stopped():
			return
		case l.portTaken && tries < maxPortTries:
			n.http, n.raft = "", ""
			continue
		case !n.everReady:
			failed <- l.err
			return
		case l.ready:
			pause = shortPause
		}
		n.logger.Warn("rqlited ended, starting it again", "err", l.err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-n.stopping:
			return
		}
		pause = min(2*pause, maxRestartPause)
		tries = 0
	}
}

// An end is how a process ended.
type end struct {
	err       error
	ready     bool // it had become ready
	portTaken bool
}

// live runs the process once, from start to end, and calls ready in between.
func (n *node) live(ready func()) end {
	if err := errors.Join(n.dir.mustBeWhole(), n.dir.mustHaveFree(freeToStart)); err != nil {
		return end{err: err}
	}
	log, from, err := n.openLog()
	if err != nil {
		return end{err: cannotWrite("start rqlited", err)}
	}
	defer log.Close()
	lock, err := n.lock()
	if err != nil {
		return end{err: err}
	}
	if err = n.choosePorts(); err != nil {
		return end{err: errors.Join(err, lock.Close())}
	}
	cmd := n.command(log, lock)
	err = n.spawn(cmd)
	if closeErr := lock.Close(); err != nil || closeErr != nil { // the process has its own
		return end{err: fmt.Errorf("start %s: %w", n.binary, oneLine(errors.Join(err, closeErr)))}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	var unfit error // why the process cannot be used although it is ready
	wasReady := false
	wait.Go(func() {
		if !n.becomeReady(ctx, cmd.Process.Pid) {
			return
		}
		if unfit = errors.Join(n.dir.mustHaveFree(freeWhenReady), n.dir.used()); unfit != nil {
			n.signal(syscall.SIGKILL)
			return
		}
		n.logger.Debug("rqlited is ready", "http", n.http, "pid", cmd.Process.Pid)
		n.peers.set(nil, n.http)
		wasReady = true
		ready()
	})
	err = cmd.Wait()
	n.mu.Lock()
	n.process = nil
	n.mu.Unlock()
	cancel()
	wait.Wait()
	if unfit != nil {
		return end{err: unfit}
	}
	e := n.ended(err, log, from)
	e.ready = wasReady
	return e
}

func (n *node) command(log, lock *os.File) *exec.Cmd {
	timeout := electionTimeout.String()
	cmd := exec.Command(n.binary,
		"-node-id", nodeID, "-http-addr", n.http, "-raft-addr", n.raft,
		"-raft-timeout", timeout, "-raft-election-timeout", timeout, "-raft-leader-lease-timeout", timeout,
		n.dir.file(nodeID))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}
	// In a process group of its own it does not get the terminal's interrupt, and
	// can still take the last commits of a program that stops in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}

func (n *node) spawn(cmd *exec.Cmd) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped() {
		return driver.ErrClosed
	}
	err := cmd.Start()
	n.process = cmd.Process
	return err
}

// lock takes the file that the process will hold while it runs. A process whose
// parent was killed may take a moment to die.
func (n *node) lock() (*os.File, error) {
	f, err := os.OpenFile(n.dir.file(nodeID+".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, cannotWrite("start rqlited", err)
	}
	for deadline := time.Now().Add(stopWait); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) || n.stopped() {
			return nil, errors.Join(driver.Failed("run rqlited", driver.ErrUnavailable, fmt.Errorf(
				"an rqlited of an earlier run still works in %s; stop it: %w", n.dir.path, err)), f.Close())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// choosePorts finds two free ports. Another program may take one before rqlited
// does; then others are chosen.
func (n *node) choosePorts() error {
	if n.http != "" {
		return nil
	}
	var free [2]string
	for i := range free {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port on 127.0.0.1: %w", err)
		}
		defer l.Close()
		free[i] = l.Addr().String()
	}
	n.http, n.raft = free[0], free[1]
	return nil
}

// openLog opens the file that takes what the process prints. from is where that
// begins.
func (n *node) openLog() (f *os.File, from int64, err error) {
	name := n.dir.file(nodeID + ".log")
	if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
		if err := os.Rename(name, name+".old"); err != nil {
			return nil, 0, err
		}
	}
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// ended describes how the process ended, with what it last said.
func (n *node) ended(exit error, log *os.File, from int64) end {
	said := lastWords(log, from)
	e := end{portTaken: strings.Contains(said, "address already in use")}
	kind := driver.ErrUnavailable
	if exit == nil {
		exit = errors.New("exit status 0")
	}
	if (strings.HasPrefix(said, "panic:") || strings.HasPrefix(said, "fatal error:")) && !n.everReady {
		// rqlited checks what it needs from outside and explains it. What makes it
		// panic at a start is what it finds in its own files.
		kind = driver.ErrCorrupt
		said += "; the directory is probably damaged: restore it from a backup"
	}
	e.err = driver.Failed("run rqlited", kind, fmt.Errorf("it ended with %w; it said %q; all of it is in %s", exit, said, log.Name()))
	return e
}

// lastWords returns the line of a log that says best why the process ended: what
// it panicked with, or else the last one.
func lastWords(log *os.File, from int64) string {
	info, err := log.Stat()
	if err != nil {
		return ""
	}
	const most = 64 << 10
	from = max(from, info.Size()-most)
	b := make([]byte, max(0, info.Size()-from))
	read, _ := log.ReadAt(b, from)
	last := ""
	for line := range strings.Lines(string(b[:read])) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			break
		}
	}
	return last
}

func (n *node) stopped() bool {
	select {
	case <-n.stopping:
		return true
	default:
		return false
	}
}

// stop ends the process, in good order if it does so in time.
func (n *node) stop() {
	n.stopOnce.Do(func() { close(n.stopping) })
	n.signal(syscall.SIGTERM)
	select {
	case <-n.done:
		return
	case <-time.After(stopWait):
	}
	n.signal(syscall.SIGKILL)
	<-n.done
}

// restart kills the process; run starts it again.
func (n *node) restart() { n.signal(syscall.SIGKILL) }

func (n *node) signal(s os.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		_ = n.process.Signal(s) // it may have ended
	}
}

// pids returns the process, if it is there.
func (n *node) pids() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return nil
	}
	return []int{n.process.Pid}
}
