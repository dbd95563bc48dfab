package repotest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"trihold/repo/driver"
)

// A modelState is the rows at one revision. It is never modified.
type modelState struct {
	rev  driver.Rev
	rows map[*driver.Table]map[driver.Key]modelRow
}

// A modelRow is a row in every form that somebody asks for.
type modelRow struct {
	key    driver.Key
	rev    driver.Rev
	data   []byte
	live   any
	values []driver.Value // of the columns
}

// check returns ErrConflict for the first check that does not hold.
func (s modelState) check(checks driver.Checks) error {
	for _, c := range checks.Rows {
		if s.rows[c.Table][c.Key].rev != c.Rev {
			return &driver.Error{Op: "commit", Table: c.Table.Name, Key: c.Table.FormatKey(c.Key), Kind: driver.ErrConflict}
		}
	}
	for _, c := range checks.Spans {
		var count int64
		var highest driver.Rev
		for _, r := range s.scan(c.Span()) {
			count, highest = count+1, max(highest, r.rev)
		}
		if count != c.Rows || highest != c.MaxRev {
			return &driver.Error{Op: "commit", Table: c.Table.Name, Kind: driver.ErrConflict}
		}
	}
	return nil
}

// apply returns the state after a commit.
func (s modelState) apply(writes []driver.Write) (modelState, error) {
	next := modelState{rev: s.rev + 1, rows: map[*driver.Table]map[driver.Key]modelRow{}}
	maps.Copy(next.rows, s.rows)
	written := map[*driver.Table]bool{}
	for _, w := range writes {
		if !written[w.Table] {
			written[w.Table] = true
			next.rows[w.Table] = map[driver.Key]modelRow{}
			maps.Copy(next.rows[w.Table], s.rows[w.Table])
		}
		rows := next.rows[w.Table]
		if w.Kind == driver.Delete {
			delete(rows, w.Key)
			continue
		}
		if _, taken := rows[w.Key]; taken && w.Kind == driver.Insert {
			return s, &driver.Error{Op: "commit", Table: w.Table.Name, Key: w.Table.FormatKey(w.Key), Kind: driver.ErrExists}
		}
		row, err := newModelRow(w, next.rev)
		if err != nil {
			return s, err
		}
		rows[w.Key] = row
	}
	for t := range written {
		for _, x := range t.Indices {
			if err := next.mustBeUnique(t, x); err != nil {
				return s, err
			}
		}
	}
	return next, nil
}

// load returns the state after the writes of a load.
func (s modelState) load(state *driver.Table, writes []driver.Write) (modelState, error) {
	next := modelState{rev: s.rev, rows: map[*driver.Table]map[driver.Key]modelRow{}}
	for t, rows := range s.rows {
		next.rows[t] = maps.Clone(rows)
	}
	for _, w := range writes {
		if next.rows[w.Table] == nil {
			next.rows[w.Table] = map[driver.Key]modelRow{}
		}
		rows := next.rows[w.Table]
		switch {
		case w.Kind == driver.Delete:
			delete(rows, w.Key)
		case w.Table == state || rows[w.Key].rev < w.Rev:
			row, err := newModelRow(w, w.Rev)
			if err != nil {
				return s, err
			}
			next.displace(w.Table, row)
			rows[w.Key] = row
		}
	}
	return next, nil
}

// displace deletes the other rows with the values, none of them NULL, that a row
// has in a unique index.
func (s modelState) displace(t *driver.Table, row modelRow) {
	for _, x := range t.Indices {
		values := pickValues(row.values, x.Columns)
		if !x.Unique || hasNull(values) {
			continue
		}
		maps.DeleteFunc(s.rows[t], func(key driver.Key, other modelRow) bool {
			return key != row.key && compareValues(pickValues(other.values, x.Columns), values) == 0
		})
	}
}

func newModelRow(w driver.Write, rev driver.Rev) (modelRow, error) {
	data := slices.Clone(w.Data)
	values, err := driver.RowValues(nil, w.Table.Columns, data)
	if err != nil {
		return modelRow{}, err
	}
	live, err := w.Table.Decode(data)
	return modelRow{key: w.Key, rev: rev, data: data, live: live, values: values}, err
}

// mustBeUnique returns ErrExists if two rows have the same values, none of them
// NULL, of a unique index.
func (s modelState) mustBeUnique(t *driver.Table, x *driver.Index) error {
	if !x.Unique {
		return nil
	}
	var tuples [][]driver.Value
	for _, r := range s.rows[t] {
		if tuple := pickValues(r.values, x.Columns); !hasNull(tuple) {
			tuples = append(tuples, tuple)
		}
	}
	slices.SortFunc(tuples, compareValues)
	for i := range tuples[min(1, len(tuples)):] {
		if compareValues(tuples[i], tuples[i+1]) == 0 {
			return &driver.Error{Op: "commit", Table: t.Name, Index: t.IndexColumnNames(x), Kind: driver.ErrExists}
		}
	}
	return nil
}

func hasNull(values []driver.Value) bool {
	return slices.ContainsFunc(values, func(v driver.Value) bool { return v == nil })
}

// scan returns the rows of a span, in its order.
func (s modelState) scan(span driver.Span) []modelRow {
	order := slices.Clone(span.Table.Key)
	if span.Order > 0 {
		order = append(slices.Clone(span.Table.Indices[span.Order-1].Columns), order...)
	}
	cols := span.Table.OrderColumns(span.Order)
	lo, hi := boundValues(cols, span.Lo), boundValues(cols, span.Hi)
	var found []modelRow
	for _, r := range s.rows[span.Table] {
		at := pickValues(r.values, order)
		fromLo := compareValues(at[:len(lo)], lo)
		fromHi := compareValues(at[:len(hi)], hi)
		if fromLo < 0 || fromHi > 0 || span.Lo.Open && fromLo == 0 || span.Hi.Open && fromHi == 0 {
			continue
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b modelRow) int {
		return compareValues(pickValues(a.values, order), pickValues(b.values, order))
	})
	if span.Reverse {
		slices.Reverse(found)
	}
	if span.Limit < 0 {
		panic("model: a negative limit")
	}
	if span.Limit > 0 && len(found) > span.Limit {
		found = found[:span.Limit]
	}
	return found
}

func boundValues(cols []driver.Column, b driver.Bound) []driver.Value {
	values, err := driver.KeyValues(cols, b.Tuple)
	if err != nil {
		panic(fmt.Sprintf("model: a bound that is not a tuple: %v", err))
	}
	return values
}

func pickValues(values []driver.Value, at []int) []driver.Value {
	out := make([]driver.Value, len(at))
	for i, c := range at {
		out[i] = values[c]
	}
	return out
}

// compareValues compares two tuples of equal length.
func compareValues(a, b []driver.Value) int {
	for i := range a {
		if c := compareValue(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareValue(a, b driver.Value) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case int64:
		return cmp.Compare(x, b.(int64))
	case string:
		return strings.Compare(x, b.(string))
	case []byte:
		return strings.Compare(string(x), string(b.([]byte)))
	}
	panic(fmt.Sprintf("model: a %T cannot be part of a key", a))
}
