package sqlitebackend

import "trihold/repo/driver"

// recent remembers which rows the latest commits wrote, so that most checks need
// no SQL: a row that was not written since it was read is as it was. It belongs
// to the writer.
type recent struct {
	// since: every write of a later commit is remembered.
	since driver.Rev
	// rows holds the last write to each row written since then.
	rows map[rowRef]lastWrite
	// log holds the same writes in order, as a ring; the oldest is at first.
	log   []written
	first int
	limit int // of the writes that are remembered
	// floor is the least that since may be; see distrust.
	floor driver.Rev
	// tables holds the revision that last wrote to each table, by ID.
	tables []driver.Rev
}

type rowRef struct {
	table int
	key   driver.Key
}

type lastWrite struct {
	rev  driver.Rev
	gone bool // it was a delete
}

type written struct {
	row rowRef
	rev driver.Rev
}

// maxRecent bounds the writes that are remembered. The commits that are in
// flight at any time write far fewer rows.
const maxRecent = 1 << 14

func newRecent(tables int, rev driver.Rev) *recent {
	c := &recent{tables: make([]driver.Rev, tables), limit: maxRecent}
	c.reset(rev)
	return c
}

// reset forgets everything up to rev.
func (c *recent) reset(rev driver.Rev) {
	rev = max(rev, c.floor)
	c.since = rev
	c.rows = make(map[rowRef]lastWrite)
	c.log, c.first = nil, 0
	for i := range c.tables {
		c.tables[i] = rev
	}
}

// distrust forgets everything, and lets no check pass unseen that was read before
// rev: rows may have changed without a commit.
func (c *recent) distrust(rev driver.Rev) {
	c.floor = rev
	c.reset(rev)
}

// reaches reports whether every write since rev was read is remembered.
func (c *recent) reaches(rev driver.Rev) bool { return rev >= c.since }

// add remembers the writes of a commit.
func (c *recent) add(writes []driver.Write, rev driver.Rev) {
	for i := range writes {
		w := &writes[i]
		ref := rowRef{w.Table.ID, w.Key}
		c.rows[ref] = lastWrite{rev: rev, gone: w.Kind == driver.Delete}
		c.tables[w.Table.ID] = rev
		next := written{ref, rev}
		if len(c.log) < c.limit {
			c.log = append(c.log, next)
			continue
		}
		c.forget(c.log[c.first])
		c.log[c.first] = next
		c.first = (c.first + 1) % len(c.log)
	}
}

// forget drops the oldest write. The row may have been written again since.
func (c *recent) forget(w written) {
	c.since = w.rev
	if c.rows[w.row].rev == w.rev {
		delete(c.rows, w.row)
	}
}

// rowHolds decides a check of a row, if it can.
func (c *recent) rowHolds(read driver.Rev, check *driver.RowCheck) (holds, known bool) {
	if last, ok := c.rows[rowRef{check.Table.ID, check.Key}]; ok {
		is := last.rev
		if last.gone {
			is = 0
		}
		return is == check.Rev, true
	}
	if !c.reaches(read) || check.Rev > read {
		return false, false
	}
	return true, true // it has not been written since it was read
}

// spanHolds reports whether a check of a span holds because nothing in it has
// been written since it was read. If not, it may still hold.
func (c *recent) spanHolds(read driver.Rev, check *driver.SpanCheck) bool {
	if check.MaxRev > read {
		return false
	}
	if c.tables[check.Table.ID] <= read {
		return true
	}
	if !c.reaches(read) || check.Order != 0 {
		return false
	}
	lo, hi := check.Span().Range()
	for i := len(c.log) - 1; i >= 0; i-- {
		w := c.log[(c.first+i)%len(c.log)]
		if w.rev <= read {
			break
		}
		if w.row.table == check.Table.ID && w.row.key >= lo && (hi == "" || w.row.key < hi) {
			return false
		}
	}
	return true
}
