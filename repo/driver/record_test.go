package driver

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func recordTable() *Table {
	return &Table{Name: "things", Columns: rowColumns, Key: []int{0, 6},
		Indices: []*Index{{Name: "things_b", Columns: []int{1}}, {Name: "things_ec", Columns: []int{4, 2}, Unique: true}}}
}

func TestASchemaIsReadBackFromItsDescription(t *testing.T) {
	want := NewSchema(recordTable()).Describe()
	s, err := ParseSchema(want)
	if err != nil || s.Describe() != want {
		t.Fatalf("%v: %s, want %s", err, s.Describe(), want)
	}
	for _, bad := range []string{
		"", "[{}]", `[{"name":"a","columns":[],"key":[0]}]`, `[{"name":"a","columns":[{"name":"x","kind":"set"}],"key":[0]}]`,
		`[{"name":"a","columns":[{"name":"x","kind":"int"}],"key":[0],"indices":[{"name":"i","columns":[1]}]}]`,
		`[{"name":"a","columns":[{"name":"x","kind":"int"}],"key":[0],"new":true}]`,
	} {
		if _, err := ParseSchema(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", bad, err)
		}
	}
}

func TestRecordsSortLikeTheirKeys(t *testing.T) {
	s, err := ParseSchema(NewSchema(recordTable()).Describe())
	if err != nil {
		t.Fatal(err)
	}
	table := s.Tables[0]
	record := rapid.Custom(func(t *rapid.T) Record {
		r := Record{rapid.String().Draw(t, "a"), nil, rapid.SliceOf(rapid.Byte()).Draw(t, "c"),
			1.5, rapid.Int64Range(0, 1).Draw(t, "e"), nil, rapid.Int64().Draw(t, "g")}
		if rapid.Bool().Draw(t, "b is there") {
			r[1] = rapid.Int64().Draw(t, "b")
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := record.Draw(t, "a"), record.Draw(t, "b")
		for order := range 3 {
			keyA, keyB := Key(table.AppendKey(nil, order, a)), Key(table.AppendKey(nil, order, b))
			if got, want := table.Compare(order, a, b), strings.Compare(string(keyA), string(keyB)); got != want {
				t.Fatalf("order %d: %v and %v compare as %d, want %d", order, a, b, got, want)
			}
			if table.CompareKey(order, a, keyA[:len(keyA)-1]) != 0 || table.CompareKey(order, a, keyA) != 0 {
				t.Fatalf("order %d: %v does not begin with its own key", order, a)
			}
			values, err := KeyValues(table.OrderColumns(order), keyA)
			if err != nil || len(values) != len(table.OrderColumns(order)) {
				t.Fatalf("order %d: key of %v holds %v, %v", order, a, values, err)
			}
		}
		data := table.Encode(nil, a)
		again, err := table.Decode(data)
		if err != nil || !bytes.Equal(table.Encode(nil, again), data) {
			t.Fatalf("%v reads back as %v, %v", a, again, err)
		}
	})
}

func TestTheFenceIsFoundAmongTheWritesOfACommit(t *testing.T) {
	s := NewSchema(recordTable())
	other, err := s.PutState("other", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	up, err := s.PutState(FenceRow, Fence{To: "sqlite:b", By: "m1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	down := s.DeleteState(FenceRow)
	for _, c := range []struct {
		writes  []Write
		written bool
		up      bool
	}{{nil, false, false}, {[]Write{other}, false, false}, {[]Write{other, up}, true, true}, {[]Write{down, other}, true, false}} {
		f, written, err := s.FenceOf(c.writes)
		if err != nil || written != c.written || (f != nil) != c.up || f != nil && f.To != "sqlite:b" {
			t.Errorf("%d writes: %v, %v, %v", len(c.writes), f, written, err)
		}
	}
	if stored := s.Stored(); !slices.Equal(stored[:1], s.Tables) || stored[1] != s.State || s.State.ID != 1 {
		t.Errorf("the state is not the table behind the last one")
	}
}
