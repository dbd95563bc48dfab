package sqlstmt

import (
	"slices"

	"trihold/repo/driver"
)

func (t *table) compileWrites(rev RevSource) {
	columns := t.allColumns()
	t.insert = "INSERT INTO " + t.name + " (" + list(columns) + ") VALUES (" + marks(len(columns)-1) + ", " + rev.expr() + ")"
	t.put = t.insert + " ON CONFLICT (" + list(t.columns(t.def.Key)) + ") DO UPDATE SET " + list(t.assignments())
	t.delete = "DELETE FROM " + t.name + " WHERE " + t.keyEquals()
	t.compileKeep(rev)
}

// assignments are those of an upsert that replaces a row.
func (t *table) assignments() []string {
	var set []string
	for i, name := range t.allColumns() {
		if !slices.Contains(t.def.Key, i) {
			set = append(set, name+" = excluded."+name)
		}
	}
	return set
}

// compileKeep makes the update of a row whose index columns stay as they are. A
// put names all columns, and SQLite then deletes and inserts the entries of every
// index, changed or not.
func (t *table) compileKeep(rev RevSource) {
	if len(t.def.Indices) == 0 {
		return
	}
	var indexed []int
	for _, x := range t.def.Indices {
		indexed = append(indexed, x.Columns...)
	}
	indexed = slices.DeleteFunc(unrepeated(indexed), func(c int) bool { return slices.Contains(t.def.Key, c) })
	var set []string
	for i, c := range t.def.Columns {
		if !slices.Contains(t.def.Key, i) && !slices.Contains(indexed, i) {
			set = append(set, quote(c.Name)+" = ?")
			t.keepArgs = append(t.keepArgs, i)
		}
	}
	set = append(set, `"_rev" = `+rev.expr())
	if rev == Bound {
		t.keepArgs = append(t.keepArgs, len(t.def.Columns))
	}
	t.keep = "UPDATE " + t.name + t.walks[0].index + " SET " + list(set) + " WHERE " + t.keyEquals()
	for _, name := range t.columns(indexed) {
		t.keep += " AND +" + name + " IS ?" // the plus sign: not by this index
	}
	t.keepArgs = append(append(t.keepArgs, t.def.Key...), indexed...)
}

// unique reports whether the table has a unique index.
func (t *table) unique() bool {
	return slices.ContainsFunc(t.def.Indices, func(x *driver.Index) bool { return x.Unique })
}

// Writes appends the statements that apply the writes of a commit. The revision
// is used if the layout is Bound.
//
// Unique indices look at each statement, the contract at the result of the whole
// commit. So rows are removed before others are written, rows are changed before
// others are added, and where several rows of a table change, they are all
// removed first, because they may exchange values. A statement that fails then
// fails because of the result.
func (l *Layout) Writes(dst []Stmt, writes []driver.Write, rev driver.Rev) ([]Stmt, error) {
	if len(writes) == 1 {
		return l.write(dst, &writes[0], writes[0].Kind, rev)
	}
	puts := make([]int, len(l.tables))
	for i := range writes {
		if w := &writes[i]; w.Kind == driver.Put {
			puts[w.Table.ID]++
		}
	}
	rewritten := func(w *driver.Write) bool {
		return w.Kind == driver.Put && puts[w.Table.ID] > 1 && l.of(w.Table).unique()
	}
	var err error
	for i := range writes {
		if w := &writes[i]; w.Kind == driver.Delete || rewritten(w) {
			if dst, err = l.write(dst, w, driver.Delete, rev); err != nil {
				return nil, err
			}
		}
	}
	for _, kind := range [...]driver.WriteKind{driver.Put, driver.Insert} {
		for i := range writes {
			w := &writes[i]
			as := kind
			if rewritten(w) {
				as = driver.Insert
			}
			if w.Kind != kind {
				continue
			}
			if dst, err = l.write(dst, w, as, rev); err != nil {
				return nil, err
			}
		}
	}
	return dst, nil
}

// write appends one write, as a write of the given kind.
func (l *Layout) write(dst []Stmt, w *driver.Write, as driver.WriteKind, rev driver.Rev) ([]Stmt, error) {
	t := l.of(w.Table)
	if as == driver.Delete {
		args, err := appendKey(nil, w.Table, w.Key)
		return append(dst, Stmt{SQL: t.delete, Args: args, Write: w}), err
	}
	args, err := driver.RowValues(make([]driver.Value, 0, len(w.Table.Columns)+1), w.Table.Columns, w.Data)
	if err != nil {
		return nil, err
	}
	if l.rev == Bound {
		args = append(args, int64(rev))
	}
	text := t.put
	if as == driver.Insert {
		text = t.insert
	}
	st := Stmt{SQL: text, Args: args, Write: w}
	if l.rev == Bound {
		st.stamp = len(args)
	}
	return append(dst, st), nil
}

// Keep returns, for a statement that Writes has made, one that does the same at
// less cost if the row is there and the columns of its indices do not change.
// Otherwise it changes no row, and the statement itself must be executed. It
// reports false if there is none.
func (l *Layout) Keep(put Stmt) (Stmt, bool) {
	if put.Write == nil {
		return Stmt{}, false
	}
	t := l.of(put.Write.Table)
	if t.keep == "" || put.SQL != t.put {
		return Stmt{}, false
	}
	st := Stmt{SQL: t.keep, Args: make([]driver.Value, len(t.keepArgs)), Write: put.Write}
	for i, at := range t.keepArgs {
		st.Args[i] = put.Args[at]
		if at == put.stamp-1 {
			st.stamp = i + 1
		}
	}
	return st, true
}

// SetRev gives statements that Writes has made another revision, for those who
// make them before they know it.
func SetRev(statements []Stmt, rev driver.Rev) {
	stamp := driver.Value(int64(rev))
	for i := range statements {
		if st := &statements[i]; st.stamp > 0 {
			st.Args[st.stamp-1] = stamp
		}
	}
}

// Commit appends all that a commit does, in the order that it must have: its row
// of _trihold_changes, guards, writes. A commit that is sent again then fails
// because of its ID, and not because its own writes broke its checks.
func (l *Layout) Commit(dst []Stmt, c *driver.Commit, rev driver.Rev) ([]Stmt, error) {
	change, err := l.Change(c, rev)
	if err != nil {
		return nil, err
	}
	if dst, err = l.Guards(append(dst, change), &c.Checks); err != nil {
		return nil, err
	}
	return l.Writes(dst, c.Writes, rev)
}
