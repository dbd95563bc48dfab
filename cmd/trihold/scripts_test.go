package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"trihold/repo/migrate"
)

// What the program does is told by the scripts.
func TestScripts(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rqlited, err := filepath.Abs("../../bin/rqlited")
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	for _, name := range []string{"trihold", "fill", "sql"} {
		if err := os.Symlink(exe, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			path := []string{programs, filepath.Dir(rqlited), e.Getenv("PATH")}
			e.Setenv("PATH", strings.Join(path, string(os.PathListSeparator)))
			e.Setenv("TMPDIR", filepath.Join(e.WorkDir, "tmp"))
			return os.Mkdir(filepath.Join(e.WorkDir, "tmp"), 0o777)
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "rqlited":
				_, err := os.Stat(rqlited)
				return err == nil, nil
			case "tmpfs":
				return exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt").Run() == nil, nil
			}
			return false, errors.New("no such condition")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await},
	})
}

// exits runs a command and checks that its exit code is one of those given,
// separated by commas, and that a mistake is said in one line.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE,... command args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(got)) {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
	if said := ts.ReadFile("stderr"); got > 1 && strings.Count(said, "\n") != 1 {
		ts.Fatalf("a mistake should be said in one line")
	}
}

// await waits until a program answers on a socket, and so has opened its store, and,
// if a phase is given, until its migration has that.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: await SOCKET [PHASE]")
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a, err := migrate.Ask(context.Background(), ts.MkAbs(args[0]), migrate.Command{Do: migrate.DoStatus})
		switch {
		case len(args) == 1 && !errors.Is(err, migrate.ErrNobody):
			return
		case len(args) == 2 && err == nil && string(a.Status.Phase) == args[1]:
			return
		case time.Now().After(deadline):
			ts.Fatalf("%s: %v, %+v", args[0], err, a.Status)
		}
	}
}
