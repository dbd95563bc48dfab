//go:build amd64 || arm64

package syscalls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// installFlags make the filter hold for all threads, and give its listener.
const installFlags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER

// Available returns nil if processes can be supervised here, or says why not.
func Available() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("ask for the kernel's version: %w", err)
	}
	// 5.9 is the first that tells when the last supervised process is gone.
	release := unix.ByteSliceToString(name.Release[:])
	if !atLeast(release, 5, 9) {
		return fmt.Errorf("faults in system calls need Linux 5.9, this is %s", release)
	}
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	if _, err := seccomp(unix.SECCOMP_GET_ACTION_AVAIL, 0, unsafe.Pointer(&action)); err != nil {
		return fmt.Errorf("this kernel has no seccomp user notification, or does not allow it: %w", err)
	}
	var sizes struct{ notification, response, data uint16 }
	if _, err := seccomp(unix.SECCOMP_GET_NOTIF_SIZES, 0, unsafe.Pointer(&sizes)); err != nil {
		return fmt.Errorf("ask for the size of seccomp notifications: %w", err)
	}
	if uintptr(sizes.notification) != unsafe.Sizeof(notification{}) || uintptr(sizes.response) != unsafe.Sizeof(response{}) {
		return fmt.Errorf("seccomp notifications of %d and %d bytes are not known", sizes.notification, sizes.response)
	}
	if !knowsFlags(installFlags) {
		return errors.New("seccomp cannot filter all threads and listen at the same time here")
	}
	return nil
}

// knowsFlags asks with a program that cannot be read: flags come first.
func knowsFlags(flags uintptr) bool {
	_, err := seccomp(unix.SECCOMP_SET_MODE_FILTER, flags, nil)
	return errors.Is(err, unix.EFAULT)
}

// atLeast compares a release such as 5.10.0-28-amd64 with a version.
func atLeast(release string, major, minor int) bool {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	digits := strings.IndexFunc(parts[1]+".", func(r rune) bool { return r < '0' || r > '9' })
	b, errB := strconv.Atoi(parts[1][:digits])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}

// Install puts this process, all its threads and all that it will start under the
// supervisor at the other end of a link. fd is the link's end: 3 if it was the
// first of exec.Cmd's ExtraFiles. Install takes the descriptor over.
//
// It is called before anything else, and once. It returns when the supervisor has
// begun to answer. After an error the process must end: its calls may fail.
func Install(calls Calls, fd int) error {
	defer unix.Close(fd)
	if err := calls.valid(); err != nil {
		return fmt.Errorf("install system call filter: %w", err)
	}
	if err := Available(); err != nil {
		return fmt.Errorf("install system call filter: %w", err)
	}
	listener, err := listen(filter(shapes(calls)))
	if err != nil {
		return fmt.Errorf("install system call filter: %w", err)
	}
	defer unix.Close(listener)
	// From here on other threads may wait for the supervisor. Messages on a socket
	// are not among the calls that do.
	hello := binary.LittleEndian.AppendUint32(nil, uint32(calls))
	if err := unix.Sendmsg(fd, hello, unix.UnixRights(listener), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("install system call filter: send listener: %w", err)
	}
	ready := make([]byte, 1)
	for {
		n, _, err := unix.Recvfrom(fd, ready, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("install system call filter: wait for supervisor: %w", err)
		case n == 0:
			return errors.New("install system call filter: the supervisor has gone")
		default:
			return nil
		}
	}
}

// listen installs a filter for all threads.
func listen(program []unix.SockFilter) (listener int, err error) {
	// Both calls are on one thread; the second brings all others to its state.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("renounce new privileges: %w", err)
	}
	flags := uintptr(installFlags)
	// Without it, signals interrupt calls that wait for an answer.
	if knowsFlags(flags | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
		flags |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	listener, err = seccomp(unix.SECCOMP_SET_MODE_FILTER, flags, unsafe.Pointer(&prog))
	runtime.KeepAlive(program)
	switch {
	case errors.Is(err, unix.EBUSY):
		return -1, fmt.Errorf("the process is supervised already: %w", err)
	case errors.Is(err, unix.ESRCH):
		return -1, fmt.Errorf("a thread has a filter of its own: %w", err)
	}
	return listener, err
}

func seccomp(operation, flags uintptr, args unsafe.Pointer) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, operation, flags, uintptr(args))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
