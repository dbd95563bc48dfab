//go:build amd64 || arm64

package syscalls

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// divisible says whether a call writes one buffer of more than part bytes.
func divisible(n *notification, part int) bool {
	return (n.nr == unix.SYS_PWRITE64 || n.nr == unix.SYS_WRITE) && n.args[2] > uint64(part)
}

// writePart writes the first bytes of what a call is to write, through the same open
// file: an offset moves, and appending appends. written may be less, as for any write.
func (s *Supervisor) writePart(n *notification, part int) (written int, err error) {
	b := make([]byte, part)
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	got, err := unix.ProcessVMReadv(int(n.pid), local, []unix.RemoteIovec{{Base: uintptr(n.args[1]), Len: len(b)}}, 0)
	if err == nil && got != part {
		err = unix.EFAULT
	}
	if err != nil {
		return 0, fmt.Errorf("read %d bytes from the memory of process %d: %w", part, n.pid, err)
	}
	fd, err := sameFile(n.pid, int(int32(n.args[0])))
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if !s.listener.waiting(n) {
		return 0, errGone // and the file may be another's
	}
	if n.nr == unix.SYS_PWRITE64 {
		written, err = unix.Pwrite(fd, b, int64(n.args[3]))
	} else {
		written, err = unix.Write(fd, b)
	}
	if err != nil {
		return 0, fmt.Errorf("write part of what process %d writes: %w", n.pid, err)
	}
	return written, nil
}

// sameFile returns a descriptor of a file that a thread's process has open.
func sameFile(thread uint32, fd int) (int, error) {
	process, err := processOf(thread)
	if err != nil {
		return -1, err
	}
	handle, err := unix.PidfdOpen(process, 0)
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", process, err)
	}
	defer unix.Close(handle)
	same, err := unix.PidfdGetfd(handle, fd, 0)
	if err != nil {
		return -1, fmt.Errorf("share file %d of process %d: %w", fd, process, err)
	}
	return same, nil
}

// processOf returns the ID of a thread's process.
func processOf(thread uint32) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return 0, fmt.Errorf("find process of thread %d: %w", thread, err)
	}
	for line := range strings.Lines(string(status)) {
		if id, ok := strings.CutPrefix(line, "Tgid:"); ok {
			return strconv.Atoi(strings.TrimSpace(id))
		}
	}
	return 0, errors.New("find process of a thread: its status has no Tgid")
}
