package migrate

import (
	"encoding/hex"
	"time"

	"trihold/internal/digest"
	"trihold/repo/driver"
)

// sums is what is known about the equality of the two sides: the digest of each
// table on each side, over the ranges that have been compared so far. Rows that are
// written later are taken out with their old value, and put in as they are read from
// each side afterwards; so the digests are those of the sides as they are now, and
// nothing is believed that was not read from the side itself.
type sums struct {
	table  int        // the table that is being compared
	key    driver.Key // up to where
	done   bool       // everything has been compared
	at     time.Time  // when it was done
	rev    driver.Rev // and at which revision
	writes int64      // commits since

	tables    []tableSums
	uncounted map[rowRef]bool // rows in compared ranges that are in no sum yet
	differing map[rowRef]bool
}

// tableSums are the digests of a table and the rows in them.
type tableSums struct {
	live, follower         digest.Sum
	liveRows, followerRows int64
}

// maxDiffering bounds the rows that are listed as different.
const maxDiffering = 1000

func newSums(s *driver.Schema) *sums {
	return &sums{tables: make([]tableSums, len(s.Tables)), uncounted: map[rowRef]bool{}, differing: map[rowRef]bool{}}
}

// compare takes in a range: the rows of both sides in order, but for those that are
// on their way.
func (s *sums) compare(t *driver.Table, live, follower []keyed, onTheWay map[driver.Key]bool) {
	for key := range onTheWay {
		s.uncounted[rowRef{t, key}] = true
	}
	for len(live) > 0 || len(follower) > 0 {
		var a, b stored
		var key driver.Key
		inLive := len(follower) == 0 || len(live) > 0 && live[0].key <= follower[0].key
		inFollower := len(live) == 0 || len(follower) > 0 && follower[0].key <= live[0].key
		if inLive {
			key, a, live = live[0].key, live[0].stored, live[1:]
		}
		if inFollower {
			key, b, follower = follower[0].key, follower[0].stored, follower[1:]
		}
		if onTheWay[key] {
			continue
		}
		s.add(rowRef{t, key}, a, b)
	}
}

// add puts a row as it is on each side into the sums.
func (s *sums) add(ref rowRef, live, follower stored) {
	ts := &s.tables[ref.table.ID]
	if live.rev != 0 {
		ts.live.Add(live.data)
		ts.liveRows++
	}
	if follower.rev != 0 {
		ts.follower.Add(follower.data)
		ts.followerRows++
	}
	if live.equal(follower) {
		delete(s.differing, ref)
	} else if len(s.differing) < maxDiffering {
		s.differing[ref] = true
	}
}

// counted reports whether a row is in the sums, or would be if it were there.
func (s *sums) counted(ref rowRef) bool {
	behind := ref.table.ID > s.table || ref.table.ID == s.table && ref.key > s.key
	return (s.done || !behind) && !s.uncounted[ref]
}

// replace takes in rows that were written: what the follower had before, what was
// read from the live store, and what was then read from the follower.
func (s *sums) replace(refs []rowRef, before, live, after []stored, commits int) {
	s.writes += int64(commits)
	for i, ref := range refs {
		known := s.counted(ref)
		if !known && !s.uncounted[ref] {
			continue // its range has not been compared yet
		}
		if known && before[i].rev != 0 {
			ts := &s.tables[ref.table.ID]
			ts.live.Remove(before[i].data)
			ts.follower.Remove(before[i].data)
			ts.liveRows--
			ts.followerRows--
		}
		if live[i].late {
			s.uncounted[ref] = true
			continue
		}
		delete(s.uncounted, ref)
		s.add(ref, live[i], after[i])
	}
}

// equal reports whether everything has been compared and found equal.
func (s *sums) equal() bool {
	if s == nil || !s.done || len(s.uncounted) > 0 || len(s.differing) > 0 {
		return false
	}
	for _, t := range s.tables {
		if t.live != t.follower || t.liveRows != t.followerRows {
			return false
		}
	}
	return true
}

// swap exchanges the sides.
func (s *sums) swap() {
	for i := range s.tables {
		t := &s.tables[i]
		t.live, t.follower = t.follower, t.live
		t.liveRows, t.followerRows = t.followerRows, t.liveRows
	}
}

// digests returns the digests of the tables of one side.
func (s *sums) digests(schema *driver.Schema, live bool) []TableDigest {
	out := make([]TableDigest, len(s.tables))
	for i, t := range s.tables {
		out[i] = TableDigest{Table: schema.Tables[i].Name, Rows: t.followerRows, Sum: hex.EncodeToString(t.follower[:])}
		if live {
			out[i].Rows, out[i].Sum = t.liveRows, hex.EncodeToString(t.live[:])
		}
	}
	return out
}
