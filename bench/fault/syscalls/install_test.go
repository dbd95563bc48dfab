//go:build linux && (amd64 || arm64)

package syscalls

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// They carry what a program says, and that is not to be slowed down.
func TestTheStandardDescriptorsAreNotIntercepted(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command(self)
	cmd.Env = []string{victimExec + "=echo text >" + name + " && echo done"}
	v := startCommand(t, cmd, Write, Rule{Calls: WriteNext, Errno: syscall.EIO})
	a := v.Armed()[0]
	if got := v.answer(); got != "done" {
		t.Errorf("%q, %s", got, v.stderr.String())
	}
	wantHits(t, a, 0, 0)
}

func TestChildrenAreSupervisedToo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	a := v.arm(Rule{Calls: Sync, Under: filepath.Dir(name), Errno: syscall.EIO, Count: 1})
	v.want("the child says EIO", "child", "sync", name)
	v.want("ok", "child", "sync", name)
	v.want("ok", "sync", name)
	wantHits(t, a, 3, 1)
	kill := v.arm(Rule{Calls: Sync, Under: filepath.Dir(name), Kill: true, Count: 1})
	v.want("signal: killed", "child", "sync", name) // the child alone
	wantHits(t, kill, 1, 1)
	v.want("ok", "sync", name)
}

func TestAnotherProgramIsSupervisedAfterExec(t *testing.T) {
	dir := t.TempDir()
	p := in(dir, "a", "b")
	fill(t, p[0])
	cmd := exec.Command(self)
	cmd.Env = []string{victimExec + "=mv -f " + p[0] + " " + p[1] + " || echo failed; mv -f " + p[0] + " " + p[1] + " && echo moved"}
	v := startCommand(t, cmd, Rename, Rule{Calls: Rename, Under: dir, Errno: syscall.EROFS, Count: 1})
	if got := v.answer(); got != "failed" {
		t.Errorf("the first mv: %q, %s", got, v.stderr.String())
	}
	if got := v.answer(); got != "moved" {
		t.Errorf("the second mv: %q, %s", got, v.stderr.String())
	}
	a := v.Armed()
	if len(a) != 1 || a[0].Hits().Fired != 1 {
		t.Errorf("%d rules in force", len(a))
	}
}

func TestAProcessThatDiesBeforeInstallIsAnError(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	link, err := NewLink()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/true")
	cmd.ExtraFiles = []*os.File{link.End()}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if s, err := Supervise(t.Context(), link); err == nil {
		t.Errorf("supervises nobody: %v", s)
	}
}

func TestWaitingForAProcessEndsWithTheContext(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	link, err := NewLink()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	cmd.ExtraFiles = []*os.File{link.End()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := Supervise(ctx, link); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("supervise: %v", err)
	}
}

// A process that nobody supervises must end: its calls would get ENOSYS.
func TestInstallFailsWithoutASupervisor(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	link, err := NewLink()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimCalls+"=8")
	cmd.ExtraFiles = []*os.File{link.End()}
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := link.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), "install system call filter") {
		t.Errorf("%v: %s", err, stderr)
	}
}

// The tests above run once more as a user without any privilege.
func TestNoPrivilegeIsNeeded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the other tests run without privilege already")
	}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	const nobody = 65534
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		t.Skip(err)
	}
	for parent := filepath.Dir(dir); parent != "/"; parent = filepath.Dir(parent) {
		if info, err := os.Stat(parent); err != nil || info.Mode()&1 == 0 {
			t.Skipf("another user cannot enter %s, %v", parent, err)
		}
	}
	cmd := exec.Command(self, "-test.v", "-test.run=^Test(TheTenth|Names|Children|AnotherProgram|AWriteIsTorn)")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 5 {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestKernelReleasesAreCompared(t *testing.T) {
	for release, want := range map[string]bool{
		"5.8.0": false, "5.9.0": true, "5.10.0-28-amd64": true, "6.1": true, "6.18-rc1": true, "4.19.0": false,
		"5.9+": true, "10.0.1": true, "": false, "six": false,
	} {
		if got := atLeast(release, 5, 9); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
