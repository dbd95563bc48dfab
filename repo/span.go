package repo

import (
	"fmt"
	"iter"
	"math"

	"trihold/repo/driver"
)

// A Span is one contiguous walk of one order of a table: what one walk of an
// index can serve, and no more. It is a value; making one reads nothing. What a
// span cannot say is a condition in the loop over its rows.
type Span[T any] struct {
	table rowTable[T]
	span  driver.Span
	err   error // what was wrong with the arguments it was made of
}

func (s Span[T]) orErr(err error) Span[T] {
	if s.err == nil {
		s.err = err
	}
	return s
}

// Reverse is the same rows, last first.
func (s Span[T]) Reverse() Span[T] {
	s.span.Reverse = !s.span.Reverse
	return s
}

// First returns the first row, or ErrNotFound.
func (s Span[T]) First(r Reader) (T, error) {
	for row, err := range s.rows(r, 1) {
		return row, err
	}
	var none T
	return none, &Error{Op: "first", Table: s.table.def.Name, Kind: ErrNotFound}
}

// Rows yields the rows in order, as they are when the walk begins: what an
// Update writes during the walk is not seen by it. An error is yielded last,
// with a zero row. The sequence must not be used after the closure that r
// belongs to has returned.
func (s Span[T]) Rows(r Reader) iter.Seq2[T, error] { return s.rows(r, 0) }

// Count returns the number of rows. It walks the span.
func (s Span[T]) Count(r Reader) (int, error) {
	n := 0
	for _, err := range s.scan(r, 0) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Page returns up to n rows that follow a cursor, and the cursor for the page
// after them. The empty cursor begins, and an empty one is returned at the end.
// A cursor is text fit for a URL; it stays valid while rows come and go, and
// belongs to one order and direction of one table. With another it is
// ErrInvalid.
func (s Span[T]) Page(r Reader, cursor string, n int) (rows []T, next string, err error) {
	if n < 1 {
		return nil, "", &Error{Op: "page", Table: s.table.def.Name, Kind: ErrInvalid, Cause: fmt.Errorf("a page of %d rows", n)}
	}
	if cursor != "" {
		if s.span, err = after(s.span, cursor); err != nil {
			return nil, "", &Error{Op: "page", Table: s.table.def.Name, Cause: err}
		}
	}
	limit := 0 // none
	if n < math.MaxInt32 {
		limit = n + 1 // to see whether there is a next page
	}
	var last driver.Row
	for row, err := range s.scan(r, limit) {
		if err != nil {
			return nil, "", err
		}
		if len(rows) == n {
			next, err = s.cursorAt(last)
			return rows, next, err
		}
		v, err := s.table.take(row)
		if err != nil {
			return nil, "", err
		}
		rows, last = append(rows, v), row
	}
	return rows, "", nil
}

func (s Span[T]) rows(r Reader, limit int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range s.scan(r, limit) {
			var v T
			if err == nil {
				v, err = s.table.take(row)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// scan yields the rows as they are stored; limit 0 is none.
func (s Span[T]) scan(r Reader, limit int) iter.Seq2[driver.Row, error] {
	if s.err != nil {
		return func(yield func(driver.Row, error) bool) { yield(driver.Row{}, s.err) }
	}
	return r.readTx().scan(s.table.tableCore, s.span, limit)
}
