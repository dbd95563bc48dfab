package fusefs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

const (
	// endPatience is how long killed processes may take to be gone.
	endPatience = 10 * time.Second
	// unmountPatience is how long Unmount waits for processes that may be about to
	// end, before it takes the file system away from them.
	unmountPatience = time.Second
	retryPause      = 5 * time.Millisecond
	maxWrite        = 256 << 10
)

// A service is one mount and the goroutines that answer the kernel.
type service struct {
	done chan struct{} // closed when they have ended
}

// serve mounts the file system and answers the kernel.
func serve(f *FS) (*service, error) {
	fd, err := mountDirect(f.mountpoint)
	if err != nil {
		return nil, err
	}
	server, err := fuse.NewServer(&kernelSide{RawFileSystem: fuse.NewDefaultRawFileSystem(), fs: f}, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		MaxWrite:           maxWrite,
		DisableXAttrs:      true, // else the kernel asks for one before every write
		DisableReadDirPlus: true,
		Logger:             slog.NewLogLogger(f.log.Handler(), slog.LevelWarn),
	})
	if err != nil {
		return nil, errors.Join(err, unix.Unmount(f.mountpoint, unix.MNT_FORCE|unix.MNT_DETACH))
	}
	s := &service{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		server.Serve()
	}()
	if err := refusePoll(f.mountpoint); err != nil {
		return nil, errors.Join(err, s.end(f.mountpoint, unmountPatience, true))
	}
	return s, nil
}

// mountDirect mounts without the help of another program, and returns the
// descriptor to talk to the kernel. No child process inherits it: with the last
// one that has it the mount would live on.
func mountDirect(mountpoint string) (fd int, err error) {
	fd, err = openat(unix.AT_FDCWD, "/dev/fuse", unix.O_RDWR, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w", err)
	}
	source, err := ownName()
	if err == nil {
		options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,max_read=%d,allow_other,default_permissions",
			fd, os.Geteuid(), os.Getegid(), maxWrite)
		err = unix.Mount(source, mountpoint, fsType, unix.MS_NOSUID|unix.MS_NODEV, options)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("mount %s: %w", mountpoint, err), unix.Close(fd))
	}
	return fd, nil
}

// refusePoll lets the kernel learn, from this goroutine, that there is no poll:
// were it to ask when the runtime registers a file, the runtime could not answer.
func refusePoll(mountpoint string) error {
	fd, err := openat(unix.AT_FDCWD, filepath.Join(mountpoint, ".go-fuse-epoll-hack"), unix.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("look into the mount: %w", err)
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) // asking was all
	return unix.Close(fd)
}

// end unmounts. Processes that use the file system are waited for, and then it is
// taken away from them, or without force it is an error.
func (s *service) end(mountpoint string, patience time.Duration, force bool) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(retryPause) {
		err := unix.Unmount(mountpoint, unix.UMOUNT_NOFOLLOW)
		if err == nil || errors.Is(err, unix.EINVAL) { // the latter: someone else has unmounted it
			break
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", mountpoint, err)
		}
		if time.Now().Before(deadline) {
			continue
		}
		if !force {
			return fmt.Errorf("%s is still in use by %s", mountpoint, users(mountpoint))
		}
		if err := unix.Unmount(mountpoint, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s by force: %w", mountpoint, err)
		}
		break
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(endPatience):
		return fmt.Errorf("%s is unmounted here, and still mounted in another namespace", mountpoint)
	}
}

// users names processes with something open in a directory.
func users(dir string) string {
	all, err := procfs.AllProcs()
	if err != nil {
		return "unknown processes"
	}
	var found []string
	for _, p := range all {
		targets, _ := p.FileDescriptorTargets() // the process may be gone, or another user's
		cwd, _ := p.Cwd()
		for _, target := range append(targets, cwd) {
			if target == dir || within(dir, target) {
				name, _ := p.Comm()
				found = append(found, fmt.Sprintf("process %d (%s)", p.PID, name))
				break
			}
		}
	}
	if len(found) == 0 {
		return "a process that cannot be named"
	}
	return strings.Join(found, ", ")
}

// within reports whether a clean absolute path lies inside of a directory.
func within(dir, name string) bool {
	rel, err := filepath.Rel(dir, name)
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, "../")
}
