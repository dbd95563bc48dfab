package archive

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"trihold/repo/driver"
)

// A writer writes an archive block by block.
type writer struct {
	out   io.Writer
	size  int64
	sum   uint32
	zip   *zstd.Encoder
	block []byte // the payload of the open block
	items uint32
	table uint32
	buf   []byte
	err   error // the first one; everything after it does nothing
}

func newWriter(out io.Writer, h Header) (*writer, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	description, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("describe archive: %w", err)
	}
	b := make([]byte, headerSize, headerSize+len(description))
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], format)
	binary.LittleEndian.PutUint32(b[12:], format)
	binary.LittleEndian.PutUint32(b[16:], uint32(len(description)))
	w := &writer{out: out, zip: zip, sum: headerSum(b, description)}
	binary.LittleEndian.PutUint32(b[20:], w.sum)
	w.write(append(b, description...))
	return w, w.err
}

func (w *writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
		w.size += int64(len(b))
	}
}

// row adds a row of a table. Rows of a table come one after the other.
func (w *writer) row(t *driver.Table, rev driver.Rev, data []byte) {
	if w.table != uint32(t.ID) {
		w.close(blockRows)
		w.table = uint32(t.ID)
	}
	w.block = binary.AppendUvarint(w.block, uint64(rev))
	w.block = binary.AppendUvarint(w.block, uint64(len(data)))
	w.block = append(w.block, data...)
	if w.items++; len(w.block) >= blockTarget {
		w.close(blockRows)
	}
}

// finish writes the content and the end mark.
func (w *writer) finish(content []byte) error {
	w.close(blockRows)
	w.block, w.items, w.table = content, 1, 0
	w.close(blockContent)
	b := append(make([]byte, 0, endSize), endMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.size+endSize))
	w.write(binary.LittleEndian.AppendUint32(b, chained(w.sum, b)))
	return w.err
}

// close writes the open block, unless it is empty.
func (w *writer) close(kind uint32) {
	if w.items == 0 {
		return
	}
	w.buf = append(w.buf[:0], make([]byte, blockSize)...)
	w.buf = w.zip.EncodeAll(w.block, w.buf)
	b := w.buf
	copy(b, blockMagic)
	binary.LittleEndian.PutUint32(b[4:], kind)
	binary.LittleEndian.PutUint32(b[8:], w.table)
	binary.LittleEndian.PutUint32(b[12:], w.items)
	binary.LittleEndian.PutUint32(b[16:], uint32(len(b)-blockSize))
	binary.LittleEndian.PutUint32(b[20:], uint32(len(w.block)))
	w.sum = chained(w.sum, b[:24], b[blockSize:])
	binary.LittleEndian.PutUint32(b[24:], w.sum)
	w.write(b)
	w.block, w.items = w.block[:0], 0
}
