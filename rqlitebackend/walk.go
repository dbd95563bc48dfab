package rqlitebackend

import (
	"context"
	"iter"

	"trihold/repo/driver"
)

// Pages of a walk. The first is large enough for what most spans hold, and small
// enough not to read much in vain. The others are as many rows as make about
// pageBytes.
const (
	firstPage = 128
	maxPage   = 2048
	pageBytes = 1 << 20
)

// A walk is a scan under way.
type walk struct {
	*snapshot
	rest driver.Span // what is still to read
	page int         // so many rows at once
	// check is about what has been read; it grows with each page, and is kept as
	// snapshot.read.Spans[at].
	check driver.SpanCheck
	at    int
	ended bool
}

// Scan implements driver.Snapshot. Rows are read a page at a time.
func (s *snapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		w := walk{snapshot: s, rest: span, page: firstPage, at: len(s.read.Spans),
			check: driver.SpanCheck{Table: span.Table, Order: span.Order, Lo: span.Lo, Hi: span.Hi}}
		for !w.ended {
			rows, err := w.next(ctx)
			if err != nil {
				yield(driver.Row{}, err)
				return
			}
			for _, row := range rows {
				if s.closed {
					yield(driver.Row{}, driver.Failed("scan", driver.ErrClosed, nil))
					return
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// next reads a page.
func (w *walk) next(ctx context.Context) ([]driver.Row, error) {
	ask := w.rest
	ask.Limit = w.page
	if w.rest.Limit > 0 {
		ask.Limit = min(w.page, w.rest.Limit)
	}
	st, some, err := w.store.layout.Scan(nil, ask)
	if err != nil {
		return nil, err
	}
	if !some {
		w.ended = true
		return nil, w.open(ctx)
	}
	rd := &read{Stmt: st, columns: w.store.reads.columns[ask.Table.ID]}
	if err := w.fetch(ctx, rd, ask.Limit); err != nil {
		return nil, err
	}
	rows, err := w.take(rd, ask.Limit)
	if err != nil {
		return nil, err
	}
	return rows, w.follow(ctx, rd.rev)
}

// take decodes a page of up to n rows and moves on behind it.
func (w *walk) take(rd *read, n int) ([]driver.Row, error) {
	rows := make([]driver.Row, len(rd.rows))
	bytes := 0
	for i, values := range rd.rows {
		row, err := w.store.layout.Row(w.rest.Table, values)
		if err != nil {
			return nil, err
		}
		rows[i] = row
		bytes += len(row.Data)
		w.check.Rows++
		w.check.MaxRev = max(w.check.MaxRev, row.Rev)
	}
	if len(rows) < n {
		w.toTheEnd()
	} else if err := w.behind(rows[n-1]); err != nil {
		return nil, err
	}
	if w.rest.Limit > 0 {
		w.rest.Limit -= len(rows)
		w.ended = w.ended || w.rest.Limit == 0
	}
	if w.at == len(w.read.Spans) {
		w.read.Spans = append(w.read.Spans, w.check)
	} else {
		w.read.Spans[w.at] = w.check
	}
	if len(rows) > 0 {
		w.page = min(max(pageBytes*len(rows)/(bytes+1), smallRead), maxPage)
	}
	return rows, nil
}

// behind notes that the span has been walked up to a row: the check ends with it,
// and the next page begins behind it.
func (w *walk) behind(last driver.Row) error {
	live, err := w.rest.Table.Decode(last.Data)
	if err != nil {
		return err
	}
	key := driver.Key(w.rest.Table.AppendKey(nil, w.rest.Order, live))
	if w.rest.Reverse {
		w.check.Lo, w.rest.Hi = driver.Bound{Tuple: key}, driver.Bound{Tuple: key, Open: true}
	} else {
		w.check.Hi, w.rest.Lo = driver.Bound{Tuple: key}, driver.Bound{Tuple: key, Open: true}
	}
	return nil
}

// toTheEnd notes that the span has been walked to its end.
func (w *walk) toTheEnd() {
	w.ended = true
	if w.rest.Reverse {
		w.check.Lo = w.rest.Lo
	} else {
		w.check.Hi = w.rest.Hi
	}
}
