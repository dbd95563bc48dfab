package fusefs

import (
	"errors"
	"io"
	"strconv"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The handles of open files say only whether each write is synced.
const (
	plainHandle  = 0
	syncedHandle = 1
)

func handleFor(flags uint32) uint64 {
	if flags&unix.O_DSYNC != 0 { // which O_SYNC includes
		return syncedHandle
	}
	return plainHandle
}

// openFlags keeps this process from mapping a file of its own mount: when it
// touched the memory, it would wait for itself, and as no runtime knows of such a
// wait, for ever. Mapping a file that is opened like this is ENODEV.
func openFlags(by fuse.Caller) uint32 {
	if unix.Access("/proc/self/task/"+strconv.Itoa(int(by.Pid)), unix.F_OK) == nil {
		return fuse.FOPEN_DIRECT_IO
	}
	return 0
}

func (k *kernelSide) Open(_ <-chan struct{}, h *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	f := k.fs
	if err := f.check(OpOpen, h.Caller, h.NodeId); err != nil {
		return f.status(err)
	}
	f.mu.Lock()
	in, err := f.node(h.NodeId)
	if err == nil {
		in.opens++
	}
	f.mu.Unlock()
	if err == nil && h.Flags&unix.O_TRUNC != 0 {
		if err = f.truncate(in, 0); err != nil {
			f.closed(in)
		}
	}
	out.Fh, out.OpenFlags = handleFor(h.Flags), openFlags(h.Caller)
	return f.status(err)
}

func (k *kernelSide) Create(_ <-chan struct{}, h *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	status := k.add(&h.InHeader, name, &out.EntryOut, func(dirFD int) error {
		fd, err := openat(dirFD, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, h.Mode&0o7777)
		if err != nil {
			return err // EEXIST cannot be: the kernel has looked, and holds the directory
		}
		return errors.Join(unix.Close(fd), own(dirFD, name, h.Caller, h.Mode))
	})
	if !status.Ok() {
		return status
	}
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := f.node(out.NodeId)
	if err != nil {
		return f.status(err)
	}
	in.opens++
	out.Fh, out.OpenFlags = handleFor(h.Flags), openFlags(h.Caller)
	return fuse.OK
}

func (k *kernelSide) Release(_ <-chan struct{}, h *fuse.ReleaseIn) {
	f := k.fs
	if in, err := f.lookedUp(h.NodeId); err == nil {
		f.closed(in)
	}
}

func (f *FS) closed(in *inode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in.opens--
	f.release(in)
}

func (k *kernelSide) Read(_ <-chan struct{}, h *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	f := k.fs
	if err := f.check(OpRead, h.Caller, h.NodeId); err != nil {
		return nil, f.status(err)
	}
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return nil, f.status(err)
	}
	n, err := in.file.ReadAt(buf[:min(len(buf), int(h.Size))], int64(h.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, f.status(err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

func (k *kernelSide) Write(_ <-chan struct{}, h *fuse.WriteIn, b []byte) (uint32, fuse.Status) {
	f := k.fs
	if err := f.check(OpWrite, h.Caller, h.NodeId); err != nil {
		return 0, f.status(err)
	}
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return 0, f.status(err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	off := int64(h.Offset)
	grows := max(0, off+int64(len(b))-in.unsynced.size)
	if err := f.reserve(grows); err != nil {
		return 0, f.status(err)
	}
	err = in.unsynced.willWrite(in.file, off, len(b))
	n := 0
	if err == nil {
		n, err = in.file.WriteAt(b, off)
		in.unsynced.wrote(off, n)
	}
	if n < len(b) {
		f.used.Add(-min(grows, int64(len(b)-n)))
	}
	if n == 0 && err != nil {
		return 0, f.status(err)
	}
	if h.Fh == syncedHandle && !f.lie {
		in.unsynced.sync()
	}
	return uint32(n), fuse.OK
}

func (k *kernelSide) Fsync(_ <-chan struct{}, h *fuse.FsyncIn) fuse.Status {
	f := k.fs
	failed := f.check(OpSync, h.Caller, h.NodeId)
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case errors.Is(failed, syscall.EINTR): // of a process that was killed
	case failed != nil:
		in.unsynced.failSync()
	case f.lie:
		f.lies.Add(1)
	default:
		in.unsynced.sync()
	}
	return f.status(failed)
}

func (k *kernelSide) Fallocate(_ <-chan struct{}, h *fuse.FallocateIn) fuse.Status {
	f := k.fs
	if err := f.check(OpTruncate, h.Caller, h.NodeId); err != nil {
		return f.status(err)
	}
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	switch h.Mode {
	case unix.FALLOC_FL_KEEP_SIZE:
		return fuse.OK // space is promised anyway, as far as there is any
	case 0:
		return f.status(f.setSize(in, int64(h.Offset+h.Length), true))
	}
	return fuse.Status(syscall.EOPNOTSUPP)
}

func (k *kernelSide) Lseek(_ <-chan struct{}, h *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	f := k.fs
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	at, err := unix.Seek(in.fd, int64(h.Offset), int(h.Whence)) // reads and writes do not use the position
	out.Offset = uint64(at)
	return f.status(err)
}

func (f *FS) truncate(in *inode, size int64) error { return f.setSize(in, size, false) }

// setSize sets the size of a file. Making it longer takes space, as in a file
// system without holes.
func (f *FS) setSize(in *inode, size int64, onlyGrow bool) error {
	if !in.isRegular() {
		return syscall.EINVAL
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	u := &in.unsynced
	grows := size - u.size
	if grows == 0 || onlyGrow && grows < 0 {
		return nil
	}
	if err := f.reserve(grows); err != nil {
		return err
	}
	err := u.willTruncate(in.file, size)
	if err == nil {
		err = in.file.Truncate(size)
	}
	if err != nil {
		f.used.Add(-max(0, grows))
		return err
	}
	f.used.Add(min(0, grows))
	u.truncated(size)
	return nil
}
