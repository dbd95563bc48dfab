package sqlstmt

import (
	"fmt"
	"strings"

	"trihold/repo/driver"
)

// A Stmt is one statement and the arguments of its placeholders, in order.
type Stmt struct {
	SQL  string
	Args []driver.Value
	// Write is the write of the commit that the statement is about, if there is
	// one.
	Write *driver.Write
	// stamp is the position of the revision among the arguments, counted from
	// one; zero if it is not there.
	stamp int
}

// RevSource says where a statement that writes gets the revision from.
type RevSource int

const (
	// Bound: the caller knows the revision; it is an argument.
	Bound RevSource = iota
	// Latest: the row of _trihold_changes is inserted first and assigns the
	// revision; later statements of the transaction read it from there.
	Latest
)

// expr returns the revision as an expression.
func (r RevSource) expr() string {
	if r == Latest {
		return `(SELECT max("rev") FROM "_trihold_changes")`
	}
	return "?"
}

// A Layout is a schema as SQL. It is safe for concurrent use.
type Layout struct {
	schema *driver.Schema
	rev    RevSource
	tables []*table
}

// maxOrderColumns is the number of columns that the order of a table or index
// may have; a bound's NULLs are told apart by one machine word.
const maxOrderColumns = 64

// New compiles a schema. It fails with ErrInvalid if SQLite cannot hold the
// schema.
func New(s *driver.Schema, rev RevSource) (*Layout, error) {
	l := &Layout{schema: s, rev: rev}
	for _, t := range s.Stored() {
		if strings.HasPrefix(strings.ToLower(t.Name), "sqlite_") {
			return nil, fmt.Errorf("table %s: SQLite keeps names that begin with sqlite_ for itself; rename the table: %w", t.Name, driver.ErrInvalid)
		}
		for order := range len(t.Indices) + 1 {
			if n := len(t.OrderColumns(order)); n > maxOrderColumns {
				return nil, fmt.Errorf("table %s: an order over %d columns, the limit is %d: %w", t.Name, n, maxOrderColumns, driver.ErrInvalid)
			}
		}
		l.tables = append(l.tables, newTable(t, rev))
	}
	return l, nil
}

// Schema returns the schema that the layout is of.
func (l *Layout) Schema() *driver.Schema { return l.schema }

// of returns the compiled form of a table of the schema.
func (l *Layout) of(t *driver.Table) *table { return l.tables[t.ID] }

// A table is a table of the schema with its texts.
type table struct {
	def   *driver.Table
	name  string  // quoted
	rowid int     // the key column that is SQLite's rowid, or -1
	walks []*walk // by order

	get, keyRev         string
	insert, put, delete string
	keep                string // empty if the table has no index
	keepArgs            []int  // their positions among those of put
	guard               string

	older string                 // the delete of rows that a load has later revisions of; empty if it is not needed
	load  [len(loadSizes)]string // the upsert of so many rows of a load
}

func newTable(def *driver.Table, rev RevSource) *table {
	t := &table{def: def, name: quote(def.Name), rowid: -1}
	if len(def.Key) == 1 && sqlType(def.Columns[def.Key[0]].Kind) == "INTEGER" {
		t.rowid = def.Key[0]
	}
	for order := range len(def.Indices) + 1 {
		t.walks = append(t.walks, newWalk(t, order))
	}
	t.compileReads()
	t.compileWrites(rev)
	t.compileGuard()
	t.compileLoad()
	return t
}

// columns returns the quoted names of columns.
func (t *table) columns(at []int) []string {
	names := make([]string, len(at))
	for i, c := range at {
		names[i] = quote(t.def.Columns[c].Name)
	}
	return names
}

// allColumns returns the quoted names of all columns, _rev last.
func (t *table) allColumns() []string {
	names := make([]string, 0, len(t.def.Columns)+1)
	for _, c := range t.def.Columns {
		names = append(names, quote(c.Name))
	}
	return append(names, `"_rev"`)
}

// keyEquals is the condition that finds one row by its key.
func (t *table) keyEquals() string {
	terms := t.columns(t.def.Key)
	for i := range terms {
		terms[i] += " = ?"
	}
	return strings.Join(terms, " AND ")
}

// quote makes a name an identifier, whatever keyword it may be.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// list returns the names separated by commas.
func list(names []string) string { return strings.Join(names, ", ") }

// marks returns n placeholders separated by commas.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// sqlType returns the type of the columns that hold a kind.
func sqlType(k driver.Kind) string {
	switch k {
	case driver.Bool, driver.Int, driver.Time:
		return "INTEGER"
	case driver.Float:
		return "REAL"
	case driver.Bytes:
		return "BLOB"
	}
	return "TEXT"
}
