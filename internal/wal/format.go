package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"trihold/repo/driver"
)

const (
	segmentMagic  = "TRIHLOG1"
	floorMagic    = "FLOR"
	formatVersion = 2

	block      = 4 << 10
	firstEntry = 3 * block // offset of the first entry of a segment
	headerSize = 64
	floorSize  = 24

	// flagFresh: the segment continues nothing.
	flagFresh = 1
)

// A StoreID ties segments to the store that they belong to.
type StoreID [16]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// position is a place between two entries: what the next entry continues.
type position struct {
	index uint64 // of the entry before
	sum   uint32 // its checksum
}

// A segmentID is what the name of a segment says.
type segmentID struct {
	first      uint64 // the index of its first entry
	generation uint32
}

// fileName leaves out the generation of a log that nothing was taken back from.
func (id segmentID) fileName() string {
	if id.generation == 0 {
		return fmt.Sprintf("%016x.log", id.first)
	}
	return fmt.Sprintf("%016x-%08x.log", id.first, id.generation)
}

// parseSegmentName reads what fileName makes.
func parseSegmentName(name string) (id segmentID, ok bool) {
	text, isLog := strings.CutSuffix(name, ".log")
	first, generation, _ := strings.Cut(text, "-")
	if !isLog || len(first) != 16 {
		return segmentID{}, false
	}
	f, err := strconv.ParseUint(first, 16, 64)
	if err != nil {
		return segmentID{}, false
	}
	g, err := strconv.ParseUint("0"+generation, 16, 32)
	id = segmentID{f, uint32(g)}
	return id, err == nil && id.fileName() == name
}

// header is the decoded header of a segment.
type header struct {
	version    uint32   // of its format
	prev       position // what its first entry continues
	generation uint32
	fresh      bool  // it continues nothing: what older segments hold is void
	size       int64 // of the file
}

func (h header) id() segmentID { return segmentID{h.prev.index + 1, h.generation} }

func (h header) encode(id StoreID) []byte {
	b := make([]byte, headerSize)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], formatVersion)
	copy(b[16:], id[:])
	binary.LittleEndian.PutUint64(b[32:], h.prev.index+1)
	binary.LittleEndian.PutUint32(b[40:], h.prev.sum)
	binary.LittleEndian.PutUint32(b[44:], h.generation)
	binary.LittleEndian.PutUint64(b[48:], uint64(h.size))
	if h.fresh {
		b[56] = flagFresh
	}
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
		version: binary.LittleEndian.Uint32(b[8:]),
		prev: position{
			index: binary.LittleEndian.Uint64(b[32:]) - 1,
			sum:   binary.LittleEndian.Uint32(b[40:]),
		},
		generation: binary.LittleEndian.Uint32(b[44:]), // zero in format 1
		fresh:      binary.LittleEndian.Uint32(b[56:])&flagFresh != 0,
		size:       int64(binary.LittleEndian.Uint64(b[48:])),
	}, nil
}

// floor says that everything up to a position was synced.
type floor struct {
	position
	followed bool // another segment follows, and nothing behind the position counts
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

// over reports whether of two valid floors of a segment this one counts. They are
// written in turn. Nothing is appended to a segment that is followed, so that of
// two such floors the lower one is the later: entries were taken back.
func (f floor) over(other floor) bool {
	if f.followed != other.followed {
		return f.followed
	}
	return f.followed == (f.index < other.index)
}
