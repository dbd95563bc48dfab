package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trihold/bench/proc"
)

// The test program is trihold when it is called so, or fill, or sql.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "trihold":
		main()
	case "fill":
		fillMain()
	case "sql":
		sqlMain()
	}
	os.Exit(m.Run())
}

// A script cannot tell what an interrupted program leaves.
func TestAnInterruptedBenchLeavesNothing(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(exe, "bench", "--stores", "inmem", "--rows", "1000", "--duration", "1m", "--dir", dir)
	cmd.Args[0] = "trihold"
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tree := proc.Tree{Root: cmd.Process.Pid}
	defer tree.Kill()
	var pids []int
	for deadline := time.Now().Add(20 * time.Second); len(pids) < 2; time.Sleep(10 * time.Millisecond) {
		if pids, err = tree.PIDs(); err != nil || time.Now().After(deadline) {
			t.Fatalf("processes %v, %v: %s", pids, err, &stderr)
		}
	}
	time.Sleep(500 * time.Millisecond) // until it is in the middle of something
	start := time.Now()
	for range 2 { // twice: a wrapper may pass on what the group has got
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("it ended with %v: %s", err, &stderr)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if err := proc.Wait(pids, time.Second); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if !strings.HasSuffix(stderr.String(), "trihold: interrupted\n") {
		t.Errorf("it said: %s", &stderr)
	}
}

func TestACommandLineCanBeTypedAgain(t *testing.T) {
	got := commandLine([]string{"trihold", "bench", "--stores", "sqlite:{dir}/app.db?class=disk", "it's", ""})
	if want := `trihold bench --stores 'sqlite:{dir}/app.db?class=disk' 'it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
