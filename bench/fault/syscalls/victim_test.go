//go:build linux && (amd64 || arm64)

package syscalls

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Set in the environment of a process that is to be a victim.
const (
	victimCalls = "SYSCALLS_TEST_CALLS" // what it installs
	victimExec  = "SYSCALLS_TEST_EXEC"  // the shell command that it becomes, if any
)

// self is this program, for a user too who may not look into its directory.
const self = "/proc/self/exe"

// patience is how long something that must happen may take.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	calls, ok := os.LookupEnv(victimCalls)
	if !ok {
		os.Exit(m.Run())
	}
	if err := beVictim(calls); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beVictim goes under supervision and does what its standard input says, a line at
// a time, each answered with "ok" or the name of an error.
func beVictim(calls string) error {
	n, err := strconv.ParseUint(calls, 10, 32)
	if err != nil {
		return err
	}
	if n != 0 { // a victim's child is supervised already
		if err := Install(Calls(n), 3); err != nil {
			return err
		}
	}
	if command := os.Getenv(victimExec); command != "" {
		return syscall.Exec("/bin/sh", []string{"sh", "-c", command}, os.Environ())
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(answerTo(strings.Fields(lines.Text())))
	}
	return nil
}

func answerTo(command []string) string {
	err := obey(command[0], command[1:])
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// obey does one thing in the way in which Go programs do it.
func obey(verb string, args []string) error {
	switch verb {
	case "rename":
		return os.Rename(args[0], args[1])
	case "unlink":
		return os.Remove(args[0])
	case "truncate":
		return os.Truncate(args[0], 0)
	case "mkdir":
		return os.Mkdir(args[0], 0o755)
	case "chdir":
		return os.Chdir(args[0])
	case "many":
		return many(args[0])
	case "pipe":
		return pipe()
	case "child":
		return child(args)
	}
	flags := os.O_RDWR | os.O_CREATE
	if verb == "syncdir" || verb == "read" || verb == "pread" {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(args[0], flags, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	switch verb {
	case "hammer":
		err = hammer(f, args[1])
	case "open":
	case "write":
		_, err = f.Write([]byte("text"))
	case "pwrite":
		_, err = f.WriteAt([]byte("text"), 0)
	case "read":
		_, err = f.Read(make([]byte, 4))
	case "pread":
		_, err = f.ReadAt(make([]byte, 4), 0)
	case "orphan":
		err = errors.Join(os.Remove(args[0]), f.Sync())
	case "sync", "syncdir":
		err = f.Sync()
	case "datasync":
		err = unix.Fdatasync(int(f.Fd()))
	case "resize":
		err = f.Truncate(1)
	case "allocate":
		err = unix.Fallocate(int(f.Fd()), 0, 0, 4096)
	case "copy":
		err = copyTo(f, args[1])
	default:
		err = fmt.Errorf("what is %s?", verb)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// copyTo copies by copy_file_range, if the kernel can.
func copyTo(f *os.File, path string) error {
	to, err := os.Create(path)
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = to.ReadFrom(f)
	return err
}

// many appends and syncs from many threads at once.
func many(path string) error {
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for range 20 {
				errs[i] = errors.Join(errs[i], obey("sync", []string{path}), obey("write", []string{path}))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// hammer reads the beginning of a file again and again.
func hammer(f *os.File, times string) error {
	n, err := strconv.Atoi(times)
	b := make([]byte, 1)
	for i := 0; i < n && err == nil; i++ {
		_, err = unix.Pread(int(f.Fd()), b, 0)
	}
	return err
}

// pipe writes to a pipe, and reads from it.
func pipe() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	b := []byte("text")
	if _, err := w.Write(b); err != nil {
		return err
	}
	_, err = io.ReadFull(r, b)
	return err
}

// child has another process do something.
func child(command []string) error {
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimCalls+"=0")
	cmd.Stdin = strings.NewReader(strings.Join(command, " ") + "\n")
	out, err := cmd.Output()
	if answer := strings.TrimSpace(string(out)); err == nil && answer != "ok" {
		return fmt.Errorf("the child says %s", answer)
	}
	return err
}

// A victim is a supervised process.
type victim struct {
	*Supervisor
	t       testing.TB
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string // closed when the process has ended
	stderr  strings.Builder
	err     error // how it ended; after answers
}

// start starts a victim. It is ended, and its supervisor closed, with the test.
func start(t testing.TB, calls Calls, rules ...Rule) *victim {
	t.Helper()
	return startCommand(t, exec.Command(self), calls, rules...)
}

func startCommand(t testing.TB, cmd *exec.Cmd, calls Calls, rules ...Rule) *victim {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	link, err := NewLink()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, cmd: cmd, answers: make(chan string, 1)}
	// The race detector would have every process wait for a second before it ends.
	cmd.Env = append(os.Environ(), append(cmd.Env, fmt.Sprintf("%s=%d", victimCalls, calls), "GORACE=atexit_sleep_ms=0")...)
	cmd.ExtraFiles = []*os.File{link.End()}
	cmd.Stderr = &v.stderr
	v.in, err = cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			v.answers <- lines.Text()
		}
		v.err = cmd.Wait()
	}()
	t.Cleanup(v.end)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if v.Supervisor, err = Supervise(ctx, link, rules...); err != nil {
		t.Fatal(err)
	}
	return v
}

// end ends the process.
func (v *victim) end() {
	if v.Supervisor != nil {
		v.Clear()
	}
	v.in.Close()
	late := time.AfterFunc(patience, func() {
		v.t.Errorf("the victim did not end")
		_ = v.cmd.Process.Kill()
	})
	defer late.Stop()
	for range v.answers {
	}
	if v.Supervisor == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := v.Close(ctx); err != nil {
		v.t.Errorf("%v; the victim wrote %q", err, v.stderr.String())
	}
}

// ask has the victim begin to do something.
func (v *victim) ask(command ...string) {
	v.t.Helper()
	if _, err := fmt.Fprintln(v.in, strings.Join(command, " ")); err != nil {
		v.t.Fatal(err)
	}
}

// answer waits for what came of it; "" if the victim died.
func (v *victim) answer() string {
	v.t.Helper()
	select {
	case a := <-v.answers:
		return a
	case <-time.After(patience):
		v.t.Fatal("the victim does not answer")
		return ""
	}
}

// want has the victim do something and compares what came of it.
func (v *victim) want(answer string, command ...string) {
	v.t.Helper()
	v.ask(command...)
	if got := v.answer(); got != answer {
		v.t.Errorf("%s: got %q, want %q", strings.Join(command, " "), got, answer)
	}
}

// arm arms a rule.
func (v *victim) arm(r Rule) *Armed {
	v.t.Helper()
	a, err := v.Arm(r)
	if err != nil {
		v.t.Fatal(err)
	}
	return a
}

func wantHits(t *testing.T, a *Armed, matched, fired int) {
	t.Helper()
	if got, want := a.Hits(), (Hits{matched, fired}); got != want {
		t.Errorf("hits are %+v, want %+v", got, want)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("some text"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func in(dir string, names ...string) (paths []string) {
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}
