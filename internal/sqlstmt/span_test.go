package sqlstmt

import (
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"trihold/repo/driver"
)

// Specific to SQL: the contract's spans become row values, which treat NULL in
// their own way, and must remain walks of one index.
func TestEverySpanGivesTheRowsOfASortedSliceByWalkingItsIndex(t *testing.T) {
	db := openDB(t)
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t)
		def := schema.Tables[0]
		l, err := New(schema, Bound)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, Stmt{SQL: `DROP TABLE IF EXISTS "t"`})
		create(t, db, l)
		m := newModel(def)
		for i := range rapid.IntRange(0, 40).Draw(t, "rows") {
			w := write(t, driver.Insert, def, drawRow(t, def))
			rev := driver.Rev(i + 1)
			if m.commit(t, []driver.Write{w}, rev) != nil {
				continue
			}
			statements, err := l.Writes(nil, []driver.Write{w}, rev)
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, db, statements...)
		}
		for range 20 {
			checkSpan(t, db, l, m, drawSpan(t, def))
		}
	})
}

// drawSpan draws a span whose bounds have values that rows may have.
func drawSpan(t *rapid.T, def *driver.Table) driver.Span {
	s := driver.Span{Table: def, Order: rapid.IntRange(0, len(def.Indices)).Draw(t, "order")}
	lo, hi := drawRow(t, def), drawRow(t, def)
	if rapid.Bool().Draw(t, "shared") {
		for _, c := range orderColumns(def, s.Order)[:1] {
			hi[c] = lo[c]
		}
	}
	s.Lo, s.Hi = drawBound(t, s, lo), drawBound(t, s, hi)
	s.Reverse = rapid.Bool().Draw(t, "reverse")
	s.Limit = rapid.IntRange(0, 3).Draw(t, "limit")
	return s
}

func drawBound(t *rapid.T, s driver.Span, row []driver.Value) driver.Bound {
	columns := s.Table.OrderColumns(s.Order)
	var b driver.Bound
	n := rapid.IntRange(0, len(columns)).Draw(t, "bound")
	stray := rapid.IntRange(0, 9).Draw(t, "stray") == 0
	for i, c := range orderColumns(s.Table, s.Order)[:n] {
		if stray { // a column that comes twice may then have two values
			row[c] = drawValue(t, columns[i])
		}
		key, err := driver.AppendKeyValue([]byte(b.Tuple), columns[i], row[c])
		if err != nil {
			t.Fatal(err)
		}
		b.Tuple = driver.Key(key)
	}
	b.Open = n > 0 && rapid.Bool().Draw(t, "open")
	return b
}

func checkSpan(t *rapid.T, db *sql.DB, l *Layout, m *model, s driver.Span) {
	var got []driver.Row
	st, some, err := l.Scan(nil, s)
	if err != nil {
		t.Fatalf("scan %+v: %v", s, err)
	}
	if some {
		checkPlan(t, db, s, st)
		for _, values := range queryAll(t, db, st) {
			row, err := l.Row(s.Table, values)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, row)
		}
	}
	want := m.scan(t, s)
	equal := slices.EqualFunc(got, want, func(g driver.Row, w modelRow) bool {
		data, err := driver.AppendValues(nil, s.Table.Columns, w.values)
		return err == nil && g.Rev == w.rev && string(g.Data) == string(data)
	})
	if !equal {
		t.Fatalf("%s %v\ngot  %v\nwant %v", st.SQL, st.Args, got, want)
	}
	checkSum(t, db, l, m, s)
}

// checkSum checks a sum, and guards that state it and something else.
func checkSum(t *rapid.T, db *sql.DB, l *Layout, m *model, s driver.Span) {
	s.Reverse, s.Limit = false, 0
	check := driver.SpanCheck{Table: s.Table, Order: s.Order, Lo: s.Lo, Hi: s.Hi}
	for _, r := range m.scan(t, s) {
		check.Rows++
		check.MaxRev = max(check.MaxRev, r.rev)
	}
	st, some, err := l.Sum(nil, s)
	if err != nil {
		t.Fatalf("sum %+v: %v", s, err)
	}
	if !some {
		if check.Rows != 0 {
			t.Fatalf("a span with %d rows is taken for one that cannot hold any: %+v", check.Rows, s)
		}
		return
	}
	got := queryAll(t, db, st)[0]
	if got[0] != check.Rows || got[1] != int64(check.MaxRev) {
		t.Fatalf("%s %v: got %v, want %d rows, highest %d", st.SQL, st.Args, got, check.Rows, check.MaxRev)
	}
	for _, c := range []struct {
		change func(*driver.SpanCheck)
		holds  bool
	}{
		{func(*driver.SpanCheck) {}, true},
		{func(c *driver.SpanCheck) { c.Rows++ }, false},
		{func(c *driver.SpanCheck) { c.MaxRev++ }, false},
	} {
		changed := check
		c.change(&changed)
		guards, err := l.Guards(nil, &driver.Checks{Spans: []driver.SpanCheck{changed}})
		if err != nil || len(guards) != 1 {
			t.Fatalf("guards: %v %v", guards, err)
		}
		_, err = db.Exec(guards[0].SQL, anys(guards[0].Args)...)
		if c.holds != (err == nil) {
			t.Fatalf("%s %v: got %v, want it to hold: %v", guards[0].SQL, guards[0].Args, err, c.holds)
		}
	}
}

// checkPlan checks that each segment of a statement is one walk of its index, with
// all the columns that it compares as bounds of the walk, and that nothing is
// sorted. The exception is a unique index, which does not hold the key: rows that
// share NULL in it are sorted.
func checkPlan(t fataler, db *sql.DB, s driver.Span, st Stmt) {
	t.Helper()
	unique := s.Order > 0 && s.Table.Indices[s.Order-1].Unique
	nullable := unique && slices.ContainsFunc(s.Table.Indices[s.Order-1].Columns, func(c int) bool { return s.Table.Columns[c].Nullable })
	segments := strings.Split(st.SQL, " UNION ALL ")
	for _, row := range queryAll(t, db, Stmt{SQL: "EXPLAIN QUERY PLAN " + st.SQL, Args: st.Args}) {
		step := row[3].(string)
		switch {
		case strings.HasPrefix(step, "SEARCH "), strings.HasPrefix(step, "SCAN "):
			for _, column := range compared(segments[0]) {
				if !unique && !boundsWalk(step, column) {
					t.Fatalf("the plan of\n%s\ndoes not use %s: %s", st.SQL, column, step)
				}
			}
			segments = segments[1:]
		case strings.HasPrefix(step, "MERGE (UNION ALL)"), step == "LEFT", step == "RIGHT":
		case strings.HasPrefix(step, "USE TEMP B-TREE FOR LAST") && nullable:
		default:
			t.Fatalf("the plan of\n%s\nhas a step %q", st.SQL, step)
		}
	}
}

var columnName = regexp.MustCompile(`"c\d"`)

// compared returns the columns in the condition of a segment.
func compared(segment string) []string {
	_, where, _ := strings.Cut(segment, " WHERE ")
	where, _, _ = strings.Cut(where, " ORDER BY ")
	names := columnName.FindAllString(where, -1)
	for i := range names {
		names[i] = strings.Trim(names[i], `"`)
	}
	return names
}

// boundsWalk reports whether a step of a plan uses a column to find where its
// walk begins or ends.
func boundsWalk(step, column string) bool {
	_, bounds, _ := strings.Cut(step, "(")
	return regexp.MustCompile(`\b(` + column + `|rowid)\b`).MatchString(bounds)
}
