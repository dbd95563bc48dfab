//go:build amd64 || arm64

package syscalls

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// paths returns the absolute paths of the files that a call is about; none for a
// socket or a pipe, and for a descriptor that is not open.
func paths(shape *syscallShape, n *notification) ([]string, error) {
	if len(shape.paths) == 0 {
		path, err := opened(n.pid, int32(n.args[shape.fd]))
		if path == "" || err != nil {
			return nil, err
		}
		return []string{path}, nil
	}
	var all []string
	for _, at := range shape.paths {
		dir := int32(unix.AT_FDCWD)
		if at.dir != workDir {
			dir = int32(n.args[at.dir])
		}
		path, err := named(n.pid, dir, uintptr(n.args[at.path]))
		if err != nil {
			return nil, err
		}
		if path != "" {
			all = append(all, path)
		}
	}
	return all, nil
}

// opened returns the path of an open file, or "".
func opened(pid uint32, fd int32) (string, error) {
	link := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	if fd == unix.AT_FDCWD {
		link = fmt.Sprintf("/proc/%d/cwd", pid)
	}
	path, err := os.Readlink(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil // no such descriptor, or the thread is gone
	case err != nil:
		return "", fmt.Errorf("find file of process %d: %w", pid, err)
	case !strings.HasPrefix(path, "/"):
		return "", nil
	}
	return strings.TrimSuffix(path, " (deleted)"), nil
}

// named returns the path that a name in the memory of a process means.
func named(pid uint32, dir int32, address uintptr) (string, error) {
	name, err := readString(pid, address)
	if name == "" || err != nil {
		return "", err
	}
	if !filepath.IsAbs(name) {
		base, err := opened(pid, dir)
		if base == "" || err != nil {
			return "", err
		}
		name = filepath.Join(base, name)
	}
	// The last element may not exist, or be a link that is itself renamed.
	parent, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return filepath.Clean(name), nil // nor may the directory
	}
	return filepath.Join(parent, filepath.Base(name)), nil
}

// readString reads a path from the memory of a process. It is "" if the address is
// bad, and so the call will fail by itself.
func readString(pid uint32, address uintptr) (string, error) {
	var path []byte
	page := uintptr(os.Getpagesize())
	for len(path) < unix.PathMax {
		// Up to the end of the page: the next one may not be there.
		part := make([]byte, page-address%page)
		local := []unix.Iovec{{Base: &part[0]}}
		local[0].SetLen(len(part))
		n, err := unix.ProcessVMReadv(int(pid), local, []unix.RemoteIovec{{Base: address, Len: len(part)}}, 0)
		switch {
		case errors.Is(err, unix.EFAULT), errors.Is(err, unix.ESRCH):
			return "", nil
		case err != nil:
			return "", fmt.Errorf("read memory of process %d: %w", pid, err)
		}
		if end := bytes.IndexByte(part[:n], 0); end >= 0 {
			return string(append(path, part[:end]...)), nil
		}
		path = append(path, part[:n]...)
		address += uintptr(n)
	}
	return "", nil // the kernel refuses it as too long
}
