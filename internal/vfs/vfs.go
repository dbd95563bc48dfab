package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"trihold/internal/lockfile"
)

// An FS opens, renames and lists files. It is safe for concurrent use.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes a new empty file; it is an error if the name exists.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	MkdirAll(dir string) error
	// List returns the names of the entries of a directory, sorted. A missing
	// directory is fs.ErrNotExist.
	List(dir string) ([]string, error)
	// SyncDir makes the entries of a directory durable: files created, renamed
	// and removed in it before the call.
	SyncDir(dir string) error
	// Lock keeps every other holder of the lock with this name away until the
	// returned Closer is closed or the machine stops. What says in an error what
	// the lock is for.
	Lock(name, what string) (io.Closer, error)
	// Usage returns how many bytes a directory takes up on the disk.
	Usage(dir string) (int64, error)
	// Free returns how many more bytes this user can write to the disk of a
	// directory.
	Free(dir string) (int64, error)
}

// A File is an open file. Methods other than Close may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes the content durable. After it failed once, nothing is known
	// about what was written since the last success: the caller must not go on
	// writing and believe a later success.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
	Close() error
}

// OS is the operating system's file system.
type OS struct{}

var _ FS = OS{}

// Open implements FS.
func (OS) Open(name string) (File, error) { return open(name, os.O_RDWR) }

// Create implements FS.
func (OS) Create(name string) (File, error) { return open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL) }

func open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// MkdirAll implements FS.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

// List implements FS.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// SyncDir implements FS.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock implements FS.
func (OS) Lock(name, what string) (io.Closer, error) {
	l, err := lockfile.Acquire(name, what)
	if err != nil {
		return nil, err
	}
	return osLock{l}, nil
}

type osLock struct{ *lockfile.Lock }

func (l osLock) Close() error { return l.Release() }

// Usage implements FS. Files that are removed meanwhile are left out.
func (OS) Usage(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += sys.Blocks * 512
		}
		return nil
	})
	return bytes, err
}

// Free implements FS.
func (OS) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type osFile struct{ *os.File }

// Sync flushes the content, and of the metadata only what reading it back needs.
func (f osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("fdatasync %s: %w", f.Name(), err)
		}
	}
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// ReadFile returns the content of a file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, errors.Join(err, f.Close())
}

// WriteFile makes a file with the given content durable under its name, all of
// it or nothing: a reader finds the old file, if there was one, or the new one.
func WriteFile(fsys FS, name string, content []byte) error {
	tmp := name + ".tmp"
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// SyncParents makes the entry of a directory in the one above durable, and that
// one's entry, and so on: who cannot tell which of them are new needs all.
func SyncParents(fsys FS, dir string) error {
	for dir = filepath.Clean(dir); ; {
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		// Directories that this user cannot read, or that cannot be synced, were
		// made by somebody else, and are not new.
		err := fsys.SyncDir(parent)
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EROFS) {
			return err
		}
		dir = parent
	}
}

// RemoveTree removes a directory with the files and directories in it. It is no
// error if there is none.
func RemoveTree(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return fsys.Remove(dir)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := RemoveTree(fsys, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return fsys.Remove(dir)
}
