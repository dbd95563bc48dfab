package lockfile

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"trihold/repo/driver"
)

func TestALockIsHeldOnceAndNamesItsHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(name, "the directory x")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(name, "the directory x")
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Fatalf("second lock: %v", err)
	}
	if want := "the directory x is in use by this process already"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Acquire(name, "the directory x")
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}
