package archive

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/klauspost/compress/zstd"

	"trihold/repo"
	"trihold/repo/driver"
)

// A Reader reads an archive from front to back, and verifies it as it goes.
type Reader struct {
	Header Header
	// Schema is that of the store. Its live rows are driver.Records.
	Schema *driver.Schema
	// Content is set when all rows have been read, and nothing was wrong.
	Content repo.Digest

	in     *bufio.Reader
	at     int64
	blocks int
	sum    uint32
	zip    *zstd.Decoder
	packed []byte
	raw    []byte
	held   []*driver.Table // the tables that Header names
	tally  tally           // of the tables up to the one that is being read
	last   driver.Key      // in that table
	newest driver.Rev
}

// A Row is a row of an archive.
type Row struct {
	Table *driver.Table
	Key   driver.Key
	Rev   driver.Rev
	Data  []byte // in canonical form; valid until the next row is read
}

// NewReader reads the header of an archive.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 256<<10)}
	if err := r.header(); err != nil {
		return nil, driver.Failed("read archive", nil, err)
	}
	return r, nil
}

// Rows yields every row, once. Only if no error is yielded the archive is complete
// and sound. Whatever is damaged is ErrCorrupt.
func (r *Reader) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDescription))
		if err == nil {
			defer zip.Close()
			r.zip = zip
			err = r.body(func(row Row) bool { return yield(row, nil) })
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Row{}, driver.Failed("read archive", nil, err))
		}
	}
}

// errStopped is that nobody wants more rows.
var errStopped = errors.New("stopped")

const remedy = "use another copy of the file, or export the store again"

// damaged returns the error for something that is not as it was written.
func (r *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s; %s", driver.ErrCorrupt, fmt.Sprintf(format, args...), remedy)
}

// take reads exactly len(b) bytes.
func (r *Reader) take(b []byte, of string) error {
	n, err := io.ReadFull(r.in, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.damaged("the file ends at offset %d, within %s", r.at+int64(n), of)
	}
	r.at += int64(n)
	return err
}

func (r *Reader) header() error {
	b := make([]byte, headerSize)
	if err := r.take(b, "the header"); err != nil {
		return err
	}
	if string(b[:8]) != magic {
		return r.damaged("the file does not begin as an archive does: it is none, or its first bytes are damaged")
	}
	size := binary.LittleEndian.Uint32(b[16:])
	if size > maxDescription {
		return r.damaged("the header does not match its checksum")
	}
	description := make([]byte, size)
	if err := r.take(description, "the header"); err != nil {
		return err
	}
	if r.sum = headerSum(b, description); r.sum != binary.LittleEndian.Uint32(b[20:]) {
		return r.damaged("the header does not match its checksum")
	}
	if v := binary.LittleEndian.Uint32(b[12:]); v > format {
		return fmt.Errorf("its format %d is newer than this program, which reads %d; use a newer program: %w", v, format, driver.ErrInvalid)
	}
	if err := json.Unmarshal(description, &r.Header); err != nil {
		return r.damaged("the header cannot be understood: %v", err)
	}
	var err error
	if r.Schema, err = driver.ParseSchema(string(r.Header.Schema)); err != nil {
		return err
	}
	for _, t := range r.Schema.Tables {
		if slices.Contains(r.Header.Tables, t.Name) {
			r.held = append(r.held, t)
		}
	}
	if len(r.held) != len(r.Header.Tables) {
		return r.damaged("the header names tables that are not in its schema")
	}
	return nil
}

// A block is a verified block.
type block struct {
	kind, table, items uint32
	payload            []byte
}

// next reads, verifies and decompresses the next block.
func (r *Reader) next() (block, error) {
	r.blocks++
	name := fmt.Sprintf("block %d", r.blocks)
	start := r.at
	var h [blockSize]byte
	if err := r.take(h[:], name); err != nil {
		return block{}, err
	}
	b := block{
		kind: binary.LittleEndian.Uint32(h[4:]), table: binary.LittleEndian.Uint32(h[8:]), items: binary.LittleEndian.Uint32(h[12:]),
	}
	packed, size := binary.LittleEndian.Uint32(h[16:]), binary.LittleEndian.Uint32(h[20:])
	limit := uint32(maxBlock)
	if b.kind == blockContent {
		limit = maxDescription
	}
	wrong := r.damaged("%s, at offset %d, does not match its checksum%s", name, start, r.where())
	if string(h[:4]) != blockMagic || packed > limit || size > limit {
		return b, wrong
	}
	r.packed = slices.Grow(r.packed[:0], int(packed))[:packed]
	if err := r.take(r.packed, name); err != nil {
		return b, err
	}
	if r.sum = chained(r.sum, h[:24], r.packed); r.sum != binary.LittleEndian.Uint32(h[24:]) {
		return b, wrong
	}
	var err error
	if r.raw, err = r.zip.DecodeAll(r.packed, r.raw[:0]); err != nil || len(r.raw) != int(size) {
		return b, r.damaged("%s, at offset %d, cannot be decompressed (%v)", name, start, err)
	}
	b.payload = r.raw
	return b, nil
}

// where says after which row the reader is, for a person who looks for what is lost.
func (r *Reader) where() string {
	if r.last == "" {
		return ""
	}
	t := r.held[len(r.tally.names)-1]
	return fmt.Sprintf(": what comes after row %s of table %s cannot be relied on", t.FormatKey(r.last), t.Name)
}
