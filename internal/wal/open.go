package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"trihold/repo/driver"
)

// Open opens a log and calls visit for each entry from index from on, oldest
// first, with a payload that is valid during the call. Segments before the one
// with that entry are not read. With from 0, all that the log holds is visited,
// and it is for the caller to judge whether that is enough. It returns the number
// of bytes of a torn tail that it cut off.
func Open(c Config, from uint64, visit func(index uint64, payload []byte) error) (l *Log, torn int64, err error) {
	names, err := c.FS.List(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	var ids []segmentID
	for _, name := range names {
		if id, ok := parseSegmentName(name); ok {
			ids = append(ids, id)
		}
	}
	l = newLog(c)
	if torn, err = l.load(ids, from, visit); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open log: %w", err), l.release())
	}
	return l, torn, nil
}

// load reads the segments from the one with entry from on, makes what it found
// durable, and finishes what a crash interrupted.
func (l *Log) load(ids []segmentID, from uint64, visit func(uint64, []byte) error) (torn int64, err error) {
	live, void := liveSegments(ids)
	unread, void, err := l.openNeeded(live, void, from)
	if err != nil {
		return 0, err
	}
	tide, err := l.openTide()
	if err != nil {
		return 0, err
	}
	s, err := l.scanAll(func(p position, payload []byte) error {
		if p.index == tide.index && p != tide {
			return fmt.Errorf("entry %d is not the one that %s says was synced: segments are missing, or old copies: %w", p.index, tideName, driver.ErrCorrupt)
		}
		if p.index < from {
			return nil
		}
		return visit(p.index, payload)
	})
	if err != nil {
		return 0, err
	}
	last := filepath.Join(l.c.Dir, l.tail.id().fileName())
	if tide.index > s.end.index || tide.index == s.end.index && tide != s.end {
		return 0, fmt.Errorf("%s: damaged behind entry %d, or an old copy: %s says that entries up to %d were synced: %w", last, s.end.index, tideName, tide.index, driver.ErrCorrupt)
	}
	if s.floor.followed {
		return 0, fmt.Errorf("%s: the segment that follows is missing: %w", last, driver.ErrCorrupt)
	}
	l.end, l.marked = s.end, s.floor.position
	if err := l.cut(s.torn); err != nil {
		return 0, err
	}
	if err := l.finish(void); err != nil {
		return 0, err
	}
	l.segments = append(unread, l.segments...)
	if err := l.writeTide(); err != nil {
		return 0, err
	}
	return s.torn, l.Mark()
}

// liveSegments tells the segments that count from those that are void: a segment
// takes the place of all that older generations have from its first entry on. It
// returns the live ones in order.
func liveSegments(ids []segmentID) (live, void []segmentID) {
	slices.SortFunc(ids, func(a, b segmentID) int {
		return cmp.Or(cmp.Compare(b.generation, a.generation), cmp.Compare(b.first, a.first))
	})
	lowest := uint64(math.MaxUint64) // first entry of the live ones so far
	before := lowest                 // the same without those of this generation
	for i, id := range ids {
		if i > 0 && id.generation < ids[i-1].generation {
			before = lowest
		}
		if id.first >= before {
			void = append(void, id)
			continue
		}
		lowest = id.first
		live = append(live, id)
	}
	slices.Reverse(live)
	return live, void
}

// openNeeded opens the segments from the one with entry from on. It returns those
// before them, and the void ones.
func (l *Log) openNeeded(live, void []segmentID, from uint64) (unread []*segment, allVoid []segmentID, err error) {
	skip := 0
	for from > 0 && skip+1 < len(live) && live[skip+1].first <= from {
		skip++
	}
	older, needed := live[:skip], live[skip:]
	for i := len(needed) - 1; i >= 0; i-- {
		s, err := openSegment(l.c, needed[i])
		if err != nil {
			return nil, nil, err
		}
		l.segments = slices.Insert(l.segments, 0, s)
		if s.fresh { // and so are all that come before it
			void = slices.Concat(void, needed[:i], older)
			older = nil
			break
		}
	}
	if len(l.segments) == 0 || from > 0 && l.segments[0].id().first > from {
		return nil, nil, fmt.Errorf("%s: the segment with entry %d, the first one needed, is missing: %w", l.c.Dir, max(from, 1), driver.ErrCorrupt)
	}
	l.tail = l.segments[len(l.segments)-1]
	for _, id := range older {
		unread = append(unread, &segment{header: header{prev: position{index: id.first - 1}, generation: id.generation}})
	}
	return unread, void, nil
}

// scanAll reads the open segments and returns what the last one holds.
func (l *Log) scanAll(visit func(position, []byte) error) (found scanned, err error) {
	for i, s := range l.segments {
		name := filepath.Join(l.c.Dir, s.id().fileName())
		if i > 0 && found.torn > 0 {
			return found, fmt.Errorf("%s: what comes before it is damaged behind entry %d: %w", name, found.end.index, driver.ErrCorrupt)
		}
		if i > 0 && s.prev != found.end {
			return found, fmt.Errorf("%s: continues entry %d, but what comes before it ends with entry %d, or is not what was written: %w", name, s.prev.index, found.end.index, driver.ErrCorrupt)
		}
		limit := uint64(noLimit)
		if i+1 < len(l.segments) && l.segments[i+1].generation > s.generation {
			limit = l.segments[i+1].prev.index
		}
		if found, err = scan(l.c, s.file, limit, visit); err != nil {
			return found, fmt.Errorf("%s: %w", name, err)
		}
		s.take(found)
	}
	return found, nil
}

// cut overwrites a torn tail with zeros, and makes what was read durable, with
// its name: before a crash it may have been written and not yet synced.
func (l *Log) cut(torn int64) error {
	if torn > 0 {
		if _, err := l.tail.file.WriteAt(make([]byte, torn), l.tail.at); err != nil {
			return fmt.Errorf("cut torn tail: %w", err)
		}
	}
	if err := l.tail.file.Sync(); err != nil {
		return err
	}
	return l.c.FS.SyncDir(l.c.Dir)
}

// finish marks segments as followed and removes void ones, where a crash has kept
// that from being done: the loss of a later segment would go unnoticed.
func (l *Log) finish(void []segmentID) error {
	for i, s := range l.segments[:len(l.segments)-1] {
		if f := (floor{l.segments[i+1].prev, true}); s.floor != f {
			if err := l.writeFloor(s, f); err != nil {
				return err
			}
		}
	}
	for _, id := range void {
		if err := l.c.FS.Remove(filepath.Join(l.c.Dir, id.fileName())); err != nil {
			return fmt.Errorf("remove void log segment: %w", err)
		}
	}
	if len(void) == 0 {
		return nil
	}
	return l.c.FS.SyncDir(l.c.Dir)
}
