package sqlstmt

import (
	"slices"
	"strings"

	"trihold/repo/driver"
)

// Format names the layout of this package. It is the value of MetaFormat.
const Format = "trihold-sql-1"

// Keys of _trihold_meta.
const (
	MetaFormat = "format" // Format
	MetaSchema = "schema" // driver.Schema.Describe
	MetaStore  = "store"  // an identity, chosen at random when the store was made
)

// Texts over _trihold_meta.
const (
	MetaGet = `SELECT "value" FROM "_trihold_meta" WHERE "key" = ?`
	MetaPut = `INSERT INTO "_trihold_meta" ("key", "value") VALUES (?, ?) ON CONFLICT ("key") DO UPDATE SET "value" = excluded."value"`
)

// Messages of the triggers.
const (
	conflict = "trihold:conflict" // a guard that fails
	moved    = "trihold:moved"    // a commit that meets the fence
	gap      = "trihold:gap"      // a load whose changes do not continue the store
	unfenced = "trihold:unfenced" // a load of a store without a fence
)

// bookkeeping is what every store has. The message of the trigger is a constant:
// before version 3.47 SQLite could not parse anything else there, and a person
// with an older shell could not open the file.
var bookkeeping = []string{
	`CREATE TABLE IF NOT EXISTS "_trihold_meta" (
  "key" TEXT PRIMARY KEY NOT NULL,
  "value" TEXT NOT NULL
) STRICT`,
	`CREATE TABLE IF NOT EXISTS "_trihold_changes" (
  "rev" INTEGER PRIMARY KEY,
  "id" BLOB NOT NULL UNIQUE,
  "touched" TEXT NOT NULL
) STRICT`,
	`CREATE VIEW IF NOT EXISTS "_trihold_guard" ("broken") AS SELECT 0 WHERE 0`,
	`CREATE TRIGGER IF NOT EXISTS "_trihold_guard_insert" INSTEAD OF INSERT ON "_trihold_guard"
BEGIN
  SELECT RAISE(ABORT, '` + conflict + `');
END`,
	`CREATE VIEW IF NOT EXISTS "_trihold_load" ("fault") AS SELECT 0 WHERE 0`,
	`CREATE TRIGGER IF NOT EXISTS "_trihold_load_insert" INSTEAD OF INSERT ON "_trihold_load"
BEGIN
  SELECT CASE NEW."fault" WHEN 1 THEN RAISE(ABORT, '` + gap + `') ELSE RAISE(ABORT, '` + unfenced + `') END;
END`,
}

// fenceTrigger makes the fence hold whoever records a commit, and from whichever
// revision on: a store that is being filled may have a fence that is far ahead of
// its changes. It comes after the insert, so that a commit that is already there
// fails because of its ID.
const fenceTrigger = `CREATE TRIGGER IF NOT EXISTS "_trihold_fence" AFTER INSERT ON "_trihold_changes"
WHEN EXISTS (SELECT 1 FROM "_trihold_state" WHERE "name" = 'fence')
BEGIN
  SELECT RAISE(ABORT, '` + moved + `');
END`

// Create returns the statements that make the tables and indices. Executing
// them again changes nothing.
func (l *Layout) Create() []string {
	all := slices.Clone(bookkeeping)
	for _, t := range l.tables {
		all = append(all, t.create())
		for order := range t.def.Indices {
			all = append(all, t.createIndex(order+1))
		}
	}
	return append(all, fenceTrigger)
}

// create returns the statement that makes the table. A key of one INTEGER column
// becomes the rowid.
func (t *table) create() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE IF NOT EXISTS " + t.name + " (\n")
	for _, c := range t.def.Columns {
		b.WriteString("  " + quote(c.Name) + " " + sqlType(c.Kind))
		if !c.Nullable {
			b.WriteString(" NOT NULL")
		}
		b.WriteString(",\n")
	}
	b.WriteString("  \"_rev\" INTEGER NOT NULL,\n")
	b.WriteString("  PRIMARY KEY (" + list(t.columns(t.def.Key)) + ")\n) STRICT")
	return b.String()
}

// createIndex returns the statement that makes the index of an order.
func (t *table) createIndex(order int) string {
	x := t.def.Indices[order-1]
	at := unrepeated(x.Columns)
	unique := ""
	switch {
	case x.Unique:
		unique = "UNIQUE "
	case t.rowid < 0:
		at = unrepeated(append(slices.Clone(x.Columns), t.def.Key...))
	}
	return "CREATE " + unique + "INDEX IF NOT EXISTS " + quote(x.Name) + " ON " + t.name + " (" + list(t.columns(at)) + ")"
}

// unrepeated returns the columns without those that came before: sorting by one
// of them again changes nothing.
func unrepeated(at []int) []int {
	var out []int
	for _, c := range at {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// orderColumns returns the positions of the columns of an order.
func orderColumns(t *driver.Table, order int) []int {
	if order == 0 {
		return t.Key
	}
	return append(slices.Clone(t.Indices[order-1].Columns), t.Key...)
}
