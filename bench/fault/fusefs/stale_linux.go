package fusefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

const (
	fsType = "fuse.trihold"
	// sourceFormat is the name of what is mounted. It says which process serves
	// the mount, by its ID and the time of its start, so that nobody needs to ask a
	// mount that may not answer.
	sourceFormat = "trihold-%d-%d"
)

func ownName() (string, error) {
	started, err := startOf(os.Getpid())
	if err != nil {
		return "", fmt.Errorf("look at this process: %w", err)
	}
	return fmt.Sprintf(sourceFormat, os.Getpid(), started), nil
}

func startOf(pid int) (uint64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	if err != nil {
		return 0, err
	}
	// A process that was killed while it waited for its own mount never ends: there
	// is nobody left to answer it.
	if stat.State == "Z" || stat.State == "X" || killed(uint32(pid)) {
		return 0, syscall.ESRCH
	}
	return stat.Starttime, nil
}

// served reports whether the process that serves a mount is alive.
func served(source string) (bool, error) {
	var pid int
	var started uint64
	if _, err := fmt.Sscanf(source, sourceFormat, &pid, &started); err != nil {
		return false, fmt.Errorf("mount named %q: %w", source, err)
	}
	now, err := startOf(pid)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false, nil
	}
	return now == started, err
}

// Clean removes mounts of this package, at a directory and below, that processes
// have left behind that were killed, and returns where they were. Mounts that are
// served stay.
func Clean(dir string) ([]string, error) {
	dir, err := resolve(dir)
	if err != nil {
		return nil, fmt.Errorf("clean mounts: %w", err)
	}
	all, err := procfs.GetMounts()
	if err != nil {
		return nil, fmt.Errorf("clean mounts: %w", err)
	}
	var cleaned []string
	for _, m := range slices.Backward(all) { // what was mounted last, and may cover others, first
		at := unescape(m.MountPoint)
		if m.FSType != fsType || at != dir && !within(dir, at) {
			continue
		}
		alive, err := served(m.Source)
		if err == nil && !alive {
			if err = unix.Unmount(at, unix.MNT_FORCE|unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err == nil {
				cleaned = append(cleaned, at)
			}
		}
		if err != nil {
			return cleaned, fmt.Errorf("clean mount at %s: %w", at, err)
		}
	}
	return cleaned, nil
}

// resolve makes a path absolute and free of links without looking at what it names,
// which may be a dead mount.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	return filepath.Join(parent, filepath.Base(dir)), err
}

// unescape undoes how the kernel writes blanks and the like in a table of mounts.
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		var c byte
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := fmt.Sscanf(s[i+1:i+4], "%03o", &c); n == 1 && err == nil {
				out = append(out, c)
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// Available returns nil if this process can mount, or why it cannot. It finds out
// by trying.
func Available() error {
	dir, err := os.MkdirTemp("", "trihold-fuse-")
	if err != nil {
		return fmt.Errorf("fusefs is not available: %w", err)
	}
	fd, err := mountDirect(dir)
	if err == nil {
		err = errors.Join(unix.Unmount(dir, unix.MNT_DETACH), unix.Close(fd))
	}
	err = errors.Join(err, os.Remove(dir))
	if err == nil {
		return nil
	}
	hint := "it needs root, or a /dev/fuse that this user may open, in a user and mount namespace of its own (unshare -Urm)"
	if errors.Is(err, fs.ErrNotExist) {
		hint = "the kernel has no FUSE, or this container no /dev/fuse"
	}
	return fmt.Errorf("fusefs is not available on this %s: %s: %w", runtime.GOOS, hint, err)
}
