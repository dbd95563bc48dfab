package lockfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhoHoldsALockIsToldWithoutTakingIt(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	told := func(when, want string) {
		t.Helper()
		if got, err := Holder(name); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", when, got, err, want)
		}
	}
	told("before there is a file", "")
	l, err := Acquire(name, "x")
	if err != nil {
		t.Fatal(err)
	}
	told("while it is held", "this process already")
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	told("after it was released", "")
	if err := os.WriteFile(name, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	told("when a process that is gone left it", "")
}
