package inmem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// readSnapshot returns the root in a snapshot file, with bare tables, the changes in
// it, and the size of the file. Whatever is wrong with it is ErrCorrupt.
func readSnapshot(c Config, snap snapName, id wal.StoreID, schema *driver.Schema) (r *root, changes *recent, size int64, err error) {
	name := snap.path(c.Dir)
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, nil, 0, err
	}
	size, err = f.Size()
	var sr *snapReader
	if err == nil {
		sr, err = openBody(io.NewSectionReader(f, 0, size), id, schema, c.Unsafe.SkipChecksums)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return sr.root, sr.recent, size, nil
}

// readBody returns the root in the body of a snapshot, and the changes in it.
// Whatever is wrong with the body is ErrCorrupt, unless reading failed.
func readBody(from io.Reader, id wal.StoreID, schema *driver.Schema, unsafe bool) (*root, *recent, error) {
	sr, err := openBody(from, id, schema, unsafe)
	if err == nil {
		err = sr.complete()
	}
	if err != nil {
		return nil, nil, err
	}
	return sr.root, sr.recent, nil
}

// openBody loads a body that must be one of a certain store.
func openBody(from io.Reader, id wal.StoreID, schema *driver.Schema, unsafe bool) (*snapReader, error) {
	br, err := newBlockReader(from, unsafe)
	if err != nil {
		return nil, err
	}
	if br.header.id != id {
		return nil, fmt.Errorf("snapshot of another store: %w", driver.ErrCorrupt)
	}
	return loadBody(br, schema)
}

// loadBody loads the body whose header was read, with bare tables. Its schema is the given one or, if
// that is nil, what it says itself; then it must be of format 3.
//
// The caller's goroutine reads blocks, and loads the rows of earlier ones, while
// others decode those in between.
func loadBody(br *blockReader, schema *driver.Schema) (*snapReader, error) {
	zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.IgnoreChecksum(br.unsafe), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, err
	}
	defer zip.Close()
	sr := &snapReader{blocks: br, zip: zip, recent: newRecent()}
	if schema != nil {
		sr.begin(schema)
	}
	err = sr.load()
	for _, d := range sr.under { // nothing of this call goes on after it
		<-d.done
	}
	if err != nil {
		return nil, err
	}
	if err := sr.root.findFence(sr.schema); err != nil {
		return nil, fmt.Errorf("fence: %w", err)
	}
	sr.root.loaded = sr.root.rev // the rows tell the revisions of the tables only in part
	sr.recent.begin(sr.root.rev)
	return sr, nil
}

// complete builds the indices of what was loaded.
func (sr *snapReader) complete() error {
	r := sr.root
	r.complete()
	if hash := r.stateHash(); r.format == 0 {
		r.hash = hash
	} else if hash != r.hash {
		return fmt.Errorf("the rows make the hash %016x, and %016x was written: %w", hash, r.hash, driver.ErrCorrupt)
	}
	return nil
}

// A snapReader loads the body of a snapshot.
type snapReader struct {
	blocks *blockReader
	zip    *zstd.Decoder // safe for concurrent use of DecodeAll
	schema *driver.Schema
	root   *root // nil until the schema is known
	recent *recent
	under  []*decoding // blocks that are being decoded, in order
	free   []*decoding // for reuse
}

// A decoding is a block that a goroutine of its own decodes.
type decoding struct {
	done chan struct{} // receives when the fields below are set
	packedBlock
	raw     []byte // decompressed
	rows    []*row
	changes []driver.Change
	err     error
}

// begin makes the empty root that rows are loaded into.
func (sr *snapReader) begin(schema *driver.Schema) {
	sr.schema, sr.root = schema, newRoot(schema)
	sr.root.strip()
	sr.root.rev, sr.root.index = sr.blocks.header.rev, sr.blocks.header.index
}

// load reads everything up to the end block, which must be the last one.
func (sr *snapReader) load() error {
	for {
		d, err := sr.start()
		if err != nil {
			return err
		}
		// While a block is loaded, every processor can decode another one; but what
		// comes behind the schema needs it.
		alone := d.kind == blockSchema || d.kind == blockEnd
		for len(sr.under) > runtime.GOMAXPROCS(0) || len(sr.under) > 0 && alone {
			if err := sr.take(); err != nil {
				return err
			}
		}
		if d.kind == blockEnd {
			return sr.end(d)
		}
	}
}

// errSchemaless is for the snapshot of a single node, where a backup is needed.
var errSchemaless = fmt.Errorf("it does not say its schema; it is not a backup but a snapshot of a single node, which is of use only in that node's directory: %w", driver.ErrInvalid)

// start reads the next block and has it decoded.
func (sr *snapReader) start() (*decoding, error) {
	d := &decoding{done: make(chan struct{}, 1)}
	if n := len(sr.free); n > 0 {
		d, sr.free = sr.free[n-1], sr.free[:n-1]
	}
	var err error
	if d.packedBlock, err = sr.blocks.next(d.payload[:0]); err != nil {
		return nil, err
	}
	if sr.root == nil && d.kind != blockSchema {
		return nil, errSchemaless
	}
	sr.under = append(sr.under, d)
	go func() {
		if d.err = d.decode(sr); d.err != nil {
			d.err = &blockError{d.offset, d.err}
		}
		d.done <- struct{}{}
	}()
	return d, nil
}

// take waits for the oldest block that is being decoded, and loads it.
func (sr *snapReader) take() error {
	d := sr.under[0]
	sr.under = sr.under[1:]
	<-d.done
	if d.err != nil {
		return d.err
	}
	switch d.kind {
	case blockSchema:
		return sr.describe(d)
	case blockState:
		return sr.state(d)
	case blockRows:
		t := &sr.root.tables[d.table]
		for _, r := range d.rows {
			t.orders[0].Load(r)
			t.rev = max(t.rev, r.rev)
		}
	case blockChanges:
		sr.recent.addAll(d.changes)
	}
	if d.kind != blockEnd {
		sr.free = append(sr.free, d)
	}
	return nil
}

// decode decompresses and decodes a block. It runs beside others.
func (d *decoding) decode(sr *snapReader) (err error) {
	if d.raw, err = unpack(sr.zip, d.packedBlock, d.raw); err != nil {
		return err
	}
	payload := decoder{b: d.raw, ok: true}
	switch d.kind {
	case blockRows:
		err = d.decodeRows(&payload, sr.root)
	case blockChanges:
		d.changes = d.changes[:0]
		for i := uint32(0); i < d.items && payload.ok; i++ {
			d.changes = append(d.changes, payload.change(sr.schema))
		}
	default:
		return nil
	}
	if err == nil && (!payload.ok || len(payload.b) > 0) {
		err = errBlock
	}
	return err
}

func (d *decoding) decodeRows(payload *decoder, r *root) error {
	if int(d.table) >= len(r.tables) {
		return errBlock
	}
	def := r.tables[d.table].def
	d.rows = d.rows[:0]
	for range d.items {
		rev := driver.Rev(payload.uvarint())
		data := payload.take(payload.uvarint())
		if !payload.ok {
			return errBlock
		}
		value, err := def.Decode(data)
		if err != nil {
			return err
		}
		d.rows = append(d.rows, &row{rev, value})
	}
	return nil
}

// unpack decompresses a block, into buf if that is large enough.
func unpack(zip *zstd.Decoder, b packedBlock, buf []byte) ([]byte, error) {
	if int(b.size) > cap(buf) {
		buf = make([]byte, 0, b.size)
	}
	raw, err := zip.DecodeAll(b.payload, buf[:0])
	if err == nil && len(raw) != int(b.size) {
		err = errBlock
	}
	if err != nil {
		return buf, fmt.Errorf("decompress: %w: %w", driver.ErrCorrupt, err)
	}
	return raw, nil
}

// describe takes over the schema, or compares it.
func (sr *snapReader) describe(d *decoding) error {
	if sr.schema != nil {
		return sr.schema.MustMatch(string(d.raw))
	}
	schema, err := driver.ParseSchema(string(d.raw))
	if err == nil {
		sr.begin(schema)
	}
	return err
}

// state takes over what only members have.
func (sr *snapReader) state(d *decoding) error {
	payload := decoder{b: d.raw, ok: true}
	r := sr.root
	r.last = payload.batchID()
	r.hash = payload.fixed64()
	if format := payload.take(4); payload.ok {
		r.format = binary.LittleEndian.Uint32(format)
	}
	r.time = int64(payload.fixed64())
	if !payload.ok || len(payload.b) > 0 {
		return errBlock
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

// end checks that everything was there that the end block counts.
func (sr *snapReader) end(d *decoding) error {
	if err := sr.blocks.finish(d.packedBlock, d.raw); err != nil {
		return err
	}
	tables := sr.root.tables
	if sr.blocks.header.format == 1 {
		tables = tables[:len(sr.schema.Tables)]
	}
	if int(d.items) != len(tables) {
		return fmt.Errorf("%d tables were written, the store has %d: %w", d.items, len(tables), driver.ErrCorrupt)
	}
	for i := range sr.blocks.rows {
		if t := &sr.root.tables[i]; uint64(t.len()) != sr.blocks.rows[i] {
			return fmt.Errorf("%d rows of table %s have %d keys: %w", sr.blocks.rows[i], t.def.Name, t.len(), driver.ErrCorrupt)
		}
	}
	return nil
}

// verifyBody reads the body of a snapshot and checks all that can be checked
// without its schema: checksums, that it can be decompressed, the order of the
// blocks, and that there are as many rows as were written. Damage is ErrCorrupt.
func verifyBody(from io.Reader) error {
	_, err := surveyBody(from)
	return err
}

// surveyBody verifies a body and returns what is known of it without its schema: its
// header, and the rows of each table up to the last one that has any.
func surveyBody(from io.Reader) (*blockReader, error) {
	br, err := newBlockReader(from, false)
	if err != nil {
		return nil, err
	}
	zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return br, err
	}
	defer zip.Close()
	var b packedBlock
	var raw []byte
	for b.kind != blockEnd {
		if b, err = br.next(b.payload[:0]); err != nil {
			return br, err
		}
		if raw, err = unpack(zip, b, raw); err != nil {
			return br, &blockError{b.offset, err}
		}
	}
	return br, br.finish(b, raw)
}
