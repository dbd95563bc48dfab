package sqlstmt

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"testing"

	_ "modernc.org/sqlite"
	"pgregory.net/rapid"

	"trihold/repo/driver"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A failure prints its seed; no files.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// exampleSchema has every kind, key and index that texts depend on.
func exampleSchema() *driver.Schema {
	return driver.NewSchema(
		&driver.Table{
			Name: "runs",
			Columns: []driver.Column{
				{Name: "id", Kind: driver.Text},
				{Name: "channel", Kind: driver.Text},
				{Name: "number", Kind: driver.Int},
				{Name: "parent", Kind: driver.Text, Nullable: true},
				{Name: "weight", Kind: driver.Float},
				{Name: "tags", Kind: driver.JSON},
				{Name: "created", Kind: driver.Time},
			},
			Key: []int{0},
			Indices: []*driver.Index{
				{Name: "runs_channel_number", Columns: []int{1, 2}, Unique: true},
				{Name: "runs_channel_created", Columns: []int{1, 6}},
				{Name: "runs_parent", Columns: []int{3}},
			},
		},
		&driver.Table{
			Name: "order", // a keyword
			Columns: []driver.Column{
				{Name: "id", Kind: driver.Int},
				{Name: "group", Kind: driver.Bool},
				{Name: "due", Kind: driver.Time, Nullable: true},
			},
			Key: []int{0},
			Indices: []*driver.Index{
				{Name: "order_group_due", Columns: []int{1, 2}},
				{Name: "order_due", Columns: []int{2}, Unique: true},
			},
		},
		&driver.Table{
			Name: "steps",
			Columns: []driver.Column{
				{Name: "note", Kind: driver.Text, Nullable: true},
				{Name: "run", Kind: driver.Bytes},
				{Name: "step", Kind: driver.Int},
			},
			Key:     []int{1, 2},
			Indices: []*driver.Index{{Name: "steps_step", Columns: []int{2}}},
		},
	)
}

// openDB returns an empty database in memory with one connection.
func openDB(t testing.TB) *sql.DB {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

func mustExec(t fataler, db execer, statements ...Stmt) {
	t.Helper()
	for _, st := range statements {
		if _, err := db.Exec(st.SQL, anys(st.Args)...); err != nil {
			t.Fatalf("%s %v: %v", st.SQL, st.Args, err)
		}
	}
}

func create(t fataler, db execer, l *Layout) {
	t.Helper()
	for _, text := range l.Create() {
		mustExec(t, db, Stmt{SQL: text})
	}
}

type execer interface {
	Exec(query string, args ...any) (sql.Result, error)
}

// A fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func anys(values []driver.Value) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// queryAll returns every row of a query.
func queryAll(t fataler, db *sql.DB, st Stmt) [][]driver.Value {
	t.Helper()
	rows, err := db.Query(st.SQL, anys(st.Args)...)
	if err != nil {
		t.Fatalf("%s %v: %v", st.SQL, st.Args, err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var all [][]driver.Value
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatalf("%s: %v", st.SQL, err)
		}
		values := make([]driver.Value, len(columns))
		for i, v := range row {
			values[i] = v
		}
		all = append(all, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", st.SQL, err)
	}
	return all
}

// drawValue draws a value of a column from a small domain with the edges in it.
func drawValue(t *rapid.T, c driver.Column) driver.Value { return drawNarrow(t, c, 1<<10) }

// drawNarrow draws from the first n values of the domain.
func drawNarrow(t *rapid.T, c driver.Column, n int) driver.Value {
	if c.Nullable && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return nil
	}
	switch c.Kind {
	case driver.Bool:
		return rapid.Int64Range(0, 1).Draw(t, c.Name)
	case driver.Int, driver.Time:
		return draw(t, c, n, []int64{0, 1<<53 + 1, 1<<63 - 1, -(1 << 63), 1, 2, -1})
	case driver.Float:
		return draw(t, c, n, []float64{0, 1, -1.5, 1e300})
	case driver.Bytes:
		return []byte(draw(t, c, n, []string{"", "\x00\x01", "\xff\xff", "\x00", "a"}))
	case driver.JSON:
		return draw(t, c, n, []string{"null", `{"a":1}`, "[]"})
	}
	return draw(t, c, n, []string{"", "a\x00b", "x'00ff'", "a", "ab", "b", "\x00", "é\"\\", "1", "\u2028"})
}

func draw[T any](t *rapid.T, c driver.Column, n int, domain []T) T {
	return rapid.SampledFrom(domain[:min(n, len(domain))]).Draw(t, c.Name)
}

// drawSchema draws a schema of one table.
func drawSchema(t *rapid.T) *driver.Schema {
	kinds := []driver.Kind{driver.Bool, driver.Int, driver.Time, driver.Text, driver.Bytes}
	def := &driver.Table{Name: "t"}
	keys := rapid.IntRange(1, 3).Draw(t, "keys")
	for i := range keys + rapid.IntRange(0, 3).Draw(t, "others") {
		c := driver.Column{Name: fmt.Sprintf("c%d", i), Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		if i < keys {
			def.Key = append(def.Key, i)
		} else {
			c.Nullable = rapid.Bool().Draw(t, "nullable")
		}
		def.Columns = append(def.Columns, c)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "indices") {
		x := &driver.Index{Name: fmt.Sprintf("t_%d", i), Unique: rapid.IntRange(0, 2).Draw(t, "unique") == 0}
		for range rapid.IntRange(1, 3).Draw(t, "columns") {
			x.Columns = append(x.Columns, rapid.IntRange(0, len(def.Columns)-1).Draw(t, "column"))
		}
		def.Indices = append(def.Indices, x)
	}
	return driver.NewSchema(def)
}

// drawRow draws the values of a row.
func drawRow(t *rapid.T, def *driver.Table) []driver.Value {
	row := make([]driver.Value, len(def.Columns))
	for i, c := range def.Columns {
		row[i] = drawValue(t, c)
	}
	return row
}

// keyOf returns the key of a row in an order.
func keyOf(t fataler, def *driver.Table, order int, row []driver.Value) driver.Key {
	t.Helper()
	var key []byte
	for i, c := range orderColumns(def, order) {
		var err error
		if key, err = driver.AppendKeyValue(key, def.OrderColumns(order)[i], row[c]); err != nil {
			t.Fatalf("key: %v", err)
		}
	}
	return driver.Key(key)
}

// write returns a write of a row.
func write(t fataler, kind driver.WriteKind, def *driver.Table, row []driver.Value) driver.Write {
	t.Helper()
	w := driver.Write{Kind: kind, Table: def, Key: keyOf(t, def, 0, row)}
	if kind != driver.Delete {
		var err error
		if w.Data, err = driver.AppendValues(nil, def.Columns, row); err != nil {
			t.Fatalf("row: %v", err)
		}
	}
	return w
}
