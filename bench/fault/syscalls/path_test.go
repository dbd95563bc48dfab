//go:build linux && (amd64 || arm64)

package syscalls

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRulesAreForOneDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"one/deep", "onemore"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	v := start(t, Sync)
	v.arm(Rule{Calls: Sync, Under: filepath.Join(dir, "one"), Errno: syscall.EIO})
	v.want("EIO", "sync", filepath.Join(dir, "one", "x"))
	v.want("EIO", "sync", filepath.Join(dir, "one", "deep", "x"))
	v.want("EIO", "syncdir", filepath.Join(dir, "one"))
	v.want("ok", "syncdir", filepath.Join(dir, "onemore"))
	v.want("ok", "sync", filepath.Join(dir, "onemore", "x"))
}

func TestNamesAreResolvedAsTheProcessMeansThem(t *testing.T) {
	dir := t.TempDir()
	p := in(dir, "a", "b", "link/a", "link/b")
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(dir, outside); err != nil {
		t.Fatal(err)
	}
	fill(t, p[0])
	v := start(t, Rename|Open, Rule{Calls: Rename | Open, Under: filepath.Join(dir, "link"), Glob: "b", Errno: syscall.EROFS})
	v.want("EROFS", "rename", p[0], p[1])
	v.want("EROFS", "rename", p[2], p[3])
	v.want("EROFS", "rename", p[0], filepath.Join(outside, "b"))
	v.want("ok", "chdir", dir)
	v.want("EROFS", "rename", "a", "b")
	v.want("EROFS", "rename", "./link/../a", "link/b")
	v.want("EROFS", "open", "b")
	v.want("ok", "open", "a")
	long := strings.Repeat("./", 1500) // it lies on two pages
	v.want("EROFS", "rename", long+"a", long+"b")
	wantHits(t, v.Armed()[0], 7, 7)
}

func TestARemovedFileKeepsItsName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	v := start(t, Sync)
	v.arm(Rule{Calls: Sync, Glob: "log", Under: filepath.Dir(name), Errno: syscall.EIO})
	v.want("EIO", "orphan", name)
}

func TestARuleIsForPathsBelowADirectory(t *testing.T) {
	dir := t.TempDir()
	v := start(t, Sync)
	v.arm(Rule{Calls: Sync, Under: dir, Glob: "snapshots/*", Errno: syscall.EIO})
	v.want("ok", "mkdir", filepath.Join(dir, "snapshots"))
	v.want("EIO", "sync", filepath.Join(dir, "snapshots", "1"))
	v.want("ok", "sync", filepath.Join(dir, "1"))
}
