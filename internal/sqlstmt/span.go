package sqlstmt

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"trihold/repo/driver"
)

// Scan returns the statement that reads the rows of a span in its order: the
// columns of each, then _rev. It reports false if the span cannot hold a row;
// then there is nothing to execute. Arguments are appended to args.
func (l *Layout) Scan(args []driver.Value, s driver.Span) (st Stmt, some bool, err error) {
	f := rowsForward
	if s.Reverse {
		f = rowsReverse
	}
	st, some, err = l.span(args, f, s)
	if !some || err != nil {
		return st, false, err
	}
	limit := int64(-1) // none
	if s.Limit > 0 {
		limit = int64(s.Limit)
	}
	st.Args = append(st.Args, limit)
	return st, true, nil
}

// Sum returns the statement that reads what a span check is about: the number of
// rows and the highest revision, zero if there are none. It reports false if the
// span cannot hold a row. Arguments are appended to args.
func (l *Layout) Sum(args []driver.Value, s driver.Span) (st Stmt, some bool, err error) {
	return l.span(args, sum, s)
}

func (l *Layout) span(args []driver.Value, f form, s driver.Span) (st Stmt, some bool, err error) {
	w := l.of(s.Table).walks[s.Order]
	lo, loOpen, err := w.bound(s.Lo, false)
	if err != nil {
		return Stmt{}, false, err
	}
	hi, hiOpen, err := w.bound(s.Hi, true)
	if err != nil {
		return Stmt{}, false, err
	}
	sh := shape{form: f, lo: edgeOf(lo, loOpen), hi: edgeOf(hi, hiOpen)}
	for sh.common < min(len(lo), len(hi)) && compare(lo[sh.common], hi[sh.common]) == 0 {
		sh.common++
	}
	if contradict(sh, lo, hi) {
		return Stmt{}, false, nil
	}
	t := w.text(sh)
	if t.sql == "" {
		return Stmt{}, false, nil
	}
	for _, a := range t.args {
		if a.hi {
			args = append(args, hi[a.at])
		} else {
			args = append(args, lo[a.at])
		}
	}
	return Stmt{SQL: t.sql, Args: args}, true, nil
}

// bound decodes a bound into values of the walk's columns. The contract's order
// may name a column twice, first for the index and then for the key; the walk has
// it once. Where it comes again it has the same value, unless the bound is one
// that no row can meet exactly: then that place decides.
func (w *walk) bound(b driver.Bound, hi bool) (values []driver.Value, open bool, err error) {
	if b.Tuple == "" {
		return nil, false, nil
	}
	all, err := driver.KeyValues(w.order, b.Tuple)
	if err != nil {
		return nil, false, fmt.Errorf("bound of a span of table %s: %w", w.table.def.Name, err)
	}
	if len(w.order) == len(w.columns) {
		return all, b.Open, nil
	}
	for i, v := range all {
		at := w.at[i]
		if at == len(values) {
			values = append(values, v)
			continue
		}
		if c := compare(values[at], v); c != 0 {
			return values, c < 0 != hi, nil
		}
	}
	return values, b.Open, nil
}

func edgeOf(values []driver.Value, open bool) edge {
	e := edge{n: len(values), open: open && len(values) > 0}
	for i, v := range values {
		if v == nil {
			e.nulls |= 1 << i
		}
	}
	return e
}

// contradict reports whether no row can lie between the bounds.
func contradict(s shape, lo, hi []driver.Value) bool {
	switch {
	case s.common < min(len(lo), len(hi)):
		return compare(lo[s.common], hi[s.common]) > 0
	case len(hi) > 0 && s.common == len(lo) && s.lo.open:
		return true
	}
	return len(lo) > 0 && s.common == len(hi) && s.hi.open
}

// compare orders two values of one column, as keys are ordered.
func compare(a, b driver.Value) int {
	switch x := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
	}
	return 1
}
