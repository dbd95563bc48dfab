package rqlitebackend

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"trihold/internal/lockfile"
	"trihold/repo/driver"
)

// A directory holds what a managed rqlite keeps:
//
//	store      two lines of text that make it a directory of this backend: a magic
//	           with the format's version, and the CRC-32C of that line
//	lock       held by the program that manages the directory
//	node1      the data of the node
//	node1.used is there once the node has been ready: from then on its log must be
//	node1.log  what the node printed, and before the last start beyond
//	           maxLog, node1.log.old
//	node1.lock held by the node itself, for as long as it runs
const (
	storeName   = "store"
	lockName    = "lock"
	storeMagic  = "trihold rqlite store, format "
	storeFormat = 1
	maxLog      = 8 << 20
)

// A directory is locked by this process until it is released.
type directory struct {
	path string
	lock *lockfile.Lock
}

// openDirectory takes a directory, and makes it one of this backend if it is
// missing or empty. Nothing is written into a directory that holds anything else.
func openDirectory(path string) (*directory, error) {
	isStore, err := inspect(path)
	if err != nil {
		return nil, err
	}
	if !isStore {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, cannotWrite("create the directory", err)
		}
	}
	lock, err := lockfile.Acquire(filepath.Join(path, lockName), path)
	if err != nil {
		return nil, oneLine(err)
	}
	d := &directory{path: path, lock: lock}
	if isStore, err = inspect(path); err == nil && !isStore {
		err = d.mark()
	}
	if err != nil {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

// inspect reports whether path is a directory of this backend. If it is not, it
// may be missing or empty; anything else is an error.
func inspect(path string) (isStore bool, err error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if errors.Is(err, unix.ENOTDIR) {
		return false, fmt.Errorf("%s is a file, and rqlite needs a directory; choose another name: %w", path, driver.ErrInvalid)
	}
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == storeName }) {
		return true, checkMark(filepath.Join(path, storeName))
	}
	for _, e := range entries {
		if name := e.Name(); name != lockName && name != storeName+".tmp" {
			return false, fmt.Errorf("%s holds %q and is no rqlite directory of trihold; use an empty directory, or one that is not there yet: %w", path, e.Name(), driver.ErrInvalid)
		}
	}
	return false, nil
}

// checkMark checks the file that makes a directory one of this backend.
func checkMark(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	magic, _, _ := bytes.Cut(content, []byte("\n"))
	text := string(magic)
	switch {
	case bytes.Equal(content, markContent(storeFormat)):
		return nil
	case strings.HasPrefix(text, "trihold ") && !strings.HasPrefix(text, storeMagic):
		return fmt.Errorf("%s belongs to another backend (%q); open it with that one, or use another directory: %w", filepath.Dir(name), text, driver.ErrInvalid)
	case strings.HasPrefix(text, storeMagic) && bytes.Equal(content, markContent(strings.TrimPrefix(text, storeMagic))):
		return fmt.Errorf("%s was made by a newer version (%q, this program reads format %d); use a newer program: %w", filepath.Dir(name), text, storeFormat, driver.ErrInvalid)
	}
	return fmt.Errorf("%s is damaged: it does not match its checksum: %w", name, driver.ErrCorrupt)
}

func markContent(format any) []byte {
	line := fmt.Sprintf("%s%v\n", storeMagic, format)
	return fmt.Appendf(nil, "%s%08x\n", line, crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli)))
}

// mark writes the file that makes the directory one of this backend, all of it or
// nothing.
func (d *directory) mark() error {
	tmp := d.file(storeName + ".tmp")
	f, err := os.Create(tmp)
	if err != nil {
		return cannotWrite("prepare the directory", err)
	}
	_, err = f.Write(markContent(storeFormat))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, d.file(storeName))
	}
	if err == nil {
		err = syncDir(d.path)
	}
	if err != nil {
		return cannotWrite("prepare the directory", errors.Join(err, os.Remove(tmp)))
	}
	return nil
}

// usedName marks a node that has been ready.
const usedName = nodeID + ".used"

// nodeLog is the file that holds everything that rqlite has acknowledged.
func (d *directory) nodeLog() string { return filepath.Join(d.file(nodeID), "raft.db") }

// mustBeWhole returns an error if the node has been ready and its log is not there:
// rqlited would begin anew, without a word.
func (d *directory) mustBeWhole() error {
	if _, err := os.Stat(d.file(usedName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := os.Stat(d.nodeLog()); err != nil {
		return driver.Failed("run rqlited", driver.ErrCorrupt, fmt.Errorf(
			"%w, and it was there; put it back, restore a backup, or use another directory to begin anew", err))
	}
	return nil
}

// used marks a node that is ready. It makes the names of the node's files durable
// too: rqlite syncs its log, and not the directory that it is in.
func (d *directory) used() error {
	f, err := os.OpenFile(d.file(usedName), os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), syncDir(d.file(nodeID)), syncDir(d.path), syncDir(filepath.Dir(d.path)))
	}
	if err != nil {
		return cannotWrite("mark the directory as used", err)
	}
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// cannotWrite names the remedy for a disk that does not take what is written.
func cannotWrite(what string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%s: the disk is full; make space: %w: %w", what, driver.ErrUnavailable, oneLine(err))
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: choose a place that this user can write to: %w: %w", what, driver.ErrReadOnly, oneLine(err))
	}
	return fmt.Errorf("%s: %w", what, oneLine(err))
}

// When rqlite starts it executes its log, and what fails then for want of space is
// not there and nobody is told: it would serve less than it had acknowledged. So it
// is not started without space for the SQLite log, which it moves away when that
// has 4 MiB, and not used if hardly any is left when it is ready.
const (
	freeToStart   = 16 << 20
	freeWhenReady = 1 << 20
)

// mustHaveFree returns an error if the disk has less than so many bytes free.
func (d *directory) mustHaveFree(bytes int64) error {
	free, err := d.free()
	if err != nil {
		return err
	}
	if free < bytes {
		return driver.Failed("run rqlited", driver.ErrUnavailable, fmt.Errorf(
			"the disk of %s is full: %d bytes are free, and rqlite needs %d to execute its log; make space", d.path, free, bytes))
	}
	return nil
}

// free returns the bytes that are free on the disk.
func (d *directory) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.path, &st); err != nil {
		return -1, fmt.Errorf("look for free space in %s: %w", d.path, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

func (d *directory) file(name string) string { return filepath.Join(d.path, name) }

func (d *directory) release() error { return d.lock.Release() }

// size returns the bytes of all files. Files may come and go meanwhile.
func (d *directory) size() (int64, error) {
	var total int64
	err := filepath.WalkDir(d.path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				total += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return total, err
}
