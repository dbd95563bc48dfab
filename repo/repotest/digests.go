package repotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trihold/repo"
)

var digestCases = []testCase{
	{
		name: "equal content has an equal digest, however it came to be there",
		why:  "Migration proves with it that nothing was lost, across backends whose histories differ.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Code: ptr("x")}, Item{ID: "b", Order: 2}, Item{ID: "c"})
			insert(t, seats, Seat{ID: 1}, Seat{ID: 2, Hall: "h"})
			first := t.digest()
			t.empty()
			insert(t, seats, Seat{ID: 2, Hall: "wrong"})
			insert(t, items, Item{ID: "c"})
			insert(t, items, Item{ID: "d"})
			insert(t, items, Item{ID: "b", Order: 2})
			put(t, seats, Seat{ID: 2, Hall: "h"})
			remove(t, items, "d")
			insert(t, seats, Seat{ID: 1})
			insert(t, items, Item{ID: "a", Code: ptr("x")})
			second := t.digest()
			t.equal("sum", second.Sum, first.Sum)
			t.equal("tables", second.Tables, first.Tables)
			t.equal("revision", second.Rev, t.rev())
		},
	},
	{
		name: "content that differs in one bit has another digest",
		why:  "A digest that overlooks a difference proves nothing.",
		check: func(t *T) {
			row := Scalar{ID: "a", Time: time.UnixMicro(0)}
			seen := map[string]string{}
			record := func(what string) {
				t.Helper()
				sum := t.digest(scalars).Sum
				if other, ok := seen[sum]; ok {
					t.Errorf("%s and %s have the same digest", what, other)
				}
				seen[sum] = what
			}
			record("no row")
			try := func(what string, change func(r *Scalar)) {
				t.Helper()
				changed := row
				change(&changed)
				put(t, scalars, changed)
				record(what)
			}
			try("zero row", func(*Scalar) {})
			try("bool", func(r *Scalar) { r.Bool = true })
			try("int", func(r *Scalar) { r.Int = 1 })
			try("int64", func(r *Scalar) { r.Int64 = 1 })
			try("int64 beyond 2^53", func(r *Scalar) { r.Int64 = 1<<53 + 1 })
			try("int64 at 2^53", func(r *Scalar) { r.Int64 = 1 << 53 })
			try("smallest float", func(r *Scalar) { r.Float = 5e-324 })
			try("text", func(r *Scalar) { r.Text = "a" })
			try("text with another case", func(r *Scalar) { r.Text = "A" })
			try("text with NUL", func(r *Scalar) { r.Text = "a\x00" })
			try("blob", func(r *Scalar) { r.Blob = []byte{1} })
			try("other blob", func(r *Scalar) { r.Blob = []byte{3} })
			try("bytes", func(r *Scalar) { r.Bytes = "\x01" })
			try("one microsecond", func(r *Scalar) { r.Time = time.UnixMicro(1) })
			try("NULL or zero", func(r *Scalar) { r.MaybeInt64 = ptr(int64(0)) })
			try("NULL or empty", func(r *Scalar) { r.MaybeText = ptr("") })
			try("NULL or false", func(r *Scalar) { r.MaybeBool = ptr(false) })
			put(t, scalars, row)
			put(t, scalars, Scalar{ID: "b"})
			record("two rows")
		},
	},
	{
		name: "a digest of some tables does not depend on the others",
		why:  "A mirror of two tables is compared on those two.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"})
			insert(t, seats, Seat{ID: 1})
			some, all := t.digest(items, seats), t.digest()
			insert(t, events, Event{EventKey: EventKey{"s", 1}})
			t.equal("sum of the two", t.digest(items, seats).Sum, some.Sum)
			if t.digest().Sum == all.Sum {
				t.Error("the sum of all tables does not depend on event")
			}
			t.equal("tables", len(all.Tables), len(Schema.Driver().Tables))
			if t.digest(seats).Sum == t.digest(items).Sum {
				t.Error("two tables have the same sum")
			}
		},
	},
	{
		name: "a digest is that of one state",
		why:  "It is taken while others write.",
		check: func(t *T) {
			set := func(i int) error {
				return t.store.Update(t.ctx, func(tx *repo.Tx) error {
					return errors.Join(items.Put(tx, Item{ID: "a", Order: int64(i % 2)}), blobs.Put(tx, Blob{Key: "a", Name: fmt.Sprint(i % 2)}))
				})
			}
			t.ok(set(0))
			zero := t.digest(items, blobs).Sum
			t.ok(set(1))
			one := t.digest(items, blobs).Sum
			t.race(set, func() error {
				d, err := t.store.Digest(t.ctx, items, blobs)
				if err == nil && d.Sum != zero && d.Sum != one {
					err = fmt.Errorf("at revision %d the sum is %s, want %s or %s", d.Rev, d.Sum, zero, one)
				}
				return err
			})
		},
	},
	{
		name: "the digest of known content is known",
		why:  "It must be the same on every backend, on every machine, in every later version.",
		check: func(t *T) {
			at := time.Date(1969, 7, 20, 20, 17, 40, 123456000, time.UTC)
			insert(t, items, Item{ID: "a", Group: "g", Order: -1, Code: ptr("x'00'"), Text: "é\x00"}, Item{ID: ""})
			insert(t, scalars, Scalar{ID: "s", Bool: true, Int: -1, Int8: -128, Int16: 32767, Int32: -2147483648, Int64: 1<<53 + 1, Float: 0.1,
				Text: "\U0001F600", Blob: []byte{0, 0xFF}, Bytes: "\xFF\x00", Time: at, MaybeFloat: ptr(1e15), MaybeTime: &at, MaybeBlob: &[]byte{}})
			insert(t, documents, Document{ID: "d", Tags: []string{"<a>", ""}, Counts: map[string]int64{"b": 1<<53 + 1, "a": -1}, Body: Body{Title: "t", Number: 9007199254740993, At: &at},
				Raw: json.RawMessage(` { "k" : [ 1.0 , 1e2 ] } `), Any: map[string]any{"x": []any{1.5, "y", nil, true}}, Huge: 1<<64 - 1})
			const want = "892030a867579b6540e6a92fe5664a4be535a534744d05ae961cf249a9c0e42f"
			t.equal("sum", t.digest(items, scalars, documents).Sum, want)
		},
	},
}

func (t *T) digest(tables ...repo.AnyTable) repo.Digest {
	t.Helper()
	d, err := t.store.Digest(t.ctx, tables...)
	t.ok(err)
	return d
}
