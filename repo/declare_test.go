package repo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

type run struct {
	ID      string `db:"id"`
	Channel string
	Number  int64
	Note    *string
	Cents   float64
	Tags    []string
	Created time.Time
}

type embedded struct{ *run }

func TestWrongDeclarationsPanicAndSayWhy(t *testing.T) {
	newRuns := func() *Table[run, string] { return NewTable("runs", func(r *run) *string { return &r.ID }) }
	for _, c := range []struct {
		declare func()
		want    string
	}{
		{func() { NewTable("no-dash", func(r *run) *string { return &r.ID }) }, `"no-dash" cannot be a table name`},
		{func() { NewTable("_runs", func(r *run) *string { return &r.ID }) }, `"_runs" cannot be a table name`},
		{func() { NewTable("SQLite_runs", func(r *run) *string { return &r.ID }) }, `"SQLite_runs" cannot be a table name`},
		{func() { NewTable("t", func(r *int) *int { return r }) }, "row type int is not a struct"},
		{func() { NewTable("t", func(r *struct{}) *struct{} { return r }) }, "has no fields"},
		{func() { NewTable("t", func(r *struct{ x int }) *int { return &r.x }) }, "is not exported"},
		{func() {
			NewTable("t", func(r *struct {
				A int
				B int `db:"a"`
			}) *int {
				return &r.A
			})
		}, "two columns are called a"},
		{func() {
			NewTable("t", func(r *struct {
				A int `db:"_rev"`
			}) *int {
				return &r.A
			})
		}, `"_rev" cannot be a column name`},
		{func() { NewTable("t", func(r *run) *float64 { return &r.Cents }) }, "column cents, a float64, cannot be part of a key"},
		{func() { NewTable("t", func(r *run) *[]string { return &r.Tags }) }, "column tags, a []string, cannot be part of a key"},
		{func() { NewTable("t", func(r *run) **string { return &r.Note }) }, "a key is never NULL"},
		{func() { NewTable("t", func(*run) *string { s := ""; return &s }) }, "does not point into the row"},
		{func() { NewTable("t", func(r *run) *string { return nil }) }, "does not point into the row"},
		{func() { NewTable("t", func(r *embedded) *string { return &r.ID }) }, "is not exported"},
		{func() { NewIndex1(newRuns(), func(r *run) *[]string { return &r.Tags }) }, "cannot be part of a key"},
		{func() { NewIndex1(newRuns(), func(r *run) *run { return r }) }, "cannot be part of a key"},
		{func() {
			runs := newRuns()
			NewIndex1(runs, func(r *run) *string { return &r.Channel })
			NewSchema(runs)
		}, "index runs_channel is declared but not part of the schema"},
		{func() { NewSchema(NewIndex1(newRuns(), func(r *run) *string { return &r.Channel })) }, "is part of a schema without its table"},
		{func() { NewSchema(newRuns(), newRuns()) }, "two tables or indices are called runs"},
		{func() {
			runs := newRuns()
			NewSchema(runs)
			NewSchema(runs)
		}, "already belongs to a schema"},
		{func() {
			runs := newRuns()
			NewSchema(runs)
			NewIndex1(runs, func(r *run) *string { return &r.Channel })
		}, "declare its indices before"},
		{func() {
			runs := newRuns()
			a := NewIndex1(runs, func(r *run) *string { return &r.Channel })
			b := NewUnique1(runs, func(r *run) *string { return &r.Channel })
			NewSchema(runs, a, b)
		}, "two tables or indices are called runs_channel"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("panic %q, want one with %q", got, c.want)
				}
			}()
			c.declare()
		}()
	}
}

type point struct {
	X, Y int64
	Skip string `db:"-"`
}

type place struct {
	Name string
	point
	Height int64
}

func TestAFieldIsFoundByItsAddressAndType(t *testing.T) {
	// The first column of an embedded struct has the struct's own address.
	byStruct := NewTable("a", func(p *place) *point { return &p.point })
	byField := NewTable("b", func(p *place) *int64 { return &p.X })
	if got := fmt.Sprint(byStruct.rows.def.Key, byField.rows.def.Key); got != "[1 2] [1]" {
		t.Errorf("key columns %s, want [1 2] [1]", got)
	}
	var names []string
	for _, c := range byStruct.rows.def.Columns {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "name x y height" {
		t.Errorf("columns are %s", got)
	}
}

// Damage of a stored row must not reach a key, where it could only panic.
func TestStoredTextThatIsNotUTF8IsCorrupt(t *testing.T) {
	type named struct {
		ID string `db:"id"`
	}
	rows := NewTable("named", func(r *named) *string { return &r.ID })
	def := NewSchema(rows).Driver().Tables[0]
	data := def.Encode(nil, &named{ID: "abc"})
	if _, err := def.Decode(data); err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] = 0xff
	if _, err := def.Decode(data); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}
