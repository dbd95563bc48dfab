package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"

	"trihold/repo/driver"
)

const (
	segmentMagic  = "TRIHLOG1"
	floorMagic    = "FLOR"
	entryMagic    = "ENTR"
	formatVersion = 1

	block      = 4 << 10
	firstEntry = 3 * block // offset of the first entry of a segment
	headerSize = 64
	floorSize  = 24
	align      = 8

	// EntryHeader is the size of an entry without its payload.
	EntryHeader = 24
)

// A StoreID ties segments to the store that they belong to.
type StoreID [16]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// position is a place between two entries: what the next entry continues.
type position struct {
	index uint64 // of the entry before
	sum   uint32 // its checksum
}

func segmentName(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x.log", first))
}

// parseSegmentName returns the index in a segment's name.
func parseSegmentName(name string) (first uint64, ok bool) {
	hex, isLog := strings.CutSuffix(name, ".log")
	if !isLog || len(hex) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(hex, 16, 64)
	return first, err == nil
}

// header is the decoded header of a segment.
type header struct {
	prev position // what its first entry continues
	size int64    // of the file
}

func (h header) encode(id StoreID) []byte {
	b := make([]byte, headerSize)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], formatVersion)
	copy(b[16:], id[:])
	binary.LittleEndian.PutUint64(b[32:], h.prev.index+1)
	binary.LittleEndian.PutUint32(b[40:], h.prev.sum)
	binary.LittleEndian.PutUint64(b[48:], uint64(h.size))
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func decodeHeader(b []byte, id StoreID) (header, error) {
	if len(b) < headerSize || string(b[:8]) != segmentMagic {
		return header{}, fmt.Errorf("no segment header: %w", driver.ErrCorrupt)
	}
	if crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]) {
		return header{}, fmt.Errorf("segment header does not match its checksum: %w", driver.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[12:]); v > formatVersion {
		return header{}, fmt.Errorf("log format %d is newer than this program, which reads %d; use a newer program: %w", v, formatVersion, driver.ErrInvalid)
	}
	if StoreID(b[16:32]) != id {
		return header{}, fmt.Errorf("segment of another store: %w", driver.ErrCorrupt)
	}
	return header{
		prev: position{
			index: binary.LittleEndian.Uint64(b[32:]) - 1,
			sum:   binary.LittleEndian.Uint32(b[40:]),
		},
		size: int64(binary.LittleEndian.Uint64(b[48:])),
	}, nil
}

// floor says that everything up to a position was synced.
type floor struct {
	position
	followed bool // another segment follows
}

func (f floor) encode() []byte {
	b := make([]byte, floorSize)
	copy(b, floorMagic)
	if f.followed {
		b[4] = 1
	}
	binary.LittleEndian.PutUint64(b[8:], f.index)
	binary.LittleEndian.PutUint32(b[16:], f.sum)
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
	return b
}

// decodeFloor reports false if b does not hold a floor.
func decodeFloor(b []byte) (floor, bool) {
	if len(b) < floorSize || string(b[:4]) != floorMagic ||
		crc32.Checksum(b[:20], castagnoli) != binary.LittleEndian.Uint32(b[20:]) {
		return floor{}, false
	}
	return floor{
		position: position{index: binary.LittleEndian.Uint64(b[8:]), sum: binary.LittleEndian.Uint32(b[16:])},
		followed: b[4] == 1,
	}, true
}

// entry is the decoded header of an entry.
type entry struct {
	position        // the entry itself
	prevSum  uint32 // the checksum of the one before
	size     int    // of the payload
}

// diskSize returns the bytes that an entry takes up in its segment.
func diskSize(payload int) int64 {
	return int64(EntryHeader+payload+align-1) &^ (align - 1)
}

// sealEntry fills in the header at the front of buf, whose first EntryHeader
// bytes are reserved for it, and returns the position after the entry.
func sealEntry(buf []byte, prev position) position {
	copy(buf, entryMagic)
	binary.LittleEndian.PutUint32(buf[4:], uint32(len(buf)-EntryHeader))
	binary.LittleEndian.PutUint64(buf[8:], prev.index+1)
	binary.LittleEndian.PutUint32(buf[16:], prev.sum)
	sum := entrySum(buf)
	binary.LittleEndian.PutUint32(buf[20:], sum)
	return position{index: prev.index + 1, sum: sum}
}

func entrySum(b []byte) uint32 {
	sum := crc32.Checksum(b[:20], castagnoli)
	return crc32.Update(sum, castagnoli, b[EntryHeader:])
}

// decodeEntry decodes the entry at the front of b. It reports false if there is
// none that is valid in itself, which its checksum tells unless that is skipped.
func decodeEntry(b []byte, skipChecksum bool) (entry, bool) {
	if len(b) < EntryHeader || string(b[:4]) != entryMagic {
		return entry{}, false
	}
	size := int(binary.LittleEndian.Uint32(b[4:]))
	if size > len(b)-EntryHeader {
		return entry{}, false
	}
	e := entry{
		position: position{
			index: binary.LittleEndian.Uint64(b[8:]),
			sum:   binary.LittleEndian.Uint32(b[20:]),
		},
		prevSum: binary.LittleEndian.Uint32(b[16:]),
		size:    size,
	}
	return e, skipChecksum || entrySum(b[:EntryHeader+size]) == e.sum
}
