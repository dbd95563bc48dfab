package archive

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"trihold/repo"
	"trihold/repo/driver"
)

// body reads everything after the header.
func (r *Reader) body(yield func(Row) bool) error {
	for {
		b, err := r.next()
		if err != nil {
			return err
		}
		switch b.kind {
		case blockRows:
			if err := r.rows(b, yield); err != nil {
				return err
			}
		case blockContent:
			content, err := r.content(b)
			if err != nil {
				return err
			}
			if err := r.end(); err != nil {
				return err
			}
			r.Content = content
			return nil
		default:
			return r.damaged("block %d is of unknown kind %d", r.blocks, b.kind)
		}
	}
}

// rows reads a block of rows.
func (r *Reader) rows(b block, yield func(Row) bool) error {
	t, err := r.advance(b.table)
	if err != nil {
		return err
	}
	rest := b.payload
	var key []byte
	for range b.items {
		rev, n := binary.Uvarint(rest)
		rest = rest[max(n, 0):]
		size, m := binary.Uvarint(rest)
		if n <= 0 || m <= 0 || size > uint64(len(rest)-m) || rev == 0 {
			return r.damaged("block %d does not hold what it says", r.blocks)
		}
		data := rest[m : m+int(size)]
		rest = rest[m+int(size):]
		live, err := t.Decode(data)
		if err != nil {
			return r.damaged("block %d, table %s: %v", r.blocks, t.Name, err)
		}
		key = t.AppendKey(key[:0], 0, live)
		if driver.Key(key) <= r.last {
			return r.damaged("block %d: row %s of table %s is not in its place", r.blocks, t.FormatKey(driver.Key(key)), t.Name)
		}
		r.last = driver.Key(key)
		r.newest = max(r.newest, driver.Rev(rev))
		r.tally.add(data)
		if !yield(Row{t, r.last, driver.Rev(rev), data}) {
			return errStopped
		}
	}
	if len(rest) != 0 {
		return r.damaged("block %d does not hold what it says", r.blocks)
	}
	return nil
}

// advance begins tables up to the one with the given position in the schema, which
// it returns.
func (r *Reader) advance(id uint32) (*driver.Table, error) {
	for n := len(r.tally.names); ; n++ {
		if n > 0 && r.held[n-1].ID == int(id) {
			return r.held[n-1], nil
		}
		if n == len(r.held) || r.held[n].ID > int(id) {
			return nil, r.damaged("block %d is of a table that has no rows here", r.blocks)
		}
		r.tally.begin(r.held[n].Name)
		r.last = ""
	}
}

// content compares what the archive says that it holds with what was read.
func (r *Reader) content(b block) (repo.Digest, error) {
	for _, t := range r.held[len(r.tally.names):] {
		r.tally.begin(t.Name)
	}
	var want repo.Digest
	if err := json.Unmarshal(b.payload, &want); err != nil {
		return want, r.damaged("the content cannot be understood: %v", err)
	}
	got := r.tally.content(want.Rev)
	for i := range min(len(got.Tables), len(want.Tables)) {
		if g, w := got.Tables[i], want.Tables[i]; g != w {
			return want, r.damaged("table %s has %d rows with digest %s, it should be %s with %d rows and digest %s", g.Table, g.Rows, g.Sum, w.Table, w.Rows, w.Sum)
		}
	}
	if !reflect.DeepEqual(got, want) {
		return want, r.damaged("the digest of what it holds is %s, it should be %s", got.Sum, want.Sum)
	}
	if r.newest > want.Rev {
		return want, r.damaged("a row has revision %d, the archive %d", r.newest, want.Rev)
	}
	return want, nil
}

// end reads the end mark, after which there is nothing.
func (r *Reader) end() error {
	start := r.at
	var b [endSize]byte
	if err := r.take(b[:], "the end mark"); err != nil {
		return err
	}
	if string(b[:8]) != endMagic || chained(r.sum, b[:16]) != binary.LittleEndian.Uint32(b[16:]) || binary.LittleEndian.Uint64(b[8:]) != uint64(r.at) {
		return r.damaged("the end mark, at offset %d, is not as it was written", start)
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return r.damaged("something follows the end mark, at offset %d", r.at)
	}
	return nil
}

// Verify reads an archive to its end and returns what it holds. Whatever is damaged
// is ErrCorrupt. progress may be nil.
func Verify(ctx context.Context, in io.Reader, progress func(Progress)) (*Reader, error) {
	r, err := NewReader(in)
	if err != nil {
		return nil, err
	}
	p := Progress{What: "checking the archive"}
	for _, err := range r.Rows() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		p.Rows++
		p.tell(progress)
	}
	return r, nil
}
