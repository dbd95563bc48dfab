package inmem

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

var bodyID = wal.StoreID{1, 2, 3}

// memberRoot returns a state as a member of a cluster has it, with some changes.
func memberRoot(t *testing.T, rows int64) (*root, *recent) {
	t.Helper()
	s := thaw(newRoot(noteSchema.Driver()))
	changes := newRecent()
	for id := range rows {
		p, err := prepare(noteSchema.Driver(), &driver.Commit{ID: driver.CommitID{byte(id), byte(id >> 8), 1}, Writes: []driver.Write{noteWrite(id)}}, false)
		if err != nil {
			t.Fatal(err)
		}
		changes.add(p.changed(s.apply(p)))
	}
	r := s.freeze()
	r.index, r.last, r.format, r.time = 77, batchID{3, 4, 5}, 3, 1_700_000_000_000_000
	return r, changes
}

func bodyOf(t *testing.T, r *root, changes *recent) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeBody(&b, bodyID, r, changes); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestABodyHoldsTheStateOfAMember(t *testing.T) {
	r, changes := memberRoot(t, 5000)
	body := bodyOf(t, r, changes)
	for name, from := range map[string]io.Reader{
		"whole": bytes.NewReader(body), "in halves": iotest.HalfReader(bytes.NewReader(body)), "with the end at once": iotest.DataErrReader(bytes.NewReader(body)),
	} {
		got, gotChanges, err := readBody(from, bodyID, noteSchema.Driver(), false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.rev != r.rev || got.index != r.index || got.last != r.last || got.hash != r.hash || got.format != r.format || got.time != r.time {
			t.Errorf("%s: read %+v, want %+v", name, got, r)
		}
		if gotChanges.last != changes.last || gotChanges.n != changes.n {
			t.Errorf("%s: %d changes up to %d, want %d up to %d", name, gotChanges.n, gotChanges.last, changes.n, changes.last)
		}
		if again := bodyOf(t, got, gotChanges); !bytes.Equal(again, body) {
			t.Errorf("%s: what was read is written in another way", name)
		}
		for o, tree := range got.tables[0].orders {
			if tree.Len() != 5000 {
				t.Errorf("%s: order %d has %d rows", name, o, tree.Len())
			}
		}
	}
	if err := verifyBody(bytes.NewReader(body)); err != nil {
		t.Error(err)
	}
}

// damagedBody fails the test unless a body is found to be corrupt, with and
// without its schema.
func damagedBody(t *testing.T, what string, body []byte) {
	t.Helper()
	if err := verifyBody(bytes.NewReader(body)); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("%s: verified with %v", what, err)
	}
	if _, _, err := readBody(bytes.NewReader(body), bodyID, noteSchema.Driver(), false); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("%s: read with %v", what, err)
	}
}

func TestAnyDamageToABodyIsFound(t *testing.T) {
	for _, format := range []uint32{0, 3} {
		r, changes := memberRoot(t, 30)
		r.format = format
		body := bodyOf(t, r, changes)
		for at := range body {
			ruined := slices.Clone(body)
			ruined[at] ^= 1 << (at % 8)
			damagedBody(t, fmt.Sprintf("bit flipped at %d", at), ruined)
			damagedBody(t, fmt.Sprintf("cut at %d", at), body[:at])
		}
		damagedBody(t, "with a byte behind it", append(slices.Clone(body), 0))
	}
}

// blocksOf cuts a body into its header and its blocks.
func blocksOf(body []byte) (header []byte, blocks [][]byte) {
	header, body = body[:snapHeaderSize], body[snapHeaderSize:]
	for len(body) > 0 {
		n := snapBlockSize + binary.LittleEndian.Uint32(body[16:])
		blocks, body = append(blocks, body[:n]), body[n:]
	}
	return header, blocks
}

// sealed puts a body together, with checksums that fit.
func sealed(header []byte, blocks ...[]byte) []byte {
	body := slices.Clone(header)
	sum := crc32.Checksum(body[:60], castagnoli)
	binary.LittleEndian.PutUint32(body[60:], sum)
	for _, b := range blocks {
		b = slices.Clone(b)
		sum = blockSum(sum, b[:24], b[snapBlockSize:])
		binary.LittleEndian.PutUint32(b[24:], sum)
		body = append(body, b...)
	}
	return body
}

func TestBlocksThatAreMissingOrInAnotherOrderAreFoundWhateverTheirChecksums(t *testing.T) {
	r, changes := memberRoot(t, 30)
	header, b := blocksOf(bodyOf(t, r, changes))
	schema, state, rows, commits, end := b[0], b[1], b[2], b[3], b[4]
	if err := verifyBody(bytes.NewReader(sealed(header, b...))); err != nil || len(b) != 5 {
		t.Fatalf("%d blocks: %v", len(b), err)
	}
	for what, blocks := range map[string][][]byte{
		"no schema":          {state, rows, commits, end},
		"two schemas":        {schema, schema, state, rows, commits, end},
		"no state":           {schema, rows, commits, end},
		"two states":         {schema, state, state, rows, commits, end},
		"state behind rows":  {schema, rows, state, commits, end},
		"state before":       {state, schema, rows, commits, end},
		"no rows":            {schema, state, commits, end},
		"rows twice":         {schema, state, rows, rows, commits, end},
		"rows behind others": {schema, state, commits, rows, end},
		"end before":         {schema, state, rows, end, commits},
		"two ends":           {schema, state, rows, commits, end, end},
		"no end":             {schema, state, rows, commits},
	} {
		damagedBody(t, what, sealed(header, blocks...))
	}
	unknown := slices.Clone(commits)
	unknown[4] = 9
	damagedBody(t, "a block of another kind", sealed(header, schema, state, rows, unknown, end))
	other := slices.Clone(header)
	other[8], other[12] = snapFormat, snapFormat
	damagedBody(t, "a state where there is none", sealed(other, b...))
}

func TestABodyOfANewerFormatIsNoDamage(t *testing.T) {
	r, changes := memberRoot(t, 3)
	header, b := blocksOf(bodyOf(t, r, changes))
	header[12] = snapFormatMember + 1
	body := sealed(header, b...)
	_, _, err := readBody(bytes.NewReader(body), bodyID, noteSchema.Driver(), false)
	if !errors.Is(err, driver.ErrInvalid) || errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("read with %v", err)
	}
}

func TestABodyThatCannotBeReadIsNoDamage(t *testing.T) {
	r, changes := memberRoot(t, 2000)
	body := bodyOf(t, r, changes)
	broken := errors.New("the cable is out")
	for _, at := range []int{0, 30, snapHeaderSize + 3, len(body) / 2, len(body)} {
		from := func() io.Reader { return io.MultiReader(bytes.NewReader(body[:at]), iotest.ErrReader(broken)) }
		_, _, err := readBody(from(), bodyID, noteSchema.Driver(), false)
		for _, err := range []error{err, verifyBody(from())} {
			if !errors.Is(err, broken) || errors.Is(err, driver.ErrCorrupt) {
				t.Errorf("after %d bytes: %v", at, err)
			}
		}
	}
	if _, _, err := readBody(bytes.NewReader(body), wal.StoreID{9}, noteSchema.Driver(), false); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("as the body of another store: %v", err)
	}
}

type fullWriter struct{ space int }

func (w *fullWriter) Write(b []byte) (int, error) {
	if w.space -= len(b); w.space < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWritingABodyFailsWithItsWriter(t *testing.T) {
	r, changes := memberRoot(t, 30)
	size := len(bodyOf(t, r, changes))
	for space := range size {
		if err := writeBody(&fullWriter{space}, bodyID, r, changes); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("with space for %d of %d bytes: %v", space, size, err)
		}
	}
}
