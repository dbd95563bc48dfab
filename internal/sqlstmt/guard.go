package sqlstmt

import (
	"fmt"
	"strconv"
	"strings"

	"trihold/repo/driver"
)

// compileGuard makes the guard over any number of rows of the table. Its
// argument is a JSON array that holds, for each row, the columns of its key and
// its revision, null if it must be absent.
func (t *table) compileGuard() {
	t.guard = fmt.Sprintf(`INSERT INTO "_trihold_guard" SELECT 1 FROM json_each(?) AS "_trihold_read" LEFT JOIN %s%s ON %s WHERE %s."_rev" IS NOT "_trihold_read"."value" ->> %d`,
		t.name, t.walks[0].index, t.keyIsRead(), t.name, len(t.def.Key))
}

// keyIsRead is the condition that a row has the key at the beginning of an element
// of a JSON array, which is called _trihold_read.
func (t *table) keyIsRead() string {
	on := make([]string, len(t.def.Key))
	for i, name := range t.columns(t.def.Key) {
		value := fmt.Sprintf(`"_trihold_read"."value" ->> %d`, i)
		if t.def.Columns[t.def.Key[i]].Kind == driver.Bytes {
			value = "unhex(" + value + ")"
		}
		on[i] = t.name + "." + name + " = " + value
	}
	return strings.Join(on, " AND ")
}

// Guards appends a guard for each table of which rows were read, and for each
// span. A guard that does not hold fails with a message that Refusal turns into
// ErrConflict.
func (l *Layout) Guards(dst []Stmt, c *driver.Checks) ([]Stmt, error) {
	rows := map[int][]byte{}
	for i := range c.Rows {
		r := &c.Rows[i]
		array, err := appendRead(rows[r.Table.ID], r)
		if err != nil {
			return nil, err
		}
		rows[r.Table.ID] = array
	}
	for id, t := range l.tables {
		if array := rows[id]; array != nil {
			dst = append(dst, Stmt{SQL: t.guard, Args: []driver.Value{string(append(array, ']'))}})
		}
	}
	for i := range c.Spans {
		s := &c.Spans[i]
		st, some, err := l.span(nil, sumGuard, s.Span())
		if err != nil {
			return nil, err
		}
		if !some {
			if s.Rows != 0 {
				return nil, fmt.Errorf("check of table %s: %d rows were read from a span that cannot hold any: %w", s.Table.Name, s.Rows, driver.ErrInvalid)
			}
			continue
		}
		st.Args = append(st.Args, s.Rows, int64(s.MaxRev))
		dst = append(dst, st)
	}
	return dst, nil
}

// appendRead appends a row that was read to the argument of a guard, without the
// closing bracket of the array.
func appendRead(array []byte, r *driver.RowCheck) ([]byte, error) {
	if array == nil {
		array = append(array, '[')
	} else {
		array = append(array, ',')
	}
	array = append(array, '[')
	array, err := appendKeyJSON(array, r.Table, r.Key)
	if err != nil {
		return nil, err
	}
	if r.Rev == 0 {
		return append(array, ",null]"...), nil
	}
	array = append(array, ',')
	array = strconv.AppendInt(array, int64(r.Rev), 10)
	return append(array, ']'), nil
}
