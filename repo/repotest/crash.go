package repotest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// crashDir is set in the environment of the process that is to be killed.
const crashDir = "TRIHOLD_CRASH_DIR"

// crashWriters is the number of goroutines that write.
const crashWriters = 8

// A step is what a writer did last. The writer with number Writer overwrites its
// one step and adds one mark, in one transaction, again and again.
type step struct {
	Writer int64 `db:"writer"`
	Number int64 `db:"number"`
}

type mark struct {
	ID     string `db:"id"`
	Writer int64  `db:"writer"`
	Number int64  `db:"number"`
}

var (
	steps        = repo.NewTable("step", func(s *step) *int64 { return &s.Writer })
	marks        = repo.NewTable("mark", func(m *mark) *string { return &m.ID })
	marksByPlace = repo.NewUnique2(marks, func(m *mark) (*int64, *int64) { return &m.Writer, &m.Number })
	crashSchema  = repo.NewSchema(steps, marks, marksByPlace)
)

// Crash starts a process that writes to a store under load, kills it with
// SIGKILL at a random moment, opens the store and checks that every acknowledged
// commit is there, that none was applied twice or by half, and that no revision
// is given again; over and over on one directory. The process is the test binary
// itself, running the same test, so Crash must be the whole of a test.
func Crash(t *testing.T, rounds int, open func(ctx context.Context, dir string) (driver.Store, error)) {
	ctx := context.Background()
	if dir := os.Getenv(crashDir); dir != "" {
		err := writeUntilKilled(ctx, open, dir, os.Stdout)
		fmt.Printf("failed %v\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
	dir := t.TempDir()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := &crashed{acked: map[int64]int64{}}
	for round := range rounds {
		before := c.total()
		c.run(t, dir, time.Duration(50+r.IntN(250))*time.Millisecond)
		if t.Failed() {
			return
		}
		d, err := open(ctx, dir)
		if err != nil {
			t.Fatalf("round %d: open after kill: %v", round, err)
		}
		c.check(t, ctx, d)
		if err := d.Close(); err != nil {
			t.Errorf("round %d: close: %v", round, err)
		}
		if t.Failed() {
			t.Fatalf("round %d, seed %d: see above", round, seed)
		}
		t.Logf("round %d: killed after %d acknowledged commits; all there at revision %d", round, c.total()-before, c.rev)
	}
	if c.total() < int64(10*rounds) {
		t.Errorf("only %d commits in %d rounds: the load was too low to prove anything", c.total(), rounds)
	}
}

// writeUntilKilled is the process that is killed. It prints a line after each
// acknowledged commit.
func writeUntilKilled(ctx context.Context, open func(context.Context, string) (driver.Store, error), dir string, out io.Writer) error {
	d, err := open(ctx, dir)
	if err != nil {
		return err
	}
	s, err := repo.New(ctx, d, crashSchema)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "open")
	failed := make(chan error, crashWriters)
	for w := range int64(crashWriters) {
		go func() {
			for {
				n, err := writeStep(ctx, s, w)
				if err != nil {
					failed <- err
					return
				}
				fmt.Fprintf(out, "acked %d %d\n", w, n) // one write: lines do not mix
			}
		}()
	}
	return <-failed
}

// writeStep makes the next step of a writer.
func writeStep(ctx context.Context, s *repo.Store, writer int64) (n int64, err error) {
	err = s.Update(ctx, func(tx *repo.Tx) error {
		last, err := steps.Get(tx, writer)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		n = last.Number + 1
		return errors.Join(
			steps.Put(tx, step{Writer: writer, Number: n}),
			marks.Insert(tx, mark{ID: fmt.Sprintf("%d-%d", writer, n), Writer: writer, Number: n}),
		)
	})
	return n, err
}

// crashed is what is known about the store from outside.
type crashed struct {
	mu    sync.Mutex
	acked map[int64]int64 // the last acknowledged step of each writer
	rev   driver.Rev      // the highest revision seen
}

func (c *crashed) total() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var n int64
	for _, last := range c.acked {
		n += last
	}
	return n
}

// run starts the process, and kills it some time after its first commit.
func (c *crashed) run(t *testing.T, dir string, life time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start the process: %v", err)
	}
	first := true
	var kill *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var w, n int64
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "failed "):
			t.Errorf("the process %s", line)
		case !strings.HasPrefix(line, "acked "):
		default:
			if _, err := fmt.Sscanf(line, "acked %d %d", &w, &n); err != nil {
				continue // the line that the kill cut off
			}
			c.mu.Lock()
			c.acked[w] = max(c.acked[w], n)
			c.mu.Unlock()
			if first {
				first = false
				kill = time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
			}
		}
	}
	if kill != nil {
		kill.Stop()
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the process was not killed: %v", err)
	}
}

// check compares the store with what was acknowledged. It closes nothing.
func (c *crashed) check(t *testing.T, ctx context.Context, d driver.Store) {
	t.Helper()
	s, err := repo.New(ctx, d, crashSchema)
	if err != nil {
		t.Errorf("prepare after kill: %v", err)
		return
	}
	var total int64
	var rev driver.Rev
	err = s.View(ctx, func(tx *repo.ReadTx) error {
		total, rev = 0, 0
		for w := range int64(crashWriters) {
			last, err := steps.Get(tx, w)
			if err != nil && !errors.Is(err, repo.ErrNotFound) {
				return err
			}
			// One more than was acknowledged may have been under way.
			if acked := c.acked[w]; last.Number < acked || last.Number > acked+1 {
				return fmt.Errorf("writer %d: step %d was acknowledged, step %d is there", w, acked, last.Number)
			}
			n, err := marksByPlace.Eq(w).Count(tx)
			if err != nil {
				return err
			}
			if int64(n) != last.Number {
				return fmt.Errorf("writer %d: %d marks for %d steps", w, n, last.Number)
			}
			total += last.Number
			c.acked[w] = last.Number // from here on it has been seen
		}
		rev = tx.Rev()
		return nil
	})
	if err != nil {
		t.Errorf("after kill: %v", err)
		return
	}
	if rev < driver.Rev(total) || rev < c.rev {
		t.Errorf("revision %d after %d commits, %d was seen before", rev, total, c.rev)
	}
	c.rev = rev
	Verify(t, d, crashSchema.Driver())
}
