package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"trihold/repo/driver"
)

// A Lock is a held lock.
type Lock struct{ f *os.File }

// Acquire takes the lock or, if another process (or another call in this one)
// holds it, returns an ErrUnavailable that names the holder and says what the
// lock is for.
func Acquire(name, what string) (*Lock, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("lock %s: %w: cannot write there; choose a place that this user can write to: %w", what, driver.ErrReadOnly, err)
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w: %w", what, driver.ErrUnavailable, err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder := holder(f)
			if closeErr := f.Close(); !errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("lock %s: %w: %w", what, driver.ErrUnavailable, errors.Join(err, closeErr))
			}
			return nil, fmt.Errorf("%s is in use by %s; stop that first, or use another place: %w", what, holder, driver.ErrUnavailable)
		}
		if isAt(f, name) {
			sign(f)
			return &Lock{f}, nil
		}
		// Its last holder removed it between our open and our lock.
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("lock %s: %w: %w", what, driver.ErrUnavailable, err)
		}
	}
}

// isAt reports whether an open file is the one that has the name now.
func isAt(f *os.File, name string) bool {
	open, err1 := f.Stat()
	named, err2 := os.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}

// sign writes who holds the lock. The number is for people: failing to write it,
// on a full disk say, is no reason to stop.
func sign(f *os.File) {
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
}

// holder describes who holds the lock, as far as the file tells.
func holder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	switch pid := strings.TrimSpace(string(b[:n])); pid {
	case "":
		return "another process"
	case strconv.Itoa(os.Getpid()):
		return "this process already"
	default:
		return "process " + pid
	}
}

// Release removes the file and gives the lock back, in this order, so that
// nobody can hold a lock on a file that is gone and think it has the name.
func (l *Lock) Release() error {
	return errors.Join(os.Remove(l.f.Name()), l.f.Close())
}
