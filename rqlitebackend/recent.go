package rqlitebackend

import "trihold/repo/driver"

const (
	// maxRecent is how many rows one half of a recent holds.
	maxRecent = 4096
	// maxRecentWrites is the number of writes from which on a commit is not noted.
	maxRecentWrites = 64
)

// A recent remembers which rows this store has written lately, and so which
// commits have read something that is no more. It may forget.
type recent struct {
	now, before map[rowRef]driver.Rev
}

// note remembers what an accepted commit has written.
func (r *recent) note(c *driver.Commit, rev driver.Rev) {
	if len(c.Writes) > maxRecentWrites {
		return
	}
	if len(r.now) >= maxRecent || r.now == nil {
		r.now, r.before = make(map[rowRef]driver.Rev, maxRecent), r.now
	}
	for i := range c.Writes {
		ref := rowRef{c.Writes[i].Table, c.Writes[i].Key}
		r.now[ref] = max(r.now[ref], rev)
	}
}

// overtaken reports that a commit has read a row that was written since.
func (r *recent) overtaken(c *driver.Commit) bool {
	for i := range c.Checks.Rows {
		check := &c.Checks.Rows[i]
		ref := rowRef{check.Table, check.Key}
		if max(r.now[ref], r.before[ref]) > check.Rev {
			return true
		}
	}
	return false
}
