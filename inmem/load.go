package inmem

import (
	"encoding/binary"
	"fmt"

	"trihold/repo/driver"
)

// A load is a batch of its own. Its journal entry:
//
//	format, 1 byte
//	number of changes, uvarint; each as in a snapshot file
//	number of writes, uvarint
//	for each write
//	    kind, 1 byte; table, uvarint
//	    length of the key, uvarint; key
//	    unless it is a delete: revision, uvarint; length of the row, uvarint; row
//
// It holds the load as it was sent. What that does to the state depends on the
// state before it, and is worked out again, with the same outcome, at recovery.

// segmentOverhead is more than what a log file holds besides its one entry.
const segmentOverhead = 16 << 10

// prepareLoad completes a load, and refuses one that is not sound in itself.
func (s *Store) prepareLoad(p *prepared) error {
	c := p.commit
	if n := len(c.Load.Changes); n > driver.MaxWrites {
		return driver.Failed("load", driver.ErrTooLarge, fmt.Errorf("%d changes, the limit is %d", n, driver.MaxWrites))
	}
	for i, change := range c.Load.Changes {
		if first := c.Load.Changes[0].Rev; first < 1 || change.Rev != first+driver.Rev(i) {
			return driver.Failed("load", driver.ErrInvalid, fmt.Errorf("change %d has revision %d, the first one has %d", i, change.Rev, first))
		}
	}
	for i := range c.Writes {
		if w := &c.Writes[i]; w.Kind != driver.Delete && w.Rev < 1 {
			return &driver.Error{Op: "load", Table: w.Table.Name, Key: w.Table.FormatKey(w.Key), Kind: driver.ErrInvalid, Cause: fmt.Errorf("the row has no revision")}
		}
	}
	if s.c.Class == driver.Memory {
		return nil
	}
	p.entry = appendLoad(c, s.reserve)
	if limit := s.c.SegmentBytes - segmentOverhead; int64(len(p.entry)) > limit {
		return driver.Failed("load", driver.ErrTooLarge, fmt.Errorf("%d bytes with the keys of its changes, a log file takes %d", len(p.entry), limit))
	}
	return nil
}

// appendLoad returns the journal entry of a load, behind some reserved bytes.
func appendLoad(c *driver.Commit, reserve int) []byte {
	b := make([]byte, reserve, reserve+c.Size()+32*len(c.Writes)+64*len(c.Load.Changes))
	b = append(b, loadFormat)
	b = binary.AppendUvarint(b, uint64(len(c.Load.Changes)))
	for _, change := range c.Load.Changes {
		b = appendChange(b, change)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Writes)))
	for i := range c.Writes {
		b = appendWrite(b, &c.Writes[i], true)
	}
	return b
}

// decodeLoad reads what follows the format in the journal entry of a load.
func decodeLoad(d *decoder, s *driver.Schema) *driver.Commit {
	c := &driver.Commit{Load: &driver.Load{}}
	for range d.uvarint() {
		if !d.ok {
			return c
		}
		c.Load.Changes = append(c.Load.Changes, d.change(s))
	}
	for range d.uvarint() {
		if !d.ok {
			return c
		}
		c.Writes = append(c.Writes, decodeWrite(d, s, true))
	}
	return c
}

// decideLoad validates a load and applies it to the working state, which is that
// of an empty batch.
func (c *committer) decideLoad(r *request) (driver.Rev, error) {
	if err := c.work.check(r.commit); err != nil {
		return 0, err
	}
	if c.work.fence == nil && r.fence == nil {
		return 0, driver.Failed("load", driver.ErrInvalid, fmt.Errorf("the store has no fence, and the load puts none up"))
	}
	if err := c.work.follows(r.commit.Load); err != nil {
		return 0, driver.Failed("load", driver.ErrInvalid, err)
	}
	c.work.applyLoad(r.prepared, c.store.schema.State)
	for _, change := range r.commit.Load.Changes {
		c.record(change)
	}
	c.batch.entry = append(c.batch.entry[:0], r.entry...)
	c.accepted++
	c.closed = true
	return c.work.rev, nil
}

// follows returns an error if there is a gap between the latest commit and those
// of a load.
func (s *state) follows(l *driver.Load) error {
	if len(l.Changes) == 0 || s.rev == 0 || l.Changes[0].Rev == s.rev+1 {
		return nil
	}
	return fmt.Errorf("revision %d is loaded into a store that is at %d", l.Changes[0].Rev, s.rev)
}

// applyLoad applies a validated load.
func (s *state) applyLoad(p *prepared, stateTable *driver.Table) {
	if n := len(p.commit.Load.Changes); n > 0 {
		s.rev = p.commit.Load.Changes[n-1].Rev
	}
	s.loaded = s.rev
	for i := range p.rows {
		pr := &p.rows[i]
		w := pr.write
		if old := s.tables[w.Table.ID].get(w.Key); old != nil && old.rev >= w.Rev && pr.value != nil && w.Table != stateTable {
			continue
		}
		t := s.touch(w.Table.ID)
		t.displace(pr)
		var next *row
		if pr.value != nil {
			next = &row{rev: w.Rev, value: pr.value}
		}
		t.write(w.Key, next)
		t.rev = max(t.rev, s.rev, w.Rev)
	}
	s.setFence(p)
}

// displace deletes the other rows that hold what a row has in unique indices.
func (t *table) displace(pr *preparedRow) {
	for x, values := range pr.unique {
		if values == "" {
			continue
		}
		bound := driver.Bound{Tuple: values}
		for held := range t.walk(driver.Span{Table: t.def, Order: x + 1, Lo: bound, Hi: bound, Limit: 1}) {
			key := driver.Key(t.def.AppendKey(nil, 0, held.value))
			if key != pr.write.Key {
				t.write(key, nil)
			}
			break
		}
	}
}
