package sqlstmt

import (
	"slices"
	"strings"

	"trihold/repo/driver"
)

// A model holds the rows of one table by key and does what the contract says, in
// the most obvious way.
type model struct {
	def  *driver.Table
	rows map[driver.Key]modelRow
}

type modelRow struct {
	values []driver.Value
	rev    driver.Rev
}

func newModel(def *driver.Table) *model {
	return &model{def: def, rows: map[driver.Key]modelRow{}}
}

// scan returns the rows of a span.
func (m *model) scan(t fataler, s driver.Span) []modelRow {
	type keyed struct {
		key driver.Key
		row modelRow
	}
	var found []keyed
	for _, r := range m.rows {
		if k := keyOf(t, m.def, s.Order, r.values); within(k, s) {
			found = append(found, keyed{k, r})
		}
	}
	slices.SortFunc(found, func(a, b keyed) int { return strings.Compare(string(a.key), string(b.key)) })
	if s.Reverse {
		slices.Reverse(found)
	}
	if s.Limit > 0 && len(found) > s.Limit {
		found = found[:s.Limit]
	}
	out := make([]modelRow, len(found))
	for i, f := range found {
		out[i] = f.row
	}
	return out
}

func within(k driver.Key, s driver.Span) bool {
	if lo := s.Lo.Tuple; lo != "" {
		begins := strings.HasPrefix(string(k), string(lo))
		if k < lo || begins && s.Lo.Open {
			return false
		}
	}
	if hi := s.Hi.Tuple; hi != "" {
		begins := strings.HasPrefix(string(k), string(hi))
		if begins && s.Hi.Open || !begins && k > hi {
			return false
		}
	}
	return true
}

// commit applies the writes, or reports why it does not.
func (m *model) commit(t fataler, writes []driver.Write, rev driver.Rev) error {
	next := map[driver.Key]modelRow{}
	for k, r := range m.rows {
		next[k] = r
	}
	for _, w := range writes {
		_, taken := m.rows[w.Key]
		switch {
		case w.Kind == driver.Delete:
			delete(next, w.Key)
			continue
		case w.Kind == driver.Insert && taken:
			return driver.ErrExists
		}
		values, err := driver.RowValues(nil, m.def.Columns, w.Data)
		if err != nil {
			t.Fatalf("row: %v", err)
		}
		next[w.Key] = modelRow{values, rev}
	}
	for _, x := range m.def.Indices {
		if x.Unique && !distinct(next, x.Columns) {
			return driver.ErrExists
		}
	}
	m.rows = next
	return nil
}

// distinct reports whether no two rows have the same values, none of them NULL,
// in the given columns.
func distinct(rows map[driver.Key]modelRow, columns []int) bool {
	var seen [][]driver.Value
	for _, r := range rows {
		var values []driver.Value
		for _, c := range columns {
			values = append(values, r.values[c])
		}
		if slices.Contains(values, nil) {
			continue
		}
		for _, other := range seen {
			if slices.CompareFunc(values, other, compare) == 0 {
				return false
			}
		}
		seen = append(seen, values)
	}
	return true
}
