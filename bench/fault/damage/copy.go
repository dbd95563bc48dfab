package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Save copies a directory with all that is in it to a new one, which must not exist.
// Modes, owners and times are kept, and symbolic links as such; sockets and pipes
// are left out, since no process has them open.
func Save(dir, to string) error {
	if err := apart(dir, to); err != nil {
		return fmt.Errorf("save directory: %w", err)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("save directory: %w", err)
	}
	if err := copyTree(dir, to); err != nil {
		return fmt.Errorf("save directory %s: %w", dir, err)
	}
	return nil
}

// Restore makes the content of a directory that of a copy, which stays. The
// directory itself, which may be a mount point, is not replaced; it is made if it is
// missing.
func Restore(from, dir string) error {
	if err := apart(from, dir); err != nil {
		return fmt.Errorf("restore directory: %w", err)
	}
	if info, err := os.Stat(from); err != nil {
		return fmt.Errorf("restore directory: %w", err) // before anything is removed
	} else if !info.IsDir() {
		return fmt.Errorf("restore directory: %s is none", from)
	}
	if err := empty(dir); err != nil {
		return fmt.Errorf("restore directory %s: %w", dir, err)
	}
	if err := copyTree(from, dir); err != nil {
		return fmt.Errorf("restore directory %s: %w", dir, err)
	}
	return nil
}

// empty removes all that a directory holds, and makes it if there is none.
func empty(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := root.RemoveAll(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// apart makes sure that neither directory is in the other.
func apart(a, b string) error {
	a, errA := resolved(a)
	b, errB := resolved(b)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		if rel, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(rel) {
			return fmt.Errorf("%s is in %s", pair[1], pair[0])
		}
	}
	return nil
}

// resolved returns the real path of a directory, whose last element may be missing.
func resolved(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real, nil
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	return filepath.Join(parent, filepath.Base(dir)), err
}

// copyTree copies what is in one directory to another, which is empty.
func copyTree(from, to string) error {
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer target.Close()
	var dirs []string
	err = fs.WalkDir(source.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case name == ".":
			dirs = append(dirs, name)
		case e.IsDir():
			dirs = append(dirs, name)
			return target.Mkdir(name, 0o700)
		case e.Type() == fs.ModeSymlink:
			link, err := source.Readlink(name)
			if err != nil {
				return err
			}
			return target.Symlink(link, name)
		case e.Type().IsRegular():
			info, err := e.Info()
			if err != nil {
				return err
			}
			if err := copyFile(source, name, target, name); err != nil {
				return err
			}
			return keep(target, name, info)
		}
		return nil
	})
	// A directory's mode may forbid to fill it, and its time is that of its last
	// entry: the innermost first.
	slices.Reverse(dirs)
	for _, name := range dirs {
		if err != nil {
			return err
		}
		var info fs.FileInfo
		if info, err = source.Stat(name); err == nil {
			err = keep(target, name, info)
		}
	}
	return err
}
