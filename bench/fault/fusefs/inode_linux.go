package fusefs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// An inode is a file, directory or link that the kernel knows, that is open, that
// is named in a change of a directory, or that has something unsynced.
type inode struct {
	id   uint64 // what the kernel calls it
	ino  uint64 // in the backing file system
	mode uint32 // its type
	fd   int    // for links and other special files, opened with O_PATH
	file *os.File

	// Guarded by FS.mu.
	lookups uint64
	opens   int
	changes int    // in FS.changes that name it
	graves  int    // its names in the graveyard
	freed   bool   // it no longer counts as used space
	parent  *inode // with name, its last known place
	name    string

	mu       sync.Mutex // guards what follows and the content
	unsynced unsynced
}

func (in *inode) isDir() bool     { return in.mode == syscall.S_IFDIR }
func (in *inode) isRegular() bool { return in.mode == syscall.S_IFREG }

// path returns the name from the mountpoint on. FS.mu is held.
func (in *inode) path() string {
	if in.parent == nil {
		return in.name
	}
	return path.Join(in.parent.path(), in.name)
}

func (in *inode) stat() (st syscall.Stat_t, err error) {
	err = retry(func() error { return syscall.Fstat(in.fd, &st) })
	return st, err
}

// openInode opens what lies in a directory.
func openInode(dirFD int, name string) (*inode, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dirFD, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	in := &inode{ino: st.Ino, mode: st.Mode & unix.S_IFMT}
	flags := unix.O_PATH
	switch in.mode {
	case unix.S_IFREG:
		flags = unix.O_RDWR
	case unix.S_IFDIR:
		flags = unix.O_RDONLY | unix.O_DIRECTORY
	}
	var err error
	if in.fd, err = openat(dirFD, name, flags|unix.O_NOFOLLOW, 0); err != nil {
		return nil, err
	}
	in.hold(st.Size)
	return in, nil
}

// hold makes the file of a descriptor.
func (in *inode) hold(size int64) {
	in.file = os.NewFile(uintptr(in.fd), strconv.FormatUint(in.ino, 10))
	in.unsynced = newUnsynced(size)
}

func openat(dirFD int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dirFD, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// retry repeats what a signal has interrupted.
func retry(do func() error) error {
	for {
		if err := do(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// procPath is a name for what a descriptor stands for, also if it is O_PATH.
func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// find returns the inode of a name in a directory, from the table if it is there.
// mu is held.
func (f *FS) find(dir *inode, name string) (*inode, error) {
	if dir == f.root && name == graveyard {
		return nil, syscall.ENOENT
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	if in := f.byIno[st.Ino]; in != nil {
		return in, nil
	}
	in, err := openInode(dir.fd, name)
	if err != nil {
		return nil, err
	}
	f.enter(in, dir, name)
	return in, nil
}

// enter puts a new inode into the table. mu is held.
func (f *FS) enter(in *inode, dir *inode, name string) {
	f.lastID++
	in.id, in.parent, in.name = f.lastID, dir, name
	f.byID[in.id], f.byIno[in.ino] = in, in
}

// release forgets an inode that nothing needs any more. mu is held.
func (f *FS) release(in *inode) {
	if in == f.root || in.opens > 0 {
		return
	}
	gone := f.freeIfGone(in)
	if in.lookups > 0 || in.changes > 0 || in.graves > 0 || f.byID[in.id] != in {
		return
	}
	in.mu.Lock()
	keep := in.isRegular() && !gone && !in.unsynced.clean()
	in.mu.Unlock()
	if keep {
		return
	}
	delete(f.byID, in.id)
	delete(f.byIno, in.ino)
	_ = in.file.Close() // nothing depends on it: writes were done with their own errors
}

// freeIfGone gives back the space of a file that has no name and is not open, and
// reports whether it has a name nowhere, not even in the graveyard. mu is held.
func (f *FS) freeIfGone(in *inode) (gone bool) {
	st, err := in.stat()
	if err != nil || int(st.Nlink) > in.graves || in.isDir() {
		return false
	}
	if in.isRegular() && !in.freed && in.opens == 0 {
		in.freed = true
		f.used.Add(-st.Size)
	}
	return st.Nlink == 0
}
