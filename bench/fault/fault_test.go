package fault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"trihold/bench"
	"trihold/bench/fault"
	"trihold/bench/fault/node"
	"trihold/bench/fault/syscalls"
	"trihold/bench/proc"
	"trihold/bench/result"
	_ "trihold/inmem"
	"trihold/repo"
	_ "trihold/sqlitebackend"
)

// The test program is its own node.
func TestMain(m *testing.M) {
	if role := os.Getenv("FAULT_TEST"); role != "" {
		if role == "supervised" {
			if err := syscalls.Install(fault.SupervisedCalls, 3); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if err := node.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func nodeCommand(l *syscalls.Link) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "FAULT_TEST=node")
	if l != nil {
		cmd.Env = append(os.Environ(), "FAULT_TEST=supervised")
		cmd.ExtraFiles = []*os.File{l.End()}
	}
	return cmd
}

// run runs cells with little traffic and returns them by fault. It leaves neither
// processes nor directories.
func run(t *testing.T, c fault.Config) map[string]result.Cell {
	t.Helper()
	c.Node, c.Quick, c.Dir, c.Out = nodeCommand, true, t.TempDir(), t.TempDir()
	file, err := fault.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, c.Dir)
	cells := map[string]result.Cell{}
	for _, cell := range file.Cells {
		cells[cell.Fault] = cell
	}
	return cells
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left in the directory, %v", left, err)
	}
	if pids, err := (proc.Tree{Root: os.Getpid()}).PIDs(); err != nil || len(pids) != 1 {
		t.Errorf("processes %v are left, %v", pids[1:], err)
	}
}

func TestKillsAreSurvivedAndControlsAreFoundOut(t *testing.T) {
	for _, store := range []string{"inmem/disk", "sqlite/disk"} {
		cells := run(t, fault.Config{Faults: []string{"kill", "hasty-clients", "two-processes"}, Stores: []string{store}})
		if len(cells) != 6 {
			t.Errorf("%s: %d cells", store, len(cells))
		}
		for name, c := range cells {
			if c.Verdict == result.Skipped && c.Fault == "control-lie" {
				continue // it needs a file system of its own
			}
			want, acked := result.Passed, 500
			if c.Control {
				want, acked = result.Red, 200
			}
			if c.Verdict != want || c.Observed == 0 || c.Acked < acked {
				t.Errorf("%s on %s: %s %s; struck %d times, %d operations acknowledged; %s", name, store, c.Verdict, c.Why, c.Observed, c.Acked, c.Replay)
			}
		}
	}
}

func TestSystemCallsThatFailAreSurvived(t *testing.T) {
	if err := syscalls.Available(); err != nil {
		t.Skip(err)
	}
	cells := run(t, fault.Config{Faults: []string{"sync-error", "crash-write"}, Stores: []string{"inmem/disk"}})
	for _, name := range []string{"sync-error", "crash-write"} {
		if c := cells[name]; c.Verdict != result.Passed || c.Observed == 0 {
			t.Errorf("%s: %s %s; struck %d times", name, c.Verdict, c.Why, c.Observed)
		}
	}
}

func TestDamageIsRefusedOrHarmless(t *testing.T) {
	c := run(t, fault.Config{Faults: []string{"log-flip-bit"}, Stores: []string{"inmem/disk"}})["log-flip-bit"]
	if c.Verdict != result.Detected && c.Verdict != result.Passed || len(c.Damage) != 1 {
		t.Errorf("%s %s: %v", c.Verdict, c.Why, c.Damage)
	}
}

func extra(name string, script func(ctx context.Context, c *fault.Cell) error) fault.Config {
	return fault.Config{Extra: []fault.Fault{{Name: name, Limit: time.Second, Steady: time.Second, Break: script}}, Faults: []string{name}, Stores: []string{"inmem/disk"}}
}

func TestAFaultThatNeverStruckFails(t *testing.T) {
	c := run(t, extra("nothing", func(context.Context, *fault.Cell) error { return nil }))["nothing"]
	if c.Verdict != result.Bad || !strings.Contains(c.Why, "not observed") || len(c.Artefacts) != 1 {
		t.Errorf("%s %s", c.Verdict, c.Why)
	}
}

func TestAScriptThatHangsOrFailsFailsItsCell(t *testing.T) {
	hang := run(t, extra("hang", func(ctx context.Context, c *fault.Cell) error {
		c.Observe(1)
		return c.Hold(ctx, time.Hour)
	}))["hang"]
	if hang.Verdict != result.Bad || !strings.Contains(hang.Why, "takes longer") {
		t.Errorf("%s %s", hang.Verdict, hang.Why)
	}
	broken := run(t, extra("broken", func(_ context.Context, c *fault.Cell) error {
		c.Observe(1)
		return errors.Join(c.Kill(), errors.New("as asked"))
	}))["broken"]
	if broken.Verdict != result.Bad || !strings.Contains(broken.Why, "as asked") {
		t.Errorf("%s %s", broken.Verdict, broken.Why)
	}
}

func TestAStoreThatIsNotBackFails(t *testing.T) {
	c := run(t, extra("gone", func(_ context.Context, c *fault.Cell) error {
		c.Observe(1)
		return c.Pause() // and never Resume
	}))["gone"]
	if c.Verdict != result.Bad {
		t.Errorf("%s %s", c.Verdict, c.Why)
	}
}

func TestACellIsReplayedByItsID(t *testing.T) {
	c := run(t, fault.Config{Replay: "restart@inmem/disk@77"})["restart"]
	if c.ID != "restart@inmem/disk@77" || c.Verdict != result.Passed {
		t.Errorf("%s: %s %s", c.ID, c.Verdict, c.Why)
	}
}

func TestAnInterruptedRunLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	dir := t.TempDir()
	_, err := fault.Run(ctx, fault.Config{Node: nodeCommand, Quick: true, Dir: dir, Stores: []string{"inmem/disk"}, Faults: []string{"kill-loop"},
		Progress: func(p bench.Progress) {
			if strings.HasPrefix(p.What, "kill-loop") {
				time.AfterFunc(300*time.Millisecond, func() { cancel(stop) })
			}
		}})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, dir)
}

func TestBadUsageIsNamedBeforeAnythingIsStarted(t *testing.T) {
	for says, c := range map[string]fault.Config{
		`no fault is called "x"`:     {Faults: []string{"x"}},
		`no subject is called "x"`:   {Stores: []string{"x"}},
		"it must be at least 1":      {Rounds: -1},
		"a cell is fault@store@seed": {Replay: "kill"},
		"is no number":               {Replay: "kill@inmem/disk@x"},
		"leave out --faults":         {Replay: "kill@inmem/disk@1", Faults: []string{"kill"}},
	} {
		c.Node, c.Dir = nodeCommand, t.TempDir()
		if _, err := fault.Run(t.Context(), c); !errors.Is(err, repo.ErrInvalid) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

func TestEveryFaultSaysWhatItIsAndHasItsNumberInTheCatalogue(t *testing.T) {
	numbers := map[string]bool{}
	for _, n := range fault.Numbers() {
		numbers[n.ID] = true
	}
	names := map[string]bool{}
	for _, f := range fault.Catalogue() {
		if f.About == "" || f.Numbers == "" || f.Break == nil && !strings.HasPrefix(f.Name, "simulated-") || names[f.Name] {
			t.Errorf("fault %q is not whole, or there twice", f.Name)
		}
		names[f.Name] = true
		for _, n := range strings.Fields(f.Numbers) {
			if !numbers[n] {
				t.Errorf("fault %s has the number %s, which the catalogue does not know", f.Name, n)
			}
		}
	}
}

// The tutorial of docs/faults.md is a file of this package.
func TestTheTutorialIsThisTest(t *testing.T) {
	doc, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("tutorial_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(doc, bytes.TrimSpace(code)) {
		t.Error("docs/faults.md does not hold tutorial_test.go word for word")
	}
	if n := bytes.Count(code, []byte("\n")); n >= 50 {
		t.Errorf("the tutorial has %d lines", n)
	}
}
