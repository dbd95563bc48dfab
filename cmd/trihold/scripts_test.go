package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"trihold/inmem"
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await, "ports": ports, "member": awaitMember},
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

// ports sets variables to ports that are free. They are below those that the kernel
// gives to outgoing connections, which might take one before its node listens.
func ports(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: ports NAME...")
	}
	for _, name := range args {
		for {
			port := fmt.Sprint(10000 + rand.N(20000))
			ln, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				continue // it is taken
			}
			defer ln.Close() // so that each is another one
			ts.Setenv(name, port)
			break
		}
	}
}

// awaitMember waits until what the node of a directory says of itself, as trihold node
// prints it, matches a pattern; with "!", until no node has the directory open.
func awaitMember(ts *testscript.TestScript, neg bool, args []string) {
	if neg && len(args) != 1 || !neg && len(args) != 2 {
		ts.Fatalf("usage: member DIR PATTERN, or ! member DIR")
	}
	last := ""
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a, err := inmem.Ask(context.Background(), ts.MkAbs(args[0]), inmem.Command{Do: inmem.DoStatus})
		switch {
		case neg && errors.Is(err, inmem.ErrNobody):
			return
		case err != nil:
			last = err.Error()
		default:
			last = nodeLine(a.Status)
			if matched, err := regexp.MatchString(args[len(args)-1], last); err != nil || matched && !neg {
				ts.Check(err)
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %s", args[0], last)
		}
	}
}
