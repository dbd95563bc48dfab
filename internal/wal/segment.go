package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// A segment is one file of an open log. What it says about its entries is guarded
// by Log.mu, the rest is the writer's.
type segment struct {
	header
	file   vfs.File // nil if the log was opened from a later one on
	layout layout
	floor  floor // the one that counts
	slot   int   // where its next floor goes

	at      int64    // offset behind its last entry
	offsets []uint32 // of its entries, divided by align
}

// newSegment returns an empty segment in a file that was just made.
func newSegment(h header, f vfs.File) *segment {
	return &segment{header: h, file: f, layout: layoutOf(h.version), at: firstEntry}
}

// openSegment opens the file of a segment and reads its header.
func openSegment(c Config, id segmentID) (*segment, error) {
	f, err := c.FS.Open(filepath.Join(c.Dir, id.fileName()))
	if err != nil {
		return nil, err
	}
	s := &segment{file: f}
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		s.header, err = decodeHeader(b[:n], c.StoreID)
	}
	if err == nil && s.id() != id {
		err = fmt.Errorf("begins with entry %d of generation %d: %w", s.id().first, s.id().generation, driver.ErrCorrupt)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Join(c.Dir, id.fileName()), err), f.Close())
	}
	s.layout = layoutOf(s.version)
	return s, nil
}

// take takes over what reading the segment has found.
func (s *segment) take(found scanned) {
	s.floor, s.slot, s.at, s.offsets = found.floor, found.slot, found.at, found.offsets
}

// holds reports whether the entry with an index is one that can be read.
func (s *segment) holds(index uint64) bool {
	return s.file != nil && index > s.prev.index && index-s.prev.index <= uint64(len(s.offsets))
}

// read reads an entry that the segment holds, and verifies it.
func (s *segment) read(index uint64, skipChecksum bool) (entry, []byte, error) {
	i := int(index - s.prev.index - 1)
	from, to := int64(s.offsets[i])*align, s.at
	if i+1 < len(s.offsets) {
		to = int64(s.offsets[i+1]) * align
	}
	b := make([]byte, to-from)
	n, err := s.file.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return entry{}, nil, fmt.Errorf("read log entry %d: %w", index, err)
	}
	e, ok := s.layout.decode(b[:n], skipChecksum)
	if !ok || e.index != index {
		return entry{}, nil, fmt.Errorf("log entry %d is damaged, in %s at offset %d: %w", index, s.id().fileName(), from, driver.ErrCorrupt)
	}
	return e, b[s.layout.header : s.layout.header+e.size], nil
}

// cutBehind forgets the entries after the one with an index, which is not before
// the segment's first.
func (s *segment) cutBehind(index uint64) {
	if keep := index - s.prev.index; s.file != nil && keep < uint64(len(s.offsets)) {
		s.at = int64(s.offsets[keep]) * align
		s.offsets = s.offsets[:keep]
	}
}
