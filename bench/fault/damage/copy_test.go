package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// describe returns what a directory holds: modes, times, links and contents.
func describe(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var content string
		switch {
		case e.Type() == fs.ModeSymlink:
			content, err = os.Readlink(path)
			all[path[len(dir):]] = "link to " + content
			return err
		case e.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(b)
		}
		all[path[len(dir):]] = fmt.Sprint(info.Mode(), info.ModTime().UTC(), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// house makes a directory with a bit of everything.
func house(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "house")
	put(t, dir, "file", []byte("content"))
	put(t, dir, "deep/er/file", []byte("more"))
	put(t, dir, "deep/empty", nil)
	err := errors.Join(
		os.Symlink("../outside", filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "none"), 0o755),
		os.Chmod(filepath.Join(dir, "deep"), 0o555),
		os.Chtimes(filepath.Join(dir, "deep"), longAgo, longAgo),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "deep"), 0o755) }) // so that it can be removed
	return dir
}

func TestACopyIsLikeItsOriginal(t *testing.T) {
	dir := house(t)
	to := filepath.Join(t.TempDir(), "copy")
	if err := Save(dir, to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(to, "deep"), 0o755) })
	if got, want := describe(t, to), describe(t, dir); !maps.Equal(got, want) {
		t.Errorf("the copy is %q, the original %q", got, want)
	}
	if err := Save(dir, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("saved over a copy: %v", err)
	}
}

func TestARestoredDirectoryIsLikeTheCopy(t *testing.T) {
	dir := house(t)
	if err := os.Chmod(filepath.Join(dir, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	if err := Save(dir, saved); err != nil {
		t.Fatal(err)
	}
	want := describe(t, dir)
	put(t, dir, "young/file", []byte("x"))
	err := errors.Join(os.Remove(filepath.Join(dir, "file")), os.RemoveAll(filepath.Join(dir, "deep", "er")))
	if err != nil {
		t.Fatal(err)
	}
	for _, missing := range []bool{false, true} {
		if missing {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := Restore(saved, dir); err != nil {
			t.Fatal(err)
		}
		if got := describe(t, dir); !maps.Equal(got, want) {
			t.Errorf("restored %q, want %q", got, want)
		}
	}
	if got := describe(t, saved); !maps.Equal(got, want) {
		t.Errorf("the copy became %q", got)
	}
}

func TestADirectoryIsNotCopiedIntoItself(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", []byte("content"))
	inside := filepath.Join(dir, "inside")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{dir, inside}, {link, inside}, {dir, dir}, {inside, dir}} {
		if err := Save(c[0], c[1]); err == nil {
			t.Errorf("saved %s to %s", c[0], c[1])
		}
		if err := Restore(c[0], c[1]); err == nil {
			t.Errorf("restored %s from %s", c[1], c[0])
		}
	}
	if err := Restore(filepath.Join(dir, "..", "missing"), dir); err == nil {
		t.Error("restored from nothing")
	}
	if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
		t.Error(err)
	}
}

func TestFilesAreFoundLargestFirst(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.log", []byte("12"))
	put(t, dir, "sub/b.log", []byte("123"))
	put(t, dir, "sub/c.db", []byte("1"))
	put(t, dir, "sub.log", []byte("12"))
	if err := os.Symlink("a.log", filepath.Join(dir, "link.log")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ globs, want []string }{
		{nil, []string{"sub/b.log", "a.log", "sub.log", "sub/c.db"}},
		{[]string{"*.log"}, []string{"sub/b.log", "a.log", "sub.log"}},
		{[]string{"sub/*"}, []string{"sub/b.log", "sub/c.db"}},
		{[]string{"*.db", "a*"}, []string{"a.log", "sub/c.db"}},
		{[]string{"nothing"}, []string{}},
	} {
		got, err := Find(dir, c.globs...)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.globs, got, err, c.want)
		}
	}
	if _, err := Find(dir, "["); err == nil {
		t.Error("found files by a bad pattern")
	}
	if _, err := Find(filepath.Join(dir, "missing")); err == nil {
		t.Error("found files in a missing directory")
	}
}
