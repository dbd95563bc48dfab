//go:build amd64 || arm64

package syscalls

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A notification is struct seccomp_notif: a call that waits for an answer.
type notification struct {
	id    uint64
	pid   uint32 // of the thread
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// A response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	errno int32 // negative
	flags uint32
}

// A listener is the descriptor that notifications come from. It is read by one
// goroutine, and answered by any.
type listener int

// wait waits for the next notification. more is false if there will be none: no
// process is left.
func (l listener) wait() (n notification, more bool, err error) {
	for {
		fds := []unix.PollFd{{Fd: int32(l), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return n, false, fmt.Errorf("wait for system calls: %w", err)
		case fds[0].Revents&unix.POLLIN != 0:
		case fds[0].Revents&unix.POLLHUP != 0:
			return n, false, nil
		default:
			return n, false, fmt.Errorf("wait for system calls: poll says %#x", fds[0].Revents)
		}
		n = notification{} // the kernel wants it empty
		err = l.control(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT): // its thread was killed
		case err != nil:
			return n, false, fmt.Errorf("receive system call: %w", err)
		default:
			return n, true, nil
		}
	}
}

// waiting says whether the thread still waits for the answer. What was found out
// about it by its ID before is true if it does.
func (l listener) waiting(n *notification) bool {
	id := n.id
	return l.control(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == nil
}

// goOn lets the kernel make the call.
func (l listener) goOn(n *notification) error {
	return l.respond(response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// refuse returns an error instead of making the call.
func (l listener) refuse(n *notification, errno syscall.Errno) error {
	return l.respond(response{id: n.id, errno: -int32(errno)})
}

// result returns a value as that of the call, which is not made.
func (l listener) result(n *notification, value int) error {
	return l.respond(response{id: n.id, value: int64(value)})
}

func (l listener) respond(r response) error {
	for {
		err := l.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINPROGRESS):
			return errGone
		default:
			return fmt.Errorf("answer system call: %w", err)
		}
	}
}

// runNear has the kernel run this side and the calling thread on one processor, one
// after the other, as they do anyway. Before Linux 6.6 it cannot.
func (l listener) runNear() {
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(l), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}

func (l listener) control(request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l), request, uintptr(arg))
	runtime.KeepAlive(arg)
	if errno != 0 {
		return errno
	}
	return nil
}
