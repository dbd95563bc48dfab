//go:build linux && (amd64 || arm64)

package syscalls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWithoutARuleNothingHappens(t *testing.T) {
	dir := t.TempDir()
	p := in(dir, "a", "b")
	v := start(t, All)
	for _, command := range []string{"write", "pwrite", "read", "pread", "sync", "datasync", "resize", "allocate", "truncate", "many"} {
		v.want("ok", command, p[0])
	}
	v.want("ok", "copy", p[0], p[1])
	v.want("ok", "pipe")
	v.want("ok", "rename", p[0], p[1])
	v.want("ENOENT", "unlink", p[0])
	v.want("ok", "unlink", p[1])
}

// Each class is broken alone: all other calls go on.
func TestEachCallBelongsToItsClass(t *testing.T) {
	dir := t.TempDir()
	p := in(dir, "a", "b", "c")
	v := start(t, All)
	for _, c := range []struct {
		class   Calls
		command []string
	}{
		{WriteAt, []string{"pwrite", p[0]}},
		{WriteNext, []string{"write", p[0]}},
		{WriteNext, []string{"copy", p[2], p[0]}},
		{Resize, []string{"resize", p[0]}},
		{Resize, []string{"truncate", p[0]}},
		{Resize, []string{"allocate", p[0]}},
		{Sync, []string{"sync", p[0]}},
		{Sync, []string{"datasync", p[0]}},
		{ReadAt, []string{"pread", p[0]}},
		{ReadNext, []string{"read", p[0]}},
		{Open, []string{"open", p[0]}},
		{Rename, []string{"rename", p[0], p[1]}},
		{Unlink, []string{"unlink", p[0]}},
	} {
		for _, name := range p {
			fill(t, name)
		}
		others := v.arm(Rule{Calls: All &^ c.class &^ Open, Glob: "a", Under: dir, Errno: syscall.ENOSPC})
		if c.class == Open {
			others.Clear()
		}
		hit := v.arm(Rule{Calls: c.class, Glob: "a", Under: dir, Errno: syscall.EIO})
		v.want("EIO", c.command...)
		if got := hit.Hits(); got.Fired == 0 || got.Fired != got.Matched {
			t.Errorf("%s: hits are %+v", c.command[0], got)
		}
		wantHits(t, others, 0, 0)
		v.Clear()
		v.want("ok", c.command...)
	}
}

func TestTheTenthSyncFails(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	a := v.arm(Rule{Calls: Sync, Under: filepath.Dir(name), Errno: syscall.EIO, After: 9, Count: 1})
	for i := range 12 {
		want := "ok"
		if i == 9 {
			want = "EIO"
		}
		v.want(want, "sync", name)
	}
	wantHits(t, a, 12, 1)
}

func TestTheDiskIsFullForSomeFiles(t *testing.T) {
	p := in(t.TempDir(), "x.db", "x.db-wal")
	v := start(t, WriteAt)
	a := v.arm(Rule{Calls: WriteAt, Glob: "*-wal", Errno: syscall.ENOSPC})
	v.want("ok", "pwrite", p[0])
	v.want("ENOSPC", "pwrite", p[1])
	v.want("ENOSPC", "pwrite", p[1])
	wantHits(t, a, 2, 2)
	if info, err := os.Stat(p[1]); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v: a call that failed was made", info, err)
	}
	a.Clear()
	v.want("ok", "pwrite", p[1])
	wantHits(t, a, 2, 2)
}

func TestASlowSyncIsSlow(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	const delay = 50 * time.Millisecond
	a := v.arm(Rule{Calls: Sync, Delay: delay, Count: 3})
	begin := time.Now()
	for range 4 {
		v.want("ok", "sync", name)
	}
	if took := time.Since(begin); took < 3*delay {
		t.Errorf("it took %v, less than three times %v", took, delay)
	}
	wantHits(t, a, 4, 3)
}

func TestClearingARuleEndsItsDelays(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync|WriteAt)
	a := v.arm(Rule{Calls: Sync, Delay: time.Hour})
	v.ask("sync", name)
	eventually(t, "the sync waits", func() bool { return a.Hits().Fired == 1 })
	select {
	case got := <-v.answers:
		t.Errorf("the sync did not wait: %s", got)
	case <-time.After(20 * time.Millisecond):
	}
	a.Clear()
	if got := v.answer(); got != "ok" {
		t.Errorf("the sync ended with %s", got)
	}
	wantHits(t, a, 1, 1)
}

// A call that waits holds up neither the other calls nor the end of its process.
func TestADelayedCallHoldsUpNothing(t *testing.T) {
	p := in(t.TempDir(), "slow", "fast")
	v := start(t, Sync)
	a := v.arm(Rule{Calls: Sync, Glob: "slow", Delay: time.Hour})
	v.ask("sync", p[0])
	eventually(t, "the sync waits", func() bool { return a.Hits().Fired == 1 })
	other := start(t, Sync)
	other.want("ok", "sync", p[1])
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := v.answer(); got != "" {
		t.Errorf("the killed process says %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := v.Close(ctx); err != nil {
		t.Error(err)
	}
	wantHits(t, a, 1, 1)
}

// The whole sweep: every rename is the last call once.
func TestKilledAtEachRename(t *testing.T) {
	p := in(t.TempDir(), "a", "b")
	run := func(after int) (acked int, a *Armed) {
		fill(t, p[0])
		v := start(t, Rename, Rule{Calls: Rename, Under: filepath.Dir(p[0]), After: after, Count: 1, Kill: after >= 0})
		a = v.Armed()[0]
		for i := range 5 {
			v.ask("rename", p[i%2], p[1-i%2])
			if v.answer() != "ok" {
				break
			}
			acked++
		}
		if killed := after < 5; killed {
			var exit *exec.ExitError
			<-v.answers
			if !errors.As(v.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Errorf("the process ended with %v", v.err)
			}
		}
		for i, name := range p {
			if _, err := os.Stat(name); (err == nil) != (acked%2 == i) {
				t.Errorf("after %d renames: %s: %v", acked, name, err)
			}
			_ = os.Remove(name)
		}
		return acked, a
	}
	acked, a := run(5)
	wantHits(t, a, 5, 0)
	if acked != 5 {
		t.Fatalf("%d renames without a fault", acked)
	}
	for n := range a.Hits().Matched {
		acked, a := run(n)
		if acked != n {
			t.Errorf("killed at rename %d, but %d were done", n, acked)
		}
		wantHits(t, a, n+1, 1)
	}
}

func TestASignalDoesNotInterruptADelay(t *testing.T) {
	if !knowsFlags(installFlags | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
		t.Skip("before Linux 5.19 it does")
	}
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	a := v.arm(Rule{Calls: Sync, Delay: time.Hour})
	v.ask("sync", name)
	eventually(t, "the sync waits", func() bool { return a.Hits().Fired == 1 })
	pid := v.cmd.Process.Pid
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = unix.Tgkill(pid, tid, unix.SIGURG) // Go sends it to itself too
		}
		if err != nil {
			t.Error(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	a.Clear()
	if got := v.answer(); got != "ok" {
		t.Errorf("the sync ended with %s", got)
	}
	wantHits(t, a, 1, 1)
}

func TestCallsOfManyThreadsAreAllCounted(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync|WriteNext)
	writes := v.arm(Rule{Calls: WriteNext, Under: filepath.Dir(name)})
	syncs := v.arm(Rule{Calls: Sync, Under: filepath.Dir(name), Delay: time.Millisecond})
	v.want("ok", "many", name)
	wantHits(t, writes, 160, 0)
	wantHits(t, syncs, 160, 160)
}

func TestTheFirstRuleThatIsDueDecides(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	count := v.arm(Rule{Calls: Sync})
	first := v.arm(Rule{Calls: Sync, Errno: syscall.EIO, Count: 1})
	second := v.arm(Rule{Calls: Sync, Errno: syscall.ENOSPC})
	v.want("EIO", "sync", name)
	v.want("ENOSPC", "sync", name)
	first.Clear()
	second.Clear()
	v.want("ok", "sync", name)
	wantHits(t, count, 3, 0)
	wantHits(t, first, 2, 1)
	wantHits(t, second, 2, 1)
}

func TestSupervisionIsNotClosedOverARunningProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	v.arm(Rule{Calls: Sync, Errno: syscall.EIO})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := v.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	v.want("ok", "sync", name) // healed, and not ENOSYS
}

func TestARuleForCallsThatAreNotInterceptedIsRefused(t *testing.T) {
	v := start(t, Sync)
	if _, err := v.Arm(Rule{Calls: Sync | Rename}); err == nil {
		t.Error("armed, though it could never fire")
	}
}

func TestAWriteIsTorn(t *testing.T) {
	dir := t.TempDir()
	for verb, class := range map[string]Calls{"write": WriteNext, "pwrite": WriteAt} {
		for _, c := range []struct {
			rule    Rule
			answer  string
			content string
		}{
			{Rule{Errno: syscall.EIO}, "EIO", "te"},
			{Rule{Kill: true}, "", "te"},
			{Rule{Errno: syscall.EIO, Part: 3}, "EIO", "tex"},
			{Rule{Errno: syscall.EIO, Part: 4}, "ok", "text"}, // that would be all of it
			{Rule{}, "ok", "text"},                            // Go goes on after a short write
		} {
			c.rule.Calls, c.rule.Count = class, 1
			if c.rule.Part == 0 {
				c.rule.Part = 2
			}
			name := filepath.Join(dir, "file")
			v := start(t, Write)
			a := v.arm(c.rule)
			v.want(c.answer, verb, name)
			if b, err := os.ReadFile(name); err != nil || string(b) != c.content {
				t.Errorf("%s with %+v: wrote %q, %v", verb, c.rule, b, err)
			}
			if h := a.Hits(); (h.Fired == 1) != (c.rule.Part < 4) {
				t.Errorf("%s with %+v: hits are %+v", verb, c.rule, h)
			}
			_ = os.Remove(name)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	for _, c := range []struct {
		name  string
		calls Calls
		rule  *Rule
	}{
		{"not intercepted", Rename, nil},
		{"no rule", ReadAt, nil},
		{"rule for other files", ReadAt, &Rule{Calls: ReadAt, Glob: "other", Errno: syscall.EIO}},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := start(b, c.calls)
			if c.rule != nil {
				v.arm(*c.rule)
			}
			name := filepath.Join(b.TempDir(), "file")
			v.want("ok", "write", name)
			b.ResetTimer()
			v.want("ok", "hammer", name, strconv.Itoa(b.N))
		})
	}
}
