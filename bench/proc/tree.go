package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// A Tree is a process and its descendants.
type Tree struct {
	Root int
}

// PIDs returns the processes of the tree, the root first. A process that is gone
// but not yet waited for does not count.
func (t Tree) PIDs() ([]int, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]int{}
	alive := map[int]bool{}
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil || stat.State == "Z" || stat.State == "X" {
			continue // gone meanwhile
		}
		alive[p.PID] = true
		children[stat.PPID] = append(children[stat.PPID], p.PID)
	}
	if !alive[t.Root] {
		return nil, nil
	}
	tree := []int{t.Root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// PSS returns the memory of the tree in bytes.
func (t Tree) PSS() (int64, error) {
	pids, err := t.PIDs()
	if err != nil {
		return 0, err
	}
	return pss(pids)
}

func pss(pids []int) (sum int64, err error) {
	for _, pid := range pids {
		p, err := procfs.NewProc(pid)
		if err == nil {
			var rollup procfs.ProcSMapsRollup
			if rollup, err = p.ProcSMapsRollup(); err == nil {
				sum += int64(rollup.Pss)
			}
		}
		if err != nil && !gone(err) {
			return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
		}
	}
	return sum, nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// Kill sends SIGKILL to every process of the tree and waits until all are gone.
func (t Tree) Kill() error {
	pids, err := t.PIDs()
	if err != nil {
		return err
	}
	return errors.Join(signal(pids, syscall.SIGKILL), Wait(pids, killWait))
}

// Stop sends SIGSTOP to every process of the tree: none runs until Continue.
func (t Tree) Stop() error { return t.signal(syscall.SIGSTOP) }

// Continue sends SIGCONT to every process of the tree.
func (t Tree) Continue() error { return t.signal(syscall.SIGCONT) }

func (t Tree) signal(s syscall.Signal) error {
	pids, err := t.PIDs()
	if err != nil {
		return err
	}
	return signal(pids, s)
}

// signal sends a signal to each process that is still there.
func signal(pids []int, s syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %v to process %d: %w", s, pid, err)
		}
	}
	return nil
}

// killWait is how long a killed process may take to be gone; one that is stuck
// in the kernel, on a disk that does not answer, takes longer.
const killWait = 10 * time.Second

// Wait waits until none of the processes runs.
func Wait(pids []int, atMost time.Duration) error {
	deadline := time.Now().Add(atMost)
	for _, pid := range pids {
		for running(pid) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d is still there after %v", pid, atMost)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

func running(pid int) bool {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return false
	}
	stat, err := p.Stat()
	return err == nil && stat.State != "Z" && stat.State != "X"
}

// A Sampler watches the memory of a tree.
type Sampler struct {
	tree Tree
	stop chan struct{}
	done chan struct{}

	mu   sync.Mutex
	peak int64
	err  error
}

const (
	samplesPerSecond = 10
	// samplesPerList is how many samples are taken of the same processes before
	// they are listed again.
	samplesPerList = 10
)

// Sample starts to watch a tree. The caller calls Stop.
func Sample(t Tree) *Sampler {
	s := &Sampler{tree: t, stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *Sampler) run() {
	defer close(s.done)
	tick := time.NewTicker(time.Second / samplesPerSecond)
	defer tick.Stop()
	var pids []int
	for n := 0; ; n++ {
		var err error
		if n%samplesPerList == 0 {
			pids, err = s.tree.PIDs()
		}
		var sum int64
		if err == nil {
			sum, err = pss(pids)
		}
		s.mu.Lock()
		s.peak, s.err = max(s.peak, sum), errors.Join(s.err, err)
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// Stop ends the watching and returns the highest PSS seen.
func (s *Sampler) Stop() (peak int64, err error) {
	close(s.stop)
	<-s.done
	return s.peak, s.err
}

// Exe returns the path of a process's program.
func Exe(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) }

// Args returns the command line of a process.
func Args(pid int) ([]string, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return nil, fmt.Errorf("read the arguments of process %d: %w", pid, err)
	}
	return p.CmdLine()
}
