package repo

import (
	"fmt"
	"slices"
	"strings"

	"trihold/repo/driver"
)

// A writeBuffer holds the writes of a transaction, at most one for each row.
type writeBuffer struct {
	list []*bufferedWrite // in the order of their first write
	at   map[rowRef]*bufferedWrite
	size int
}

// A bufferedWrite is a write and, once it is asked for, its row as an object.
type bufferedWrite struct {
	driver.Write
	live any
}

// find returns the write of a row, or nil.
func (b *writeBuffer) find(t *driver.Table, key driver.Key) *bufferedWrite {
	return b.at[rowRef{t, key}]
}

// set adds a write, or replaces the one of the same row, within the limits of a
// commit.
func (b *writeBuffer) set(w driver.Write) error {
	old := b.find(w.Table, w.Key)
	size := b.size + w.Size()
	if old != nil {
		size -= old.Size()
	}
	if size > driver.MaxCommit {
		return fmt.Errorf("the transaction writes %d bytes, the limit is %d: %w", size, driver.MaxCommit, ErrTooLarge)
	}
	if old == nil && len(b.list) == driver.MaxWrites {
		return fmt.Errorf("the transaction writes more than %d rows: %w", driver.MaxWrites, ErrTooLarge)
	}
	b.size = size
	if old != nil {
		*old = bufferedWrite{Write: w}
		return nil
	}
	if b.at == nil {
		b.at = map[rowRef]*bufferedWrite{}
	}
	added := &bufferedWrite{Write: w}
	b.at[rowRef{w.Table, w.Key}] = added
	b.list = append(b.list, added)
	return nil
}

// drop removes the write of a row.
func (b *writeBuffer) drop(t *driver.Table, key driver.Key) {
	w := b.find(t, key)
	b.size -= w.Size()
	delete(b.at, rowRef{t, key})
	b.list = slices.DeleteFunc(b.list, func(x *bufferedWrite) bool { return x == w })
}

// writes returns the writes of a commit.
func (b *writeBuffer) writes() []driver.Write {
	out := make([]driver.Write, len(b.list))
	for i, w := range b.list {
		out[i] = w.Write
	}
	return out
}

// row returns the written row, or ErrNotFound if it was deleted. Its revision is
// zero: it has none yet.
func (w *bufferedWrite) row(t *tableCore) (driver.Row, error) {
	if w.Kind == driver.Delete {
		return driver.Row{}, &Error{Op: "get", Table: t.def.Name, Key: t.def.FormatKey(w.Key), Kind: ErrNotFound}
	}
	live, err := w.object()
	return driver.Row{Value: live}, err
}

func (w *bufferedWrite) object() (any, error) {
	if w.live == nil {
		live, err := w.Table.Decode(w.Data)
		if err != nil {
			return nil, err
		}
		w.live = live
	}
	return w.live, nil
}

// An ownRow is a buffered row at its place in an order.
type ownRow struct {
	key driver.Key // in the order of the span
	row driver.Row
}

// in returns the buffered rows that lie in a span, in its direction.
func (b *writeBuffer) in(s driver.Span) ([]ownRow, error) {
	lo, hi := s.Range()
	var own []ownRow
	for _, w := range b.list {
		if w.Table != s.Table || w.Kind == driver.Delete {
			continue
		}
		live, err := w.object()
		if err != nil {
			return nil, err
		}
		key := driver.Key(s.Table.AppendKey(nil, s.Order, live))
		if key >= lo && (hi == "" || key < hi) {
			own = append(own, ownRow{key, driver.Row{Value: live}})
		}
	}
	slices.SortFunc(own, func(a, b ownRow) int {
		if s.Reverse {
			a, b = b, a
		}
		return strings.Compare(string(a.key), string(b.key))
	})
	return own, nil
}

// keys returns the primary keys of the buffered writes of a table.
func (b *writeBuffer) keys(t *driver.Table) map[driver.Key]bool {
	var keys map[driver.Key]bool
	for _, w := range b.list {
		if w.Table == t {
			if keys == nil {
				keys = map[driver.Key]bool{}
			}
			keys[w.Key] = true
		}
	}
	return keys
}
