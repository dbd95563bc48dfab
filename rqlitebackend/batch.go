package rqlitebackend

import "trihold/repo/driver"

const (
	// maxBatchBytes bounds a batch, and with it the time that rqlite is held up.
	maxBatchBytes = 1 << 20
	// maxTogether is how many commits form one transaction: so many rows of
	// _trihold_changes fit into one element.
	maxTogether = 128
	// maxApart is how many commits go into a request in which each is a
	// transaction of its own: so many pairs of elements fit.
	maxApart = (maxElements - 1) / 2
)

// A batch is commits that may become one transaction: none of them has read or
// written what another one writes, and none has read a span of a table that
// another one writes to.
type batch struct {
	commits []*pending
	bytes   int
	written map[rowRef]struct{}
	read    map[rowRef]struct{}
	tables  map[*driver.Table]tableUse
}

type rowRef struct {
	table *driver.Table
	key   driver.Key
}

// A tableUse says what the commits of a batch do with a table as a whole.
type tableUse struct{ written, spanned bool }

func newBatch() *batch {
	return &batch{written: map[rowRef]struct{}{}, read: map[rowRef]struct{}{}, tables: map[*driver.Table]tableUse{}}
}

// full reports that a commit does not fit any more.
func (b *batch) full(p *pending) bool {
	return len(b.commits) == maxTogether || len(b.commits) > 0 && b.bytes+p.size > maxBatchBytes
}

// meets reports whether a commit has to do with what one of the batch writes, or
// the other way round.
func (b *batch) meets(c *driver.Commit) bool {
	for i := range c.Writes {
		w := &c.Writes[i]
		ref := rowRef{w.Table, w.Key}
		if has(b.written, ref) || has(b.read, ref) || b.tables[w.Table].spanned {
			return true
		}
	}
	for i := range c.Checks.Rows {
		if has(b.written, rowRef{c.Checks.Rows[i].Table, c.Checks.Rows[i].Key}) {
			return true
		}
	}
	for i := range c.Checks.Spans {
		if b.tables[c.Checks.Spans[i].Table].written {
			return true
		}
	}
	return false
}

func has(set map[rowRef]struct{}, ref rowRef) bool {
	_, ok := set[ref]
	return ok
}

func (b *batch) add(p *pending) {
	b.commits = append(b.commits, p)
	b.bytes += p.size
	for i := range p.commit.Writes {
		w := &p.commit.Writes[i]
		b.written[rowRef{w.Table, w.Key}] = struct{}{}
		use := b.tables[w.Table]
		use.written = true
		b.tables[w.Table] = use
	}
	for i := range p.commit.Checks.Rows {
		r := &p.commit.Checks.Rows[i]
		b.read[rowRef{r.Table, r.Key}] = struct{}{}
	}
	for i := range p.commit.Checks.Spans {
		t := p.commit.Checks.Spans[i].Table
		use := b.tables[t]
		use.spanned = true
		b.tables[t] = use
	}
}

// takeTogether splits the commits that wait into a batch and the rest. A commit
// that meets the batch is left waiting, and is doomed then: most likely it has read
// what the batch changes, and will be refused.
func takeTogether(waiting []*pending) (taken, rest []*pending) {
	if len(waiting) == 1 {
		return waiting, nil
	}
	b := newBatch()
	for i, p := range waiting {
		if b.full(p) {
			return b.commits, append(rest, waiting[i:]...)
		}
		if p.doomed = p.doomed || b.meets(p.commit); p.doomed || p.lonely {
			rest = append(rest, p)
			continue
		}
		b.add(p)
	}
	return b.commits, rest
}

// takeApart splits the commits that wait into those that are doomed, or all of
// them, as far as they fit into a request, and the rest.
func takeApart(waiting []*pending, all bool) (taken, rest []*pending) {
	bytes := 0
	for i, p := range waiting {
		switch {
		case len(taken) == maxApart || len(taken) > 0 && bytes+p.size > maxBatchBytes:
			return taken, append(rest, waiting[i:]...)
		case p.lonely:
			rest = append(rest, p)
		case all || p.doomed:
			taken = append(taken, p)
			bytes += p.size
		default:
			rest = append(rest, p)
		}
	}
	return taken, rest
}
