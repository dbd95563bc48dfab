package driver

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

var rowColumns = []Column{
	{Name: "a", Kind: Text}, {Name: "b", Kind: Int, Nullable: true}, {Name: "c", Kind: Bytes},
	{Name: "d", Kind: Float}, {Name: "e", Kind: Bool}, {Name: "f", Kind: JSON, Nullable: true}, {Name: "g", Kind: Time},
}

func TestARowReadsBackFromItsCanonicalForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := []Value{
			rapid.String().Draw(t, "a"), nil, rapid.SliceOf(rapid.Byte()).Draw(t, "c"),
			rapid.Float64().Draw(t, "d"), rapid.Int64Range(0, 1).Draw(t, "e"), nil, rapid.Int64().Draw(t, "g"),
		}
		if rapid.Bool().Draw(t, "b and f") {
			want[1], want[5] = rapid.Int64().Draw(t, "b"), `{"x":[1,2]}`
		}
		data, err := AppendValues(nil, rowColumns, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := RowValues(nil, rowColumns, data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v reads back as %v, %v", want, got, err)
		}
		for cut := range data {
			if got, err := RowValues(nil, rowColumns, data[:cut]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("cut to %d of %d bytes: %v, %v", cut, len(data), got, err)
			}
		}
		if _, err := RowValues(nil, rowColumns, append(data, 0)); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("with a byte too many: %v", err)
		}
	})
}

func TestAValueOfAnotherKindIsRefused(t *testing.T) {
	for i, c := range rowColumns {
		for _, v := range []Value{nil, int64(2), 1.5, "text", []byte("bytes"), true, uint(1), math.NaN} {
			_, err := AppendValues(nil, []Column{c}, []Value{v})
			_, isFloat := v.(float64)
			ok := map[Kind]bool{Text: v == "text", JSON: v == "text", Int: v == int64(2), Time: v == int64(2), Bool: v == int64(2), Float: isFloat}[c.Kind]
			if _, isBytes := v.([]byte); c.Kind == Bytes {
				ok = isBytes
			}
			if ok = ok || v == nil && c.Nullable; ok != (err == nil) {
				t.Errorf("column %d, %s: %T: %v", i, c.Kind, v, err)
			}
		}
	}
}
