package repotest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// A generator makes a history out of choices: choose(n) returns a number from 0
// to n-1. Low numbers are the simpler choices, which is what rapid shrinks to.
type generator struct {
	choose func(n int) int
	// met makes writes of the rows that the turn reads by key, so that another
	// client can get in its way.
	met []func() op
}

func generateHistory(choose func(n int) int, turns int) History {
	g := &generator{choose: choose}
	var h History
	for range turns {
		h.turns = append(h.turns, g.turn())
	}
	return h
}

func (g *generator) turn() turn {
	g.met = nil
	switch g.choose(20) {
	case 8, 9, 10, 11, 12:
		return g.disturbed()
	case 13:
		return turn{kind: turnResend, what: "resend"}
	case 14:
		return turn{kind: turnAbort, what: "update that aborts", ops: g.ops(4, true)}
	case 15, 16, 17:
		return turn{kind: turnView, what: "view", ops: g.ops(4, false)}
	case 18:
		return turn{kind: turnChanges, what: "changes"}
	case 19:
		if g.choose(2) == 0 {
			return turn{kind: turnDigest, what: "digest"}
		}
		return turn{kind: turnReopen, what: "reopen"}
	}
	return turn{kind: turnUpdate, what: "update", ops: g.ops(5, true)}
}

// disturbed returns an update that reads, then writes, while another client
// writes, often what was read.
func (g *generator) disturbed() turn {
	s := turn{kind: turnUpdate, what: "update"}
	for range 1 + g.choose(2) {
		s.ops = append(s.ops, g.read())
	}
	for range 1 + g.choose(2) {
		s.ops = append(s.ops, g.write())
	}
	for range 1 + g.choose(2) {
		if len(g.met) > 0 && g.choose(4) < 3 {
			s.other = append(s.other, one(g, g.met)())
		} else {
			s.other = append(s.other, g.write())
		}
	}
	return s
}

// ops returns 1 to n operations.
func (g *generator) ops(n int, writes bool) []op {
	var all []op
	for range 1 + g.choose(n) {
		if writes && g.choose(5) < 3 {
			all = append(all, g.write())
		} else {
			all = append(all, g.read())
		}
	}
	return all
}

// one returns one of some values.
func one[V any](g *generator, values []V) V { return values[g.choose(len(values))] }

// maybe returns one of some values, or nil.
func maybe[V any](g *generator, values []V) *V {
	if i := g.choose(len(values) + 1); i > 0 {
		return &values[i-1]
	}
	return nil
}

// The values that histories are made of are few, so that they meet.
var (
	historyTexts   = []string{"a", "b", "", "a\x00", "ab", "é", "x'00'"}
	historyNumbers = []int64{0, 1, -1, 2, 1<<53 + 1}
	historyTimes   = []time.Time{time.UnixMicro(0).UTC(), time.UnixMicro(-1).UTC(), time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
	historyBytes   = []repo.Bytes{"a", "", "\x00", "\xFF", "\xFF\x00"}
)

func (g *generator) item() Item {
	return Item{ID: one(g, historyTexts), Group: one(g, historyTexts[:3]), Order: one(g, historyNumbers), Code: maybe(g, historyTexts[:4]), Text: one(g, historyTexts)}
}

func (g *generator) event() Event {
	return Event{EventKey: g.eventKey(), Kind: maybe(g, historyTexts[:4]), Weight: maybe(g, historyNumbers[:3]), At: one(g, historyTimes), Done: g.choose(2) == 1, Note: one(g, historyTexts)}
}

func (g *generator) eventKey() EventKey {
	return EventKey{one(g, historyTexts[:4]), one(g, historyNumbers[:3])}
}

func (g *generator) seat() Seat {
	return Seat{ID: one(g, historyNumbers), Hall: one(g, historyTexts[:2]), Row: one(g, historyNumbers[:2]), Number: maybe(g, historyNumbers[:2]), Ticket: one(g, historyBytes)}
}

func (g *generator) blob() Blob {
	return Blob{Key: one(g, historyBytes), Name: one(g, historyTexts[:3]), Data: []byte(one(g, historyBytes))}
}

func (g *generator) write() op {
	switch g.choose(6) {
	case 3:
		return writeOp(g, events, g.event(), Event.key)
	case 4:
		return writeOp(g, seats, g.seat(), Seat.id)
	case 5:
		return writeOp(g, blobs, g.blob(), Blob.bytes)
	}
	return writeOp(g, items, g.item(), Item.id)
}

func writeOp[R, K any](g *generator, t *repo.Table[R, K], row R, key func(R) K) op {
	def := table(t.Name())
	text := formatRow(def, def.Encode(nil, &row))
	done := func(err error) string { return "done" + failure(err) }
	switch g.choose(3) {
	case 0:
		return op{"put " + def.Name + " " + text, func(tx repo.Reader) string { return done(t.Put(tx.(*repo.Tx), row)) }}
	case 1:
		return op{"insert " + def.Name + " " + text, func(tx repo.Reader) string { return done(t.Insert(tx.(*repo.Tx), row)) }}
	}
	k := driver.Key(def.AppendKey(nil, 0, &row))
	return op{"delete " + def.Name + " " + def.FormatKey(k), func(tx repo.Reader) string { return done(t.Delete(tx.(*repo.Tx), key(row))) }}
}

func (g *generator) read() op {
	switch g.choose(8) {
	case 0, 1:
		return g.get()
	case 5:
		return spanOp(g, "event", g.eventSpan)
	case 6:
		return spanOp(g, "order", g.seatSpan)
	case 7:
		return spanOp(g, "blob", g.blobSpan)
	}
	return spanOp(g, "item", g.itemSpan)
}

func (g *generator) get() op {
	switch g.choose(6) {
	case 1:
		row := g.event()
		g.met = append(g.met, func() op { return writeOp(g, events, row, Event.key) })
		return getOp("event", row.EventKey, events.Get)
	case 2:
		row := g.seat()
		g.met = append(g.met, func() op { return writeOp(g, seats, row, Seat.id) })
		return getOp("order", row.ID, seats.Get)
	case 3:
		row := g.blob()
		g.met = append(g.met, func() op { return writeOp(g, blobs, row, Blob.bytes) })
		return getOp("blob", row.Key, blobs.Get)
	case 4:
		code := one(g, historyTexts)
		return op{fmt.Sprintf("get item by code %+q", code), func(tx repo.Reader) string {
			row, err := itemsByCode.Get(tx, &code)
			return shownRow("item", row, err)
		}}
	case 5:
		hall, ticket := one(g, historyTexts[:2]), one(g, historyBytes)
		return op{fmt.Sprintf("get order by hall %+q, ticket %+q", hall, string(ticket)), func(tx repo.Reader) string {
			row, err := seatsByTicket.Get(tx, hall, ticket)
			return shownRow("order", row, err)
		}}
	}
	row := g.item()
	g.met = append(g.met, func() op { return writeOp(g, items, row, Item.id) })
	return getOp("item", row.ID, items.Get)
}

func getOp[R, K any](name string, key K, get func(repo.Reader, K) (R, error)) op {
	return op{fmt.Sprintf("get %s %+q", name, fmt.Sprint(key)), func(tx repo.Reader) string {
		row, err := get(tx, key)
		return shownRow(name, row, err)
	}}
}

func shownRow[R any](name string, row R, err error) string {
	if err != nil {
		return "none" + failure(err)
	}
	def := table(name)
	return formatRow(def, def.Encode(nil, &row))
}

func (g *generator) itemSpan() (string, repo.Span[Item]) {
	a, b, n, m := one(g, historyTexts), one(g, historyTexts), one(g, historyNumbers), one(g, historyNumbers)
	switch g.choose(13) {
	case 1:
		return fmt.Sprintf("between %+q and %+q", a, b), items.Between(a, b)
	case 2:
		return fmt.Sprintf("from %+q", a), items.From(a)
	case 3:
		return fmt.Sprintf("prefix %+q", a), items.Prefix(a)
	case 4:
		return "by group", itemsByGroup.All()
	case 5:
		return fmt.Sprintf("by group %+q", a), itemsByGroup.Eq(a)
	case 6:
		return fmt.Sprintf("by group %+q, order %d to %d", a, n, m), itemsByGroup.Between(a, n, m)
	case 7:
		return fmt.Sprintf("by group %+q, order from %d", a, n), itemsByGroup.From(a, n)
	case 8:
		return fmt.Sprintf("by text %+q to %+q", a, b), itemsByText.Between(a, b)
	case 9:
		return fmt.Sprintf("by text prefix %+q", a), itemsByText.Prefix(a)
	case 10:
		return "by code", itemsByCode.All()
	case 11:
		return "by code NULL", itemsByCode.Eq(nil)
	case 12:
		return fmt.Sprintf("by code NULL to %+q", a), itemsByCode.Between(nil, &a)
	}
	return "all", items.All()
}

func (g *generator) eventSpan() (string, repo.Span[Event]) {
	k, l := g.eventKey(), g.eventKey()
	kind, weight, note := maybe(g, historyTexts[:4]), maybe(g, historyNumbers[:3]), one(g, historyTexts)
	shown := func(p any) string {
		switch p := p.(type) {
		case *string:
			if p != nil {
				return fmt.Sprintf("%+q", *p)
			}
		case *int64:
			if p != nil {
				return fmt.Sprint(*p)
			}
		}
		return "NULL"
	}
	switch g.choose(8) {
	case 1:
		return fmt.Sprintf("between %+q %d and %+q %d", k.Stream, k.Number, l.Stream, l.Number), events.Between(k, l)
	case 2:
		return fmt.Sprintf("from %+q %d", k.Stream, k.Number), events.From(k)
	case 3:
		return "by time", eventsByAt.From(historyTimes[0])
	case 4:
		return "by kind " + shown(kind), eventsByKind.Eq(kind)
	case 5:
		return "by kind " + shown(kind) + ", weight " + shown(weight), eventsByKind.Eq2(kind, weight)
	case 6:
		return "by kind " + shown(kind) + ", weight " + shown(weight) + ", note prefix " + fmt.Sprintf("%+q", note), eventsByKind.Prefix(kind, weight, note)
	case 7:
		return "by done, kind from " + shown(kind), eventsByDone.From(true, kind)
	}
	return "all", events.All()
}

func (g *generator) seatSpan() (string, repo.Span[Seat]) {
	n, m, hall := one(g, historyNumbers), one(g, historyNumbers), one(g, historyTexts[:2])
	switch g.choose(5) {
	case 1:
		return fmt.Sprintf("between %d and %d", n, m), seats.Between(n, m)
	case 2:
		return fmt.Sprintf("by hall %+q, row %d", hall, n), seatsByPlace.Eq2(hall, n)
	case 3:
		return fmt.Sprintf("by hall %+q", hall), seatsByTicket.Eq(hall)
	case 4:
		ticket := one(g, historyBytes)
		return fmt.Sprintf("by hall %+q, ticket prefix %+q", hall, string(ticket)), seatsByTicket.Prefix(hall, string(ticket))
	}
	return "all", seats.All()
}

func (g *generator) blobSpan() (string, repo.Span[Blob]) {
	a, b := one(g, historyBytes), one(g, historyBytes)
	switch g.choose(4) {
	case 1:
		return fmt.Sprintf("between %+q and %+q", string(a), string(b)), blobs.Between(a, b)
	case 2:
		return fmt.Sprintf("prefix %+q", string(a)), blobs.Prefix(string(a))
	case 3:
		return "by name", blobsByName.All()
	}
	return "all", blobs.All()
}

// spanOp returns an operation that reads a span in one of the ways there are.
func spanOp[R any](g *generator, name string, make func() (string, repo.Span[R])) op {
	text, span := make()
	if g.choose(3) == 2 {
		text, span = text+", backward", span.Reverse()
	}
	def := table(name)
	show := func(rows []R, err error) string {
		texts := each(rows, func(row R) string { return formatRow(def, def.Encode(nil, &row)) })
		return fmt.Sprintf("%d rows %s%s", len(rows), strings.Join(texts, " "), failure(err))
	}
	text = name + " " + text
	size := 1 + g.choose(3)
	switch g.choose(5) {
	case 1:
		return op{"first of " + text, func(tx repo.Reader) string {
			row, err := span.First(tx)
			return shownRow(name, row, err)
		}}
	case 2:
		return op{"count of " + text, func(tx repo.Reader) string {
			n, err := span.Count(tx)
			return fmt.Sprint(n) + failure(err)
		}}
	case 3:
		return op{fmt.Sprintf("pages of %d of %s", size, text), func(tx repo.Reader) string {
			pages, err := pagesIn(tx, span, size)
			return show(slices.Concat(pages...), err)
		}}
	case 4:
		return op{fmt.Sprintf("%d rows of %s", size, text), func(tx repo.Reader) string {
			var some []R
			for row, err := range span.Rows(tx) {
				if err != nil {
					return show(some, err)
				}
				if some = append(some, row); len(some) == size {
					break
				}
			}
			return show(some, nil)
		}}
	}
	return op{"rows of " + text, func(tx repo.Reader) string { return show(rowsIn(tx, span)) }}
}
