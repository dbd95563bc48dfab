package sqlstmt

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trihold/repo/driver"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test -update and look at the difference. Got:\n%s", path, got)
	}
}

func TestTheTablesAreTheOnesAPersonExpects(t *testing.T) {
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "create", strings.Join(l.Create(), ";\n\n")+";\n")
}

func TestReadsAreWalks(t *testing.T) {
	l, err := New(exampleSchema(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	put := func(what string, st Stmt, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		fmt.Fprintf(&b, "-- %s\n%s\n%s\n", what, st.SQL, show(st.Args))
	}
	runs, order, steps := l.schema.Tables[0], l.schema.Tables[1], l.schema.Tables[2]
	for _, t := range l.schema.Tables {
		st, err := l.Get(nil, t, exampleKey(t))
		put("get from "+t.Name, st, err)
	}
	st, err := l.KeyRev(nil, steps, exampleKey(steps))
	put("revision of a row of steps", st, err)
	for _, s := range []struct {
		what string
		span driver.Span
	}{
		{"all runs", driver.Span{Table: runs}},
		{"ten runs of a channel, newest first", driver.Span{Table: runs, Order: 2, Lo: bound(runs, 2, "main"), Hi: bound(runs, 2, "main"), Reverse: true, Limit: 10}},
		{"the next page", driver.Span{Table: runs, Order: 2, Lo: bound(runs, 2, "main"), Hi: open(bound(runs, 2, "main", int64(1000), "r7")), Reverse: true, Limit: 10}},
		{"a page over all channels", driver.Span{Table: runs, Order: 2, Lo: open(bound(runs, 2, "main", int64(1000), "r7")), Limit: 10}},
		{"the run with a number", driver.Span{Table: runs, Order: 1, Lo: bound(runs, 1, "main", int64(7)), Hi: bound(runs, 1, "main", int64(7))}},
		{"runs without a parent, after a cursor", driver.Span{Table: runs, Order: 3, Lo: open(bound(runs, 3, nil, "r7")), Hi: bound(runs, 3, nil)}},
		{"parents after a cursor without one", driver.Span{Table: runs, Order: 3, Lo: open(bound(runs, 3, nil, "r7")), Limit: 10}},
		{"parents up to one, or none", driver.Span{Table: runs, Order: 3, Hi: bound(runs, 3, "p1"), Limit: 10}},
		{"groups and due times after a cursor, where the key is the rowid", driver.Span{Table: order, Order: 1, Lo: open(bound(order, 1, int64(0), int64(5), int64(9))), Limit: 10}},
		{"steps of a run", driver.Span{Table: steps, Lo: bound(steps, 0, []byte{1, 2}), Hi: bound(steps, 0, []byte{1, 2})}},
	} {
		st, some, err := l.Scan(nil, s.span)
		if !some {
			t.Fatalf("%s: nothing to execute", s.what)
		}
		put(s.what, st, err)
		st, _, err = l.Sum(nil, s.span)
		put("sum of: "+s.what, st, err)
	}
	golden(t, "reads", b.String())
}

func TestACommitIsChangeGuardsWrites(t *testing.T) {
	for name, rev := range map[string]RevSource{"commit_bound": Bound, "commit_latest": Latest} {
		l, err := New(exampleSchema(), rev)
		if err != nil {
			t.Fatal(err)
		}
		runs, order, steps := l.schema.Tables[0], l.schema.Tables[1], l.schema.Tables[2]
		run := func(id string, number int64) []driver.Value {
			return []driver.Value{id, "main", number, nil, 0.5, `["a"]`, int64(1000)}
		}
		c := &driver.Commit{
			ID: driver.CommitID{0xAB, 0xCD},
			Checks: driver.Checks{
				Rows: []driver.RowCheck{
					{Table: runs, Key: exampleKey(runs), Rev: 3},
					{Table: steps, Key: exampleKey(steps), Rev: 1<<53 + 1},
					{Table: runs, Key: keyOf(t, runs, 0, run("x'00'\"\x00", 1))},
				},
				Spans: []driver.SpanCheck{{Table: runs, Order: 2, Lo: bound(runs, 2, "main"), Hi: bound(runs, 2, "main"), Rows: 2, MaxRev: 9}},
			},
			Writes: []driver.Write{
				write(t, driver.Put, runs, run("r1", 2)),
				write(t, driver.Put, runs, run("r2", 1)),
				write(t, driver.Insert, runs, run("r3", 3)),
				write(t, driver.Put, order, []driver.Value{int64(5), int64(1), nil}),
				write(t, driver.Delete, steps, []driver.Value{nil, []byte{1, 2}, int64(3)}),
			},
		}
		statements, err := l.Commit(nil, c, 42)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, st := range statements {
			fmt.Fprintf(&b, "%s\n%s\n", st.SQL, show(st.Args))
		}
		golden(t, name, b.String())
	}
}

func exampleKey(t *driver.Table) driver.Key {
	switch t.Name {
	case "runs":
		return bound(t, 0, "r1").Tuple
	case "order":
		return bound(t, 0, int64(5)).Tuple
	}
	return bound(t, 0, []byte{1, 2}, int64(3)).Tuple
}

// bound returns a closed bound with values of the first columns of an order.
func bound(t *driver.Table, order int, values ...driver.Value) driver.Bound {
	var key []byte
	for i, v := range values {
		key, _ = driver.AppendKeyValue(key, t.OrderColumns(order)[i], v)
	}
	return driver.Bound{Tuple: driver.Key(key)}
}

func open(b driver.Bound) driver.Bound {
	b.Open = true
	return b
}

// show prints arguments so that their types can be seen.
func show(values []driver.Value) string {
	var b strings.Builder
	b.WriteString("   ")
	for _, v := range values {
		switch x := v.(type) {
		case []byte:
			fmt.Fprintf(&b, " x'%x'", x)
		case string:
			fmt.Fprintf(&b, " %q", x)
		case nil:
			b.WriteString(" NULL")
		default:
			fmt.Fprintf(&b, " %v", x)
		}
	}
	return b.String()
}
