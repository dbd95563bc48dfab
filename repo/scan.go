package repo

import (
	"iter"

	"trihold/repo/driver"
)

// scan yields the rows of a span as this transaction sees them: those of the
// snapshot with its own writes laid over them. Limit 0 is none.
func (r *ReadTx) scan(t *tableCore, s driver.Span, limit int) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		if err := r.usable(); err != nil {
			yield(driver.Row{}, err)
			return
		}
		s.Limit = limit
		if r.tx == nil {
			r.scanSnapshot(t, s, yield)
			return
		}
		if hidden := r.tx.writes.keys(t.def); len(hidden) > 0 {
			r.tx.scanMerged(t, s, hidden, yield)
			return
		}
		r.tx.scanChecked(t, s, yield)
	}
}

// scanSnapshot is for a View.
func (r *ReadTx) scanSnapshot(t *tableCore, s driver.Span, yield func(driver.Row, error) bool) {
	for row, err := range r.snap.Scan(r.ctx, s) {
		if err != nil {
			r.failed = err
			yield(driver.Row{}, &Error{Op: "scan", Table: t.def.Name, Cause: err})
			return
		}
		if r.over { // the sequence outlived the closure
			yield(driver.Row{}, r.usable())
			return
		}
		if !yield(row, nil) {
			return
		}
	}
}

// scanChecked yields the rows of the snapshot and records, when the walk ends,
// a check of the part of the span that was walked.
func (tx *Tx) scanChecked(t *tableCore, s driver.Span, yield func(driver.Row, error) bool) {
	check := driver.SpanCheck{Table: t.def, Order: s.Order, Lo: s.Lo, Hi: s.Hi}
	var last driver.Row
	whole := true
	tx.scanSnapshot(t, s, func(row driver.Row, err error) bool {
		if err != nil {
			return yield(row, err)
		}
		last = row
		check.Rows++
		check.MaxRev = max(check.MaxRev, row.Rev)
		whole = yield(row, nil)
		return whole
	})
	if s.Limit > 0 && check.Rows >= int64(s.Limit) {
		whole = false // there may be more rows behind the limit
	}
	if tx.failed != nil {
		return // nothing will be committed
	}
	if !whole {
		key, err := t.orderKey(s.Order, last)
		if err != nil {
			tx.failed = err
			return
		}
		if end := (driver.Bound{Tuple: key}); s.Reverse {
			check.Lo = end
		} else {
			check.Hi = end
		}
	}
	tx.checks.Spans = append(tx.checks.Spans, check)
}

// scanMerged yields the rows of the snapshot that this transaction has not
// written, and between them, in order, those that it has. The snapshot is walked
// one row ahead. The keys in hidden are those written when the walk begins: what
// the closure writes during the walk is not seen by it.
func (tx *Tx) scanMerged(t *tableCore, s driver.Span, hidden map[driver.Key]bool, yield func(driver.Row, error) bool) {
	own, err := tx.writes.in(s)
	if err != nil {
		yield(driver.Row{}, err)
		return
	}
	if s.Limit > 0 {
		s.Limit += len(hidden) // so many rows of the snapshot may be
	}
	// ownBefore yields the own rows that come before key.
	ownBefore := func(key driver.Key) bool {
		for len(own) > 0 && (key == "" || own[0].key < key != s.Reverse) {
			if !yield(own[0].row, nil) {
				return false
			}
			own = own[1:]
		}
		return true
	}
	stopped := false
	tx.scanChecked(t, s, func(row driver.Row, err error) bool {
		if err == nil {
			var live any
			if live, err = t.live(row); err == nil {
				if !ownBefore(driver.Key(t.def.AppendKey(nil, s.Order, live))) {
					stopped = true
					return false
				}
				if hidden[driver.Key(t.def.AppendKey(nil, 0, live))] {
					return true
				}
			}
		}
		stopped = !yield(row, err)
		return !stopped
	})
	if !stopped && tx.failed == nil {
		ownBefore("")
	}
}

// live returns a row as an object.
func (t *tableCore) live(row driver.Row) (any, error) {
	if row.Value != nil {
		return row.Value, nil
	}
	return t.def.Decode(row.Data)
}

// orderKey returns a row's key in an order.
func (t *tableCore) orderKey(order int, row driver.Row) (driver.Key, error) {
	live, err := t.live(row)
	if err != nil {
		return "", err
	}
	return driver.Key(t.def.AppendKey(nil, order, live)), nil
}
