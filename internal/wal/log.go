package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// DefaultSegmentSize is the size of segment files. The largest entry must fit
// into one.
const DefaultSegmentSize = 16 << 20

var (
	// ErrNoSpace is returned when there is no file to write to. Nothing was
	// written, and the call may be tried again.
	ErrNoSpace = errors.New("no new log segment")
	// ErrNotHeld is returned for an entry that the log does not hold: it was
	// dropped, or not yet appended.
	ErrNotHeld = errors.New("log entry not held")
)

// Config says where a log is and how it is written.
type Config struct {
	FS          vfs.FS
	Dir         string
	StoreID     StoreID
	SegmentSize int64 // default DefaultSegmentSize
	// NoSync leaves it to the operating system when entries reach the disk. They
	// then survive the process, but not a loss of power.
	NoSync bool
	// SkipChecksums believes every entry that looks like one. It is for the fault
	// suite, which must then find what the checksums would have found.
	SkipChecksums bool
}

// A Log is an open log. One goroutine at a time, the writer, may call any method.
// First, Last, Next, Get and DropBefore may be called by any others meanwhile.
type Log struct {
	c Config

	// The writer's.
	marked  position // the floor that was written last
	tide    vfs.File // see tide.go
	next    <-chan spare
	scratch []byte // see AppendAll
	failed  error  // set when it is no longer known what is on disk

	removing sync.Mutex // held while files are removed

	mu       sync.RWMutex // guards what follows; only the writer changes tail and end
	segments []*segment   // oldest first
	tail     *segment     // the last of them, which entries are appended to
	end      position
}

// Create makes a new log in a directory, which it creates; its first entry will
// have index 1.
func Create(c Config) (*Log, error) {
	if err := c.FS.MkdirAll(c.Dir); err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	l := newLog(c)
	_, err := l.openTide()
	if err == nil { // now, so that it needs no more space later
		err = l.writeTide()
	}
	if err == nil {
		err = l.rotate(0)
	}
	if err != nil {
		return nil, fmt.Errorf("create log: %w", errors.Join(err, l.release()))
	}
	return l, nil
}

func newLog(c Config) *Log {
	if c.SegmentSize == 0 {
		c.SegmentSize = DefaultSegmentSize
	}
	l := &Log{c: c}
	l.prepare()
	return l
}

// Append writes the entry in buf and makes it durable. The first EntryHeader
// bytes of buf are filled in by Append, the payload follows. With ErrNoSpace or
// driver.ErrTooLarge nothing was written; after any other error it is not known
// what was, and every further call of the writer fails.
func (l *Log) Append(buf []byte) (uint64, error) { return l.AppendAll([][]byte{buf}) }

// AppendAll appends several entries, with one write and one sync, and returns the
// index of the last. After a crash in between, none of them are there, or all, or
// some of the first.
func (l *Log) AppendAll(entries [][]byte) (uint64, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	if len(entries) == 0 {
		return l.end.index, nil
	}
	var need int64
	for _, buf := range entries {
		size := diskSize(len(buf) - EntryHeader)
		if firstEntry+size > l.c.SegmentSize {
			return 0, fmt.Errorf("log entry of %d bytes does not fit a segment of %d: %w", len(buf), l.c.SegmentSize, driver.ErrTooLarge)
		}
		need += size
	}
	if l.tail.version < formatVersion || l.tail.at+need > l.tail.size {
		if err := l.rotate(need); err != nil {
			return 0, err
		}
	}
	buf, end := l.seal(entries)
	if err := l.write(l.tail, buf, l.tail.at); err != nil {
		return 0, err
	}
	l.mu.Lock()
	for _, buf := range entries {
		l.tail.offsets = append(l.tail.offsets, uint32(l.tail.at/align))
		l.tail.at += diskSize(len(buf) - EntryHeader)
	}
	l.end = end
	l.mu.Unlock()
	return end.index, l.writeTide()
}

// maxScratch is how large a buffer is kept for the next call.
const maxScratch = 1 << 20

// seal fills in the headers of entries and returns them as they are written, and
// the position behind them. A single entry is not copied.
func (l *Log) seal(entries [][]byte) ([]byte, position) {
	if len(entries) == 1 {
		return entries[0], sealEntry(entries[0], l.end, 0)
	}
	all, end := l.scratch[:0], l.end
	for i, buf := range entries {
		end = sealEntry(buf, end, i)
		all = append(all, buf...)
		all = append(all, zeros[:diskSize(len(buf)-EntryHeader)-int64(len(buf))]...)
	}
	if cap(all) <= maxScratch {
		l.scratch = all
	}
	return all, end
}

// write writes into a segment and syncs it.
func (l *Log) write(s *segment, b []byte, at int64) error {
	_, err := s.file.WriteAt(b, at)
	if err == nil && !l.c.NoSync {
		err = s.file.Sync()
	}
	if err != nil {
		return l.fail(err)
	}
	return nil
}

// fail stops the log: after a failed write or sync, what is on disk is not known.
func (l *Log) fail(err error) error {
	l.failed = fmt.Errorf("write log: %w", err)
	return l.failed
}

// Mark records that all entries so far were synced, so that damage to the last
// of them will be noticed. It does nothing if there is nothing new.
func (l *Log) Mark() error {
	if l.failed != nil || l.marked == l.end {
		return l.failed
	}
	if err := l.syncTide(); err != nil {
		return err
	}
	if err := l.writeFloor(l.tail, floor{position: l.end}); err != nil {
		return err
	}
	l.marked = l.end
	return nil
}

// writeFloor writes the floor that counts from now on beside the one before.
func (l *Log) writeFloor(s *segment, f floor) error {
	if err := l.write(s, f.encode(), int64(s.slot+1)*block); err != nil {
		return err
	}
	s.floor, s.slot = f, 1-s.slot
	return nil
}

// rotate starts the next segment, with room for entries of the given size, and
// then marks the one before, if there is one, as followed. In between a crash
// leaves an empty last segment, which is fine.
func (l *Log) rotate(need int64) error {
	size := max(l.c.SegmentSize, (firstEntry+need+block-1)&^(block-1))
	f, err := l.takeSpare(size)
	if err != nil {
		return err
	}
	h := header{version: formatVersion, prev: l.end, size: size}
	old := l.tail
	if old != nil {
		h.generation = old.generation
	}
	// An empty segment that is too small, or of an older format, is replaced by one
	// with the same name.
	replace := old != nil && old.prev == l.end
	if replace {
		h.fresh = old.fresh
	}
	if l.c.NoSync && old != nil { // a later segment must not outlive an earlier one
		if err := old.file.Sync(); err != nil {
			return errors.Join(l.fail(err), f.Close())
		}
	}
	if err := l.install(f, h); err != nil {
		return errors.Join(l.fail(err), f.Close())
	}
	l.prepare()
	s := newSegment(h, f)
	if old != nil && !replace {
		if err := l.writeFloor(old, floor{l.end, true}); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	l.mu.Lock()
	if replace {
		l.segments = l.segments[:len(l.segments)-1]
	}
	l.segments = append(l.segments, s)
	l.tail = s
	l.mu.Unlock()
	l.marked = l.end
	if replace {
		return old.file.Close()
	}
	return nil
}

// Close marks the end of the log and closes it. It returns the error that
// stopped the log, if one did.
func (l *Log) Close() error {
	return errors.Join(l.Mark(), l.release())
}

// release closes the files.
func (l *Log) release() error {
	var err error
	l.mu.Lock()
	for _, s := range l.segments {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
	}
	l.mu.Unlock()
	if l.tide != nil {
		err = errors.Join(err, l.tide.Close())
	}
	if l.next == nil {
		return err
	}
	if s := <-l.next; s.file != nil {
		err = errors.Join(err, s.file.Close(), l.c.FS.Remove(filepath.Join(l.c.Dir, spareName)))
	}
	return err
}

// Fresh reports whether a directory holds no entries: at most what Create leaves
// behind when it is interrupted. Such a directory may be created again after
// removing it.
func Fresh(fsys vfs.FS, dir string) (bool, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if name == spareName || name == tideName {
			continue
		}
		content, err := vfs.ReadFile(fsys, filepath.Join(dir, name))
		if err != nil {
			return false, err
		}
		if id, ok := parseSegmentName(name); !ok || id != (segmentID{first: 1}) || len(content) < firstEntry || !isZero(content[block:]) {
			return false, nil
		}
	}
	return true, nil
}
