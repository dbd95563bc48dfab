package inmem

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"trihold/repo/driver"
)

const (
	batchFormat   = 1 // of ordinary commits
	loadFormat    = 2 // of one load; see load.go
	checkedFormat = 5 // of ordinary commits with their checks; see revalidate
	// maxBatch bounds the commits, and maxBatchBytes the bytes, of a batch that
	// takes in one more commit: enough that syncing is shared by all who wait,
	// and little enough that nobody waits long.
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
)

// A batch is commits that become durable together. The committer makes it and hands it
// to whoever makes it durable; unless a field says otherwise, it is not changed after
// that.
type batch struct {
	tenure  *tenure
	id      batchID
	before  batchID // the batch that it rests on
	hash    uint64  // of the state that it rests on
	reserve int     // bytes at the front of entry for whoever makes it durable
	entry   []byte  // the journal entry; without a meaning if root is nil
	root    *root   // the state after the batch; nil if no commit was accepted
	changes []driver.Change
	replies []reply
	// submitted is when whoever makes it durable began to; of a cluster only.
	submitted time.Time
	// published is set when recent and the published root include the batch.
	published atomic.Bool
	// answered is set by whoever answers the replies.
	answered atomic.Bool
}

// A batchID names a batch of a cluster; no other one ever has the same.
type batchID struct {
	term  uint64 // of the leader that made it
	nonce uint64 // of that leader's tenure
	n     uint64 // counts the batches of that tenure
}

// batchIDSize is the size of an encoded batchID.
const batchIDSize = 24

// append adds the ID to an entry or to a block of a snapshot.
func (id batchID) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, id.term)
	b = binary.LittleEndian.AppendUint64(b, id.nonce)
	return binary.LittleEndian.AppendUint64(b, id.n)
}

// A reply is the answer to one request, given when the batch is durable.
type reply struct {
	to  *request
	rev driver.Rev
	err error
}

// A journal entry is a load, or a batch of accepted ordinary commits:
//
//	format, 1 byte
//	revision of the first commit, 8 bytes; number of commits, 4 bytes, little endian
//	for each commit
//	    ID, 16 bytes; number of writes, uvarint
//	    for each write
//	        kind, 1 byte; table, uvarint
//	        length of the key, uvarint; key
//	        unless it is a delete: length of the row, uvarint; row in canonical form
//	    with format 5: revision that was read, uvarint; checks, as in a request

// entryHead is the size of what comes before the commits.
const entryHead = 1 + 8 + 4

// startEntry returns an entry without commits behind some reserved bytes, in buf if it
// is large enough.
func startEntry(buf []byte, reserve int, first driver.Rev) []byte {
	buf = append(buf[:0], make([]byte, reserve+entryHead)...)
	buf[reserve] = batchFormat
	if revalidate {
		buf[reserve] = checkedFormat
	}
	binary.LittleEndian.PutUint64(buf[reserve+1:], uint64(first))
	return buf
}

// closeEntry records the number of commits.
func closeEntry(entry []byte, reserve, commits int) {
	binary.LittleEndian.PutUint32(entry[reserve+9:], uint32(commits))
}

// appendCommit adds a commit to an entry.
func appendCommit(b []byte, c *driver.Commit) []byte {
	b = append(b, c.ID[:]...)
	b = binary.AppendUvarint(b, uint64(len(c.Writes)))
	for i := range c.Writes {
		b = appendWrite(b, &c.Writes[i], false)
	}
	if revalidate {
		b = appendChecks(binary.AppendUvarint(b, uint64(c.Read)), c.Checks)
	}
	return b
}

// appendWrite adds a write to an entry, with its revision if it is one of a load.
func appendWrite(b []byte, w *driver.Write, load bool) []byte {
	b = append(b, byte(w.Kind))
	b = binary.AppendUvarint(b, uint64(w.Table.ID))
	b = binary.AppendUvarint(b, uint64(len(w.Key)))
	b = append(b, w.Key...)
	if w.Kind == driver.Delete {
		return b
	}
	if load {
		b = binary.AppendUvarint(b, uint64(w.Rev))
	}
	b = binary.AppendUvarint(b, uint64(len(w.Data)))
	return append(b, w.Data...)
}

// A decoder reads an entry or a block of a snapshot front to back. After a
// failed read, ok is false and everything reads as zero.
type decoder struct {
	b  []byte
	ok bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.ok, d.b = false, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if uint64(len(d.b)) < n {
		d.ok, d.b = false, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); d.ok {
		return b[0]
	}
	return 0
}

// fixed64 reads eight bytes, little endian.
func (d *decoder) fixed64() uint64 {
	if b := d.take(8); d.ok {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// batchID reads what batchID.append wrote.
func (d *decoder) batchID() batchID {
	return batchID{term: d.fixed64(), nonce: d.fixed64(), n: d.fixed64()}
}

// table reads the ID of a table.
func (d *decoder) table(s *driver.Schema) *driver.Table {
	id := d.uvarint()
	switch {
	case d.ok && id < uint64(len(s.Tables)):
		return s.Tables[id]
	case id != uint64(len(s.Tables)):
		d.ok = false
	}
	return s.State
}

// decodeEntry reads a journal entry's payload and calls visit for each commit, for
// a load with revision 0. The writes share memory with the payload.
func decodeEntry(s *driver.Schema, payload []byte, visit func(driver.Rev, *driver.Commit) error) error {
	d := decoder{b: payload, ok: true}
	checked := false
	switch f := d.byte(); {
	case d.ok && f == loadFormat:
		c := decodeLoad(&d, s)
		if !d.ok || len(d.b) > 0 {
			return fmt.Errorf("journal entry of a load is cut short or too long: %w", driver.ErrCorrupt)
		}
		return visit(0, c)
	case d.ok && f == checkedFormat:
		checked = true
	case d.ok && f != batchFormat:
		return fmt.Errorf("journal entry of format %d; this program reads up to %d; use a newer program: %w", f, checkedFormat, driver.ErrInvalid)
	}
	head := d.take(12)
	if !d.ok {
		return fmt.Errorf("journal entry is cut short: %w", driver.ErrCorrupt)
	}
	first := driver.Rev(binary.LittleEndian.Uint64(head))
	for i := range driver.Rev(binary.LittleEndian.Uint32(head[8:])) {
		c := decodeCommit(&d, s, checked)
		if !d.ok {
			return fmt.Errorf("journal entry is cut short in revision %d: %w", first+i, driver.ErrCorrupt)
		}
		if err := visit(first+i, c); err != nil {
			return err
		}
	}
	if len(d.b) > 0 {
		return fmt.Errorf("journal entry has %d bytes left: %w", len(d.b), driver.ErrCorrupt)
	}
	return nil
}

func decodeCommit(d *decoder, s *driver.Schema, checked bool) *driver.Commit {
	c := &driver.Commit{}
	copy(c.ID[:], d.take(uint64(len(c.ID))))
	for range d.uvarint() {
		if !d.ok {
			return c
		}
		c.Writes = append(c.Writes, decodeWrite(d, s, false))
	}
	if checked {
		c.Read, c.Checks = d.rev(), decodeChecks(d, s)
	}
	return c
}

// decodeWrite reads a write, with its revision if it is one of a load.
func decodeWrite(d *decoder, s *driver.Schema, load bool) driver.Write {
	w := driver.Write{Kind: driver.WriteKind(d.byte()), Table: d.table(s)}
	w.Key = driver.Key(d.take(d.uvarint()))
	if w.Kind != driver.Delete {
		if load {
			w.Rev = driver.Rev(d.uvarint())
		}
		w.Data = d.take(d.uvarint())
	}
	d.ok = d.ok && w.Kind >= driver.Insert && w.Kind <= driver.Delete
	return w
}
