package rqlitebackend

import (
	"slices"
	"strconv"
	"strings"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A bulk is writes that may be executed in any order: at most one for a row, and
// none to a table with a unique index, where one write may have to make room for
// another. It writes many rows with one statement.
type bulk struct {
	groups []*bulkGroup
}

// A bulkGroup is the writes of one kind to one table.
type bulkGroup struct {
	table *driver.Table
	kind  driver.WriteKind
	rows  []bulkRow
}

type bulkRow struct {
	write  *driver.Write
	behind int // how far its revision is behind the latest one
}

// take takes those writes of a commit that may be executed in any order, and
// returns the others.
func (b *bulk) take(writes []driver.Write, behind int) (inOrder []driver.Write) {
	for i := range writes {
		w := &writes[i]
		if hasUnique(w.Table) {
			inOrder = append(inOrder, *w)
			continue
		}
		g := b.group(w.Table, w.Kind)
		g.rows = append(g.rows, bulkRow{w, behind})
	}
	return inOrder
}

func hasUnique(t *driver.Table) bool {
	return slices.ContainsFunc(t.Indices, func(x *driver.Index) bool { return x.Unique })
}

func (b *bulk) group(t *driver.Table, kind driver.WriteKind) *bulkGroup {
	for _, g := range b.groups {
		if g.table == t && g.kind == kind {
			return g
		}
	}
	b.groups = append(b.groups, &bulkGroup{table: t, kind: kind})
	return b.groups[len(b.groups)-1]
}

// minBulk is the number of rows from which on one statement for all of them costs
// less than one for each: about 70 us and 2.5 us for a row, against 20 us each.
const minBulk = 4

// statements returns the statements that do it.
func (b *bulk) statements(l *sqlstmt.Layout) ([]sqlstmt.Stmt, error) {
	var all []sqlstmt.Stmt
	for _, g := range b.groups {
		if len(g.rows) < minBulk {
			for _, r := range g.rows {
				writes, err := l.Writes(nil, []driver.Write{*r.write}, 0)
				if err != nil {
					return nil, err
				}
				all = append(all, behindLatest(writes, r.behind)...)
			}
			continue
		}
		head, row, tail := g.text()
		most := max(1, (maxElementSQL-len(head)-len(tail))/(len(row)+1))
		for rows := range slices.Chunk(g.rows, most) {
			st := sqlstmt.Stmt{SQL: head + row + strings.Repeat(","+row, len(rows)-1) + tail}
			for _, r := range rows {
				var err error
				if st.Args, err = g.appendArgs(st.Args, r); err != nil {
					return nil, err
				}
			}
			all = append(all, st)
		}
	}
	return all, nil
}

// latestExpr is how statements of a sqlstmt.Latest layout read the revision.
const latestExpr = `(SELECT max("rev") FROM "_trihold_changes")`

// behindLatest makes statements write a revision that is not the latest one.
func behindLatest(statements []sqlstmt.Stmt, behind int) []sqlstmt.Stmt {
	if behind > 0 {
		for i := range statements {
			st := &statements[i]
			st.SQL = strings.Replace(st.SQL, latestExpr, latestExpr+"-"+strconv.Itoa(behind), 1)
		}
	}
	return statements
}

// text returns the parts of a statement: what comes before the rows, one row, and
// what comes after them.
func (g *bulkGroup) text() (head, row, tail string) {
	key := quoted(g.table, g.table.Key)
	if g.kind == driver.Delete {
		if len(key) == 1 {
			return "DELETE FROM " + quote(g.table.Name) + " WHERE " + key[0] + " IN (", "?", ")"
		}
		return "DELETE FROM " + quote(g.table.Name) + " WHERE (" + strings.Join(key, ",") + ") IN (VALUES ", marks(len(key)), ")"
	}
	columns := make([]int, len(g.table.Columns))
	values := make([]string, len(columns))
	for i := range columns {
		columns[i] = i
		values[i] = "column" + strconv.Itoa(i+1)
	}
	names := quoted(g.table, columns)
	head = "INSERT INTO " + quote(g.table.Name) + " (" + strings.Join(names, ",") + `,"_rev") SELECT ` +
		strings.Join(values, ",") + "," + latestExpr + "-column" + strconv.Itoa(len(columns)+1) + " FROM (VALUES "
	row = marks(len(columns) + 1)
	tail = ") WHERE 1"
	if g.kind == driver.Put {
		set := []string{`"_rev"=excluded."_rev"`}
		for i, name := range names {
			if !slices.Contains(g.table.Key, i) {
				set = append(set, name+"=excluded."+name)
			}
		}
		tail += " ON CONFLICT (" + strings.Join(key, ",") + ") DO UPDATE SET " + strings.Join(set, ",")
	}
	return head, row, tail
}

// appendArgs appends the arguments of one row.
func (g *bulkGroup) appendArgs(args []driver.Value, r bulkRow) ([]driver.Value, error) {
	if g.kind == driver.Delete {
		values, err := driver.KeyValues(g.table.OrderColumns(0), r.write.Key)
		return append(args, values...), err
	}
	args, err := driver.RowValues(args, g.table.Columns, r.write.Data)
	return append(args, int64(r.behind)), err
}

// marks returns a row of n placeholders.
func marks(n int) string { return "(" + strings.Repeat("?,", n-1) + "?)" }

func quote(name string) string { return `"` + name + `"` }

// quoted returns the quoted names of columns.
func quoted(t *driver.Table, at []int) []string {
	names := make([]string, len(at))
	for i, c := range at {
		names[i] = quote(t.Columns[c].Name)
	}
	return names
}
