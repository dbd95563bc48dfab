package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"trihold/internal/vfs"
)

// spareName is the file in which the next segment is prepared.
const spareName = "spare.tmp"

// A spare is a segment file filled with zeros, or why there is none.
type spare struct {
	file vfs.File
	err  error
}

// prepare starts to fill a spare file, in the background.
func (l *Log) prepare() {
	next := make(chan spare, 1)
	l.next = next
	go func() {
		f, err := newSpare(l.c.FS, filepath.Join(l.c.Dir, spareName), l.c.SegmentSize)
		next <- spare{f, err}
	}()
}

// newSpare writes and syncs the zeros: syncing an entry then flushes data only.
func newSpare(fsys vfs.FS, name string, size int64) (vfs.File, error) {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("prepare segment: %w", err)
	}
	f, err := fsys.Create(name)
	if err != nil {
		return nil, fmt.Errorf("prepare segment: %w", err)
	}
	zeros := make([]byte, min(1<<20, size))
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil { // give the space back
		return nil, fmt.Errorf("prepare segment: %w", errors.Join(err, f.Close(), fsys.Remove(name)))
	}
	return f, nil
}

// install makes a spare the segment that follows the end of the log.
func (l *Log) install(f vfs.File) error {
	h := header{prev: l.end, size: l.c.SegmentSize}
	if _, err := f.WriteAt(h.encode(l.c.StoreID), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	from, to := filepath.Join(l.c.Dir, spareName), segmentName(l.c.Dir, l.end.index+1)
	if err := l.c.FS.Rename(from, to); err != nil {
		return err
	}
	return l.c.FS.SyncDir(l.c.Dir)
}
