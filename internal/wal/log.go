package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// DefaultSegmentSize is the size of segment files. The largest entry must fit
// into one.
const DefaultSegmentSize = 16 << 20

// ErrNoSpace is returned by Append when there is no file to write the entry to.
// Nothing was written, and Append may be tried again.
var ErrNoSpace = errors.New("no new log segment")

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

// A Log is an open log. Its methods are called by one goroutine at a time.
type Log struct {
	c        Config
	segments []uint64 // first indices, oldest first; the last one is open
	file     vfs.File // the open segment
	at       int64    // offset of its next entry
	size     int64    // its size
	slot     int      // where its next floor goes
	end      position
	marked   position // the floor that was written last
	tide     vfs.File // see tide.go
	next     <-chan spare
	failed   error // set when it is no longer known what is on disk
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
		err = l.rotate()
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

// Open opens a log and calls visit for each entry from index from on, oldest
// first, with a payload that is valid during the call. It returns the number of
// bytes of a torn tail that it cut off.
func Open(c Config, from uint64, visit func(index uint64, payload []byte) error) (l *Log, torn int64, err error) {
	names, err := c.FS.List(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	var segments []uint64
	for _, name := range names { // sorted, and so in order
		if first, ok := parseSegmentName(name); ok {
			segments = append(segments, first)
		}
	}
	if len(segments) == 0 || segments[0] > from {
		return nil, 0, fmt.Errorf("open log %s: the segment with entry %d, the first one needed, is missing: %w", c.Dir, from, driver.ErrCorrupt)
	}
	l = newLog(c)
	l.segments = segments
	if torn, err = l.load(from, visit); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open log: %w", err), l.release())
	}
	return l, torn, nil
}

// load reads the segments from the one with entry from on, and opens the last
// one for appending.
func (l *Log) load(from uint64, visit func(uint64, []byte) error) (torn int64, err error) {
	needed := l.segments
	for len(needed) > 1 && needed[1] <= from {
		needed = needed[1:]
	}
	var s scanned
	var prev *position // what the first of them continues is not looked at
	for _, first := range needed {
		name := segmentName(l.c.Dir, first)
		if s.torn > 0 {
			return 0, fmt.Errorf("%s: what comes before it is damaged behind entry %d: %w", name, s.end.index, driver.ErrCorrupt)
		}
		s, err = scan(l.c, name, prev, func(index uint64, payload []byte) error {
			if index < from {
				return nil
			}
			return visit(index, payload)
		})
		if err != nil {
			return 0, err
		}
		prev = &position{s.end.index, s.end.sum}
	}
	last := segmentName(l.c.Dir, l.segments[len(l.segments)-1])
	tide, err := l.openTide()
	if err != nil {
		return 0, err
	}
	if tide.index > s.end.index || tide.index == s.end.index && tide != s.end {
		return 0, fmt.Errorf("%s: damaged behind entry %d, or an old copy: %s says that entries up to %d were synced: %w", last, s.end.index, tideName, tide.index, driver.ErrCorrupt)
	}
	if s.floor.followed {
		return 0, fmt.Errorf("%s: the segment that follows is missing: %w", last, driver.ErrCorrupt)
	}
	if l.file, err = l.c.FS.Open(last); err != nil {
		return 0, err
	}
	l.end, l.at, l.size, l.slot, l.marked = s.end, s.at, s.size, s.slot, s.floor.position
	if err := l.cut(s.torn); err != nil {
		return 0, err
	}
	if err := l.writeTide(); err != nil {
		return 0, err
	}
	return s.torn, l.Mark()
}

// cut overwrites a torn tail with zeros, and makes what was read durable, with
// its name: before a crash it may have been written and not yet synced.
func (l *Log) cut(torn int64) error {
	if torn > 0 {
		if _, err := l.file.WriteAt(make([]byte, torn), l.at); err != nil {
			return fmt.Errorf("cut torn tail: %w", err)
		}
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	return l.c.FS.SyncDir(l.c.Dir)
}

// Last returns the index of the last entry, 0 if there has been none.
func (l *Log) Last() uint64 { return l.end.index }

// Append writes the entry in buf and makes it durable. The first EntryHeader
// bytes of buf are filled in by Append, the payload follows. With ErrNoSpace or
// driver.ErrTooLarge nothing was written; after any other error it is not known
// what was, and every further call fails.
func (l *Log) Append(buf []byte) (uint64, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	need := diskSize(len(buf) - EntryHeader)
	if firstEntry+need > l.c.SegmentSize {
		return 0, fmt.Errorf("log entry of %d bytes does not fit a segment of %d: %w", len(buf), l.c.SegmentSize, driver.ErrTooLarge)
	}
	if l.at+need > l.size {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	end := sealEntry(buf, l.end)
	if err := l.write(buf, l.at); err != nil {
		return 0, err
	}
	l.end = end
	l.at += need
	return end.index, l.writeTide()
}

// write writes into the open segment and syncs it.
func (l *Log) write(b []byte, at int64) error {
	_, err := l.file.WriteAt(b, at)
	if err == nil && !l.c.NoSync {
		err = l.file.Sync()
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
	return l.writeFloor(floor{position: l.end})
}

func (l *Log) writeFloor(f floor) error {
	if err := l.write(f.encode(), int64(l.slot+1)*block); err != nil {
		return err
	}
	l.marked = f.position
	l.slot = 1 - l.slot
	return nil
}

// rotate starts the next segment and then marks the open one, if there is one,
// as followed. In between a crash leaves an empty last segment, which is fine.
func (l *Log) rotate() error {
	s := <-l.next
	l.next = nil
	if s.err != nil {
		l.prepare() // for the next attempt
		return fmt.Errorf("%w: %w", ErrNoSpace, s.err)
	}
	if l.c.NoSync && l.file != nil {
		if err := l.file.Sync(); err != nil { // a later segment must not outlive an earlier one
			return errors.Join(l.fail(err), s.file.Close())
		}
	}
	if err := l.install(s.file); err != nil {
		return errors.Join(l.fail(err), s.file.Close())
	}
	l.prepare()
	if l.file != nil {
		if err := l.writeFloor(floor{l.end, true}); err != nil {
			return err
		}
		if err := l.file.Close(); err != nil {
			return l.fail(err)
		}
	}
	l.file, l.at, l.size, l.slot = s.file, firstEntry, l.c.SegmentSize, 0
	l.segments = append(l.segments, l.end.index+1)
	return nil
}

// DropBefore removes the segments that hold no entry from index on.
func (l *Log) DropBefore(index uint64) error {
	drop := 0
	for drop+1 < len(l.segments) && l.segments[drop+1] <= index {
		if err := l.c.FS.Remove(segmentName(l.c.Dir, l.segments[drop])); err != nil {
			return fmt.Errorf("drop log segment: %w", err)
		}
		drop++
	}
	if drop == 0 {
		return nil
	}
	l.segments = slices.Clone(l.segments[drop:])
	return l.c.FS.SyncDir(l.c.Dir)
}

// Close marks the end of the log and closes it. It returns the error that
// stopped the log, if one did.
func (l *Log) Close() error {
	return errors.Join(l.Mark(), l.release())
}

// release closes the files.
func (l *Log) release() error {
	var err error
	for _, f := range []vfs.File{l.file, l.tide} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
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
		if first, ok := parseSegmentName(name); !ok || first != 1 || len(content) < firstEntry || !isZero(content[block:]) {
			return false, nil
		}
	}
	return true, nil
}
