package sqlstmt

import (
	"slices"

	"trihold/repo/driver"
)

// A cond is a conjunction of terms and what they bind.
type cond struct {
	terms []string
	args  []source
}

func (c cond) and(d cond) cond {
	return cond{slices.Concat(c.terms, d.terms), slices.Concat(c.args, d.args)}
}

// A segmenter splits a span into segments: conditions that SQLite can each
// satisfy by one walk of the index, in ascending order.
//
// Most spans are one segment, a comparison of row values such as
// (a, b) > (?, ?). Row values have two limits in SQLite. One that meets a NULL
// compares as unknown, so a lower bound by row values excludes the NULLs below
// it, which is right, but an upper bound excludes them too, which is wrong; and
// no bound can hold a NULL itself. And a walk does not use the rowid as a part of
// a row value. The spans concerned are split at the column where that happens:
// one segment for the rows that share the values before it, one for the others.
type segmenter struct {
	*walk
	shape shape
}

// between returns the segments between the columns at..loN of the lower bound
// and at..hiN of the upper one. Rows have the same values in the columns before
// at, and the bounds differ in column at, or one of them does not reach it.
func (w segmenter) between(at, loN, hiN int) []cond {
	low, low1 := w.above(at, loN)
	if hiN <= at {
		return append(low, low1)
	}
	var segments []cond
	if w.columns[at].Nullable && len(low1.terms) == 0 {
		if w.shape.hi.null(at) {
			return w.belowNull(at, hiN)
		}
		segments = append(segments, w.isNull(at))
	}
	high1, high := w.below(at, hiN)
	segments = append(append(low, segments...), low1.and(high1))
	return append(segments, high...)
}

// above returns the segments of the rows above the lower bound; the last one is
// not bounded from above by its equal columns.
func (w segmenter) above(at, n int) (low []cond, last cond) {
	if n <= at {
		return nil, cond{}
	}
	e := w.shape.lo
	null := min(e.firstNull(at), n)
	split := w.rowValue(at, null, false)
	switch {
	case split < null: // at a rowid
		low = w.inside(w.equal(at, split, false), w.between(split, n, 0))
		return low, w.compare(at, split, ">", false)
	case null == n && e.open:
		return nil, w.compare(at, n, ">", false)
	case null == n:
		return nil, w.compare(at, n, ">=", false)
	case null < n-1:
		head := w.equal(at, null, false).and(w.isNull(null))
		low = w.inside(head, w.between(null+1, n, 0))
	case !e.open: // from the NULLs of the last column on: from all its rows on
		return nil, w.compare(at, null, ">=", false)
	}
	return low, w.notNull(at, null)
}

// below returns the segments of the rows below the upper bound, whose value in
// column at is not NULL; the first one is not bounded from below.
func (w segmenter) below(at, n int) (first cond, high []cond) {
	split := w.rowValue(at, n, true)
	if split < n {
		high = w.inside(w.equal(at, split, true), w.between(split, 0, n))
		return w.compare(at, split, "<", true), high
	}
	if w.shape.hi.open {
		return w.compare(at, n, "<", true), nil
	}
	return w.compare(at, n, "<=", true), nil
}

// belowNull returns the segments of the rows below an upper bound that is NULL
// in column at.
func (w segmenter) belowNull(at, n int) []cond {
	switch {
	case n > at+1:
		return w.inside(w.isNull(at), w.between(at+1, 0, n))
	case w.shape.hi.open:
		return nil
	}
	return []cond{w.isNull(at)}
}

// rowValue returns how far a row value that begins at column at may reach: to
// the next column that is the rowid or, if nullable counts, that may be NULL.
func (w segmenter) rowValue(at, n int, nullable bool) int {
	for i := at + 1; i < n; i++ {
		if w.rowid[i] || nullable && w.columns[i].Nullable {
			return i
		}
	}
	return n
}

func (w segmenter) inside(head cond, segments []cond) []cond {
	for i := range segments {
		segments[i] = head.and(segments[i])
	}
	return segments
}

// equal is: the columns from..to have the values of a bound.
func (w segmenter) equal(from, to int, hi bool) cond {
	e := w.shape.lo
	if hi {
		e = w.shape.hi
	}
	var c cond
	for i := from; i < to; i++ {
		if e.null(i) {
			c = c.and(w.isNull(i))
			continue
		}
		c.terms = append(c.terms, w.names[i]+" = ?")
		c.args = append(c.args, source{hi, i})
	}
	return c
}

func (w segmenter) isNull(i int) cond { return cond{terms: []string{w.names[i] + " IS NULL"}} }

// compare compares the columns from..to, none of them NULL, with a bound.
func (w segmenter) compare(from, to int, op string, hi bool) cond {
	if from == to {
		return cond{}
	}
	var c cond
	for i := from; i < to; i++ {
		c.args = append(c.args, source{hi, i})
	}
	if to-from == 1 {
		c.terms = []string{w.names[from] + " " + op + " ?"}
	} else {
		c.terms = []string{"(" + list(w.names[from:to]) + ") " + op + " (" + marks(to-from) + ")"}
	}
	return c
}

// notNull is: the columns from..null are above the lower bound, which is NULL in
// its column null, without sharing its values up to and with that column. The
// lowest value of the type stands for "not NULL", which SQLite would not take as
// a bound of a walk.
func (w segmenter) notNull(from, null int) cond {
	lowest := lowestOf(w.columns[null].Kind)
	if from == null {
		return cond{terms: []string{w.names[null] + " >= " + lowest}}
	}
	c := w.compare(from, null, ">=", false)
	c.terms = []string{"(" + list(w.names[from:null+1]) + ") >= (" + marks(null-from) + ", " + lowest + ")"}
	return c
}

// lowestOf returns the lowest value of the columns that hold a kind.
func lowestOf(k driver.Kind) string {
	switch sqlType(k) {
	case "INTEGER":
		return "-9223372036854775808"
	case "BLOB":
		return "x''"
	}
	return "''"
}
