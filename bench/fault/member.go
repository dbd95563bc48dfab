package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"trihold/bench/fault/damage"
	"trihold/bench/fault/fusefs"
	"trihold/bench/fault/history"
	"trihold/bench/fault/node"
	"trihold/bench/fault/operator"
	"trihold/bench/fault/syscalls"
	"trihold/bench/proc"
	"trihold/repo"
)

// A Member is one node of a cell's subject: a process and a directory. Most subjects
// have one, a cluster several. A script calls its methods, those of one member from
// one goroutine at a time.
type Member struct {
	Name string
	Dir  string // where the node keeps everything

	cell    *Cell
	address string     // where the other nodes find it; empty if it is alone
	in      bool       // it is one of those that Cell.Start starts
	joins   bool       // it has no directory of the first hour, and asks to be let in
	reader  bool       // it joins and never votes
	stale   bool       // the node is a negative control: it answers reads from what it has
	disk    *fusefs.FS // nil without Needs.Disk

	mu   sync.Mutex
	node *victim // guarded by mu; nil while there is none

	sampler *proc.Sampler // of the memory of node
	peak    int64
	acked   atomic.Int64 // operations that were answered by it
}

// current returns the running node; nil if there is none.
func (m *Member) current() *victim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

// Start starts the node's process and opens the store. With Needs.Calls, the rules
// are in force from the first call on.
func (m *Member) Start(ctx context.Context, rules ...syscalls.Rule) error {
	v, err := m.spawn(ctx, rules...)
	if err != nil {
		return err
	}
	if _, err := v.Open(ctx); err != nil {
		return fmt.Errorf("open: %w", v.ended(err))
	}
	m.sampler = proc.Sample(v.Tree())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = v
	return nil
}

// startAndKill kills the process some time after it began to open the store.
func (m *Member) startAndKill(ctx context.Context, after time.Duration) error {
	n, err := m.spawn(ctx)
	if err != nil {
		return err
	}
	opened := make(chan error, 1)
	go func() {
		_, err := n.Open(ctx)
		opened <- err
	}()
	err = m.cell.Hold(ctx, after)
	err = errors.Join(err, n.kill())
	if openErr := <-opened; openErr != nil && !errors.Is(openErr, node.ErrGone) {
		err = errors.Join(err, fmt.Errorf("open: %w", openErr))
	}
	return err
}

// openTwice opens the store in a second process.
func (m *Member) openTwice(ctx context.Context) error {
	n, err := m.spawn(ctx)
	if err != nil {
		return err
	}
	_, err = n.Open(ctx)
	killed := n.kill()
	switch {
	case err == nil:
		return errors.Join(errors.New("a second process has opened the store"), killed)
	case !errors.Is(err, repo.ErrUnavailable):
		return errors.Join(fmt.Errorf("a second process was refused with another error than ErrUnavailable: %w", err), killed)
	}
	return killed
}

// spawn starts a process that has not opened the store yet.
func (m *Member) spawn(ctx context.Context, rules ...syscalls.Rule) (*victim, error) {
	c := m.cell
	config := node.Config{Name: m.Name, URL: c.urlOf(m), Setup: c.crowd.Setup, Early: c.early, Stale: m.stale, Follow: c.Subject.To != "", Grace: c.volume.grace}
	var l *syscalls.Link
	if c.tools.calls {
		var err error
		if l, err = syscalls.NewLink(); err != nil {
			return nil, err
		}
		defer l.Close()
	}
	config.Command = c.run.config.Node(l)
	return startVictim(ctx, config, l, rules...)
}

// take removes the node, so that clients find nobody.
func (m *Member) take() (*victim, error) {
	m.mu.Lock()
	n := m.node
	m.node = nil
	m.mu.Unlock()
	if n == nil {
		return nil, fmt.Errorf("%s is not running", m.Name)
	}
	return n, m.sampled()
}

// sampled ends the watch over the memory of a process.
func (m *Member) sampled() error {
	if m.sampler == nil {
		return nil
	}
	peak, err := m.sampler.Stop()
	m.sampler, m.peak = nil, max(m.peak, peak)
	return err
}

// Kill ends all processes of the node with SIGKILL.
func (m *Member) Kill() error {
	n, err := m.take()
	if err != nil {
		return err
	}
	return n.kill()
}

// Stop lets the node close its store and end.
func (m *Member) Stop() error {
	n, err := m.take()
	if err != nil {
		return err
	}
	return n.stop()
}

// Pause stops all processes of the node with SIGSTOP.
func (m *Member) Pause() error { return m.current().Tree().Stop() }

// Resume lets them go on.
func (m *Member) Resume() error { return m.current().Tree().Continue() }

// do sends an operation to the node, if there is one.
func (m *Member) do(ctx context.Context, o *history.Op, timeout time.Duration) (sent bool) {
	n := m.current()
	sent = n != nil && n.Do(ctx, o, timeout)
	if sent && o.Outcome == history.OK {
		m.acked.Add(1)
	}
	return sent
}

// Arm makes system calls of the node fail, wait or be its last ones, on files below
// its directory. It needs Needs.Calls.
func (m *Member) Arm(r syscalls.Rule) (*syscalls.Armed, error) {
	if r.Under == "" {
		r.Under = m.Dir
	}
	return m.current().calls.Arm(r)
}

// Status asks the node how it is.
func (m *Member) Status(ctx context.Context) (operator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	return operator.Send(ctx, m.Dir, operator.Command{Do: operator.Ask})
}

// statusWait is how long a node may take to say how it is: one that is stopped never
// does.
const statusWait = 300 * time.Millisecond

// cutPower kills the node and takes its disk back to what was synced. Of the rest it
// keeps a part.
func (m *Member) cutPower(keep float64) error {
	if err := m.Kill(); err != nil {
		return err
	}
	return m.losePower(keep)
}

// losePower is what a loss of power does to the disk of a node that was killed.
func (m *Member) losePower(keep float64) error {
	loss, err := m.disk.PowerLoss(m.cell.Rand, keep)
	if err != nil {
		return err
	}
	// What was kept was in danger too. With nothing unsynced the cut proves nothing.
	m.cell.Observe(int64(loss.SectorsLost + loss.NamesLost + loss.SectorsKept + loss.NamesKept))
	m.cell.note("%s%d sectors and %d names lost, %d and %d kept", m.prefix(), loss.SectorsLost, loss.NamesLost, loss.SectorsKept, loss.NamesKept)
	return nil
}

// prefix begins what is noted of the node, if there are others.
func (m *Member) prefix() string {
	if m.address == "" {
		return ""
	}
	return m.Name + ": "
}

// harm damages one of the node's files of a kind. An older copy of the directory is
// needed for damage.OldVersion.
func (m *Member) harm(files FileKind, kind damage.Kind, older string) error {
	names, err := damage.Find(m.Dir, m.cell.Subject.Files[files]...)
	if err != nil {
		return err
	}
	done, err := damage.Apply(m.cell.Rand, damage.Target{Dir: m.Dir, Old: older}, names, kind)
	if err != nil {
		return fmt.Errorf("damage files of kind %s: %w", files, err)
	}
	m.cell.note("%s%s", m.prefix(), done)
	m.cell.Observe(1)
	return nil
}

// wipe removes everything that a node which does not run has on its disk. The
// directory itself may be a mount point, and stays.
func (m *Member) wipe() error {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return fmt.Errorf("wipe the disk of %s: %w", m.Name, err)
	}
	root, err := os.OpenRoot(m.Dir)
	if err != nil {
		return fmt.Errorf("wipe the disk of %s: %w", m.Name, err)
	}
	defer root.Close()
	var errs []error
	for _, e := range entries {
		errs = append(errs, root.RemoveAll(e.Name()))
	}
	return errors.Join(errs...)
}
