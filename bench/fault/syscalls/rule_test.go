package syscalls

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	dir := t.TempDir()
	good := Rule{Calls: Sync, Glob: "a/*", Under: dir, Errno: syscall.EIO, After: 1, Count: 1, Delay: 1}
	if _, err := arm(good, All); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Rule){
		"no calls":               func(r *Rule) { r.Calls = 0 },
		"unknown calls":          func(r *Rule) { r.Calls |= endOfCalls },
		"a bad pattern":          func(r *Rule) { r.Glob = "[" },
		"a path below nothing":   func(r *Rule) { r.Under = "" },
		"a missing directory":    func(r *Rule) { r.Under = filepath.Join(dir, "missing") },
		"two effects":            func(r *Rule) { r.Kill = true },
		"a negative After":       func(r *Rule) { r.After = -1 },
		"a negative Count":       func(r *Rule) { r.Count = -1 },
		"a negative Delay":       func(r *Rule) { r.Delay = -1 },
		"a negative Part":        func(r *Rule) { r.Calls, r.Part = WriteAt, -1 },
		"a part of what is none": func(r *Rule) { r.Part = 1 },
	} {
		r := good
		change(&r)
		if _, err := arm(r, All); err == nil {
			t.Errorf("armed a rule with %s", what)
		}
	}
}

func TestARuleMatchesByDirectoryAndName(t *testing.T) {
	for _, c := range []struct {
		under, glob, path string
		want              bool
	}{
		{"", "", "/a/b", true},
		{"", "", "/dev/null", false},
		{"", "", "/device", true},
		{"", "*.db", "/a/x.db", true},
		{"", "*.db", "/a/x.db-wal", false},
		{"/a", "", "/a", true},
		{"/a", "", "/a/b/c", true},
		{"/a", "", "/ab", false},
		{"/a", "b/*", "/a/b/c", true},
		{"/a", "b/*", "/a/c", false},
		{"/a", "c", "/a/b/c", true},
		{"/", "", "/a", true},
		{"/dev/shm", "", "/dev/shm/a", true},
	} {
		r := Rule{Under: c.under, Glob: c.glob}
		if got := r.matches(c.path); got != c.want {
			t.Errorf("under %q, glob %q: %s: %v", c.under, c.glob, c.path, got)
		}
	}
}

func TestARuleIsDueInItsTime(t *testing.T) {
	a, err := arm(Rule{Calls: Sync, Errno: syscall.EIO, After: 2, Count: 2}, Sync)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, true, true, false, false} {
		if due, ok := a.take(false); due != want || !ok {
			t.Errorf("call %d: %v, %v", i, due, ok)
		}
	}
	a.untake(true) // it was gone before it was answered
	if due, _ := a.take(false); !due {
		t.Error("the effect of a call that ended is not given to another")
	}
	a.Clear()
	a.Clear()
	if _, ok := a.take(false); ok {
		t.Error("a cleared rule is in force")
	}
	if got := a.Hits(); got != (Hits{Matched: 6, Fired: 2}) {
		t.Errorf("hits are %+v", got)
	}
}

func TestARuleWithoutEffectNeverFires(t *testing.T) {
	a, err := arm(Rule{Calls: Sync}, Sync)
	if err != nil {
		t.Fatal(err)
	}
	if due, ok := a.take(false); due || !ok {
		t.Errorf("%v, %v", due, ok)
	}
	for _, r := range []Rule{{Errno: syscall.EIO}, {Delay: time.Second}, {Kill: true}, {Part: 1}} {
		if !r.effective() {
			t.Errorf("%+v has no effect", r)
		}
	}
}

func TestCallsHaveNames(t *testing.T) {
	for c, want := range map[Calls]string{
		Sync:              "sync",
		Sync | Rename:     "sync|rename",
		Write:             "write-at|write-next|resize",
		0:                 "0x0",
		Sync | endOfCalls: "sync|0x200",
	} {
		if got := c.String(); got != want {
			t.Errorf("%#x is %q, want %q", uint32(c), got, want)
		}
	}
	if len(callNames) != 9 || All != 1<<len(callNames)-1 {
		t.Errorf("%d names for %v", len(callNames), All)
	}
}
