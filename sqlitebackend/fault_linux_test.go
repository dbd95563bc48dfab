package sqlitebackend

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// How a file system fails, and what SQLite makes of it, is specific to this
// backend. These tests run in a process of their own, in a mount namespace where
// they can mount a small file system without being root.

const namespaced = "TRIHOLD_TEST_NAMESPACED"

// inNamespace runs the test again in a namespace, with a file system of so many
// bytes at the directory it is given, and reports whether this is that process.
func inNamespace(t *testing.T, size int) (dir string, inside bool) {
	t.Helper()
	if dir := os.Getenv(namespaced); dir != "" {
		must(t, syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
		return dir, true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), namespaced+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("no user namespaces here: %v", err)
	}
	if err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("%v\n%s", err, out)
	}
	return "", false
}

func TestAFullDiskRefusesWritesUntilThereIsSpace(t *testing.T) {
	dir, inside := inNamespace(t, 4<<20)
	if !inside {
		return
	}
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 1<<20), 0o644))
	s, d := openNotes(t, testConfig(dir, driver.Disk))
	acked := 0
	var err error
	for ; err == nil && acked < 100_000; acked++ {
		_, err = d.Commit(t.Context(), noteCommit(t, acked))
	}
	acked-- // the last one was refused
	if !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("after %d commits: %v", acked, err)
	}
	if n, rev := countNotes(t, s); n != acked || int(rev) != acked {
		t.Errorf("%d notes at revision %d, %d were acknowledged", n, rev, acked)
	}
	must(t, os.Remove(filler))
	if _, err := d.Commit(t.Context(), noteCommit(t, acked)); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	must(t, s.Close())
	s, d = openNotes(t, testConfig(dir, driver.Disk))
	if n, _ := countNotes(t, s); n != acked+1 {
		t.Errorf("%d notes after reopening, want %d", n, acked+1)
	}
	repotest.Verify(t, d, noteSchema.Driver())
}

func TestAFullDiskLeavesNothingHalfMade(t *testing.T) {
	dir, inside := inNamespace(t, 64<<10)
	if !inside {
		return
	}
	d, err := Open(t.Context(), testConfig(dir, driver.Disk))
	if err == nil {
		err = errors.Join(d.Prepare(t.Context(), noteSchema.Driver()), d.Close())
	}
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("made a store in 64 KiB: %v", err)
	}
	if left := listDir(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestAReadOnlyFileIsRefused(t *testing.T) {
	dir, inside := inNamespace(t, 4<<20)
	if !inside {
		return
	}
	c := testConfig(dir, driver.Disk)
	s, _ := openNotes(t, c)
	must(t, s.Close())
	must(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	_, err := Open(t.Context(), c)
	if !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("got %v", err)
	}
}

// A write that fails in the middle of a COMMIT may or may not be found after a
// crash, so it is uncertain, and the store stops.
func TestAFailedWriteIsUncertainAndStopsTheWriter(t *testing.T) {
	dir, inside := inNamespace(t, 16<<20)
	if !inside {
		return
	}
	c := testConfig(dir, driver.Disk)
	s, d := openNotes(t, c)
	putNotes(t, s, 0, 10)
	info, err := os.Stat(c.Path + "-wal")
	must(t, err)
	limitFileSize(t, uint64(info.Size()+4096))
	if _, err := d.Commit(t.Context(), noteCommit(t, 10)); !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("the commit that failed: %v", err)
	}
	limitFileSize(t, 1<<40)
	if _, err := d.Commit(t.Context(), noteCommit(t, 11)); !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), "open it again") {
		t.Errorf("the next commit: %v", err)
	}
	if n, _ := countNotes(t, s); n != 10 {
		t.Errorf("%d notes can be read, want 10", n)
	}
	must(t, s.Close())
	s, d = openNotes(t, c)
	if n, _ := countNotes(t, s); n != 10 && n != 11 {
		t.Errorf("%d notes after reopening, want 10 or 11", n)
	}
	putNotes(t, s, 11, 12)
	repotest.Verify(t, d, noteSchema.Driver())
}

// limitFileSize makes writes beyond a size fail. Lowering and raising the soft
// limit needs no privilege.
func limitFileSize(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	limit.Cur = min(size, limit.Max)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
}

// Damage is reported, not served.
func TestADamagedFileIsCorrupt(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Disk)
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 500)
	must(t, s.Close())
	file, err := os.ReadFile(c.Path)
	must(t, err)
	for at := 4096 * 2; at < len(file); at += 4096 {
		copy(file[at:at+64], bytes.Repeat([]byte{0xA5}, 64)) // the header of each page
	}
	must(t, os.WriteFile(c.Path, file, 0o644))
	d, err := Open(t.Context(), c)
	must(t, err)
	defer d.Close()
	if err = d.Prepare(t.Context(), noteSchema.Driver()); err == nil {
		snap, beginErr := d.Begin(t.Context(), driver.Mode{})
		must(t, beginErr)
		defer snap.Close()
		for _, err = range snap.Scan(t.Context(), driver.Span{Table: noteSchema.Driver().Tables[0]}) {
			if err != nil {
				break
			}
		}
	}
	if !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}
