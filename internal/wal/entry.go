package wal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	entryMagic = "ENT2"
	align      = 8

	// EntryHeader is the size of an entry without its payload.
	EntryHeader = 28
)

// A layout is what entries of a format version look like.
type layout struct {
	magic  string
	header int // bytes before the payload, of which the last four are the checksum
}

// layoutOf returns what the entries of a segment look like.
func layoutOf(version uint32) layout {
	if version == 1 {
		return layout{"ENTR", 24}
	}
	return layout{entryMagic, EntryHeader}
}

// diskSize returns the bytes that an entry takes up in its segment.
func (l layout) diskSize(payload int) int64 {
	return int64(l.header+payload+align-1) &^ (align - 1)
}

// diskSize returns the bytes that a new entry takes up in its segment.
func diskSize(payload int) int64 { return layoutOf(formatVersion).diskSize(payload) }

// entry is the decoded header of an entry.
type entry struct {
	position        // the entry itself
	prevSum  uint32 // the checksum of the one before
	before   uint32 // how many entries of the same write come before it
	size     int    // of the payload
}

// sealEntry fills in the header at the front of buf, whose first EntryHeader
// bytes are reserved for it, and returns the position after the entry. Before it
// come so many entries of the same write.
func sealEntry(buf []byte, prev position, before int) position {
	copy(buf, entryMagic)
	binary.LittleEndian.PutUint32(buf[4:], uint32(len(buf)-EntryHeader))
	binary.LittleEndian.PutUint64(buf[8:], prev.index+1)
	binary.LittleEndian.PutUint32(buf[16:], prev.sum)
	binary.LittleEndian.PutUint32(buf[20:], uint32(before))
	sum := entrySum(buf, EntryHeader)
	binary.LittleEndian.PutUint32(buf[24:], sum)
	return position{index: prev.index + 1, sum: sum}
}

// entrySum leaves out the checksum itself, at the end of the header.
func entrySum(b []byte, header int) uint32 {
	sum := crc32.Checksum(b[:header-4], castagnoli)
	return crc32.Update(sum, castagnoli, b[header:])
}

// decode decodes the entry at the front of b. It reports false if there is none
// that is valid in itself, which its checksum tells unless that is skipped.
func (l layout) decode(b []byte, skipChecksum bool) (entry, bool) {
	if len(b) < l.header || string(b[:4]) != l.magic {
		return entry{}, false
	}
	size := int(binary.LittleEndian.Uint32(b[4:]))
	if size > len(b)-l.header {
		return entry{}, false
	}
	e := entry{
		position: position{
			index: binary.LittleEndian.Uint64(b[8:]),
			sum:   binary.LittleEndian.Uint32(b[l.header-4:]),
		},
		prevSum: binary.LittleEndian.Uint32(b[16:]),
		size:    size,
	}
	if l.header == EntryHeader {
		e.before = binary.LittleEndian.Uint32(b[20:])
	}
	return e, skipChecksum || entrySum(b[:l.header+size], l.header) == e.sum
}
