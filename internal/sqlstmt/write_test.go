package sqlstmt

import (
	"database/sql"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"trihold/repo/driver"
)

// Specific to SQL: the contract judges the result of all the writes of a commit,
// SQLite each statement. The revision comes from an argument in one layout and
// from the changes in the other.
func TestCommitsHaveTheNetResultOfTheirWrites(t *testing.T) {
	db := openDB(t)
	rapid.Check(t, func(t *rapid.T) {
		schema := drawUniqueSchema(t)
		def := schema.Tables[0]
		l, err := New(schema, rapid.SampledFrom([]RevSource{Bound, Latest}).Draw(t, "rev"))
		if err != nil {
			t.Fatal(err)
		}
		recreate(t, db, l)
		m := newModel(def)
		var rev driver.Rev
		for i := range 20 {
			c := &driver.Commit{ID: driver.CommitID{byte(i)}, Writes: drawWrites(t, def)}
			want := m.commit(t, c.Writes, rev+1)
			got := l.apply(t, db, c, rev+1)
			if !errors.Is(got, want) {
				t.Fatalf("commit of %v: got %v, want %v", c.Writes, got, want)
			}
			if want == nil {
				rev++
			}
			if want == nil && rapid.Bool().Draw(t, "again") {
				if err := l.apply(t, db, c, rev+1); !errors.Is(err, ErrCommitted) {
					t.Fatalf("the same commit again: %v", err)
				}
			}
			checkSpan(t, db, l, m, driver.Span{Table: def})
		}
	})
}

// drawUniqueSchema draws a schema in which rows are likely to collide.
func drawUniqueSchema(t *rapid.T) *driver.Schema {
	kinds := rapid.SampledFrom([]driver.Kind{driver.Int, driver.Text, driver.Bytes})
	def := &driver.Table{
		Name: "t",
		Columns: []driver.Column{
			{Name: "c0", Kind: kinds.Draw(t, "kind")},
			{Name: "c1", Kind: kinds.Draw(t, "kind")},
			{Name: "c2", Kind: kinds.Draw(t, "kind"), Nullable: true},
		},
		Key:     []int{0},
		Indices: []*driver.Index{{Name: "t_c1", Columns: []int{1}, Unique: true}},
	}
	switch rapid.IntRange(0, 3).Draw(t, "more") {
	case 1:
		def.Indices = append(def.Indices, &driver.Index{Name: "t_c2", Columns: []int{2}, Unique: true})
	case 2:
		def.Indices = []*driver.Index{{Name: "t_c2_c1", Columns: []int{2, 1}, Unique: true}}
	case 3:
		def.Indices = nil
	}
	return driver.NewSchema(def)
}

// drawWrites draws the writes of a commit, one for a row.
func drawWrites(t *rapid.T, def *driver.Table) []driver.Write {
	var writes []driver.Write
	seen := map[driver.Key]bool{}
	for range rapid.IntRange(1, 5).Draw(t, "writes") {
		kind := rapid.SampledFrom([]driver.WriteKind{driver.Insert, driver.Put, driver.Put, driver.Delete}).Draw(t, "kind")
		row := make([]driver.Value, len(def.Columns))
		for i, c := range def.Columns {
			row[i] = drawNarrow(t, c, 3)
		}
		w := write(t, kind, def, row)
		if !seen[w.Key] {
			writes = append(writes, w)
		}
		seen[w.Key] = true
	}
	return writes
}

// apply executes a commit or a load in a transaction and returns what it was refused for.
func (l *Layout) apply(t fataler, db *sql.DB, c *driver.Commit, rev driver.Rev) error {
	t.Helper()
	statementsOf := func() ([]Stmt, error) { return l.Commit(nil, c, rev) }
	if c.Load != nil {
		statementsOf = func() ([]Stmt, error) { return l.Load(nil, c) }
	}
	statements, err := statementsOf()
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer tx.Rollback()
	for i, st := range statements {
		if keep, ok := l.Keep(st); ok && c.ID[0]%2 == 0 {
			if result, err := tx.Exec(keep.SQL, anys(keep.Args)...); err != nil {
				t.Fatalf("%s %v: %v", keep.SQL, keep.Args, err)
			} else if n, _ := result.RowsAffected(); n == 1 {
				continue
			}
		}
		result, err := tx.Exec(st.SQL, anys(st.Args)...)
		if err != nil {
			refusal := l.Refusal(err.Error())
			if refusal == nil {
				t.Fatalf("%s %v: %v", st.SQL, st.Args, err)
			}
			return refusal
		}
		if id, _ := result.LastInsertId(); i == 0 && c.Load == nil && id != int64(rev) {
			t.Fatalf("the change has revision %d, not %d", id, rev)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return nil
}

func TestARefusalNamesTheUniqueIndexThatCollided(t *testing.T) {
	db := openDB(t)
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	create(t, db, l)
	runs, order := l.schema.Tables[0], l.schema.Tables[1]
	run := func(id, channel string, number int64) driver.Write {
		return write(t, driver.Insert, runs, []driver.Value{id, channel, number, nil, 1.5, "[]", int64(0)})
	}
	due := func(id, due int64) driver.Write {
		return write(t, driver.Insert, order, []driver.Value{id, int64(1), due})
	}
	for i, c := range []struct {
		name         string
		write        driver.Write
		table, index string
	}{
		{"the first run", run("a", "main", 1), "", ""},
		{"a taken key", run("a", "main", 2), "runs", ""},
		{"a taken unique index", run("b", "main", 1), "runs", "channel,number"},
		{"the first order", due(1, 5), "", ""},
		{"a taken rowid", due(1, 6), "order", ""},
		{"a taken unique index of one column", due(2, 5), "order", "due"},
	} {
		commit := &driver.Commit{ID: driver.CommitID{byte(i)}, Writes: []driver.Write{c.write}}
		err := l.apply(t, db, commit, driver.Rev(i+1))
		var detail *driver.Error
		switch {
		case c.table == "" && err == nil:
		case c.table != "" && errors.As(err, &detail) && errors.Is(err, driver.ErrExists) && detail.Table == c.table && detail.Index == c.index:
		default:
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if err := l.Refusal("disk I/O error (10)"); err != nil {
		t.Errorf("an I/O error is taken for %v", err)
	}
}

// What Keep saves is the index: its plan must not touch it.
func TestKeepingTheIndexedColumnsFindsTheRowByItsKeyAndWritesNoIndex(t *testing.T) {
	db := openDB(t)
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	create(t, db, l)
	row := []driver.Value{"a", "main", int64(1), nil, 1.5, "[]", int64(0)}
	puts, err := l.Writes(nil, []driver.Write{write(t, driver.Put, l.schema.Tables[0], row)}, 5)
	if err != nil {
		t.Fatal(err)
	}
	keep, ok := l.Keep(puts[0])
	if !ok {
		t.Fatal("runs has indices, and yet there is nothing to keep")
	}
	if plan := queryAll(t, db, Stmt{SQL: "EXPLAIN QUERY PLAN " + keep.SQL, Args: keep.Args}); len(plan) != 1 ||
		plan[0][3] != "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id=?)" {
		t.Errorf("%s: %v", keep.SQL, plan)
	}
	for _, op := range queryAll(t, db, Stmt{SQL: "EXPLAIN " + keep.SQL, Args: keep.Args}) {
		if op[1] == "IdxInsert" || op[1] == "IdxDelete" {
			t.Errorf("%s writes an index", keep.SQL)
		}
	}
	SetRev([]Stmt{keep}, 9)
	if got := keep.Args[2]; got != int64(9) {
		t.Errorf("the revision is %v, in %v", got, keep.Args)
	}
	if plain, err := l.Writes(nil, []driver.Write{write(t, driver.Insert, l.schema.Tables[0], row)}, 5); err != nil {
		t.Fatal(err)
	} else if _, ok := l.Keep(plain[0]); ok {
		t.Error("an insert keeps nothing")
	}
}

func TestATableNameThatSQLiteReservesIsRefused(t *testing.T) {
	_, err := New(driver.NewSchema(&driver.Table{
		Name: "SQLite_things", Columns: []driver.Column{{Name: "id", Kind: driver.Int}}, Key: []int{0},
	}), Bound)
	if !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
