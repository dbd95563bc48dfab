package sqlstmt

import (
	"slices"
	"strings"
	"sync"

	"trihold/repo/driver"
)

// A walk is one order of a table with the texts over it.
type walk struct {
	table   *table
	order   []driver.Column // as in the contract
	at      []int           // for each of them, its position in columns
	columns []driver.Column // each once
	names   []string        // their quoted names
	rowid   []bool          // which of them are the rowid
	index   string          // the clause that names the index, or empty
	forward string          // ORDER BY
	reverse string

	mu    sync.RWMutex
	texts map[shape]*text // guarded by mu
}

// maxTexts bounds the texts that one order remembers. The shapes of a program's
// spans are few; only NULLs here and there in the bounds of many nullable
// columns could make more.
const maxTexts = 256

func newWalk(t *table, order int) *walk {
	w := &walk{table: t, order: t.def.OrderColumns(order), texts: map[shape]*text{}}
	all := orderColumns(t.def, order)
	once := unrepeated(all)
	for _, c := range all {
		w.at = append(w.at, slices.Index(once, c))
	}
	for _, c := range once {
		w.columns = append(w.columns, t.def.Columns[c])
		w.rowid = append(w.rowid, c == t.rowid)
	}
	w.names = t.columns(once)
	switch {
	case w.rowid[0]: // whatever index it is, its order is that of the rowid
	case order == 0:
		w.index = " INDEXED BY " + quote("sqlite_autoindex_"+t.def.Name+"_1")
	default:
		w.index = " INDEXED BY " + quote(t.def.Indices[order-1].Name)
	}
	w.forward = " ORDER BY " + list(w.names)
	w.reverse = " ORDER BY " + strings.Join(w.names, " DESC, ") + " DESC"
	return w
}

// A shape is all that the text over a span depends on.
type shape struct {
	form   form
	lo, hi edge
	common int // so many first columns have the same values in both bounds
}

// A form says what is selected from a span.
type form uint8

const (
	rowsForward form = iota
	rowsReverse
	sum      // the number of rows and the highest revision
	sumGuard // a guard that they are the arguments
)

// An edge is the shape of a bound.
type edge struct {
	n     int    // number of columns
	open  bool   // the rows that begin with the tuple are excluded
	nulls uint64 // bit i: the value of column i is NULL
}

func (e edge) null(i int) bool { return e.nulls>>i&1 == 1 }

// firstNull returns the position of the first NULL from at on, or e.n.
func (e edge) firstNull(at int) int {
	for at < e.n && !e.null(at) {
		at++
	}
	return at
}

// A text is a compiled statement: where its arguments come from, up to those
// that its form adds.
type text struct {
	sql  string // empty if no row can be in such a span: nothing is below NULL
	args []source
}

// A source is a value of one of the bounds.
type source struct {
	hi bool
	at int
}

// text returns the text for a shape.
func (w *walk) text(s shape) *text {
	w.mu.RLock()
	t := w.texts[s]
	w.mu.RUnlock()
	if t != nil {
		return t
	}
	t = w.compile(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.texts) < maxTexts {
		w.texts[s] = t
	}
	return t
}

// compile makes a text. Where a span is several segments, SQLite merges them in
// order; each is one walk of the index.
func (w *walk) compile(s shape) *text {
	segments := segmenter{w, s}.between(s.common, s.lo.n, s.hi.n)
	equal := segmenter{w, s}.equal(0, s.common, false)
	columns := list(w.table.allColumns())
	if s.form >= sum {
		columns = `"_rev"`
		if len(segments) == 1 {
			columns = `count(*), coalesce(max("_rev"), 0)`
		}
	}
	var parts []string
	t := &text{}
	for _, seg := range segments {
		seg = equal.and(seg)
		part := "SELECT " + columns + " FROM " + w.table.name
		if len(seg.terms) > 0 {
			part += w.index + " WHERE " + strings.Join(seg.terms, " AND ")
		} else if s.form < sum {
			part += w.index
		}
		parts = append(parts, part)
		t.args = append(t.args, seg.args...)
	}
	if len(parts) > 0 {
		t.sql = w.finish(s.form, parts)
	}
	return t
}

// finish puts the segments together.
func (w *walk) finish(f form, segments []string) string {
	all := strings.Join(segments, " UNION ALL ")
	switch f {
	case rowsForward:
		return all + w.forward + " LIMIT ?"
	case rowsReverse:
		return all + w.reverse + " LIMIT ?"
	}
	if len(segments) > 1 {
		all = `SELECT count(*), coalesce(max("_rev"), 0) FROM (` + all + ")"
	}
	if f == sum {
		return all
	}
	return `INSERT INTO "_trihold_guard" SELECT 1 WHERE (` + all + ") IS NOT (?, ?)"
}
