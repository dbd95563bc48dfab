package inmem

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// The body of a snapshot is a stream that holds a root and the commits that are
// retained for Changes. Numbers are little endian unless they are uvarints,
// checksums are CRC-32C.
//
//	header, 64 bytes
//	  0  magic "TRIHSNP1"
//	  8  format version, 4 bytes; lowest version that can read it, 4 bytes
//	 16  store ID, 16 bytes
//	 32  revision, 8 bytes
//	 40  index of the last journal entry that it includes, 8 bytes
//	 60  checksum of the 60 bytes before, 4 bytes
//
//	blocks, each
//	  0  magic "BLCK"
//	  4  kind, 4 bytes: 1 rows, 2 changes, 3 end, 4 state, 5 schema
//	  8  table, 4 bytes
//	 12  items, 4 bytes
//	 16  size of the payload, 4 bytes; size when decompressed, 4 bytes
//	 24  checksum of the block before (or header), of the 24 bytes before, and of
//	     the payload, 4 bytes
//	 28  payload, compressed with zstd
//
//	schema: its description
//	state:  last batch ID, 24 bytes; state hash, 8 bytes; format of the cluster's
//	        entries, 4 bytes; time of the leader, 8 bytes
//	row:    revision, uvarint; length, uvarint; row in canonical form
//	change: revision, uvarint; commit ID, 16 bytes; number of keys, uvarint;
//	        for each: table, uvarint; 1 if deleted, else 0; length, uvarint; key
//	end:    the number of rows of each table, uvarint
//
// The blocks come in this order, rows in the order of the tables, the table of
// the state last, and of their primary keys. The stream ends with the end block.
//
// Format 1 had no table of the state. Format 2 is what a single node writes: a
// file with nothing but the body, whose name is a snapName. Format 3 is what the
// members of a cluster write, and backups; only it has a schema and a state.
const (
	snapMagic        = "TRIHSNP1"
	snapFormat       = 2
	snapFormatMember = 3
	snapHeaderSize   = 64
	snapBlockSize    = 28
	snapSuffix       = ".snap"

	blockRows    = 1
	blockChanges = 2
	blockEnd     = 3
	blockState   = 4
	blockSchema  = 5

	// blockTarget is the size at which a block is closed.
	blockTarget = 256 << 10
	// maxBlock is more than any block takes, compressed or not: an item more than
	// blockTarget, the largest being the change of a commit.
	maxBlock = 64 << 20
)

// A snapWriter writes the body of a snapshot block by block.
type snapWriter struct {
	to    io.Writer
	sum   uint32
	zip   *zstd.Encoder
	block []byte // the payload of the open block
	items uint32
	table uint32
	out   []byte
	err   error // the first one; everything after it does nothing
}

// writeBody writes a root, and the changes up to it, to a stream: in the format of
// members, if it is the state of one. It may take as long as it needs: a root does
// not change.
func writeBody(to io.Writer, id wal.StoreID, r *root, changes *recent) error {
	if r.format == 0 {
		return writeFormat(to, snapFormat, id, r, changes)
	}
	return writeFormat(to, snapFormatMember, id, r, changes)
}

func writeFormat(to io.Writer, format uint32, id wal.StoreID, r *root, changes *recent) error {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	w := &snapWriter{to: to, zip: zip}
	w.header(format, id, r)
	if format == snapFormatMember {
		w.schema(r)
		w.state(r)
	}
	var end []byte
	for i := range r.tables {
		w.rows(&r.tables[i])
		end = binary.AppendUvarint(end, uint64(r.tables[i].len()))
	}
	w.changes(r.rev, changes)
	w.block, w.items = end, uint32(len(r.tables))
	w.close(blockEnd)
	return w.err
}

// writeSnapshot writes a root to a file and returns its size.
func writeSnapshot(fsys vfs.FS, name string, id wal.StoreID, r *root, changes *recent) (size int64, err error) {
	tmp := name + ".tmp"
	f, err := fsys.Create(tmp)
	if err != nil {
		return 0, err
	}
	w := io.NewOffsetWriter(f, 0)
	err = writeBody(w, id, r, changes)
	if err == nil {
		size, err = w.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, errors.Join(err, fsys.Remove(tmp))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return 0, err
	}
	return size, fsys.SyncDir(filepath.Dir(name))
}

func (w *snapWriter) header(format uint32, id wal.StoreID, r *root) {
	b := make([]byte, snapHeaderSize)
	copy(b, snapMagic)
	binary.LittleEndian.PutUint32(b[8:], format)
	binary.LittleEndian.PutUint32(b[12:], format)
	copy(b[16:], id[:])
	binary.LittleEndian.PutUint64(b[32:], uint64(r.rev))
	binary.LittleEndian.PutUint64(b[40:], r.index)
	w.sum = crc32.Checksum(b[:60], castagnoli)
	binary.LittleEndian.PutUint32(b[60:], w.sum)
	w.write(b)
}

func (w *snapWriter) write(b []byte) {
	if w.err == nil {
		_, w.err = w.to.Write(b)
	}
}

// schema writes what the tables are, so that a backup can be read without the
// program that wrote it.
func (w *snapWriter) schema(r *root) {
	var s driver.Schema
	for i := range r.tables[:len(r.tables)-1] { // the last one is the state's
		s.Tables = append(s.Tables, r.tables[i].def)
	}
	w.block, w.items = append(w.block, s.Describe()...), 1
	w.close(blockSchema)
}

// state writes what members agree on besides the rows.
func (w *snapWriter) state(r *root) {
	b := r.last.append(w.block)
	b = binary.LittleEndian.AppendUint64(b, r.hash)
	b = binary.LittleEndian.AppendUint32(b, r.format)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.time))
	w.block, w.items = b, 1
	w.close(blockState)
}

func (w *snapWriter) rows(t *table) {
	w.table = uint32(t.def.ID)
	var data []byte
	t.orders[0].Scan(func(r *row) bool {
		data = t.def.Encode(data[:0], r.value)
		w.block = binary.AppendUvarint(w.block, uint64(r.rev))
		w.block = binary.AppendUvarint(w.block, uint64(len(data)))
		w.block = append(w.block, data...)
		w.item(blockRows)
		return w.err == nil
	})
	w.close(blockRows)
}

func (w *snapWriter) changes(to driver.Rev, changes *recent) {
	w.table = 0
	some := make([]driver.Change, 0, 256)
	for after := changes.oldest(); after < to && w.err == nil; after += driver.Rev(len(some)) {
		var ok bool
		if some, ok = changes.between(after, to, some[:0]); !ok {
			after = changes.oldest() // meanwhile they have been forgotten
			some = some[:0]
			continue
		}
		for _, c := range some {
			w.change(c)
		}
	}
	w.close(blockChanges)
}

func (w *snapWriter) change(c driver.Change) {
	w.block = appendChange(w.block, c)
	w.item(blockChanges)
}

// appendChange adds a change to a block, or to the journal entry of a load.
func appendChange(b []byte, c driver.Change) []byte {
	b = binary.AppendUvarint(b, uint64(c.Rev))
	b = append(b, c.ID[:]...)
	b = binary.AppendUvarint(b, uint64(len(c.Keys)))
	for _, k := range c.Keys {
		b = binary.AppendUvarint(b, uint64(k.Table.ID))
		deleted := byte(0)
		if k.Deleted {
			deleted = 1
		}
		b = append(b, deleted)
		b = binary.AppendUvarint(b, uint64(len(k.Key)))
		b = append(b, k.Key...)
	}
	return b
}

// item counts an item and closes the block if it is large enough.
func (w *snapWriter) item(kind uint32) {
	w.items++
	if len(w.block) >= blockTarget {
		w.close(kind)
	}
}

// close writes the open block, unless it is empty.
func (w *snapWriter) close(kind uint32) {
	if w.items == 0 {
		return
	}
	w.out = append(w.out[:0], make([]byte, snapBlockSize)...)
	w.out = w.zip.EncodeAll(w.block, w.out)
	b := w.out
	copy(b, "BLCK")
	binary.LittleEndian.PutUint32(b[4:], kind)
	binary.LittleEndian.PutUint32(b[8:], w.table)
	binary.LittleEndian.PutUint32(b[12:], w.items)
	binary.LittleEndian.PutUint32(b[16:], uint32(len(b)-snapBlockSize))
	binary.LittleEndian.PutUint32(b[20:], uint32(len(w.block)))
	w.sum = blockSum(w.sum, b[:24], b[snapBlockSize:])
	binary.LittleEndian.PutUint32(b[24:], w.sum)
	w.write(b)
	w.block, w.items = w.block[:0], 0
}
