// Package sqlstmt turns a schema, the reads of a snapshot and the commits of
// the contract into SQL statements for SQLite. Both SQL backends use it, so that
// a database of one can be loaded into the other. It is pure: it executes
// nothing.
//
// # The nouns
//
// A [Layout] is a schema as SQL: its tables, and every statement over them, with
// the texts compiled once. A [Stmt] is one text with the arguments of its
// placeholders, all of them positional. A guard is a check as a statement that
// fails if the check does not hold.
//
// # The layout
//
// Each table of the schema is one STRICT table with one column per field, in
// order, and a last column _rev:
//
//	Bool, Int, Time  INTEGER  (false is 0; time is microseconds since 1970, UTC)
//	Float            REAL
//	Text, JSON       TEXT
//	Bytes            BLOB
//
// The primary key is the table's primary key. A plain index holds its columns
// and then those of the key, because that is the order of the contract, and one
// walk of the index must give it; where the key is SQLite's own rowid, every
// index ends with it anyway. A unique index holds its columns only.
//
// Tables are rowid tables: rows of a kilobyte would not fit well into the index
// pages of a WITHOUT ROWID table.
//
// These things are added:
//
//	_trihold_meta     what the store is: format, schema, identity
//	_trihold_state    the state of the contract, a table like those of the schema
//	_trihold_changes  one row per commit: revision, ID, and the keys it touched
//	_trihold_guard    a view; what is inserted into it fails as a conflict
//	_trihold_load     a view; what is inserted into it fails as an invalid load
//	_trihold_fence    a trigger; while there is a fence, it refuses new changes
//
// A row of _trihold_changes is at once the revision counter (SQLite assigns the
// highest revision plus one), the memory of commit IDs (id is unique), and the
// record of the change (touched, JSON that a person can read). The oldest rows may
// be deleted, the newest never; so a revision is not assigned twice, without the
// page that AUTOINCREMENT would write for each commit.
//
// # Caveats
//
// Statements name the index that they walk (INDEXED BY), so that statistics or a
// hand-made index cannot turn a walk into a sort. SQLite compares a row value
// that holds NULL as unknown, and NULL sorts first; so a span over nullable
// columns may become a UNION ALL of a few walks, which SQLite merges in order
// without sorting.
//
// The statements need SQLite 3.41 or later; the tables can be read by 3.37.
package sqlstmt
