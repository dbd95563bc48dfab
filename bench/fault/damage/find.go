package damage

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find returns the regular files at any depth below a directory, the largest first,
// and those of one size by name. A pattern is as in path/filepath; it is for the
// name of a file, or for its path if it contains a slash. Without patterns all files
// are found.
func Find(dir string, globs ...string) ([]string, error) {
	type found struct {
		name string
		size int64
	}
	var all []found
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		ok, err := matches(globs, name)
		if !ok || err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all = append(all, found{name, info.Size()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find files in %s: %w", dir, err)
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.size, a.size), strings.Compare(a.name, b.name))
	})
	names := make([]string, 0, len(all))
	for _, f := range all {
		names = append(names, f.name)
	}
	return names, nil
}

func matches(globs []string, name string) (bool, error) {
	for _, glob := range globs {
		of := filepath.Base(name)
		if strings.Contains(glob, "/") {
			of = name
		}
		if ok, err := filepath.Match(glob, of); ok || err != nil {
			return ok, err
		}
	}
	return len(globs) == 0, nil
}
