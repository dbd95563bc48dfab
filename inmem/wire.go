package inmem

import (
	"encoding/binary"
	"fmt"

	"trihold/repo/driver"
)

// A commit travels from a follower to the leader as a request:
//
//	format, 1 byte; 1 if the commit is a load, else 0
//	ID, 16 bytes; revision that was read, uvarint
//	checks
//	if it is a load: number of changes, uvarint; each as in a snapshot file
//	number of writes, uvarint; each as in a journal entry, a load's with its revision
//
// Checks, which the log holds too where every replica validates again:
//
//	number of rows, uvarint
//	for each: table, uvarint; length of the key, uvarint; key; revision, uvarint
//	number of spans, uvarint
//	for each
//	    table, uvarint; order, uvarint
//	    lower bound, upper bound: 1 if it is open, else 0; length, uvarint; tuple
//	    rows, uvarint; highest revision, uvarint
//
// Tables go by their position in the schema, so both ends must have the same one.
const requestFormat = 1

// The least bytes that an item takes bound how many a decoder makes room for.
const (
	minRowCheck  = 3 // table, empty key, revision
	minSpanCheck = 8 // table, order, two empty bounds, rows, revision
	minWrite     = 3 // kind, table, empty key
	minChange    = 18
)

// appendCommitRequest adds the request that carries a commit to dst.
func appendCommitRequest(dst []byte, c *driver.Commit) []byte {
	load := c.Load != nil
	dst = append(dst, requestFormat, flag(load))
	dst = append(dst, c.ID[:]...)
	dst = binary.AppendUvarint(dst, uint64(c.Read))
	dst = appendChecks(dst, c.Checks)
	if load {
		dst = binary.AppendUvarint(dst, uint64(len(c.Load.Changes)))
		for _, change := range c.Load.Changes {
			dst = appendChange(dst, change)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Writes)))
	for i := range c.Writes {
		dst = appendWrite(dst, &c.Writes[i], load)
	}
	return dst
}

// appendChecks adds what a transaction read to dst.
func appendChecks(dst []byte, c driver.Checks) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.Rows)))
	for _, k := range c.Rows {
		dst = binary.AppendUvarint(dst, uint64(k.Table.ID))
		dst = appendKey(dst, k.Key)
		dst = binary.AppendUvarint(dst, uint64(k.Rev))
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Spans)))
	for _, k := range c.Spans {
		dst = binary.AppendUvarint(dst, uint64(k.Table.ID))
		dst = binary.AppendUvarint(dst, uint64(k.Order))
		dst = appendKey(append(dst, flag(k.Lo.Open)), k.Lo.Tuple)
		dst = appendKey(append(dst, flag(k.Hi.Open)), k.Hi.Tuple)
		dst = binary.AppendUvarint(dst, uint64(k.Rows))
		dst = binary.AppendUvarint(dst, uint64(k.MaxRev))
	}
	return dst
}

func appendKey(dst []byte, k driver.Key) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(k)))
	return append(dst, k...)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// decodeCommitRequest reads a request. The writes share memory with it.
func decodeCommitRequest(s *driver.Schema, b []byte) (*driver.Commit, error) {
	d := decoder{b: b, ok: true}
	if f := d.byte(); d.ok && f != requestFormat {
		return nil, fmt.Errorf("commit request of format %d; this program reads format %d; run the same version on all nodes: %w", f, requestFormat, driver.ErrInvalid)
	}
	c := &driver.Commit{}
	load := d.flag()
	copy(c.ID[:], d.take(uint64(len(c.ID))))
	c.Read = d.rev()
	c.Checks = decodeChecks(&d, s)
	if load {
		c.Load = &driver.Load{}
		n := d.count(driver.MaxWrites, minChange)
		c.Load.Changes = make([]driver.Change, 0, n)
		for range n {
			c.Load.Changes = append(c.Load.Changes, d.change(s))
		}
	}
	n := d.count(driver.MaxWrites, minWrite)
	c.Writes = make([]driver.Write, 0, n)
	for range n {
		c.Writes = append(c.Writes, decodeWrite(&d, s, load))
	}
	switch {
	case !d.ok:
		return nil, fmt.Errorf("commit request is cut short or damaged: %w", driver.ErrCorrupt)
	case len(d.b) > 0:
		return nil, fmt.Errorf("commit request has %d bytes left: %w", len(d.b), driver.ErrCorrupt)
	}
	return c, nil
}

// decodeChecks reads what a transaction read; nothing of it is of use if the decoder
// is not ok afterwards.
func decodeChecks(d *decoder, s *driver.Schema) driver.Checks {
	var c driver.Checks
	if n := d.count(len(d.b), minRowCheck); n > 0 {
		c.Rows = make([]driver.RowCheck, n)
		for i := range c.Rows {
			c.Rows[i] = driver.RowCheck{Table: d.table(s), Key: d.key(), Rev: d.rev()}
		}
	}
	if n := d.count(len(d.b), minSpanCheck); n > 0 {
		c.Spans = make([]driver.SpanCheck, n)
		for i := range c.Spans {
			k := driver.SpanCheck{Table: d.table(s), Order: d.count(driver.MaxWrites, 0), Lo: d.bound(), Hi: d.bound()}
			k.Rows, k.MaxRev = int64(d.rev()), d.rev()
			d.ok = d.ok && k.Order <= len(k.Table.Indices)
			c.Spans[i] = k
		}
	}
	return c
}

// count reads a number that is at most limit, and of items that the rest has room
// for if each takes size bytes.
func (d *decoder) count(limit, size int) int {
	n := d.uvarint()
	if n > uint64(limit) || n*uint64(size) > uint64(len(d.b)) {
		d.ok, d.b = false, nil
		return 0
	}
	return int(n)
}

func (d *decoder) key() driver.Key { return driver.Key(d.take(d.uvarint())) }

func (d *decoder) bound() driver.Bound { return driver.Bound{Open: d.flag(), Tuple: d.key()} }

// rev reads a revision, or another number that is never negative.
func (d *decoder) rev() driver.Rev {
	v := driver.Rev(d.uvarint())
	d.ok = d.ok && v >= 0
	return v
}

// flag reads one byte that is 0 or 1.
func (d *decoder) flag() bool {
	b := d.byte()
	d.ok = d.ok && b <= 1
	return b == 1
}
