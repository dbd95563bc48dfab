package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"trihold/repo/driver"
)

// Truncate removes all entries after the one with index last, durably; Append goes
// on from there. It does nothing if there are none. With ErrNoSpace or
// driver.ErrInvalid nothing has changed; any other error stops the log.
func (l *Log) Truncate(last uint64) error {
	if l.failed != nil || last >= l.end.index {
		return l.failed
	}
	to, err := l.positionOf(last)
	if err != nil {
		return fmt.Errorf("truncate log: %w", err)
	}
	return l.goOnFrom(to, false)
}

// Reset removes all entries, durably; the next one will have index first. Errors
// are those of Truncate.
func (l *Log) Reset(first uint64) error {
	if l.failed != nil {
		return l.failed
	}
	if first == 0 {
		return fmt.Errorf("reset log: there is no entry 0: %w", driver.ErrInvalid)
	}
	return l.goOnFrom(position{index: first - 1}, true)
}

// positionOf returns the position after an entry, which may be the one before the
// first.
func (l *Log) positionOf(index uint64) (position, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s := l.find(index); s != nil {
		e, _, err := s.read(index, l.c.SkipChecksums)
		return e.position, err
	}
	for _, s := range l.segments {
		if s.file != nil && s.prev.index == index {
			return s.prev, nil
		}
	}
	return position{}, fmt.Errorf("entry %d: %w: %w", index, driver.ErrInvalid, ErrNotHeld)
}

// goOnFrom lets the log go on from an earlier position or, if fresh, from any and
// without what it holds. Nothing is overwritten. The steps, each of which is
// durable before the next one:
//
//  1. The tide is lowered, which says less than before and nothing wrong.
//  2. A segment of a new generation gets its name. From that moment the entries
//     behind its beginning are void in all older segments. Before, nothing has
//     happened.
//  3. The segment in which the position lies is marked as followed, so that the
//     loss of the new one is noticed, other than by what is missing.
//  4. Segments that are void as a whole are removed.
//
// Open does steps 3 and 4 if a crash has kept them from being done; nothing is
// appended before that.
func (l *Log) goOnFrom(to position, fresh bool) error {
	l.removing.Lock()
	defer l.removing.Unlock()
	f, err := l.takeSpare(l.c.SegmentSize)
	if err != nil {
		return err
	}
	h := header{version: formatVersion, prev: to, generation: l.tail.generation + 1, fresh: fresh, size: l.c.SegmentSize}
	if h.generation == 0 {
		return errors.Join(l.fail(errors.New("log generations are used up")), f.Close())
	}
	// What stays must be on the disk before what continues it.
	if l.c.NoSync {
		err = l.tail.file.Sync()
	}
	if err == nil {
		err = l.lowerTide(to, fresh)
	}
	if err == nil {
		err = l.install(f, h)
	}
	if err != nil {
		return errors.Join(l.fail(err), f.Close())
	}
	l.prepare()
	s := newSegment(h, f)
	keep, void := l.split(to, fresh)
	if n := len(keep); n > 0 && keep[n-1].file != nil && keep[n-1].floor != (floor{to, true}) {
		if err := l.writeFloor(keep[n-1], floor{to, true}); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	l.mu.Lock()
	if n := len(keep); n > 0 {
		keep[n-1].cutBehind(to.index)
	}
	l.segments = append(keep, s)
	l.tail, l.end = s, to
	l.mu.Unlock()
	l.marked = to
	if err := l.removeSegments(void); err != nil {
		return l.fail(err)
	}
	return l.writeTide()
}

// split tells the segments that stay when the log goes on from a position from
// those that are void.
func (l *Log) split(to position, fresh bool) (keep, void []*segment) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.segments {
		if !fresh && s.id().first <= to.index {
			keep = append(keep, s)
		} else {
			void = append(void, s)
		}
	}
	return keep, void
}

// removeSegments removes segments that nobody finds in the log any more.
func (l *Log) removeSegments(segments []*segment) error {
	var err error
	for _, s := range segments {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
		err = errors.Join(err, l.c.FS.Remove(filepath.Join(l.c.Dir, s.id().fileName())))
	}
	if err != nil {
		return fmt.Errorf("remove void log segments: %w", err)
	}
	return l.c.FS.SyncDir(l.c.Dir)
}

// DropBefore removes the segments that hold no entry from index on. They go one by
// one, oldest first, so that a loss of power leaves no gap.
func (l *Log) DropBefore(index uint64) error {
	l.removing.Lock()
	defer l.removing.Unlock()
	for {
		l.mu.RLock()
		oldest, more := l.segments[0], len(l.segments) > 1 && l.segments[1].id().first <= index
		l.mu.RUnlock()
		if !more {
			return nil
		}
		name := filepath.Join(l.c.Dir, oldest.id().fileName())
		if err := l.c.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop log segment: %w", err)
		}
		if err := l.c.FS.SyncDir(l.c.Dir); err != nil {
			return fmt.Errorf("drop log segment: %w", err)
		}
		l.mu.Lock()
		l.segments = slices.Clone(l.segments[1:])
		l.mu.Unlock()
		if oldest.file != nil {
			if err := oldest.file.Close(); err != nil {
				return fmt.Errorf("drop log segment: %w", err)
			}
		}
	}
}
