package wal

import (
	"bytes"
	"fmt"
	"path/filepath"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// scanned is what reading a segment from front to back found.
type scanned struct {
	header
	floor  floor
	slot   int      // where the next floor goes, 0 or 1
	unsafe bool     // see Config.SkipChecksums
	end    position // the last valid entry; prev if there is none
	at     int64    // offset behind the last valid entry
	torn   int64    // bytes from there to the last one that is not zero
}

// scan reads a segment and calls visit for each entry with its payload, which is
// valid during the call. The segment must continue prev, unless that is nil.
func scan(c Config, name string, prev *position, visit func(index uint64, payload []byte) error) (s scanned, err error) {
	s.unsafe = c.SkipChecksums
	content, err := vfs.ReadFile(c.FS, name)
	if err != nil {
		return s, err
	}
	fail := func(format string, args ...any) (scanned, error) {
		return s, fmt.Errorf("%s: %s: %w", name, fmt.Sprintf(format, args...), driver.ErrCorrupt)
	}
	if s.header, err = decodeHeader(content, c.StoreID); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if s.size != int64(len(content)) || s.size < firstEntry {
		return fail("the file has %d bytes, it was made with %d", len(content), s.size)
	}
	if first, _ := parseSegmentName(filepath.Base(name)); first != s.prev.index+1 {
		return fail("begins with entry %d", s.prev.index+1)
	}
	if prev != nil && s.prev != *prev {
		return fail("continues entry %d, but what comes before it ends with entry %d", s.prev.index, prev.index)
	}
	if err := s.readFloors(content); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	s.end, s.at = s.prev, firstEntry
	for {
		rest := content[s.at:]
		e, ok := decodeEntry(rest, s.unsafe)
		if !ok {
			break
		}
		if e.index != s.end.index+1 || e.prevSum != s.end.sum {
			return fail("entry %d at offset %d does not continue entry %d", e.index, s.at, s.end.index)
		}
		if err := visit(e.index, rest[EntryHeader:EntryHeader+e.size]); err != nil {
			return s, err
		}
		s.end = e.position
		s.at += diskSize(e.size)
		if e.position.index == s.floor.index && e.position != s.floor.position {
			return fail("entry %d is not the one that was written", e.index)
		}
	}
	return s, s.judge(name, content[s.at:])
}

// readFloors takes the higher floor. A crash can tear the one that was being
// written; then the other one is whole.
func (s *scanned) readFloors(content []byte) error {
	a, okA := decodeFloor(content[block:])
	b, okB := decodeFloor(content[2*block:])
	switch {
	case okA && (!okB || a.index > b.index || a.followed):
		s.floor, s.slot = a, 1
	case okB:
		s.floor, s.slot = b, 0
	case !isZero(content[block:block+floorSize]) && !isZero(content[2*block:2*block+floorSize]):
		return fmt.Errorf("both floors are damaged: %w", driver.ErrCorrupt)
	}
	return nil
}

// judge looks at what lies behind the last valid entry: zeros are the end of the
// log; a valid entry further on, or a floor beyond, proves damage; anything else
// may be an entry that a crash cut short.
func (s *scanned) judge(name string, rest []byte) error {
	damaged := func(index uint64, why string) error {
		return fmt.Errorf("%s: damaged at offset %d: entry %d is not readable, though %s: %w", name, s.at, s.end.index+1, fmt.Sprintf(why, index), driver.ErrCorrupt)
	}
	if s.floor.index > s.end.index {
		return damaged(s.floor.index, "entries up to %d were synced")
	}
	s.torn = int64(used(rest))
	for at := 0; at < int(s.torn); at++ {
		i := bytes.Index(rest[at:], []byte(entryMagic))
		if i < 0 {
			return nil
		}
		at += i
		if e, ok := decodeEntry(rest[at:], s.unsafe); ok && e.index > s.end.index {
			return damaged(e.index, "entry %d behind it is")
		}
	}
	return nil
}

func isZero(b []byte) bool { return used(b) == 0 }

var zeros [block]byte

// used returns the length of b without the zeros at its end.
func used(b []byte) int {
	n := len(b)
	for n >= len(zeros) && bytes.Equal(b[n-len(zeros):n], zeros[:]) {
		n -= len(zeros)
	}
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return n
}
