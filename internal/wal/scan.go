package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// noLimit is for a segment of which every entry counts.
const noLimit = math.MaxUint64

// scanned is what reading a segment from front to back found.
type scanned struct {
	header
	layout  layout
	floor   floor
	slot    int      // where the next floor goes, 0 or 1
	unsafe  bool     // see Config.SkipChecksums
	end     position // the last valid entry; prev if there is none
	at      int64    // offset behind the last valid entry
	offsets []uint32 // of the entries, divided by align
	torn    int64    // bytes from there to the last one that is not zero
}

// scan reads a segment and calls visit for each entry with its payload, which is
// valid during the call. What is behind the entry with index limit is void, and
// not looked at; there is a segment that says so.
func scan(c Config, f vfs.File, limit uint64, visit func(p position, payload []byte) error) (s scanned, err error) {
	s.unsafe = c.SkipChecksums
	content, err := contentOf(f)
	if err != nil {
		return s, err
	}
	fail := func(format string, args ...any) (scanned, error) {
		return s, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), driver.ErrCorrupt)
	}
	if s.header, err = decodeHeader(content, c.StoreID); err != nil {
		return s, err
	}
	if s.size != int64(len(content)) || s.size < firstEntry {
		return fail("the file has %d bytes, it was made with %d", len(content), s.size)
	}
	if err := s.readFloors(content); err != nil {
		return s, err
	}
	s.layout, s.end, s.at = layoutOf(s.version), s.prev, firstEntry
	for s.end.index < limit {
		rest := content[s.at:]
		e, ok := s.layout.decode(rest, s.unsafe)
		if !ok {
			break
		}
		if e.index != s.end.index+1 || e.prevSum != s.end.sum {
			return fail("entry %d at offset %d does not continue entry %d", e.index, s.at, s.end.index)
		}
		if err := visit(e.position, rest[s.layout.header:s.layout.header+e.size]); err != nil {
			return s, err
		}
		s.offsets = append(s.offsets, uint32(s.at/align))
		s.end = e.position
		s.at += s.layout.diskSize(e.size)
		if e.position.index == s.floor.index && e.position != s.floor.position {
			return fail("entry %d is not the one that was written", e.index)
		}
	}
	if s.end.index == limit {
		return s, nil
	}
	return s, s.judge(content[s.at:])
}

// readFloors takes the floor that counts. A crash can tear the one that was being
// written; then the other one is whole.
func (s *scanned) readFloors(content []byte) error {
	a, okA := decodeFloor(content[block:])
	b, okB := decodeFloor(content[2*block:])
	switch {
	case okA && (!okB || a.over(b)):
		s.floor, s.slot = a, 1
	case okB:
		s.floor, s.slot = b, 0
	case !isZero(content[block:block+floorSize]) && !isZero(content[2*block:2*block+floorSize]):
		return fmt.Errorf("both floors are damaged: %w", driver.ErrCorrupt)
	}
	return nil
}

// judge looks at what lies behind the last valid entry: zeros are the end of the
// log; a valid entry further on that was written after the damaged one had been
// synced, or a floor beyond, proves damage; anything else may be a write that a
// crash cut short.
func (s *scanned) judge(rest []byte) error {
	damaged := func(index uint64, why string) error {
		return fmt.Errorf("damaged at offset %d: entry %d is not readable, though %s: %w", s.at, s.end.index+1, fmt.Sprintf(why, index), driver.ErrCorrupt)
	}
	if s.floor.index > s.end.index {
		return damaged(s.floor.index, "entries up to %d were synced")
	}
	s.torn = int64(used(rest))
	for at := 0; at < int(s.torn); at++ {
		i := bytes.Index(rest[at:], []byte(s.layout.magic))
		if i < 0 {
			return nil
		}
		at += i
		if e, ok := s.layout.decode(rest[at:], s.unsafe); ok && e.index > s.end.index+1+uint64(e.before) {
			return damaged(e.index, "entry %d, of a later write, is")
		}
	}
	return nil
}

// contentOf returns the content of a file.
func contentOf(f vfs.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
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
