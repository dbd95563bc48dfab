package sqlstmt

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"trihold/repo/driver"
)

// Specific to SQL: keys travel through JSON into the guard, and must arrive as
// they are, whatever their bytes and however large the numbers.
func TestARowGuardHoldsExactlyForTheRowsThatWereRead(t *testing.T) {
	db := openDB(t)
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t)
		def := schema.Tables[0]
		def.Indices = nil
		schema = driver.NewSchema(def)
		l, err := New(schema, Bound)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, Stmt{SQL: `DROP TABLE IF EXISTS "t"`})
		create(t, db, l)
		m := newModel(def)
		for i := range rapid.IntRange(0, 20).Draw(t, "rows") {
			w := write(t, driver.Put, def, drawRow(t, def))
			rev := driver.Rev(i + 1<<60)
			if err := m.commit(t, []driver.Write{w}, rev); err != nil {
				t.Fatal(err)
			}
			statements, err := l.Writes(nil, []driver.Write{w}, rev)
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, db, statements...)
		}
		var checks driver.Checks
		for range rapid.IntRange(1, 10).Draw(t, "reads") {
			key := keyOf(t, def, 0, drawRow(t, def))
			checks.Rows = append(checks.Rows, driver.RowCheck{Table: def, Key: key, Rev: m.rows[key].rev})
		}
		run := func() error {
			guards, err := l.Guards(nil, &checks)
			if err != nil || len(guards) != 1 {
				t.Fatalf("guards: %v %v", guards, err)
			}
			_, err = db.Exec(guards[0].SQL, anys(guards[0].Args)...)
			if err != nil {
				err = l.Refusal(err.Error())
			}
			return err
		}
		if err := run(); err != nil {
			t.Fatalf("checks %v fail: %v", checks.Rows, err)
		}
		for i := range checks.Rows {
			was := checks.Rows[i].Rev
			for _, rev := range []driver.Rev{0, 1, was + 1} {
				if rev == was {
					continue
				}
				checks.Rows[i].Rev = rev
				if err := run(); !errors.Is(err, driver.ErrConflict) {
					t.Fatalf("check of %x at revision %d, not %d: %v", checks.Rows[i].Key, was, rev, err)
				}
			}
			checks.Rows[i].Rev = was
		}
	})
}

func TestARowGuardWalksTheKey(t *testing.T) {
	db := openDB(t)
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	create(t, db, l)
	for _, tab := range l.tables {
		sel := tab.guard[strings.Index(tab.guard, "SELECT"):]
		found := false
		for _, row := range queryAll(t, db, Stmt{SQL: "EXPLAIN QUERY PLAN " + sel, Args: []driver.Value{"[]"}}) {
			step := row[3].(string)
			found = found || strings.HasPrefix(step, "SEARCH") && (strings.Contains(step, "autoindex") || strings.Contains(step, "INTEGER PRIMARY KEY"))
		}
		if !found {
			t.Errorf("%s does not search the key", tab.guard)
		}
	}
}
