package lockfile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"trihold/repo/driver"
)

// Holder describes who holds a lock, "" if nobody does. It does not take the lock,
// not even for a moment. Where the system does not tell who holds which lock, a file
// that the lock left behind is taken for a held one.
func Holder(name string) (string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look who holds %s: %w: %w", name, driver.ErrUnavailable, err)
	}
	defer f.Close() // it was only read
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", fmt.Errorf("look who holds %s: %w: %w", name, driver.ErrUnavailable, err)
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return holder(f), nil
	}
	defer locks.Close() // it was only read
	// For example "1: FLOCK  ADVISORY  WRITE 4242 fd:01:1234 0 EOF". Which device it is
	// on is written differently on some file systems.
	inode := fmt.Sprintf(":%d", st.Ino)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[1] == "FLOCK" && strings.HasSuffix(fields[5], inode) {
			return holder(f), nil
		}
	}
	return "", nil
}
