package repotest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"trihold/repo"
)

var pageCases = []testCase{
	{
		name: "pages of any size make up the walk",
		why:  "Paging must neither lose nor repeat a row, in any order, in either direction, however the page size divides the rows.",
		check: func(t *T) {
			for i := range int64(7) {
				item := Item{ID: fmt.Sprint((i * 3) % 7), Group: string('a' + rune(i%2)), Order: i / 3, Text: "same"}
				event := Event{EventKey: EventKey{string('a' + rune(i%3)), i}, Done: i%2 == 0}
				if i%2 == 0 {
					item.Code, event.Kind = ptr(fmt.Sprint(i)), ptr("k")
				}
				insert(t, items, item)
				insert(t, events, event)
			}
			equalPages(t, "primary key", items.All(), Item.id)
			equalPages(t, "range of it", items.Between("1", "5"), Item.id)
			equalPages(t, "index", itemsByGroup.All(), Item.id)
			equalPages(t, "one value", itemsByGroup.Eq("a"), Item.id)
			equalPages(t, "equal index values", itemsByText.Eq("same"), Item.id)
			equalPages(t, "unique index with NULL", itemsByCode.All(), Item.id)
			equalPages(t, "only NULL", itemsByCode.Eq(nil), Item.id)
			equalPages(t, "composite key", events.All(), Event.key)
			equalPages(t, "composite key behind three columns with NULL", eventsByKind.All(), Event.key)
			equalPages(t, "nullable second column", eventsByDone.Eq(true), Event.key)
		},
	},
	{
		name: "cursors carry every kind of key",
		why:  "A cursor holds the key of a row: NUL, 0xFF, empty strings and extreme numbers among them.",
		check: func(t *T) {
			for i, raw := range []repo.Bytes{"", "\x00", "\x00\xFF", "\xFF", "\xFF\xFF"} {
				for j, label := range []Label{"", "\x00", "é", "\U0010FFFF"} {
					at := time.UnixMicro(int64(i-2) * 1e15)
					insert(t, wides, Wide{WideKey: WideKey{j%2 == 0, at, raw, label, int8(math.MinInt8 + i)}, Value: fmt.Sprint(i, j)})
				}
				insert(t, blobs, Blob{Key: raw})
				insert(t, ranked, Ranked{ID: math.MinInt64 + int64(i), MaybeInt: ptr(math.MaxInt64 - int64(i%2)), MaybeTime: ptr(time.UnixMicro(int64(-i)))})
			}
			equalPages(t, "wide key", wides.All(), func(w Wide) string { return w.Value })
			equalPages(t, "bytes", blobs.All(), Blob.bytes)
			equalPages(t, "integers", rankedByMaybeInt.All(), Ranked.id)
			equalPages(t, "times", rankedByMaybeTime.All(), Ranked.id)
		},
	},
	{
		name: "a cursor stays valid while rows come and go",
		why:  "Between two pages other users write. The next page begins where the last one ended, whether or not that row is still there.",
		check: func(t *T) {
			insert(t, items, Item{ID: "b", Text: "x"}, Item{ID: "d", Text: "x"}, Item{ID: "f", Text: "x"}, Item{ID: "h", Text: "x"}, Item{ID: "j", Text: "x"})
			for _, order := range []struct {
				what string
				span repo.Span[Item]
			}{{"primary key", items.All()}, {"index", itemsByText.Eq("x")}} {
				first, cursor := page(t, order.span, "", 2)
				t.equal(order.what+": first page", first, []string{"b", "d"})
				remove(t, items, "d", "f")
				insert(t, items, Item{ID: "a", Text: "x"}, Item{ID: "c", Text: "x"}, Item{ID: "e", Text: "x"})
				second, cursor := page(t, order.span, cursor, 2)
				t.equal(order.what+": second page", second, []string{"e", "h"})
				third, cursor := page(t, order.span, cursor, 2)
				t.equal(order.what+": third page", third, []string{"j"})
				t.equal(order.what+": last cursor", cursor, "")

				last, cursor := page(t, order.span.Reverse(), "", 2)
				t.equal(order.what+": last page", last, []string{"j", "h"})
				insert(t, items, Item{ID: "i", Text: "x"})
				remove(t, items, "h", "i")
				before, _ := page(t, order.span.Reverse(), cursor, 3)
				t.equal(order.what+": the page before it", before, []string{"e", "c", "b"})
				t.empty()
				insert(t, items, Item{ID: "b", Text: "x"}, Item{ID: "d", Text: "x"}, Item{ID: "f", Text: "x"}, Item{ID: "h", Text: "x"}, Item{ID: "j", Text: "x"})
			}
		},
	},
	{
		name: "the last page has no cursor",
		why:  "A loop over pages ends there, also when the rows fill the page exactly.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"})
			for _, n := range []int{2, 3, 1000} {
				got, cursor := page(t, items.All(), "", n)
				t.equal("page", got, []string{"a", "b"})
				t.equal("cursor", cursor, "")
			}
			_, cursor := page(t, items.All(), "", 1)
			remove(t, items, "b")
			got, cursor := page(t, items.All(), cursor, 1)
			t.equal("page behind a deleted row", got, []string{})
			t.equal("cursor", cursor, "")
		},
	},
	{
		name: "a page never leaves its span",
		why:  "A cursor is a position in an order. Used with another span of that order, it must not lead out of it.",
		check: func(t *T) {
			for _, id := range []string{"a1", "a2", "b1", "b2", "c1", "c2"} {
				insert(t, items, Item{ID: id, Group: id[:1]})
			}
			_, inA := page(t, itemsByGroup.Eq("a"), "", 1)
			_, inB := page(t, itemsByGroup.Eq("b"), "", 1)
			_, inC := page(t, itemsByGroup.Eq("c"), "", 1)
			for _, c := range []struct {
				what, cursor string
				span         repo.Span[Item]
				want         []string
			}{
				{"cursor before the span", inA, itemsByGroup.Eq("b"), []string{"b1", "b2"}},
				{"cursor in the span", inB, itemsByGroup.Eq("b"), []string{"b2"}},
				{"cursor behind the span", inC, itemsByGroup.Eq("b"), []string{}},
				{"wider span", inB, itemsByGroup.All(), []string{"b2", "c1", "c2"}},
			} {
				got, _ := page(t, c.span, c.cursor, 9)
				t.equal(c.what, got, c.want)
			}
			_, back := page(t, itemsByGroup.Eq("b").Reverse(), "", 1)
			got, _ := page(t, itemsByGroup.Eq("a").Reverse(), back, 9)
			t.equal("backward, cursor before the span", got, []string{"a2", "a1"})
			got, _ = page(t, itemsByGroup.Eq("c").Reverse(), back, 9)
			t.equal("backward, cursor behind the span", got, []string{})
		},
	},
	{
		name: "a cursor of another order or direction is ErrInvalid",
		why:  "It would silently show a wrong page.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a", Text: "x"}, Item{ID: "b", Text: "x"})
			insert(t, blobs, Blob{Key: "a"}, Blob{Key: "b"})
			_, cursor := page(t, items.All(), "", 1)
			t.view(func(tx *repo.ReadTx) error {
				_, _, err := items.All().Reverse().Page(tx, cursor, 1)
				t.refused(err, repo.ErrInvalid)
				_, _, err = itemsByText.All().Page(tx, cursor, 1)
				t.refused(err, repo.ErrInvalid)
				_, _, err = blobs.All().Page(tx, cursor, 1)
				t.refused(err, repo.ErrInvalid)
				return nil
			})
		},
	},
	{
		name: "what is not a cursor is ErrInvalid",
		why:  "Cursors come back from browsers, cut short or made up.",
		check: func(t *T) {
			insert(t, events, Event{EventKey: EventKey{"a", 1}, Kind: ptr("k")}, Event{EventKey: EventKey{"b", 2}})
			var cursor string
			t.view(func(tx *repo.ReadTx) (err error) {
				_, cursor, err = eventsByKind.All().Page(tx, "", 1)
				return err
			})
			if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(cursor) {
				t.Errorf("cursor %q is not fit for a URL", cursor)
			}
			bad := []string{"x", "null", "!", "AAAA", strings.Repeat("A", 10_000), cursor + "AAAA", "B" + cursor[1:]}
			for i := 1; i < len(cursor); i++ {
				bad = append(bad, cursor[:i])
			}
			t.view(func(tx *repo.ReadTx) error {
				for _, c := range bad {
					if _, _, err := eventsByKind.All().Page(tx, c, 1); err == nil {
						t.Errorf("accepted %.60q as a cursor; a good one is %q", c, cursor)
					} else {
						t.refused(err, repo.ErrInvalid)
					}
				}
				return nil
			})
		},
	},
	{
		name: "a page of no rows is ErrInvalid",
		why:  "It could never end.",
		check: func(t *T) {
			t.view(func(tx *repo.ReadTx) error {
				for _, n := range []int{0, -1, math.MinInt} {
					_, _, err := items.All().Page(tx, "", n)
					t.refused(err, repo.ErrInvalid)
				}
				return nil
			})
		},
	},
	{
		name: "the largest page size is a page size",
		why:  "One more row than asked for is fetched, and that sum must not overflow.",
		check: func(t *T) {
			insert(t, items, Item{ID: "a"}, Item{ID: "b"})
			got, cursor := page(t, items.All(), "", math.MaxInt)
			t.equal("page", got, []string{"a", "b"})
			t.equal("cursor", cursor, "")
			t.update(func(tx *repo.Tx) error {
				t.ok(items.Put(tx, Item{ID: "c"}))
				all, _, err := items.All().Page(tx, "", math.MaxInt)
				t.equal("page with an own row", each(all, Item.id), []string{"a", "b", "c"})
				return err
			})
		},
	},
	{
		name: "pages within a transaction show its own writes",
		why:  "Own rows take their places between the stored ones, also at the edges of a page.",
		check: func(t *T) {
			insert(t, items, Item{ID: "b"}, Item{ID: "d"}, Item{ID: "f"}, Item{ID: "h"})
			t.update(func(tx *repo.Tx) error {
				t.ok(insertAll(tx, items, []Item{{ID: "a"}, {ID: "c"}, {ID: "i"}}))
				t.ok(items.Delete(tx, "d"))
				t.ok(items.Put(tx, Item{ID: "f", Text: "own"}))
				want := []string{"a", "b", "c", "f", "h", "i"}
				for size := 1; size <= len(want)+1; size++ {
					got, err := pagesIn(tx, items.All(), size)
					t.ok(err)
					t.equal(fmt.Sprintf("pages of %d", size), slices.Concat(each(got, ids)...), want)
					back, err := pagesIn(tx, items.All().Reverse(), size)
					t.ok(err)
					all := slices.Concat(each(back, ids)...)
					slices.Reverse(all)
					t.equal(fmt.Sprintf("pages of %d, backward", size), all, want)
				}
				return nil
			})
		},
	},
}

func ids(rows []Item) []string { return each(rows, Item.id) }

// page returns the IDs of one page and the cursor behind it.
func page(t *T, span repo.Span[Item], cursor string, n int) (got []string, next string) {
	t.Helper()
	t.view(func(tx *repo.ReadTx) error {
		all, after, err := span.Page(tx, cursor, n)
		got, next = ids(all), after
		return err
	})
	return got, next
}

// pagesIn returns all pages of a span.
func pagesIn[R any](tx repo.Reader, span repo.Span[R], size int) ([][]R, error) {
	var pages [][]R
	for cursor := ""; ; {
		page, next, err := span.Page(tx, cursor, size)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
		if next == "" {
			return pages, nil
		}
		if len(page) != size {
			return nil, fmt.Errorf("a page of %d rows, want %d, is followed by another", len(page), size)
		}
		if next == cursor {
			return nil, fmt.Errorf("the cursor %q leads to itself", cursor)
		}
		cursor = next
	}
}

// equalPages compares the pages of a span, of every size and in both directions,
// with its walk.
func equalPages[R, V any](t *T, what string, span repo.Span[R], of func(R) V) {
	t.Helper()
	for direction, span := range map[string]repo.Span[R]{"forward": span, "backward": span.Reverse()} {
		want := list(t, span, of)
		if len(want) == 0 {
			t.Fatalf("%s: no rows, so nothing is tested", what)
		}
		for size := 1; size <= len(want)+1; size++ {
			t.view(func(tx *repo.ReadTx) error {
				pages, err := pagesIn(tx, span, size)
				t.equal(fmt.Sprintf("%s, %s, pages of %d", what, direction, size), each(slices.Concat(pages...), of), want)
				return err
			})
		}
	}
}
