package driver

// A Span is one contiguous walk of one order of a table.
type Span struct {
	Table   *Table
	Order   int   // 0 is the primary key, i is Table.Indices[i-1]
	Lo, Hi  Bound // whatever the direction, Lo is the lower one
	Reverse bool
	Limit   int // yield at most so many rows; 0 is no limit
}

// A Bound is one end of a span. The zero Bound does not limit the span.
//
// Tuple encodes the first one or more columns of the order (see
// [Table.OrderColumns]). A bound includes every row that begins with Tuple, an
// open bound excludes them.
type Bound struct {
	Tuple Key
	Open  bool
}

// Range returns the span as a range of encoded keys: lo <= key, and key < hi
// unless hi is empty.
func (s Span) Range() (lo, hi Key) {
	lo = s.Lo.Tuple
	if s.Lo.Open {
		lo = lo.After()
	}
	switch {
	case s.Hi.Tuple == "":
	case s.Hi.Open:
		hi = s.Hi.Tuple
	default:
		hi = s.Hi.Tuple.After()
	}
	return lo, hi
}
