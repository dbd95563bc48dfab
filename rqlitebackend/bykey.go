package rqlitebackend

import (
	"errors"
	"strings"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A rowsByKey is reads of single rows of one table, which one statement does.
type rowsByKey struct {
	table *driver.Table
	reads map[driver.Key][]*read
	keys  []*read // one for each key
}

// addByKey adds a read of a row to the reads of its table.
func addByKey(tables []*rowsByKey, rd *read) []*rowsByKey {
	var t *rowsByKey
	for _, t = range tables {
		if t.table == rd.table {
			break
		}
	}
	if t == nil || t.table != rd.table {
		t = &rowsByKey{table: rd.table, reads: map[driver.Key][]*read{}}
		tables = append(tables, t)
	}
	if t.reads[rd.key] == nil {
		t.keys = append(t.keys, rd)
	}
	t.reads[rd.key] = append(t.reads[rd.key], rd)
	return tables
}

// statement returns the statement that reads the rows.
func (t *rowsByKey) statement() sqlstmt.Stmt {
	key := quoted(t.table, t.table.Key)
	column, row, values := key[0], "?", ""
	if len(key) > 1 {
		column, row, values = "("+strings.Join(key, ",")+")", marks(len(key)), "VALUES "
	}
	names := make([]int, len(t.table.Columns))
	for i := range names {
		names[i] = i
	}
	st := sqlstmt.Stmt{SQL: "SELECT " + strings.Join(quoted(t.table, names), ",") + `,"_rev" FROM ` + quote(t.table.Name) +
		" WHERE " + column + " IN (" + values + row + strings.Repeat(","+row, len(t.keys)-1) + ")"}
	for _, rd := range t.keys {
		st.Args = append(st.Args, rd.Args...)
	}
	return st
}

// deliver gives each read its row, if it is there.
func (t *rowsByKey) deliver(r result) {
	err := judgeRead(r.failed())
	for _, row := range r.rows {
		key, keyErr := t.keyOf(row)
		if keyErr != nil {
			err = keyErr
			break
		}
		for _, rd := range t.reads[key] {
			rd.rows = [][]driver.Value{row}
		}
	}
	for _, same := range t.reads {
		for _, rd := range same {
			rd.err = err
		}
	}
}

// keyOf returns the primary key of a row, which is one that was asked for.
func (t *rowsByKey) keyOf(row []driver.Value) (driver.Key, error) {
	var key []byte
	for _, c := range t.table.Key {
		var err error
		if key, err = driver.AppendKeyValue(key, t.table.Columns[c], row[c]); err != nil {
			return "", err
		}
	}
	if t.reads[driver.Key(key)] == nil {
		return "", driver.Failed("read", driver.ErrCorrupt, errors.New("rqlite answered with a row that was not asked for"))
	}
	return driver.Key(key), nil
}
