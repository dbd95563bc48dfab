package sqlitebackend

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"trihold/repo/driver"
)

// A lock keeps other processes, and other stores of this one, away from a
// database file. It is flock(2) on a file beside it: the locks on the database
// file itself belong to SQLite.
type lock struct {
	path string
	file *os.File
}

// takeLock takes the lock of a database, or says who has it.
func takeLock(database string) (*lock, error) {
	path := database + "-lock"
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open lock file: %w: %w", kindOfFileError(err), err)
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			defer file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s is in use by %s; stop it first, or use another file: %w", database, holder(file), driver.ErrUnavailable)
			}
			return nil, fmt.Errorf("lock %s: %w: %w", path, driver.ErrUnavailable, err)
		}
		if !isAt(file, path) { // its last holder removed it before it let go
			file.Close()
			continue
		}
		l := &lock{path: path, file: file}
		if err := l.sign(); err != nil {
			l.release()
			return nil, fmt.Errorf("write lock file: %w: %w", kindOfFileError(err), err)
		}
		return l, nil
	}
}

// isAt reports whether an open file is the one that has the path now.
func isAt(file *os.File, path string) bool {
	open, err1 := file.Stat()
	named, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}

// sign writes who holds the lock, for messages.
func (l *lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(file *os.File) string {
	b := make([]byte, 20)
	n, _ := file.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	switch {
	case err != nil:
		return "another process"
	case pid == os.Getpid():
		return "this process already"
	}
	return fmt.Sprintf("another process (pid %d)", pid)
}

// release removes the file and lets go of the lock, in this order.
func (l *lock) release() error {
	return errors.Join(os.Remove(l.path), l.file.Close())
}
