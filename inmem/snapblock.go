package inmem

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// maxTables is more than a store has. The number of a table is believed up to it.
const maxTables = 1 << 16

// A bodyHeader is what the header of a snapshot's body says.
type bodyHeader struct {
	format uint32
	id     wal.StoreID
	rev    driver.Rev
	index  uint64
	sum    uint32
}

// parseBodyHeader decodes the first snapHeaderSize bytes of a body.
func parseBodyHeader(b []byte) (h bodyHeader, err error) {
	if len(b) < snapHeaderSize || string(b[:8]) != snapMagic || crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]) {
		return h, fmt.Errorf("no snapshot header: %w", driver.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[12:]); v > snapFormatMember {
		return h, fmt.Errorf("snapshot format %d is newer than this program, which reads %d; use a newer program: %w", v, snapFormatMember, driver.ErrInvalid)
	}
	return bodyHeader{
		format: binary.LittleEndian.Uint32(b[8:]),
		id:     wal.StoreID(b[16:32]),
		rev:    driver.Rev(binary.LittleEndian.Uint64(b[32:])),
		index:  binary.LittleEndian.Uint64(b[40:]),
		sum:    binary.LittleEndian.Uint32(b[60:]),
	}, nil
}

// A packedBlock is a block as it is in the stream.
type packedBlock struct {
	kind, table, items uint32
	size               uint32 // when decompressed
	offset             int64  // in the body
	payload            []byte // compressed
}

// A blockError says at which offset of a body something is wrong.
type blockError struct {
	offset int64
	err    error
}

func (e *blockError) Error() string { return fmt.Sprintf("block at offset %d: %v", e.offset, e.err) }
func (e *blockError) Unwrap() error { return e.err }

// A blockReader reads the blocks of a body one by one, and verifies their
// checksums, their order and that nothing is missing.
type blockReader struct {
	from   *bufio.Reader
	header bodyHeader
	at     int64  // offset of the next block
	sum    uint32 // of the block before
	stage  int    // of the block before; 0 before the first
	table  uint32 // of the block before
	rows   []uint64
	unsafe bool // see Config.Unsafe
}

// newBlockReader reads the header of a body.
func newBlockReader(r io.Reader, unsafe bool) (*blockReader, error) {
	br := &blockReader{from: bufio.NewReaderSize(r, 64<<10), at: snapHeaderSize, unsafe: unsafe}
	b := make([]byte, snapHeaderSize)
	if err := br.fill(b); err != nil {
		return nil, fmt.Errorf("read snapshot header: %w", err)
	}
	var err error
	br.header, err = parseBodyHeader(b)
	br.sum = br.header.sum
	return br, err
}

// fill reads as many bytes as b holds.
func (br *blockReader) fill(b []byte) error {
	_, err := io.ReadFull(br.from, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut short: %w", driver.ErrCorrupt)
	}
	return err
}

// next reads a block. Its payload is in buf if that is large enough. A failure
// says at which offset.
func (br *blockReader) next(buf []byte) (packedBlock, error) {
	b, err := br.read(buf)
	if err == nil {
		err = br.follow(b)
	}
	if err != nil {
		return b, &blockError{br.at, err}
	}
	br.at += snapBlockSize + int64(len(b.payload))
	return b, nil
}

func (br *blockReader) read(buf []byte) (b packedBlock, err error) {
	var head [snapBlockSize]byte
	if err := br.fill(head[:]); err != nil {
		return b, err
	}
	size := binary.LittleEndian.Uint32(head[16:])
	b = packedBlock{
		kind:   binary.LittleEndian.Uint32(head[4:]),
		table:  binary.LittleEndian.Uint32(head[8:]),
		items:  binary.LittleEndian.Uint32(head[12:]),
		size:   binary.LittleEndian.Uint32(head[20:]),
		offset: br.at,
	}
	if string(head[:4]) != "BLCK" || size > maxBlock || b.size > maxBlock {
		return b, fmt.Errorf("there is none: %w", driver.ErrCorrupt)
	}
	if int(size) > cap(buf) {
		buf = make([]byte, size)
	}
	b.payload = buf[:size]
	if err := br.fill(b.payload); err != nil {
		return b, err
	}
	br.sum = blockSum(br.sum, head[:24], b.payload)
	if br.sum != binary.LittleEndian.Uint32(head[24:]) && !br.unsafe {
		return b, fmt.Errorf("it does not match its checksum: %w", driver.ErrCorrupt)
	}
	return b, nil
}

// blockSum continues the chain of checksums over a block.
func blockSum(before uint32, head, payload []byte) uint32 {
	sum := crc32.Checksum(binary.LittleEndian.AppendUint32(nil, before), castagnoli)
	sum = crc32.Update(sum, castagnoli, head)
	return crc32.Update(sum, castagnoli, payload)
}

// follow checks that a block may come where it does.
func (br *blockReader) follow(b packedBlock) error {
	stage := slices.Index([]uint32{blockSchema, blockState, blockRows, blockChanges, blockEnd}, b.kind) + 1
	if stage == 0 {
		return fmt.Errorf("it is of the unknown kind %d: %w", b.kind, driver.ErrCorrupt)
	}
	member := br.header.format >= snapFormatMember
	switch {
	case stage < br.stage,
		// Schema and state are there once each, or not at all.
		(stage == 1) != (member && br.stage == 0), (stage == 2) != (member && br.stage == 1),
		stage == 3 && br.stage == 3 && b.table < br.table:
		return fmt.Errorf("it is not the one that comes next: %w", driver.ErrCorrupt)
	}
	br.stage, br.table = stage, b.table
	if b.kind == blockRows {
		if b.table >= maxTables {
			return errBlock
		}
		for uint32(len(br.rows)) <= b.table {
			br.rows = append(br.rows, 0)
		}
		br.rows[b.table] += uint64(b.items)
	}
	return nil
}

// finish checks what the end block says, whose payload it is given decompressed:
// how many rows there were of each table. The stream must end behind it.
func (br *blockReader) finish(b packedBlock, payload []byte) error {
	d := decoder{b: payload, ok: true}
	if int(b.items) < len(br.rows) {
		return errBlock
	}
	for i := range int(b.items) {
		var seen uint64
		if i < len(br.rows) {
			seen = br.rows[i]
		}
		if n := d.uvarint(); !d.ok || n != seen {
			return fmt.Errorf("table %d has %d rows, %d were written: %w", i, seen, n, driver.ErrCorrupt)
		}
	}
	if len(d.b) > 0 {
		return errBlock
	}
	if _, err := br.from.ReadByte(); err == nil {
		return fmt.Errorf("there are bytes behind the end, at offset %d: %w", br.at, driver.ErrCorrupt)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

var errBlock = fmt.Errorf("block does not hold what it says: %w", driver.ErrCorrupt)
