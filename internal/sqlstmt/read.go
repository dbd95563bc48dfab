package sqlstmt

import (
	"fmt"

	"trihold/repo/driver"
)

func (t *table) compileReads() {
	where := " FROM " + t.name + " WHERE " + t.keyEquals()
	t.get = "SELECT " + list(t.allColumns()) + where
	t.keyRev = `SELECT "_rev"` + where
}

// Get returns the statement that reads the row with the given key: its columns
// in order, then _rev. Arguments are appended to args.
func (l *Layout) Get(args []driver.Value, t *driver.Table, key driver.Key) (Stmt, error) {
	return l.byKey(l.of(t).get, args, t, key)
}

// KeyRev returns the statement that reads the revision of the row with the given
// key. Arguments are appended to args.
func (l *Layout) KeyRev(args []driver.Value, t *driver.Table, key driver.Key) (Stmt, error) {
	return l.byKey(l.of(t).keyRev, args, t, key)
}

func (l *Layout) byKey(text string, args []driver.Value, t *driver.Table, key driver.Key) (Stmt, error) {
	args, err := appendKey(args, t, key)
	return Stmt{SQL: text, Args: args}, err
}

// appendKey appends the column values of a primary key.
func appendKey(args []driver.Value, t *driver.Table, key driver.Key) ([]driver.Value, error) {
	values, err := driver.KeyValues(t.OrderColumns(0), key)
	if err != nil {
		return nil, err
	}
	if len(values) != len(t.Key) {
		return nil, fmt.Errorf("key of table %s has %d of %d columns: %w", t.Name, len(values), len(t.Key), driver.ErrInvalid)
	}
	return append(args, values...), nil
}

// Row makes a row of what Get and Scan select.
func (l *Layout) Row(t *driver.Table, selected []driver.Value) (driver.Row, error) {
	n := len(t.Columns)
	if len(selected) != n+1 {
		return driver.Row{}, fmt.Errorf("table %s: %d values for %d columns: %w", t.Name, len(selected), n+1, driver.ErrCorrupt)
	}
	rev, ok := selected[n].(int64)
	if !ok || rev <= 0 {
		return driver.Row{}, fmt.Errorf("table %s: a row has revision %v: %w", t.Name, selected[n], driver.ErrCorrupt)
	}
	data, err := driver.AppendValues(make([]byte, 0, rowSize(selected)), t.Columns, selected[:n])
	if err != nil {
		return driver.Row{}, fmt.Errorf("table %s: %w", t.Name, err)
	}
	return driver.Row{Rev: driver.Rev(rev), Data: data}, nil
}

// rowSize returns about as many bytes as the canonical form of a row needs.
func rowSize(values []driver.Value) int {
	size := 10 * len(values)
	for _, v := range values {
		switch x := v.(type) {
		case string:
			size += len(x)
		case []byte:
			size += len(x)
		}
	}
	return size
}
