package repo

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"trihold/repo/driver"
)

// A cursor is base64url of: version, a hash of the order and direction that it
// belongs to, and the key of the last row that was returned.
const (
	cursorVersion = 1
	cursorHeader  = 5
)

// cursorAt returns the cursor that points behind a row.
func (s Span[T]) cursorAt(row driver.Row) (string, error) {
	key, err := s.table.orderKey(s.span.Order, row)
	if err != nil {
		return "", err
	}
	b := binary.BigEndian.AppendUint32([]byte{cursorVersion}, walkHash(s.span))
	return base64.RawURLEncoding.EncodeToString(append(b, key...)), nil
}

// after returns the part of a span that follows a cursor.
func after(s driver.Span, cursor string) (driver.Span, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < cursorHeader || b[0] != cursorVersion {
		return s, fmt.Errorf("not a cursor: %.40q: %w", cursor, ErrInvalid)
	}
	if binary.BigEndian.Uint32(b[1:]) != walkHash(s) {
		return s, fmt.Errorf("the cursor belongs to another table, index or direction: %w", ErrInvalid)
	}
	key := driver.Key(b[cursorHeader:])
	if values, err := driver.KeyValues(s.Table.OrderColumns(s.Order), key); err != nil || len(values) != len(s.Table.OrderColumns(s.Order)) {
		return s, fmt.Errorf("damaged cursor: %w", ErrInvalid)
	}
	behind := driver.Bound{Tuple: key, Open: true}
	if lo, hi := s.Range(); s.Reverse {
		if hi == "" || key < hi {
			s.Hi = behind
		}
	} else if key >= lo {
		s.Lo = behind
	}
	return s, nil
}

// walkHash identifies an order and a direction.
func walkHash(s driver.Span) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %v", s.Table.Name, s.Reverse)
	for _, c := range s.Table.OrderColumns(s.Order) {
		fmt.Fprintf(h, " %s", c.Name)
	}
	return h.Sum32()
}
