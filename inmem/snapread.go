package inmem

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// A snapReader reads a snapshot file.
type snapReader struct {
	schema *driver.Schema
	format uint32
	rest   []byte
	sum    uint32
	zip    *zstd.Decoder
	raw    []byte
	root   *root
	recent *recent
	unsafe bool // see Config.Unsafe
}

// A snapBlock is a verified block.
type snapBlock struct {
	kind, table, items uint32
	payload            decoder
}

// readSnapshot returns the root in a snapshot file, and fills recent with the
// changes. Whatever is wrong with the file is ErrCorrupt.
func readSnapshot(c Config, snap snapName, id wal.StoreID, schema *driver.Schema, changes *recent) (r *root, size int64, err error) {
	name := snap.path(c.Dir)
	content, err := vfs.ReadFile(c.FS, name)
	if err != nil {
		return nil, 0, err
	}
	zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.IgnoreChecksum(c.Unsafe.SkipChecksums))
	if err != nil {
		return nil, 0, err
	}
	defer zip.Close()
	sr := &snapReader{schema: schema, rest: content, zip: zip, root: newRoot(schema), recent: changes, unsafe: c.Unsafe.SkipChecksums}
	if err := sr.header(id); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	if err := sr.blocks(); err != nil {
		return nil, 0, fmt.Errorf("%s: at offset %d: %w", name, len(content)-len(sr.rest), err)
	}
	sr.root.buildIndices()
	if err := sr.root.findFence(schema); err != nil {
		return nil, 0, fmt.Errorf("%s: fence: %w", name, err)
	}
	sr.root.loaded = sr.root.rev // the rows tell the revisions of the tables only in part
	changes.begin(sr.root.rev)
	return sr.root, int64(len(content)), nil
}

func (sr *snapReader) header(id wal.StoreID) error {
	b := sr.rest
	if len(b) < snapHeaderSize || string(b[:8]) != snapMagic || crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]) {
		return fmt.Errorf("no snapshot header: %w", driver.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[12:]); v > snapFormat {
		return fmt.Errorf("snapshot format %d is newer than this program, which reads %d; use a newer program: %w", v, snapFormat, driver.ErrInvalid)
	}
	sr.format = binary.LittleEndian.Uint32(b[8:])
	if wal.StoreID(b[16:32]) != id {
		return fmt.Errorf("snapshot of another store: %w", driver.ErrCorrupt)
	}
	sr.root.rev = driver.Rev(binary.LittleEndian.Uint64(b[32:]))
	sr.root.index = binary.LittleEndian.Uint64(b[40:])
	sr.sum = binary.LittleEndian.Uint32(b[60:])
	sr.rest = b[snapHeaderSize:]
	return nil
}

// blocks reads everything up to the end block, which must be the last one.
func (sr *snapReader) blocks() error {
	for {
		b, err := sr.next()
		if err != nil {
			return err
		}
		switch b.kind {
		case blockRows:
			err = sr.rows(b)
		case blockChanges:
			err = sr.changes(b)
		case blockEnd:
			return sr.end(b)
		default:
			err = fmt.Errorf("block of unknown kind %d: %w", b.kind, driver.ErrCorrupt)
		}
		if err != nil {
			return err
		}
	}
}

// next verifies and decompresses the next block.
func (sr *snapReader) next() (snapBlock, error) {
	b := sr.rest
	if len(b) < snapBlockSize || string(b[:4]) != "BLCK" {
		return snapBlock{}, fmt.Errorf("no block: %w", driver.ErrCorrupt)
	}
	size := binary.LittleEndian.Uint32(b[16:])
	if uint64(len(b)) < uint64(snapBlockSize)+uint64(size) {
		return snapBlock{}, fmt.Errorf("block is cut short: %w", driver.ErrCorrupt)
	}
	b = b[:snapBlockSize+size]
	sr.sum = blockSum(sr.sum, b)
	if sr.sum != binary.LittleEndian.Uint32(b[24:]) && !sr.unsafe {
		return snapBlock{}, fmt.Errorf("block does not match its checksum: %w", driver.ErrCorrupt)
	}
	var err error
	if sr.raw, err = sr.zip.DecodeAll(b[snapBlockSize:], sr.raw[:0]); err != nil {
		return snapBlock{}, fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
	}
	sr.rest = sr.rest[len(b):]
	return snapBlock{
		kind:    binary.LittleEndian.Uint32(b[4:]),
		table:   binary.LittleEndian.Uint32(b[8:]),
		items:   binary.LittleEndian.Uint32(b[12:]),
		payload: decoder{b: sr.raw, ok: true},
	}, nil
}

var errBlock = fmt.Errorf("block does not hold what it says: %w", driver.ErrCorrupt)

func (sr *snapReader) rows(b snapBlock) error {
	if int(b.table) >= len(sr.root.tables) {
		return errBlock
	}
	t := &sr.root.tables[b.table]
	for range b.items {
		rev := driver.Rev(b.payload.uvarint())
		data := b.payload.take(b.payload.uvarint())
		if !b.payload.ok {
			return errBlock
		}
		value, err := t.def.Decode(data)
		if err != nil {
			return err
		}
		t.orders[0].Load(&row{rev, value})
		t.rev = max(t.rev, rev)
	}
	return nil
}

func (sr *snapReader) changes(b snapBlock) error {
	for range b.items {
		c := b.payload.change(sr.schema)
		if !b.payload.ok {
			return errBlock
		}
		sr.recent.add(c)
	}
	return nil
}

// change reads a change.
func (d *decoder) change(s *driver.Schema) driver.Change {
	c := driver.Change{Rev: driver.Rev(d.uvarint())}
	copy(c.ID[:], d.take(uint64(len(c.ID))))
	for range d.uvarint() {
		k := driver.ChangedKey{Table: d.table(s), Deleted: d.byte() == 1}
		k.Key = driver.Key(d.take(d.uvarint()))
		if !d.ok {
			break
		}
		c.Keys = append(c.Keys, k)
	}
	return c
}

func (sr *snapReader) end(b snapBlock) error {
	tables := sr.root.tables
	if sr.format == 1 {
		tables = tables[:len(sr.schema.Tables)]
	}
	for i := range tables {
		if n := b.payload.uvarint(); !b.payload.ok || n != uint64(tables[i].len()) {
			return fmt.Errorf("table %s has %d rows, %d were written: %w", tables[i].def.Name, tables[i].len(), n, driver.ErrCorrupt)
		}
	}
	if len(sr.rest) > 0 {
		return fmt.Errorf("%d bytes behind the end: %w", len(sr.rest), driver.ErrCorrupt)
	}
	return nil
}
