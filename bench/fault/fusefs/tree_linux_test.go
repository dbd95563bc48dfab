package fusefs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// tree returns every name below a directory, with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil || d.IsDir() {
			all[rel] = "directory"
			return err
		}
		b, err := os.ReadFile(name)
		all[rel] = fmt.Sprintf("file %x", b)
		return err
	}))
	return all
}

// syncAll makes a whole tree durable.
func syncAll(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, syncDir(name)) // which syncs files as well
	}))
}

// churn does something at random. That it fails is part of it.
func churn(t *testing.T, r *rand.Rand, dir string) {
	t.Helper()
	some := func() string { // few names, so that they meet
		name := dir
		for range 1 + r.IntN(3) {
			name = filepath.Join(name, string(rune('a'+r.IntN(3))))
		}
		return name
	}
	var err error
	switch r.IntN(8) {
	case 0, 1:
		err = os.WriteFile(some(), randomBytes(r, r.IntN(1500)), 0o644)
	case 2:
		err = os.Mkdir(some(), 0o755)
	case 3, 4:
		err = os.Rename(some(), some())
	case 5:
		err = os.Remove(some())
	case 6:
		err = os.Link(some(), some())
	case 7:
		err = os.Truncate(some(), r.Int64N(1500))
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && (errno == syscall.EIO || errno == syscall.ESTALE || errno == syscall.ENOSYS) {
		t.Fatalf("seen by a program: %v", err)
	}
}

func TestAWholeTreeIsAsItWasSynced(t *testing.T) {
	f := mount(t, Config{})
	r := seeded(t)
	changes := 0
	for round := range 25 {
		for range r.IntN(40) {
			churn(t, r, f.Dir())
		}
		syncAll(t, f.Dir())
		synced := tree(t, f.Dir())
		for range 1 + r.IntN(40) {
			churn(t, r, f.Dir())
		}
		loss, err := f.PowerLoss(r, 0)
		must(t, err)
		changes += loss.NamesLost
		if got := tree(t, f.Dir()); !maps.Equal(got, synced) {
			t.Fatalf("round %d: got %v\nwant %v", round, got, synced)
		}
	}
	if changes < 25 {
		t.Errorf("only %d changes of directories were lost: that proves little", changes)
	}
}

func TestAWholeTreeIsAsItWasWrittenIfAllIsKept(t *testing.T) {
	f := mount(t, Config{})
	r := seeded(t)
	for round := range 15 {
		for range 1 + r.IntN(60) {
			churn(t, r, f.Dir())
			if r.IntN(20) == 0 {
				_ = syncDir(filepath.Join(f.Dir(), "a")) // which may not be there
			}
		}
		newest := tree(t, f.Dir())
		_, err := f.PowerLoss(r, 1)
		must(t, err)
		if got := tree(t, f.Dir()); !maps.Equal(got, newest) {
			t.Fatalf("round %d: got %v\nwant %v", round, got, newest)
		}
	}
}

// With some directories synced and others not, there is no simple truth; but undoing
// must work, and what is used must be what is there.
func TestATreeThatIsSyncedInPartCanBeTakenBack(t *testing.T) {
	f := mount(t, Config{})
	r := seeded(t)
	for range 30 {
		for range 1 + r.IntN(60) {
			churn(t, r, f.Dir())
			if r.IntN(5) == 0 {
				_ = syncDir(filepath.Join(f.Dir(), string(rune('a'+r.IntN(3)))))
			}
			if r.IntN(15) == 0 {
				must(t, syncDir(f.Dir()))
			}
		}
		before := f.Used()
		if want, err := usedBytes(f.Dir()); err != nil || before != want {
			t.Fatalf("%d bytes are used, %d are there, %v", before, want, err)
		}
		_, err := f.PowerLoss(r, r.Float64())
		must(t, err)
		_ = tree(t, f.Dir())
	}
}
