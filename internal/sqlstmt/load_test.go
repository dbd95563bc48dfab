package sqlstmt

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"trihold/repo/driver"
)

// load applies the writes of a load to the model, one after the other.
func (m *model) load(t fataler, writes []driver.Write) {
	for _, w := range writes {
		if w.Table == m.def && w.Kind == driver.Delete {
			delete(m.rows, w.Key)
		}
	}
	for _, w := range writes {
		if w.Table != m.def || w.Kind == driver.Delete || m.rows[w.Key].rev >= w.Rev {
			continue
		}
		values, err := driver.RowValues(nil, m.def.Columns, w.Data)
		if err != nil {
			t.Fatalf("row: %v", err)
		}
		row := modelRow{values, w.Rev}
		for _, x := range m.def.Indices {
			for key, other := range m.rows {
				if x.Unique && key != w.Key && !distinct(map[driver.Key]modelRow{key: other, w.Key: row}, x.Columns) {
					delete(m.rows, key)
				}
			}
		}
		m.rows[w.Key] = row
	}
}

// Specific to SQL: that a load skips rows that are newer and displaces those in
// its way is decided by conflict clauses, and several rows share a statement.
func TestALoadKeepsLaterRowsAndDisplacesWhatIsInItsWay(t *testing.T) {
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
		for range 20 {
			writes := []driver.Write{fenceAt(t, schema, 1, false)}
			for _, w := range drawWrites(t, def) {
				if w.Kind != driver.Delete {
					w.Rev = driver.Rev(rapid.IntRange(1, 9).Draw(t, "row's revision"))
				}
				writes = append(writes, w)
			}
			if err := l.apply(t, db, &driver.Commit{Writes: writes, Load: &driver.Load{}}, 0); err != nil {
				t.Fatalf("load of %v: %v", writes, err)
			}
			m.load(t, writes)
			checkSpan(t, db, l, m, driver.Span{Table: def})
		}
	})
}

func recreate(t fataler, db *sql.DB, l *Layout) {
	t.Helper()
	for _, name := range []string{"t", "_trihold_changes", "_trihold_state"} {
		mustExec(t, db, Stmt{SQL: "DROP TABLE IF EXISTS " + quote(name)})
	}
	create(t, db, l)
}

func fenceAt(t fataler, s *driver.Schema, rev driver.Rev, closed bool) driver.Write {
	t.Helper()
	w, err := s.PutState(driver.FenceRow, driver.Fence{By: "m1", Closed: closed}, rev)
	if err != nil {
		t.Fatalf("fence: %v", err)
	}
	return w
}

// changesFrom returns n changes of which each has its revision in its ID.
func changesFrom(first driver.Rev, n int) []driver.Change {
	changes := make([]driver.Change, n)
	for i := range changes {
		rev := first + driver.Rev(i)
		changes[i] = driver.Change{Rev: rev, ID: driver.CommitID{0xF0, byte(rev >> 8), byte(rev)}}
	}
	return changes
}

func TestTheFenceHoldsWhoeverRecordsACommit(t *testing.T) {
	for _, rev := range []RevSource{Bound, Latest} {
		db := openDB(t)
		l, err := New(exampleSchema(), rev)
		if err != nil {
			t.Fatal(err)
		}
		create(t, db, l)
		steps := []struct {
			name   string
			commit driver.Commit
			rev    driver.Rev
			want   error
			says   string
		}{
			{"a load of an open store", driver.Commit{Load: &driver.Load{}}, 0, driver.ErrInvalid, "no fence"},
			{"a load that deletes the fence there is not", driver.Commit{Writes: []driver.Write{l.schema.DeleteState(driver.FenceRow)}, Load: &driver.Load{}}, 0, driver.ErrInvalid, "no fence"},
			{"a fence that comes by a load", driver.Commit{Writes: []driver.Write{fenceAt(t, l.schema, 500, false)}, Load: &driver.Load{}}, 0, nil, ""},
			{"a commit behind it", driver.Commit{ID: driver.CommitID{1}}, 1, driver.ErrMoved, ""},
			{"the first changes, from anywhere", driver.Commit{Load: &driver.Load{Changes: changesFrom(600, 40)}}, 0, nil, ""},
			{"changes with a gap before them", driver.Commit{Load: &driver.Load{Changes: changesFrom(641, 1)}}, 0, driver.ErrInvalid, "right after"},
			{"changes that are there", driver.Commit{Load: &driver.Load{Changes: changesFrom(639, 2)}}, 0, driver.ErrInvalid, "right after"},
			{"a check that does not hold, before all else", driver.Commit{Checks: driver.Checks{Rows: []driver.RowCheck{{Table: l.schema.State, Key: driver.StateKey(driver.FenceRow), Rev: 500}}},
				Load: &driver.Load{Changes: changesFrom(639, 2)}}, 0, driver.ErrConflict, ""},
			{"a check of the fence that the changes have moved", driver.Commit{Checks: driver.Checks{Rows: []driver.RowCheck{{Table: l.schema.State, Key: driver.StateKey(driver.FenceRow), Rev: 639}}},
				Load: &driver.Load{Changes: changesFrom(640, 2)}}, 0, nil, ""},
			{"a commit that came in by a load", driver.Commit{ID: changesFrom(640, 1)[0].ID}, 642, ErrCommitted, ""},
			{"another commit", driver.Commit{ID: driver.CommitID{1}}, 642, driver.ErrMoved, ""},
			{"a load that reopens the store", driver.Commit{Writes: []driver.Write{l.schema.DeleteState(driver.FenceRow)}, Load: &driver.Load{}}, 0, nil, ""},
			{"the next commit, which writes the fence", driver.Commit{ID: driver.CommitID{1}, Writes: []driver.Write{fenceAt(t, l.schema, 0, true)}}, 642, nil, ""},
			{"one behind it", driver.Commit{ID: driver.CommitID{2}}, 643, driver.ErrMoved, ""},
		}
		for _, s := range steps {
			err := l.apply(t, db, &s.commit, s.rev)
			if !errors.Is(err, s.want) || s.says != "" && !strings.Contains(err.Error(), s.says) {
				t.Errorf("%s: got %v, want %v", s.name, err, s.want)
			}
		}
		rows := queryAll(t, db, Stmt{SQL: `SELECT "name", "_rev" FROM "_trihold_state"`})
		if fmt.Sprint(rows) != "[[fence 642]]" {
			t.Errorf("the state is %v", rows)
		}
	}
}

func TestAClosedStoreShowsInPlaceOfItsRevision(t *testing.T) {
	db := openDB(t)
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	create(t, db, l)
	check := func(want int64, fence int) {
		t.Helper()
		if got := queryAll(t, db, Stmt{SQL: "SELECT " + RevOrClosed}); got[0][0] != want {
			t.Errorf("%v, want %d", got, want)
		}
		if got := queryAll(t, db, Stmt{SQL: FenceGet}); len(got) != fence {
			t.Errorf("%d fences", len(got))
		}
	}
	check(0, 0)
	load := func(closed bool, changes ...driver.Change) {
		t.Helper()
		c := &driver.Commit{Writes: []driver.Write{fenceAt(t, l.schema, 7, closed)}, Load: &driver.Load{Changes: changes}}
		if err := l.apply(t, db, c, 0); err != nil {
			t.Fatal(err)
		}
	}
	load(false, changesFrom(7, 1)...)
	check(7, 1)
	load(true)
	check(-1, 1)
}

func TestALoadThatCannotBeOneIsInvalid(t *testing.T) {
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	gap := append(changesFrom(1, 2), changesFrom(4, 1)...)
	for name, c := range map[string]*driver.Commit{
		"a gap":                  {Load: &driver.Load{Changes: gap}},
		"revision zero":          {Load: &driver.Load{Changes: changesFrom(0, 1)}},
		"a row without revision": {Writes: []driver.Write{fenceAt(t, l.schema, 0, false)}, Load: &driver.Load{}},
	} {
		if _, err := l.Load(nil, c); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALoadIsGuardsHistoryDeletesRows(t *testing.T) {
	l, err := New(exampleSchema(), Latest)
	if err != nil {
		t.Fatal(err)
	}
	runs, order, steps := l.schema.Tables[0], l.schema.Tables[1], l.schema.Tables[2]
	writes := []driver.Write{
		write(t, driver.Put, runs, []driver.Value{"r1", "main", int64(1), nil, 0.5, "[]", int64(1000)}),
		write(t, driver.Put, runs, []driver.Value{"r2", "main", int64(2), nil, 0.5, "[]", int64(1000)}),
		write(t, driver.Delete, order, []driver.Value{int64(5), int64(1), nil}),
		write(t, driver.Put, steps, []driver.Value{nil, []byte{1, 2}, int64(3)}),
		fenceAt(t, l.schema, 42, false),
	}
	for i := range writes {
		if writes[i].Kind != driver.Delete {
			writes[i].Rev = 42
		}
	}
	c := &driver.Commit{
		Checks: driver.Checks{Rows: []driver.RowCheck{{Table: l.schema.State, Key: driver.StateKey(driver.FenceRow), Rev: 41}}},
		Writes: writes,
		Load: &driver.Load{Changes: []driver.Change{{Rev: 42, ID: driver.CommitID{0xAB}, Keys: []driver.ChangedKey{
			{Table: runs, Key: writes[0].Key}, {Table: l.schema.State, Key: driver.StateKey("x"), Deleted: true}}}}},
	}
	statements, err := l.Load(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, st := range statements {
		fmt.Fprintf(&b, "%s\n%s\n", st.SQL, show(st.Args))
	}
	golden(t, "load", b.String())
	db := openDB(t)
	create(t, db, l)
	for _, st := range statements {
		for _, step := range queryAll(t, db, Stmt{SQL: "EXPLAIN QUERY PLAN " + st.SQL, Args: st.Args}) {
			plan := step[3].(string)
			if strings.HasPrefix(plan, "SCAN") && !slices.ContainsFunc([]string{"_trihold_read", "CONSTANT", "VALUES"}, func(ok string) bool { return strings.Contains(plan, ok) }) {
				t.Errorf("%s: %s", st.SQL, plan)
			}
		}
	}
}
