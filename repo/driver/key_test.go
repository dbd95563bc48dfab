package driver

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var keyColumns = []Column{
	{Name: "a", Kind: Text, Nullable: true},
	{Name: "b", Kind: Int},
	{Name: "c", Kind: Bytes},
	{Name: "d", Kind: Bool, Nullable: true},
	{Name: "e", Kind: Time},
}

// tuple draws values for the key columns, often equal or nearly so.
func tuple(t *rapid.T, name string) []Value {
	text := rapid.SampledFrom([]string{"", "\x00", "\x00\x00", "\x00\xff", "\x01", "a", "a\x00", "a\x00b", "ab", "é", "\U0010ffff"})
	number := rapid.SampledFrom([]int64{math.MinInt64, -1 << 40, -1, 0, 1, 255, 256, math.MaxInt64})
	var a, d Value
	if rapid.Bool().Draw(t, name+" a") {
		a = text.Draw(t, name+" a")
	}
	if rapid.Bool().Draw(t, name+" d") {
		d = rapid.Int64Range(0, 1).Draw(t, name+" d")
	}
	return []Value{a, number.Draw(t, name+" b"), []byte(text.Draw(t, name+" c")), d, number.Draw(t, name+" e")}
}

func encodeTuple(t *rapid.T, values []Value) Key {
	var key []byte
	for i, v := range values {
		var err error
		if key, err = AppendKeyValue(key, keyColumns[i], v); err != nil {
			t.Fatal(err)
		}
	}
	return Key(key)
}

// compare is the order of the contract, spelled out.
func compare(a, b Value) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	switch x := a.(type) {
	case int64:
		return cmp.Compare(x, b.(int64))
	case string:
		return strings.Compare(x, b.(string))
	case []byte:
		return slices.Compare(x, b.([]byte))
	}
	panic("not a key value")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestKeysSortAsTheirTuplesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := tuple(t, "first"), tuple(t, "second")
		want := slices.CompareFunc(a, b, compare)
		if got := strings.Compare(string(encodeTuple(t, a)), string(encodeTuple(t, b))); got != want {
			t.Fatalf("%v against %v: keys compare %d, tuples %d", a, b, got, want)
		}
	})
}

func TestAKeyDecodesToItsTupleAndSoDoItsFirstColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := tuple(t, "tuple")
		n := rapid.IntRange(0, len(want)).Draw(t, "columns")
		key := encodeTuple(t, want[:n])
		got, err := KeyValues(keyColumns, key)
		if err != nil || slices.CompareFunc(got, want[:n], compare) != 0 {
			t.Fatalf("%v reads back as %v, %v", want[:n], got, err)
		}
		if whole := encodeTuple(t, want); !strings.HasPrefix(string(whole), string(key)) {
			t.Fatalf("the key of the first %d columns is no prefix of %q", n, whole)
		}
	})
}

func TestTheKeyAfterAPrefixIsTheLowestBeyondIt(t *testing.T) {
	for _, c := range []struct{ key, after Key }{
		{"a", "b"}, {"a\xff", "b"}, {"a\xff\xff", "b"}, {"", ""}, {"\xff", ""}, {"\x00", "\x01"},
	} {
		if got := c.key.After(); got != c.after {
			t.Errorf("after %q comes %q, want %q", c.key, got, c.after)
		}
	}
}

func TestADamagedKeyIsCorruptAndDoesNotPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := Key(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		values, err := KeyValues(keyColumns, key)
		if err == nil && len(values) > len(keyColumns) {
			t.Fatalf("%d values of %d columns", len(values), len(keyColumns))
		}
		FormatKey(keyColumns, key)
	})
}
