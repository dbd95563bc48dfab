package sqlstmt

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"trihold/repo/driver"
)

// loadSizes are how many rows or changes one statement of a load may have.
var loadSizes = [...]int{32, 4, 1}

var loadChanges = func() (texts [len(loadSizes)]string) {
	for i, n := range loadSizes {
		texts[i] = ChangeInsert(n)
	}
	return texts
}()

// compileLoad makes the upserts of a load. Which rows are left alone is decided by
// the primary key alone. DO UPDATE would fail where other rows hold the values of
// a unique index, so rows of a table with such an index are removed first if they
// are to be written, and those that are left by then are later ones.
func (t *table) compileLoad() {
	columns := t.allColumns()
	row := "(" + marks(len(columns)) + ")"
	key := " ON CONFLICT (" + list(t.columns(t.def.Key)) + ") DO "
	into, otherwise := "INSERT INTO ", key+"UPDATE SET "+list(t.assignments())
	switch {
	case t.def.Name == driver.StateTable: // written as told
	case t.unique():
		own := t.columns(t.def.Key)
		for i := range own {
			own[i] = t.name + "." + own[i]
		}
		into, otherwise = "INSERT OR REPLACE INTO ", key+"NOTHING"
		t.older = fmt.Sprintf(`DELETE FROM %s WHERE (%s) IN (SELECT %s FROM json_each(?) AS "_trihold_read" JOIN %s%s ON %s WHERE %s."_rev" < "_trihold_read"."value" ->> %d)`,
			t.name, list(t.columns(t.def.Key)), list(own), t.name, t.walks[0].index, t.keyIsRead(), t.name, len(t.def.Key))
	default:
		otherwise += ` WHERE excluded."_rev" > ` + t.name + `."_rev"`
	}
	for i, n := range loadSizes {
		t.load[i] = into + t.name + " (" + list(columns) + ") VALUES " + row + strings.Repeat(", "+row, n-1) + otherwise
	}
}

// Load appends the statements of a commit that is a load, in the order that they
// must have: guards, the changes behind the fence, the state, deletes, and then
// upserts, those of each table in the order of the commit. A load that cannot be
// one is ErrInvalid.
func (l *Layout) Load(dst []Stmt, c *driver.Commit) ([]Stmt, error) {
	fence, _, err := l.schema.FenceOf(c.Writes)
	if err == nil {
		err = sound(c)
	}
	if err == nil {
		dst, err = l.Guards(dst, &c.Checks)
	}
	if err != nil {
		return nil, err
	}
	if fence == nil {
		dst = append(dst, Stmt{SQL: fencedGuard})
	}
	if dst, err = loadHistory(dst, c.Load.Changes); err != nil {
		return nil, err
	}
	for i := range c.Writes {
		if w := &c.Writes[i]; w.Kind == driver.Delete {
			if dst, err = l.write(dst, w, driver.Delete, 0); err != nil {
				return nil, err
			}
		}
	}
	rows := make([][]*driver.Write, len(l.tables))
	for i := range c.Writes {
		if w := &c.Writes[i]; w.Kind != driver.Delete {
			rows[w.Table.ID] = append(rows[w.Table.ID], w)
		}
	}
	for id := len(rows) - 1; id >= 0; id-- { // the state is the last table
		if dst, err = l.tables[id].loadRows(dst, rows[id]); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// sound returns what is wrong with a load, whatever is in the store.
func sound(c *driver.Commit) error {
	for i := range c.Writes {
		if w := &c.Writes[i]; w.Kind != driver.Delete && w.Rev <= 0 {
			return driver.Failed("load", driver.ErrInvalid, fmt.Errorf("a row of table %s without a revision", w.Table.Name))
		}
	}
	changes := c.Load.Changes
	for i := range changes {
		if rev := changes[i].Rev; rev <= 0 || rev != changes[0].Rev+driver.Rev(i) {
			return driver.Failed("load", driver.ErrInvalid, fmt.Errorf("change %d has revision %d, the first one has %d", i, rev, changes[0].Rev))
		}
	}
	return nil
}

// loadHistory appends what records the changes of a load.
func loadHistory(dst []Stmt, changes []driver.Change) ([]Stmt, error) {
	if len(changes) == 0 {
		return dst, nil
	}
	dst = append(dst, Stmt{SQL: continuesGuard, Args: []driver.Value{int64(changes[0].Rev)}}, Stmt{SQL: FenceLift})
	for i, n := range loadSizes {
		for ; len(changes) >= n; changes = changes[n:] {
			args := make([]driver.Value, 0, 3*n)
			for _, c := range changes[:n] {
				touched, err := AppendTouchedKeys(nil, c.Keys)
				if err != nil {
					return nil, err
				}
				args = append(args, int64(c.Rev), slices.Clone(c.ID[:]), string(touched))
			}
			dst = append(dst, Stmt{SQL: loadChanges[i], Args: args})
		}
	}
	return append(dst, Stmt{SQL: FenceLower}), nil
}

// loadRows appends the upserts of rows.
func (t *table) loadRows(dst []Stmt, rows []*driver.Write) ([]Stmt, error) {
	if len(rows) == 0 {
		return dst, nil
	}
	if t.older != "" {
		older, err := t.olderThan(rows)
		if err != nil {
			return nil, err
		}
		dst = append(dst, older)
	}
	for i, n := range loadSizes {
		for ; len(rows) >= n; rows = rows[n:] {
			args := make([]driver.Value, 0, n*(len(t.def.Columns)+1))
			for _, w := range rows[:n] {
				var err error
				if args, err = driver.RowValues(args, t.def.Columns, w.Data); err != nil {
					return nil, errors.Join(driver.Failed("load", driver.ErrInvalid, nil), err)
				}
				args = append(args, int64(w.Rev))
			}
			dst = append(dst, Stmt{SQL: t.load[i], Args: args})
		}
	}
	return dst, nil
}

// olderThan returns the delete of the rows that have lower revisions.
func (t *table) olderThan(rows []*driver.Write) (Stmt, error) {
	array := []byte{'['}
	for i, w := range rows {
		if i > 0 {
			array = append(array, ',')
		}
		var err error
		if array, err = appendKeyJSON(append(array, '['), t.def, w.Key); err != nil {
			return Stmt{}, err
		}
		array = strconv.AppendInt(append(array, ','), int64(w.Rev), 10)
		array = append(array, ']')
	}
	return Stmt{SQL: t.older, Args: []driver.Value{string(append(array, ']'))}}, nil
}
