package repotest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

var spanCases = []testCase{
	{
		name: "bounds of a primary key span are included",
		why:  "Between and From are closed at their ends.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"}, Item{ID: "bb"}, Item{ID: "c"}, Item{ID: "d"})
			for _, c := range []struct {
				what string
				span repo.Span[Item]
				want string
			}{
				{"all", items.All(), "a b bb c d"},
				{"between", items.Between("b", "c"), "b bb c"},
				{"between, neither there", items.Between("aa", "bc"), "b bb"},
				{"between, one key", items.Between("b", "b"), "b"},
				{"between, nothing inside", items.Between("ca", "cz"), ""},
				{"between, upside down", items.Between("c", "b"), ""},
				{"from", items.From("c"), "c d"},
				{"from the first", items.From(""), "a b bb c d"},
				{"from behind the last", items.From("e"), ""},
				{"prefix", items.Prefix("b"), "b bb"},
				{"prefix of nothing", items.Prefix("x"), ""},
				{"reverse of between", items.Between("b", "c").Reverse(), "c bb b"},
				{"reverse of from", items.From("c").Reverse(), "d c"},
				{"reverse of prefix", items.Prefix("b").Reverse(), "bb b"},
				{"reverse of reverse", items.Prefix("b").Reverse().Reverse(), "b bb"},
			} {
				t.equal(c.what, strings.Join(list(t, c.span, Item.id), " "), c.want)
			}
		},
	},
	{
		name: "a composite primary key is ordered column by column",
		why:  "A span of a composite key is a range of tuples, not of each column by itself.",
		check: func(t *T) {
			keys := []EventKey{{"", 5}, {"a", math.MinInt64}, {"a", -1}, {"a", 0}, {"a", 2}, {"a", 10}, {"a\x00b", 0}, {"aa", -7}, {"b", 1}}
			for i := range keys {
				insert(t, events, Event{EventKey: keys[(i*4)%len(keys)]}) // in another order
			}
			t.equal("all", list(t, events.All(), Event.key), keys)
			t.equal("between", list(t, events.Between(EventKey{"a", 0}, EventKey{"aa", -7}), Event.key), keys[3:8])
			t.equal("from", list(t, events.From(EventKey{"a", 3}), Event.key), keys[5:])
			t.equal("upside down", list(t, events.Between(EventKey{"b", 0}, EventKey{"a", 9}), Event.key), []EventKey{})
			back := slices.Clone(keys[3:6])
			slices.Reverse(back)
			t.equal("reverse", list(t, events.Between(EventKey{"a", 0}, EventKey{"a", 99}).Reverse(), Event.key), back)
		},
	},
	{
		name: "an integer primary key is ordered by number",
		why:  "-1, 9 and 10 in the order of their digits would be wrong.",
		check: func(t *T) {
			keys := []int64{math.MinInt64, -1 << 53, -10, -9, -1, 0, 1, 9, 10, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
			for i := range keys {
				k := keys[(i*5)%len(keys)]
				insert(t, seats, Seat{ID: k, Ticket: repo.Bytes(fmt.Sprint(k)), Row: k})
			}
			t.equal("all", list(t, seats.All(), Seat.id), keys)
			t.equal("between", list(t, seats.Between(1<<53, math.MaxInt64-1), Seat.id), keys[10:13])
			t.equal("from the last", list(t, seats.From(math.MaxInt64), Seat.id), keys[13:])
			t.equal("from the first", list(t, seats.From(math.MinInt64), Seat.id), keys)
			t.equal("one beyond 2^53", list(t, seats.Between(1<<53+1, 1<<53+1), Seat.id), keys[11:12])
		},
	},
	{
		name: "an index of one column has all its spans",
		why:  "Every method of a span is one walk of an index.",
		check: func(t *T) {
			insert(t, items, Item{ID: "1", Text: "b"}, Item{ID: "2", Text: "a"}, Item{ID: "3", Text: "bb"}, Item{ID: "4", Text: "c"}, Item{ID: "5", Text: "b"})
			for _, c := range []struct {
				what string
				span repo.Span[Item]
				want string
			}{
				{"all", itemsByText.All(), "2 1 5 3 4"},
				{"eq", itemsByText.Eq("b"), "1 5"},
				{"eq nothing", itemsByText.Eq("x"), ""},
				{"between", itemsByText.Between("b", "bb"), "1 5 3"},
				{"upside down", itemsByText.Between("c", "a"), ""},
				{"from", itemsByText.From("bb"), "3 4"},
				{"prefix", itemsByText.Prefix("b"), "1 5 3"},
				{"reverse of all", itemsByText.All().Reverse(), "4 3 5 1 2"},
				{"reverse of eq", itemsByText.Eq("b").Reverse(), "5 1"},
			} {
				t.equal(c.what, strings.Join(list(t, c.span, Item.id), " "), c.want)
			}
		},
	},
	{
		name: "an index of two columns has all its spans",
		why:  "The first column is fixed and the second one is ranged over.",
		check: func(t *T) {
			insert(t, items, Item{ID: "1", Group: "a", Order: 2}, Item{ID: "2", Group: "a", Order: 1}, Item{ID: "3", Group: "b", Order: 1},
				Item{ID: "4", Group: "a", Order: 10}, Item{ID: "5", Group: "a", Order: 2}, Item{ID: "6", Group: "", Order: -1}, Item{ID: "7", Group: "ab", Order: 0})
			for _, c := range []struct {
				what string
				span repo.Span[Item]
				want string
			}{
				{"all", itemsByGroup.All(), "6 2 1 5 4 7 3"},
				{"eq", itemsByGroup.Eq("a"), "2 1 5 4"},
				{"eq the empty string", itemsByGroup.Eq(""), "6"},
				{"eq2", itemsByGroup.Eq2("a", 2), "1 5"},
				{"between", itemsByGroup.Between("a", 2, 9), "1 5"},
				{"between, to the end", itemsByGroup.Between("a", 2, math.MaxInt64), "1 5 4"},
				{"upside down", itemsByGroup.Between("a", 9, 2), ""},
				{"from", itemsByGroup.From("a", 2), "1 5 4"},
				{"from behind the last", itemsByGroup.From("a", 11), ""},
				{"reverse of eq", itemsByGroup.Eq("a").Reverse(), "4 5 1 2"},
				{"reverse of from", itemsByGroup.From("a", 2).Reverse(), "4 5 1"},
			} {
				t.equal(c.what, strings.Join(list(t, c.span, Item.id), " "), c.want)
			}
		},
	},
	{
		name: "an index of three columns has all its spans",
		why:  "Two columns are fixed and the third one is ranged over.",
		check: func(t *T) {
			add := func(n int64, kind string, weight int64, note string) {
				insert(t, events, Event{EventKey: EventKey{"s", n}, Kind: &kind, Weight: &weight, Note: note})
			}
			add(1, "k", 1, "b")
			add(2, "k", 1, "a")
			add(3, "k", 2, "a")
			add(4, "j", 1, "a")
			add(5, "k", 1, "bc")
			add(6, "k", 1, "c")
			k, one := ptr("k"), ptr(int64(1))
			for _, c := range []struct {
				what string
				span repo.Span[Event]
				want string
			}{
				{"all", eventsByKind.All(), "[4 2 1 5 6 3]"},
				{"eq", eventsByKind.Eq(k), "[2 1 5 6 3]"},
				{"eq2", eventsByKind.Eq2(k, one), "[2 1 5 6]"},
				{"eq3", eventsByKind.Eq3(k, one, "a"), "[2]"},
				{"between", eventsByKind.Between(k, one, "b", "bz"), "[1 5]"},
				{"from", eventsByKind.From(k, one, "bc"), "[5 6]"},
				{"prefix", eventsByKind.Prefix(k, one, "b"), "[1 5]"},
				{"empty prefix", eventsByKind.Prefix(k, one, ""), "[2 1 5 6]"},
				{"reverse of eq2", eventsByKind.Eq2(k, one).Reverse(), "[6 5 1 2]"},
			} {
				got := list(t, c.span, func(e Event) int64 { return e.Number })
				t.equal(c.what, fmt.Sprint(got), c.want)
			}
		},
	},
	{
		name: "a unique index has the spans of an index",
		why:  "Unique is a promise about rows, not another kind of order.",
		check: func(t *T) {
			insert(t, items, Item{ID: "1", Code: ptr("b")}, Item{ID: "2", Code: ptr("a")}, Item{ID: "3"}, Item{ID: "4", Code: ptr("c")}, Item{ID: "5"})
			t.equal("all", list(t, itemsByCode.All(), Item.id), []string{"3", "5", "2", "1", "4"})
			t.equal("between", list(t, itemsByCode.Between(ptr("a"), ptr("b")), Item.id), []string{"2", "1"})
			t.equal("reverse", list(t, itemsByCode.From(ptr("b")).Reverse(), Item.id), []string{"4", "1"})
			for i, row := range []int64{3, 1, 2} {
				insert(t, seats, Seat{ID: int64(i), Hall: "h", Row: 1, Number: ptr(row), Ticket: repo.Bytes(fmt.Sprint(i))})
			}
			insert(t, seats, Seat{ID: 9, Hall: "h", Row: 1, Ticket: "9"})
			t.equal("third column", list(t, seatsByPlace.Eq2("h", 1), Seat.id), []int64{9, 1, 2, 0})
			t.equal("range of the third", list(t, seatsByPlace.Between("h", 1, ptr(int64(2)), ptr(int64(3))), Seat.id), []int64{2, 0})
			t.equal("bytes in the second", list(t, seatsByTicket.From("h", "1"), Seat.id), []int64{1, 2, 9})
		},
	},
	{
		name: "NULL sorts before every value, and can be a bound",
		why:  "In SQL, NULL compares with nothing; in an index it has a place.",
		check: func(t *T) {
			insert(t, ranked, Ranked{ID: 1, MaybeText: ptr("a")}, Ranked{ID: 2}, Ranked{ID: 3, MaybeText: ptr("")}, Ranked{ID: 4}, Ranked{ID: 5, MaybeText: ptr("b")})
			for _, c := range []struct {
				what string
				span repo.Span[Ranked]
				want string
			}{
				{"all", rankedByMaybeText.All(), "[2 4 3 1 5]"},
				{"eq NULL", rankedByMaybeText.Eq(nil), "[2 4]"},
				{"eq the empty string", rankedByMaybeText.Eq(ptr("")), "[3]"},
				{"between NULL and a value", rankedByMaybeText.Between(nil, ptr("a")), "[2 4 3 1]"},
				{"between NULL and NULL", rankedByMaybeText.Between(nil, nil), "[2 4]"},
				{"between a value and NULL", rankedByMaybeText.Between(ptr(""), nil), "[]"},
				{"from NULL", rankedByMaybeText.From(nil), "[2 4 3 1 5]"},
				{"from the empty string", rankedByMaybeText.From(ptr("")), "[3 1 5]"},
				{"empty prefix", rankedByMaybeText.Prefix(""), "[3 1 5]"},
				{"reverse", rankedByMaybeText.All().Reverse(), "[5 1 3 4 2]"},
			} {
				t.equal(c.what, fmt.Sprint(list(t, c.span, Ranked.id)), c.want)
			}
		},
	},
	{
		name: "NULL can be the fixed column of a span",
		why:  "col = NULL finds nothing in SQL; Eq of a nil pointer means the rows that have none.",
		check: func(t *T) {
			add := func(n int64, kind *string, weight *int64, note string) {
				insert(t, events, Event{EventKey: EventKey{"s", n}, Kind: kind, Weight: weight, Note: note})
			}
			add(1, nil, nil, "b")
			add(2, nil, ptr(int64(1)), "a")
			add(3, ptr("k"), nil, "a")
			add(4, nil, nil, "a")
			number := func(e Event) int64 { return e.Number }
			t.equal("all", list(t, eventsByKind.All(), number), []int64{4, 1, 2, 3})
			t.equal("eq", list(t, eventsByKind.Eq(nil), number), []int64{4, 1, 2})
			t.equal("eq2", list(t, eventsByKind.Eq2(nil, nil), number), []int64{4, 1})
			t.equal("eq3", list(t, eventsByKind.Eq3(nil, nil, "b"), number), []int64{1})
			t.equal("from", list(t, eventsByKind.From(nil, nil, "b"), number), []int64{1})
			t.equal("prefix", list(t, eventsByKind.Prefix(nil, nil, "a"), number), []int64{4})
			t.equal("value, then NULL", list(t, eventsByKind.Eq2(ptr("k"), nil), number), []int64{3})
			t.equal("false, then NULL", list(t, eventsByDone.Eq2(false, nil), number), []int64{1, 2, 4})
			t.equal("range from NULL", list(t, eventsByDone.Between(false, nil, ptr("k")), number), []int64{1, 2, 4, 3})
			t.equal("reverse", list(t, eventsByKind.Eq(nil).Reverse(), number), []int64{2, 1, 4})
		},
	},
	{
		name: "a prefix ends where its code point ends",
		why:  "The next string after a prefix is found by raising its last code point, which has edges: the surrogates, and the last one.",
		check: func(t *T) {
			words := []string{"", "a", "a\x00", "a\U0010FFFF", "a\U0010FFFFz", "b", "\uD7FF", "\uD7FFx", "\uE000", "\uFFFF", "\U00010000", "\U0010FFFF", "\U0010FFFF\U0010FFFF"}
			for _, w := range words {
				insert(t, items, Item{ID: w, Text: w})
			}
			for _, prefix := range append(words, "x", "a\U0010FFFF\U0010FFFF") {
				want := []string{}
				for _, w := range words { // which are in order
					if strings.HasPrefix(w, prefix) {
						want = append(want, w)
					}
				}
				t.equal(fmt.Sprintf("key prefix %+q", prefix), list(t, items.Prefix(prefix), Item.id), want)
				t.equal(fmt.Sprintf("index prefix %+q", prefix), list(t, itemsByText.Prefix(prefix), Item.id), want)
			}
		},
	},
	{
		name: "a prefix is not a pattern",
		why:  "LIKE ignores case and gives a meaning to % and _, GLOB to *, ? and [.",
		check: func(t *T) {
			words := []string{"%a", "*", "A", "Aa", "[a]", "_b", "a", "aa", "a%", "a_", "ab", "\\"}
			for _, w := range words {
				insert(t, items, Item{ID: w, Text: w})
			}
			for _, prefix := range []string{"a", "A", "%", "_", "*", "[", "?", "a%", "a_", "\\"} {
				want := []string{}
				for _, w := range slices.Sorted(slices.Values(words)) {
					if strings.HasPrefix(w, prefix) {
						want = append(want, w)
					}
				}
				t.equal("key prefix "+prefix, list(t, items.Prefix(prefix), Item.id), want)
				t.equal("index prefix "+prefix, list(t, itemsByText.Prefix(prefix), Item.id), want)
			}
		},
	},
	{
		name: "a prefix of bytes ends at the last byte value",
		why:  "0xFF has no next byte: the range is open at its end.",
		check: func(t *T) {
			words := []repo.Bytes{"", "\x00", "\x00\x00", "\x00\xFF", "\x01", "a", "\xFE\xFF", "\xFF", "\xFF\x00", "\xFF\xFF", "\xFF\xFF\xFF"}
			for i, w := range words {
				insert(t, blobs, Blob{Key: w})
				insert(t, ranked, Ranked{ID: int64(i), Bytes: w, MaybeBytes: &w})
			}
			insert(t, ranked, Ranked{ID: 99, Bytes: "zz"}) // NULL in the nullable one
			t.equal("all", list(t, blobs.All(), Blob.bytes), words)
			for _, prefix := range append(words, "b", "\xFE", "\xFF\xFF\xFF\xFF") {
				want, wantID := []repo.Bytes{}, []int64{}
				for i, w := range words {
					if strings.HasPrefix(string(w), string(prefix)) {
						want, wantID = append(want, w), append(wantID, int64(i))
					}
				}
				t.equal(fmt.Sprintf("key prefix %x", prefix), list(t, blobs.Prefix(string(prefix)), Blob.bytes), want)
				t.equal(fmt.Sprintf("nullable index prefix %x", prefix), list(t, rankedByMaybeBytes.Prefix(string(prefix)), Ranked.id), wantID)
			}
			t.equal("index prefix", list(t, rankedByBytes.Prefix("\xFF\xFF"), Ranked.id), []int64{9, 10})
		},
	},
	{
		name: "a prefix of what is not text is ErrInvalid",
		why:  "A number has no prefix, and a key of several columns has no single one.",
		check: func(t *T) {
			t.view(func(tx *repo.ReadTx) error {
				for what, span := range map[string]func() error{
					"integer key":   func() error { _, err := seats.Prefix("1").Count(tx); return err },
					"composite key": func() error { _, err := events.Prefix("a").Count(tx); return err },
					"time index":    func() error { _, err := eventsByAt.Prefix("2").Count(tx); return err },
					"not UTF-8":     func() error { _, err := items.Prefix("a\xFF").Count(tx); return err },
					"not UTF-8, Eq": func() error { _, err := itemsByText.Eq("\xC3").Count(tx); return err },
				} {
					if err := span(); err == nil {
						t.Errorf("%s: accepted", what)
					} else {
						t.refused(err, repo.ErrInvalid)
					}
				}
				return nil
			})
		},
	},
	{
		name: "rows with equal index values are in the order of their primary key",
		why:  "An order must be total, or pages lose rows.",
		check: func(t *T) {
			for _, id := range []string{"c", "a", "e", "b", "d"} {
				insert(t, items, Item{ID: id, Group: "g", Order: 1, Text: "t"})
			}
			t.equal("two columns", list(t, itemsByGroup.Eq2("g", 1), Item.id), []string{"a", "b", "c", "d", "e"})
			t.equal("reverse", list(t, itemsByText.All().Reverse(), Item.id), []string{"e", "d", "c", "b", "a"})
			t.equal("NULL", list(t, itemsByCode.Eq(nil), Item.id), []string{"a", "b", "c", "d", "e"})
		},
	},
	{
		name: "times and truth values have spans",
		why:  "They are stored as integers, and must be compared as what they are.",
		check: func(t *T) {
			times := []time.Time{time.UnixMicro(-62135596800000000), time.UnixMicro(-1), time.UnixMicro(0), time.UnixMicro(1), time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
			for i, at := range times {
				insert(t, ranked, Ranked{ID: int64(i), Time: at, Bool: i%2 == 1, MaybeTime: &at, MaybeBool: ptr(i > 2)})
			}
			t.equal("all", list(t, rankedByTime.All(), Ranked.id), []int64{0, 1, 2, 3, 4})
			t.equal("between", list(t, rankedByTime.Between(times[1], times[3]), Ranked.id), []int64{1, 2, 3})
			t.equal("eq in another zone", list(t, rankedByTime.Eq(times[4].In(time.FixedZone("x", 5*3600))), Ranked.id), []int64{4})
			t.equal("nullable", list(t, rankedByMaybeTime.From(&times[3]), Ranked.id), []int64{3, 4})
			t.equal("false", list(t, rankedByBool.Eq(false), Ranked.id), []int64{0, 2, 4})
			t.equal("from true", list(t, rankedByBool.From(true), Ranked.id), []int64{1, 3})
			t.equal("nullable true", list(t, rankedByMaybeBool.Eq(ptr(true)), Ranked.id), []int64{3, 4})
		},
	},
	{
		name: "a span yields the rows between its bounds, whatever they are",
		why:  "Bounds are tuples of some or all columns of the order, open or closed, with NULLs: a backend must get every combination right.",
		check: func(t *T) {
			t.commit(spanRows(0)...)
			t.snapshot(func(s driver.Snapshot) error {
				for _, c := range []struct {
					def   *driver.Table
					order int
				}{{itemTable, 0}, {itemTable, 1}, {itemTable, 3}, {eventTable, 0}, {eventTable, 2}, {eventTable, 3}, {table("wide"), 0}, {table("order"), 1}, {table("order"), 2}} {
					if err := t.compareSpans(s, c.def, c.order, 150); err != nil {
						return err
					}
				}
				return nil
			})
		},
	},
}

// spanRows returns writes of rows with few different values, so that tuples
// share their beginnings. A shift moves the rows, which keep their keys, to other
// places in the indices that are not unique.
func spanRows(shift int) []driver.Write {
	var writes []driver.Write
	add := func(def *driver.Table, row any) { writes = append(writes, writeOf(driver.Insert, def, row)) }
	texts := []string{"", "a", "a\x00", "b"}
	for i := range 12 {
		n := int64(i)
		item := Item{ID: texts[i%4] + []string{"", "\x01", "z"}[i/4], Group: texts[(i+shift)%3], Order: n/5 - 1, Text: texts[(i+shift)%2]}
		event := Event{EventKey: EventKey{texts[i%3], n/3 - 1}, Done: (i+shift)%2 == 0, Note: texts[(i+1)%4]}
		seat := Seat{ID: n, Hall: texts[i%2], Row: n % 3, Ticket: repo.Bytes([]byte{byte(i * 23), 0xFF, byte(i)})}
		if i%3 > 0 {
			item.Code = ptr(texts[i%4] + fmt.Sprint(i))
			event.Kind = ptr(texts[(i+shift)%4])
			seat.Number = ptr(n - 6)
		}
		if i%4 > 1 {
			event.Weight = ptr(n % 2)
		}
		add(itemTable, &item)
		add(eventTable, &event)
		add(table("order"), &seat)
		add(table("wide"), &Wide{WideKey: WideKey{i%2 == 0, time.UnixMicro(n % 3), repo.Bytes(texts[i%3]), Label(texts[i%2]), int8(i - 6)}})
	}
	return writes
}

// compareSpans compares random spans of one order with the model's answer.
func (t *T) compareSpans(s driver.Snapshot, def *driver.Table, order, n int) error {
	t.Helper()
	stored, err := gather(s.Scan(t.ctx, driver.Span{Table: def}))
	if err != nil {
		return err
	}
	state := modelState{rows: map[*driver.Table]map[driver.Key]modelRow{def: {}}}
	for _, row := range stored {
		w := driver.Write{Table: def, Key: keyOf(def, row), Data: row.Canonical(nil, def)}
		state.rows[def][w.Key], err = newModelRow(w, row.Rev)
		t.ok(err)
	}
	cols, bounds := def.OrderColumns(order), t.boundsOf(def, order)
	const seed = 1
	rnd := rand.New(rand.NewPCG(seed, uint64(order)))
	for range n {
		span := driver.Span{Table: def, Order: order, Lo: bounds[rnd.IntN(len(bounds))], Hi: bounds[rnd.IntN(len(bounds))], Reverse: rnd.IntN(2) == 0, Limit: rnd.IntN(4)}
		found, err := gather(s.Scan(t.ctx, span))
		if err != nil {
			return err
		}
		var got, want []string
		for _, row := range found {
			got = append(got, def.FormatKey(keyOf(def, row)))
		}
		for _, row := range state.scan(span) {
			want = append(want, def.FormatKey(row.key))
		}
		if !slices.Equal(got, want) {
			t.Errorf("table %s, order %d, from (%s) open %v, to (%s) open %v, reverse %v, limit %d:\n got %v\nwant %v", def.Name, order,
				driver.FormatKey(cols, span.Lo.Tuple), span.Lo.Open, driver.FormatKey(cols, span.Hi.Tuple), span.Hi.Open, span.Reverse, span.Limit, got, want)
			return nil
		}
	}
	return nil
}
