package fusefs

import (
	"os"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// add makes a new entry of a directory, and tells the kernel.
func (k *kernelSide) add(h *fuse.InHeader, name string, out *fuse.EntryOut, do func(dirFD int) error) fuse.Status {
	f := k.fs
	if err := f.check(OpCreate, h.Caller, h.NodeId, name); err != nil {
		return f.status(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.node(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	if dir == f.root && name == graveyard {
		return fuse.EPERM
	}
	if err := do(dir.fd); err != nil {
		return f.status(err)
	}
	f.record(&change{kind: added, dir: dir, name: name})
	in, err := f.find(dir, name)
	if err == nil {
		err = f.tell(in, out)
	}
	return f.status(err)
}

// own gives a new entry to who made it, and the mode that was asked for.
func own(dirFD int, name string, by fuse.Caller, mode uint32) error {
	if int(by.Uid) != os.Geteuid() || int(by.Gid) != os.Getegid() {
		if err := unix.Fchownat(dirFD, name, int(by.Uid), int(by.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	if mode == 0 {
		return nil
	}
	return unix.Fchmodat(dirFD, name, mode&0o7777, 0) // not masked by this process
}

func (k *kernelSide) Mkdir(_ <-chan struct{}, h *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return k.add(&h.InHeader, name, out, func(dirFD int) error {
		if err := unix.Mkdirat(dirFD, name, h.Mode&0o7777); err != nil {
			return err
		}
		return own(dirFD, name, h.Caller, h.Mode)
	})
}

func (k *kernelSide) Mknod(_ <-chan struct{}, h *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return k.add(&h.InHeader, name, out, func(dirFD int) error {
		if err := unix.Mknodat(dirFD, name, h.Mode, int(h.Rdev)); err != nil {
			return err
		}
		return own(dirFD, name, h.Caller, h.Mode)
	})
}

func (k *kernelSide) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return k.add(h, name, out, func(dirFD int) error {
		if err := unix.Symlinkat(target, dirFD, name); err != nil {
			return err
		}
		return own(dirFD, name, h.Caller, 0)
	})
}

func (k *kernelSide) Link(_ <-chan struct{}, h *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	f := k.fs
	in, err := f.lookedUp(h.Oldnodeid)
	if err != nil {
		return f.status(err)
	}
	return k.add(&h.InHeader, name, out, func(dirFD int) error {
		if in.freed {
			return syscall.ENOENT // its last name is gone
		}
		return unix.Linkat(unix.AT_FDCWD, procPath(in.fd), dirFD, name, unix.AT_SYMLINK_FOLLOW)
	})
}

func (k *kernelSide) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	f := k.fs
	in, err := f.lookedUp(h.NodeId)
	if err != nil {
		return nil, f.status(err)
	}
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(in.fd, "", b)
	if err != nil {
		return nil, f.status(err)
	}
	return b[:n], fuse.OK
}

func (k *kernelSide) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return k.remove(h, name, false)
}

func (k *kernelSide) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return k.remove(h, name, true)
}

func (k *kernelSide) remove(h *fuse.InHeader, name string, wantDir bool) fuse.Status {
	f := k.fs
	if err := f.check(OpRemove, h.Caller, h.NodeId, name); err != nil {
		return f.status(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.node(h.NodeId)
	if err == nil {
		err = f.remove(dir, name, wantDir)
	}
	return f.status(err)
}

func (k *kernelSide) Rename(_ <-chan struct{}, h *fuse.RenameIn, name, toName string) fuse.Status {
	f := k.fs
	if err := f.checkRename(h, name, toName); err != nil {
		return f.status(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.node(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	to, err := f.node(h.Newdir)
	if err == nil {
		err = f.rename(dir, name, to, toName, h.Flags)
	}
	return f.status(err)
}

// checkRename is check for an operation with two names.
func (f *FS) checkRename(h *fuse.RenameIn, name, toName string) error {
	f.ops[OpRename].Add(1)
	if f.rules.count.Load() == 0 {
		return nil
	}
	f.mu.Lock()
	var full []string
	if dir := f.byID[h.NodeId]; dir != nil {
		full = append(full, path.Join(dir.path(), name))
	}
	if to := f.byID[h.Newdir]; to != nil {
		full = append(full, path.Join(to.path(), toName))
	}
	f.mu.Unlock()
	return f.obey(f.rules.hits(OpRename, full...), h.Caller)
}

func (k *kernelSide) FsyncDir(_ <-chan struct{}, h *fuse.FsyncIn) fuse.Status {
	f := k.fs
	if err := f.check(OpSyncDir, h.Caller, h.NodeId); err != nil {
		return f.status(err)
	}
	if f.lie {
		f.lies.Add(1)
		return fuse.OK
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.node(h.NodeId)
	if err == nil {
		err = f.syncDir(dir)
	}
	return f.status(err)
}

// OpenDir lists the directory, and ReadDir shows this list however it changes.
func (k *kernelSide) OpenDir(_ <-chan struct{}, h *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.node(h.NodeId)
	if err != nil {
		return f.status(err)
	}
	f.lastList++
	f.lists[f.lastList] = nil
	out.Fh = f.lastList
	return f.status(f.relist(dir, out.Fh))
}

// relist lists a directory anew. mu is held.
func (f *FS) relist(dir *inode, handle uint64) error {
	entries, err := list(dir)
	if err != nil {
		return err
	}
	kept := entries[:0]
	for _, e := range entries {
		if dir != f.root || e.Name() != graveyard {
			kept = append(kept, e)
		}
	}
	f.lists[handle] = kept
	return nil
}

func (k *kernelSide) ReadDir(_ <-chan struct{}, h *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.Offset == 0 { // also after rewinddir, which must see what is new
		dir, err := f.node(h.NodeId)
		if err == nil {
			err = f.relist(dir, h.Fh)
		}
		if err != nil {
			return f.status(err)
		}
	}
	entries := f.lists[h.Fh]
	for i := h.Offset; i < uint64(len(entries)); i++ {
		e := fuse.DirEntry{Name: entries[i].Name(), Mode: modeOf(entries[i].Type()), Off: i + 1}
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

func modeOf(t os.FileMode) uint32 {
	switch {
	case t.IsDir():
		return syscall.S_IFDIR
	case t&os.ModeSymlink != 0:
		return syscall.S_IFLNK
	case t&os.ModeNamedPipe != 0:
		return syscall.S_IFIFO
	case t&os.ModeSocket != 0:
		return syscall.S_IFSOCK
	}
	return syscall.S_IFREG
}

func (k *kernelSide) ReleaseDir(h *fuse.ReleaseIn) {
	f := k.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.lists, h.Fh)
}
