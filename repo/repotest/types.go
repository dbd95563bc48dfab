package repotest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// trickyTexts are texts that some layer between a program and a disk is tempted
// to take for something else.
var trickyTexts = []string{
	"", " ", "a", "A", "a ", "\t\r\n", "0", "00", "-1", "1e5", "1.0", "9007199254740993", "0x10", "NaN", "Infinity",
	"null", "NULL", "nil", "true", "false", "x'00ff'", "X'AB'", " x'00' ", "x''", "x'0'", "'", "''", `"`, "`", ";--", "/*", "?", "?1", ":a", "$a", "@a",
	"%", "_", "*", "[", "\\", "\\u0041", "\\x00", "{}", "[1]", `{"a":1}`, "<a href='x'>&amp;</a>",
	"\x00", "a\x00", "a\x00b", "\x00\x00", "\x01", "\x1a", "\x7f", "\u0080", "\u00e9", "e\u0301", "ß", "İ", "日本語", "\u2028\u2029", "\ufeff", "\ufffd",
	"\ud7ff", "\ue000", "\uffff", "\U00010000", "😀", "👩‍👩‍👧", "\U0010FFFF", "2026-01-02T03:04:05Z", "CURRENT_TIMESTAMP", "_rev",
}

var typeCases = []testCase{
	{
		name: "every scalar reads back as it was written",
		why:  "A column has one type, from end to end.",
		check: func(t *T) {
			at := time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC)
			rows := []Scalar{
				{ID: "zero", Time: time.Time{}},
				{ID: "one", Bool: true, Int: 1, Int8: 1, Int16: 1, Int32: 1, Int64: 1, Float: 1, Text: "1", Blob: []byte("1"), Bytes: "1", Time: at},
				{ID: "lowest", Int: math.MinInt, Int8: math.MinInt8, Int16: math.MinInt16, Int32: math.MinInt32, Int64: math.MinInt64, Float: -math.MaxFloat64},
				{ID: "highest", Int: math.MaxInt, Int8: math.MaxInt8, Int16: math.MaxInt16, Int32: math.MaxInt32, Int64: math.MaxInt64, Float: math.MaxFloat64},
				{ID: "pointers to zero", MaybeBool: ptr(false), MaybeInt: ptr(0), MaybeInt8: ptr(int8(0)), MaybeInt64: ptr(int64(0)), MaybeFloat: ptr(0.0),
					MaybeText: ptr(""), MaybeBlob: &[]byte{}, MaybeBytes: ptr(repo.Bytes("")), MaybeTime: &time.Time{}},
				{ID: "pointers", MaybeBool: ptr(true), MaybeInt: ptr(math.MinInt), MaybeInt8: ptr(int8(-128)), MaybeInt64: ptr(int64(math.MaxInt64)), MaybeFloat: ptr(-0.5),
					MaybeText: ptr("null"), MaybeBlob: &[]byte{0}, MaybeBytes: ptr(repo.Bytes("\xFF")), MaybeTime: &at},
			}
			insert(t, scalars, rows...)
			for _, want := range rows {
				if want.MaybeBlob != nil && len(*want.MaybeBlob) == 0 {
					want.MaybeBlob = new([]byte) // an empty blob reads as nil
				}
				t.equal(want.ID, get(t, scalars, want.ID), want)
			}
		},
	},
	{
		name: "integers are exact",
		why:  "Above 2^53 a float64 has gaps, and JSON numbers are read as float64 by default.",
		check: func(t *T) {
			numbers := []int64{0, 1, -1, 1<<31 - 1, 1 << 31, -1 << 31, 1<<53 - 1, 1 << 53, 1<<53 + 1, -1<<53 - 1, 1e15, 1e18, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1}
			for i, n := range numbers {
				insert(t, seats, Seat{ID: n, Hall: "h", Row: n, Number: &n, Ticket: repo.Bytes(fmt.Sprint(i))})
				insert(t, ranked, Ranked{ID: int64(i), Int: n, MaybeInt: &n})
			}
			for i, n := range numbers {
				t.equal("key", get(t, seats, n), Seat{ID: n, Hall: "h", Row: n, Number: &n, Ticket: repo.Bytes(fmt.Sprint(i))})
				t.equal("index", list(t, rankedByInt.Eq(n), Ranked.id), []int64{int64(i)})
				t.equal("nullable index", list(t, rankedByMaybeInt.Eq(&n), Ranked.id), []int64{int64(i)})
				t.equal("unique index", list(t, seatsByPlace.Eq3("h", n, &n), Seat.id), []int64{n})
			}
		},
	},
	{
		name: "floats are exact, and -0 is 0",
		why:  "0.1 must not come back as 0.10000000000000002, nor 1.0 as an integer; and a digest must not depend on the sign of zero.",
		check: func(t *T) {
			for i, f := range []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1.0 / 3, math.Pi, 1e15, 1e16, 1e17, 1e21, 1e22, 123456789012345678, 1 << 53, 1<<53 + 2, 5e-324, 2.2250738585072014e-308,
				2.225073858507201e-308, math.MaxFloat64, -math.MaxFloat64, math.MaxInt64, math.MinInt64, 1e300, 1e-300, 0.30000000000000004, 4.35, 100} {
				id := fmt.Sprint(i)
				insert(t, scalars, Scalar{ID: id, Float: f, MaybeFloat: &f})
				got := get(t, scalars, id)
				want := math.Float64bits(f + 0) // -0 + 0 is 0
				if math.Float64bits(got.Float) != want || math.Float64bits(*got.MaybeFloat) != want {
					t.Errorf("%v reads back as %v and %v", f, got.Float, *got.MaybeFloat)
				}
			}
		},
	},
	{
		name: "text is text, whatever it looks like",
		why:  "Text that looks like a blob, a number, NULL, SQL or JSON is still text; NUL is a character.",
		check: func(t *T) {
			for i, s := range trickyTexts {
				insert(t, items, Item{ID: s, Group: s, Code: &s, Text: s})
				insert(t, events, Event{EventKey: EventKey{s, int64(i)}, Kind: &s, Note: s})
			}
			for i, s := range trickyTexts {
				what := fmt.Sprintf("%q as ", s)
				want := Item{ID: s, Group: s, Code: &s, Text: s}
				t.equal(what+"key", get(t, items, s), want)
				t.equal(what+"index column", rows(t, itemsByText.Eq(s)), []Item{want})
				t.equal(what+"first of two", rows(t, itemsByGroup.Eq(s)), []Item{want})
				t.equal(what+"unique column", rows(t, itemsByCode.Eq(&s)), []Item{want})
				t.equal(what+"part of a key", get(t, events, EventKey{s, int64(i)}).Note, s)
				t.equal(what+"third of three", list(t, eventsByKind.Eq3(&s, nil, s), Event.key), []EventKey{{s, int64(i)}})
			}
			for _, s := range trickyTexts {
				remove(t, items, s)
			}
			t.equal("rows left", len(rows(t, items.All())), 0)
		},
	},
	{
		name: "text is ordered by its bytes",
		why:  "Not by a locale, not without regard to case, not by UTF-16 code units.",
		check: func(t *T) {
			insertAllTexts(t)
			want := slices.Sorted(slices.Values(trickyTexts))
			t.equal("key", list(t, items.All(), Item.id), want)
			t.equal("index", list(t, itemsByText.All(), Item.id), want)
			t.equal("unique index", list(t, itemsByCode.All(), Item.id), want)
			t.equal("first of two", list(t, itemsByGroup.All(), Item.id), want)
			slices.Reverse(want)
			t.equal("backward", list(t, itemsByText.All().Reverse(), Item.id), want)
		},
	},
	{
		name: "every kind of index column is in order",
		why:  "Numbers by value, false before true, times by time, bytes by bytes, NULL before all.",
		check: func(t *T) {
			numbers := []int64{math.MinInt64, -1 << 53, -1, 0, 1, 9, 10, 1<<53 + 1, math.MaxInt64}
			raw := []repo.Bytes{"", "\x00", "\x00\x01", "\x01", "a", "a\x00", "\x80", "\xFF", "\xFF\xFF"}
			var all []Ranked
			for i := range 27 {
				n := numbers[(i*4)%len(numbers)]
				r := Ranked{ID: int64((i * 5) % 27), Bool: i%2 == 0, Int: n, Small: int8(n), Text: trickyTexts[i*2], Bytes: raw[(i*2)%len(raw)], Time: time.UnixMicro(n / 2).UTC()}
				if i%3 > 0 {
					r.MaybeBool, r.MaybeInt, r.MaybeText, r.MaybeBytes, r.MaybeTime = &r.Bool, &r.Int, &r.Text, &r.Bytes, &r.Time
				}
				all = append(all, r)
			}
			insert(t, ranked, all...)
			boolean := func(b bool) int { return map[bool]int{true: 1}[b] }
			for _, c := range []struct {
				what string
				span repo.Span[Ranked]
				cmp  func(a, b Ranked) int
			}{
				{"key", ranked.All(), func(a, b Ranked) int { return 0 }},
				{"bool", rankedByBool.All(), func(a, b Ranked) int { return boolean(a.Bool) - boolean(b.Bool) }},
				{"int64", rankedByInt.All(), func(a, b Ranked) int { return cmp.Compare(a.Int, b.Int) }},
				{"int8", rankedBySmall.All(), func(a, b Ranked) int { return cmp.Compare(a.Small, b.Small) }},
				{"text", rankedByText.All(), func(a, b Ranked) int { return strings.Compare(a.Text, b.Text) }},
				{"bytes", rankedByBytes.All(), func(a, b Ranked) int { return strings.Compare(string(a.Bytes), string(b.Bytes)) }},
				{"time", rankedByTime.All(), func(a, b Ranked) int { return a.Time.Compare(b.Time) }},
				{"nullable bool", rankedByMaybeBool.All(), nullFirst(func(r Ranked) *bool { return r.MaybeBool }, func(a, b bool) int { return boolean(a) - boolean(b) })},
				{"nullable int64", rankedByMaybeInt.All(), nullFirst(func(r Ranked) *int64 { return r.MaybeInt }, cmp.Compare[int64])},
				{"nullable text", rankedByMaybeText.All(), nullFirst(func(r Ranked) *string { return r.MaybeText }, strings.Compare)},
				{"nullable bytes", rankedByMaybeBytes.All(), nullFirst(func(r Ranked) *repo.Bytes { return r.MaybeBytes }, cmp.Compare[repo.Bytes])},
				{"nullable time", rankedByMaybeTime.All(), nullFirst(func(r Ranked) *time.Time { return r.MaybeTime }, time.Time.Compare)},
			} {
				want := slices.SortedFunc(slices.Values(all), func(a, b Ranked) int { return cmp.Or(c.cmp(a, b), cmp.Compare(a.ID, b.ID)) })
				t.equal(c.what, list(t, c.span, Ranked.id), each(want, Ranked.id))
				slices.Reverse(want)
				t.equal(c.what+", backward", list(t, c.span.Reverse(), Ranked.id), each(want, Ranked.id))
			}
		},
	},
	{
		name: "bytes are bytes",
		why:  "All 256 values, in blobs and in keys; an empty blob reads as nil.",
		check: func(t *T) {
			every := make([]byte, 256)
			for i := range every {
				every[i] = byte(i)
			}
			for _, b := range [][]byte{nil, {}, {0}, {0, 0}, {0xFF}, {0, 0xFF, 0}, []byte("x'00'"), []byte("null"), []byte("é"), {0xC3}, every, bytes.Repeat(every, 100)} {
				key := repo.Bytes(b[:min(len(b), 256)])
				put(t, blobs, Blob{Key: key, Name: "n", Data: b})
				put(t, scalars, Scalar{ID: "a", Blob: b, Bytes: repo.Bytes(b), MaybeBlob: &b, MaybeBytes: ptr(repo.Bytes(b))})
				got, scalar := get(t, blobs, key), get(t, scalars, "a")
				if len(b) == 0 {
					b = nil
				}
				t.equal("key", got.Key, key)
				t.equal("blob", got.Data, b)
				t.equal("blob column", scalar.Blob, b)
				t.equal("bytes column", scalar.Bytes, repo.Bytes(b))
				t.equal("nullable blob", *scalar.MaybeBlob, b)
				t.equal("nullable bytes", *scalar.MaybeBytes, repo.Bytes(b))
			}
		},
	},
	{
		name: "times are UTC at microseconds",
		why:  "A time is a moment: stored as one number, read back in one zone.",
		check: func(t *T) {
			zone := time.FixedZone("somewhere", -(5*3600 + 30*60))
			for _, at := range []time.Time{
				{}, time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
				time.Date(-100, 2, 3, 4, 5, 6, 7, time.UTC), time.Date(2026, 7, 8, 9, 10, 11, 123_456_789, zone), time.Date(9999, 12, 31, 23, 59, 59, 0, time.Local), time.Date(200_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Now(),
			} {
				put(t, scalars, Scalar{ID: "a", Time: at, MaybeTime: &at})
				put(t, ranked, Ranked{ID: 1, Time: at, MaybeTime: &at})
				want := time.UnixMicro(at.UnixMicro()).UTC() // earlier or equal, also before 1970
				got := get(t, scalars, "a")
				if got.Time != want || *got.MaybeTime != want {
					t.Errorf("%v reads back as %v and %v, want %v", at, got.Time, *got.MaybeTime, want)
				}
				t.equal("by index, as written", len(rows(t, rankedByTime.Eq(at))), 1)
				t.equal("by index, as read", len(rows(t, rankedByMaybeTime.Eq(&want))), 1)
			}
			if !get(t, scalars, "a").Time.Before(time.Now().Add(time.Minute)) {
				t.Error("now reads back as the future")
			}
			put(t, scalars, Scalar{ID: "z"})
			if !get(t, scalars, "z").Time.IsZero() {
				t.Error("the zero time does not read back as zero")
			}
		},
	},
	{
		name: "what cannot be stored exactly is ErrInvalid",
		why:  "NaN equals nothing, not even itself; text that is not UTF-8 would be changed on its way; a time beyond 64 bits of microseconds has no number.",
		check: func(t *T) {
			bad, never := "a\xFFb", time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)
			for what, put := range map[string]func(tx *repo.Tx) error{
				"NaN":                     func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", Float: math.NaN()}) },
				"infinity":                func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", Float: math.Inf(1)}) },
				"pointer to -infinity":    func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", MaybeFloat: ptr(math.Inf(-1))}) },
				"text":                    func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", Text: bad}) },
				"pointer to text":         func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", MaybeText: &bad}) },
				"surrogate":               func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", Text: "\xED\xA0\x80"}) },
				"key":                     func(tx *repo.Tx) error { return items.Put(tx, Item{ID: bad}) },
				"key of a delete":         func(tx *repo.Tx) error { return items.Delete(tx, bad) },
				"key of a get":            func(tx *repo.Tx) error { _, err := items.Get(tx, bad); return err },
				"index column":            func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "a", Group: bad}) },
				"unique column":           func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "a", Code: &bad}) },
				"named string in a key":   func(tx *repo.Tx) error { return wides.Put(tx, Wide{WideKey: WideKey{Label: Label(bad)}}) },
				"time":                    func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", Time: never}) },
				"pointer to a time":       func(tx *repo.Tx) error { return scalars.Put(tx, Scalar{ID: "a", MaybeTime: &never}) },
				"time in an index":        func(tx *repo.Tx) error { return events.Put(tx, Event{At: never}) },
				"time in a key":           func(tx *repo.Tx) error { return wides.Delete(tx, WideKey{When: never}) },
				"JSON: string in a slice": func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Tags: []string{"ok", bad}}) },
				"JSON: key of a map":      func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Counts: map[string]int64{bad: 1}}) },
				"JSON: nested string": func(tx *repo.Tx) error {
					return documents.Put(tx, Document{ID: "a", Body: Body{Parts: []Body{{Title: bad}}}})
				},
				"JSON: pointer inside": func(tx *repo.Tx) error {
					return documents.Put(tx, Document{ID: "a", Link: &Body{Notes: map[string]*string{"n": &bad}}})
				},
				"JSON: raw": func(tx *repo.Tx) error {
					return documents.Put(tx, Document{ID: "a", Raw: json.RawMessage(`"` + bad + `"`)})
				},
				"JSON: raw inside": func(tx *repo.Tx) error {
					return documents.Put(tx, Document{ID: "a", Body: Body{Raw: json.RawMessage(`"` + bad + `"`)}})
				},
				"JSON: raw, not JSON":      func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Raw: json.RawMessage(`{`)}) },
				"JSON: raw, two values":    func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Raw: json.RawMessage(`1 2`)}) },
				"JSON: NaN":                func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Body: Body{Ratio: math.NaN()}}) },
				"JSON: infinity as any":    func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Any: []any{math.Inf(1)}}) },
				"JSON: string as any":      func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Any: map[string]any{"x": bad}}) },
				"JSON: what has no JSON":   func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Any: make(chan int)}) },
				"JSON: a function as any":  func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Any: func() {}}) },
				"JSON: map of other keys":  func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Any: map[float64]int{1: 1}}) },
				"JSON: a time out of JSON": func(tx *repo.Tx) error { return documents.Put(tx, Document{ID: "a", Body: Body{At: &never}}) },
			} {
				err := t.store.Update(t.ctx, put)
				if !errors.Is(err, repo.ErrInvalid) {
					t.Errorf("%s: got %v, want ErrInvalid", what, err)
				}
			}
			for _, def := range Schema.Driver().Tables {
				t.equal("rows of "+def.Name, len(t.revsIn(driver.Span{Table: def})), 0)
			}
		},
	},
	{
		name: "JSON columns read back as they were written",
		why:  "Anything that is no scalar is stored as JSON; nil and empty stay apart, typed integers stay exact, nothing is escaped for HTML.",
		check: func(t *T) {
			at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC) // nanoseconds stay in JSON
			for _, want := range []Document{
				{ID: "zero"},
				{ID: "empty", Tags: []string{}, Counts: map[string]int64{}, Grid: [][]int64{}, Any: map[string]any{}},
				{ID: "nested nil", Tags: []string{""}, Grid: [][]int64{nil, {}, {0}}, Body: Body{Parts: []Body{}, Notes: map[string]*string{"": nil}}, Any: []any{nil}},
				{ID: "integers", Counts: map[string]int64{"a": math.MaxInt64, "b": math.MinInt64, "c": 1<<53 + 1}, Grid: [][]int64{{math.MaxInt64, -1}}, Body: Body{Number: math.MinInt64}, Huge: math.MaxUint64},
				{ID: "texts", Tags: trickyTexts, Body: Body{Title: "<&>\u2028'\"\\"}, Any: "x'00ff'"},
				{ID: "tree", Body: Body{Title: "a", Ratio: 0.1, At: &at, Parts: []Body{{Title: "b", Parts: []Body{{Title: "c"}}}}}, Link: &Body{Notes: map[string]*string{"n": ptr("m"), "\x00": ptr("\x00")}}},
				{ID: "any", Any: map[string]any{"n": 1e300, "s": "t", "l": []any{true, false, 1.5, map[string]any{"é": "日"}}}},
				{ID: "any text", Any: "null"}, {ID: "any bool", Any: false}, {ID: "any number", Any: 0.0},
			} {
				insert(t, documents, want)
				got := get(t, documents, want.ID)
				got.Raw, got.Body.Raw = nil, nil // see the next case
				if got.Link != nil {
					got.Link.Raw = nil
				}
				for i := range got.Body.Parts {
					got.Body.Parts[i].Raw = nil
					for j := range got.Body.Parts[i].Parts {
						got.Body.Parts[i].Parts[j].Raw = nil
					}
				}
				t.equal(want.ID, got, want)
			}
		},
	},
	{
		name: "raw JSON keeps its text but for spaces",
		why:  "A program that stores what it was sent wants the same number of digits back. Absent is null.",
		check: func(t *T) {
			for raw, want := range map[string]string{
				"":                                       "null",
				"null":                                   "null",
				" \n1 ":                                  "1",
				`"null"`:                                 `"null"`,
				`{ "b" : 1.0, "a" : [ 1e2 , -0 ] }`:      `{"b":1.0,"a":[1e2,-0]}`,
				`{"a":1,"a":2}`:                          `{"a":1,"a":2}`,
				`12345678901234567890123`:                `12345678901234567890123`,
				`"<&>"`:                                  `"<&>"`,
				`"\u003c\u00e9\ud83d\ude00\ufffd\u0000"`: `"\u003c\u00e9\ud83d\ude00\ufffd\u0000"`,
				"\"é\U0001F600\ufffd\"":                  "\"é\U0001F600\ufffd\"",
				`"x'00'"`:                                `"x'00'"`,
			} {
				inside := json.RawMessage(raw)
				if raw == "" {
					inside = nil // encoding/json takes an empty one for a mistake
				}
				put(t, documents, Document{ID: "a", Raw: json.RawMessage(raw), Body: Body{Raw: inside}})
				got := get(t, documents, "a")
				t.equal("raw", string(got.Raw), want)
				t.equal("raw inside", string(got.Body.Raw), want)
			}
		},
	},
	{
		name: "an own write reads as it will be read after the commit",
		why:  "A transaction that reads its own row must not see a time or a number that nobody else will see.",
		check: func(t *T) {
			zone := time.FixedZone("x", 3600)
			scalar := Scalar{ID: "a", Float: math.Copysign(0, -1), Blob: []byte{}, Time: time.Date(2026, 1, 1, 0, 0, 0, 999, zone), MaybeTime: ptr(time.Date(1960, 1, 1, 0, 0, 0, 999, zone))}
			document := Document{ID: "a", Any: map[string]int{"n": 1}, Raw: json.RawMessage(" [ ] "), Tags: []string{}}
			var own Scalar
			var ownDocument Document
			t.update(func(tx *repo.Tx) (err error) {
				t.ok(errors.Join(scalars.Insert(tx, scalar), documents.Insert(tx, document)))
				if own, err = scalars.Get(tx, "a"); err == nil {
					ownDocument, err = documents.Get(tx, "a")
				}
				return err
			})
			t.equal("scalar", own, get(t, scalars, "a"))
			t.equal("document", ownDocument, get(t, documents, "a"))
			if math.Signbit(own.Float) || own.Time.Nanosecond() != 0 || own.Time.Location() != time.UTC {
				t.Errorf("own row is %+v", own)
			}
		},
	},
}

func insertAllTexts(t *T) {
	t.Helper()
	for _, s := range slices.Backward(trickyTexts) {
		put(t, items, Item{ID: s, Group: s, Code: &s, Text: s})
	}
}

// nullFirst compares what of returns, nil before everything.
func nullFirst[V any](of func(Ranked) *V, compare func(a, b V) int) func(a, b Ranked) int {
	return func(a, b Ranked) int {
		x, y := of(a), of(b)
		switch {
		case x == nil && y == nil:
			return 0
		case x == nil:
			return -1
		case y == nil:
			return 1
		}
		return compare(*x, *y)
	}
}
