package inmem

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"trihold/repo/driver"
)

// A snapName names a snapshot file after the root in it: the revision and the
// index of the last journal entry, in hex. The revision alone would not do, because
// a load may leave it as it is. Files of format 1 are named after the revision
// alone, and have no index.
type snapName struct {
	rev   driver.Rev
	index uint64
}

func nameOf(r *root) snapName { return snapName{r.rev, r.index} }

func (n snapName) String() string {
	if n.index == 0 {
		return fmt.Sprintf("%016x%s", n.rev, snapSuffix)
	}
	return fmt.Sprintf("%016x-%016x%s", n.rev, n.index, snapSuffix)
}

// path returns the path of the file in a store's directory.
func (n snapName) path(dir string) string { return filepath.Join(dir, snapshotDir, n.String()) }

// fits reports whether a root is what the name says.
func (n snapName) fits(r *root) bool {
	return n.rev == r.rev && (n.index == r.index || n.index == 0)
}

// compare orders names by age.
func (n snapName) compare(m snapName) int {
	return cmp.Or(cmp.Compare(n.rev, m.rev), cmp.Compare(n.index, m.index))
}

// parseSnapName returns the name of a snapshot file, if it is one.
func parseSnapName(name string) (n snapName, ok bool) {
	hex, ok := strings.CutSuffix(name, snapSuffix)
	if !ok {
		return n, false
	}
	revHex, indexHex, indexed := strings.Cut(hex, "-")
	rev, err := strconv.ParseInt(revHex, 16, 64)
	if err == nil && indexed {
		n.index, err = strconv.ParseUint(indexHex, 16, 64)
	}
	n.rev = driver.Rev(rev)
	return n, err == nil && n.String() == name
}
