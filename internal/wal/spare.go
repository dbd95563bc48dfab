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
	if err := fill(f, 0, size); err != nil { // give the space back
		return nil, fmt.Errorf("prepare segment: %w", errors.Join(err, f.Close(), fsys.Remove(name)))
	}
	return f, nil
}

// fill writes zeros and syncs them.
func fill(f vfs.File, from, to int64) error {
	zeros := make([]byte, min(1<<20, to-from))
	for at := from; at < to; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// takeSpare returns the spare file with the given size, which is at least that of
// segments. The caller prepares another one when it has given this one a name. The
// error is ErrNoSpace.
func (l *Log) takeSpare(size int64) (vfs.File, error) {
	s := <-l.next
	l.next = nil
	if s.err == nil && size > l.c.SegmentSize {
		if err := fill(s.file, l.c.SegmentSize, size); err != nil {
			s.err = errors.Join(err, s.file.Close(), l.c.FS.Remove(filepath.Join(l.c.Dir, spareName)))
		}
	}
	if s.err != nil {
		l.prepare() // for the next attempt
		return nil, fmt.Errorf("%w: %w", ErrNoSpace, s.err)
	}
	return s.file, nil
}

// install makes a spare a segment.
func (l *Log) install(f vfs.File, h header) error {
	if _, err := f.WriteAt(h.encode(l.c.StoreID), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	from, to := filepath.Join(l.c.Dir, spareName), filepath.Join(l.c.Dir, h.id().fileName())
	if err := l.c.FS.Rename(from, to); err != nil {
		return err
	}
	return l.c.FS.SyncDir(l.c.Dir)
}
