package fusefs

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// graveyard is the directory in the backing directory where removed files lie as
// long as their removal is not durable. It is not seen through the mount.
const graveyard = ".fusefs-removed"

type changeKind int

const (
	added changeKind = iota
	removed
	moved
	exchanged
)

// A change is a change of one or two directories that is not yet durable.
type change struct {
	kind   changeKind
	dir    *inode
	name   string
	to     *inode // of moved and exchanged
	toName string
	buried *inode // what was removed or replaced, or nil
	grave  string // its name in the graveyard
}

func (c *change) inodes() []*inode {
	all := []*inode{c.dir}
	if c.to != nil {
		all = append(all, c.to)
	}
	if c.buried != nil {
		all = append(all, c.buried)
	}
	return all
}

// record remembers a change that was made. mu is held.
func (f *FS) record(c *change) {
	if f.keepNames {
		return // and then nothing was buried
	}
	for _, in := range c.inodes() {
		in.changes++
	}
	f.changes = append(f.changes, c)
}

// bury gives something about to be replaced a name in the graveyard. mu is held.
func (f *FS) bury(dir *inode, name string, in *inode) (grave string, err error) {
	if f.keepNames {
		return "", nil
	}
	grave = f.newGrave()
	if in.isDir() { // which can have only one name; the kernel lets no one look meanwhile
		err = unix.Renameat(dir.fd, name, f.graves, grave)
	} else {
		err = unix.Linkat(dir.fd, name, f.graves, grave, 0)
	}
	if err == nil {
		in.graves++
	}
	return grave, err
}

// exhume takes bury back. mu is held.
func (f *FS) exhume(dir *inode, name string, in *inode, grave string) {
	if grave == "" {
		return
	}
	in.graves--
	if in.isDir() {
		_ = unix.Renameat(f.graves, grave, dir.fd, name)
	} else {
		_ = unix.Unlinkat(f.graves, grave, 0)
	}
}

func (f *FS) newGrave() string {
	f.lastGrave++
	return strconv.FormatUint(f.lastGrave, 10)
}

// syncDir makes the changes of a directory durable. A change of two directories is
// never half durable: with it go the earlier changes of the other one. mu is held.
func (f *FS) syncDir(dir *inode) error {
	until := map[*inode]int{dir: math.MaxInt} // changes before this one are durable
	durable := make([]bool, len(f.changes))
	for i := len(f.changes) - 1; i >= 0; i-- {
		c := f.changes[i]
		if i >= until[c.dir] && (c.to == nil || i >= until[c.to]) {
			continue
		}
		durable[i] = true
		until[c.dir] = max(until[c.dir], i)
		if c.to != nil {
			until[c.to] = max(until[c.to], i)
		}
	}
	var rest, done []*change
	goneDirs := map[*inode]bool{}
	for i, c := range f.changes {
		if durable[i] {
			done = append(done, c)
			if c.buried != nil && c.buried.isDir() {
				goneDirs[c.buried] = true
			}
		} else {
			rest = append(rest, c)
		}
	}
	f.changes = f.changes[:0:0]
	for _, c := range slices.Backward(rest) {
		if goneDirs[c.dir] && (c.to == nil || goneDirs[c.to]) {
			done = append(done, c) // in a directory that is never coming back
			if c.buried != nil && c.buried.isDir() {
				goneDirs[c.buried] = true
			}
		} else {
			f.changes = append(f.changes, c)
		}
	}
	slices.Reverse(f.changes)
	var errs []error
	for _, c := range done {
		errs = append(errs, f.forget(c))
	}
	return errors.Join(errs...)
}

// forget drops a change that is durable. mu is held.
func (f *FS) forget(c *change) (err error) {
	if in := c.buried; in != nil {
		in.graves--
		flags := 0
		if in.isDir() {
			flags = unix.AT_REMOVEDIR
		}
		if err = unix.Unlinkat(f.graves, c.grave, flags); err != nil {
			err = fmt.Errorf("remove for good: %w", err)
		}
	}
	for _, in := range c.inodes() {
		in.changes--
		f.release(in)
	}
	return err
}

// loseNames undoes changes of directories, the last one first, but for those that
// survive. Nothing uses the file system meanwhile.
func (f *FS) loseNames(r *rand.Rand, keep float64) (lost, kept int, err error) {
	kept = surviving(len(f.changes), r, keep)
	for i := len(f.changes) - 1; i >= kept; i-- {
		if err := f.undo(f.changes[i]); err != nil {
			return 0, 0, fmt.Errorf("undo a change of a directory: %w", err)
		}
	}
	return len(f.changes) - kept, kept, nil
}

func (f *FS) undo(c *change) error {
	switch c.kind {
	case added:
		return unix.Renameat(c.dir.fd, c.name, f.graves, f.newGrave())
	case removed:
		return unix.Renameat(f.graves, c.grave, c.dir.fd, c.name)
	case exchanged:
		return unix.Renameat2(c.dir.fd, c.name, c.to.fd, c.toName, unix.RENAME_EXCHANGE)
	default:
		if err := unix.Renameat(c.to.fd, c.toName, c.dir.fd, c.name); err != nil || c.buried == nil {
			return err
		}
		return unix.Renameat(f.graves, c.grave, c.to.fd, c.toName)
	}
}

// remove unlinks a file, or removes an empty directory. mu is held.
func (f *FS) remove(dir *inode, name string, wantDir bool) error {
	in, err := f.find(dir, name)
	if err != nil {
		return err
	}
	defer f.release(in)
	if wantDir != in.isDir() {
		if wantDir {
			return syscall.ENOTDIR
		}
		return syscall.EISDIR
	}
	if f.keepNames {
		flags := 0
		if wantDir {
			flags = unix.AT_REMOVEDIR
		}
		return unix.Unlinkat(dir.fd, name, flags)
	}
	if wantDir {
		if err := mustBeEmpty(in); err != nil {
			return err
		}
	}
	grave := f.newGrave()
	if err := unix.Renameat(dir.fd, name, f.graves, grave); err != nil {
		return err
	}
	in.graves++
	f.record(&change{kind: removed, dir: dir, name: name, buried: in, grave: grave})
	return nil
}

// rename moves a name. mu is held.
func (f *FS) rename(dir *inode, name string, to *inode, toName string, flags uint32) error {
	if flags&^(unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE) != 0 || dir == f.root && name == graveyard || to == f.root && toName == graveyard {
		return syscall.EINVAL
	}
	in, err := f.find(dir, name)
	if err != nil {
		return err
	}
	defer f.release(in)
	old, err := f.find(to, toName)
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	c := &change{kind: moved, dir: dir, name: name, to: to, toName: toName}
	switch {
	case old == nil:
	case flags&unix.RENAME_EXCHANGE != 0:
		c.kind = exchanged
	case flags&unix.RENAME_NOREPLACE != 0:
		return syscall.EEXIST
	case old == in:
		return nil // two names of one file: POSIX has it that nothing happens
	case in.isDir() && !old.isDir():
		return syscall.ENOTDIR
	case !in.isDir() && old.isDir():
		return syscall.EISDIR
	default:
		if old.isDir() {
			if err := mustBeEmpty(old); err != nil {
				return err
			}
		}
		if c.grave, err = f.bury(to, toName, old); err != nil {
			return err
		}
		c.buried = old
	}
	if err := unix.Renameat2(dir.fd, name, to.fd, toName, uint(flags)); err != nil {
		if c.buried != nil {
			f.exhume(to, toName, old, c.grave)
		}
		return err
	}
	in.parent, in.name = to, toName
	f.record(c)
	if c.kind == exchanged {
		old.parent, old.name = dir, name
	}
	if old != nil {
		f.release(old)
	}
	return nil
}

// mustBeEmpty fails with ENOTEMPTY if a directory is not empty.
func mustBeEmpty(dir *inode) error {
	entries, err := list(dir)
	if err == nil && len(entries) > 0 {
		return syscall.ENOTEMPTY
	}
	return err
}

// list returns the entries of a directory, sorted.
func list(dir *inode) ([]os.DirEntry, error) {
	return os.ReadDir(procPath(dir.fd))
}
