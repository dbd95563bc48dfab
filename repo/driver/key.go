package driver

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A Key is a tuple of column values in an encoding whose byte order is the
// order of the tuples: NULL first, false before true, numbers by value, strings
// and bytes by their bytes.
//
//	nullable column  0x00 for NULL, else 0x01 and the value
//	Bool             one byte, 0 or 1
//	Int, Time        eight bytes, big endian, sign bit flipped
//	Text, Bytes      the bytes, 0x00 written as 0x00 0xFF, then 0x00 0x01
//
// Float and JSON columns cannot be part of a key.
type Key string

// AppendKeyNull appends a NULL.
func AppendKeyNull(dst []byte) []byte { return append(dst, 0) }

// AppendKeyNotNull precedes the value of a nullable column.
func AppendKeyNotNull(dst []byte) []byte { return append(dst, 1) }

// AppendKeyBool appends a Bool.
func AppendKeyBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendKeyInt appends an Int or a Time.
func AppendKeyInt(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v)^1<<63)
}

// AppendKeyText appends a Text or Bytes.
func AppendKeyText(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			dst = append(dst, s...)
			return append(dst, 0, 1)
		}
		dst = append(dst, s[:i]...)
		dst = append(dst, 0, 0xFF)
		s = s[i+1:]
	}
}

// AppendKeyValue appends v as a value of column c.
func AppendKeyValue(dst []byte, c Column, v Value) ([]byte, error) {
	if c.Nullable {
		if v == nil {
			return AppendKeyNull(dst), nil
		}
		dst = AppendKeyNotNull(dst)
	}
	switch x := v.(type) {
	case int64:
		if c.Kind == Bool {
			return AppendKeyBool(dst, x != 0), nil
		}
		if c.Kind == Int || c.Kind == Time {
			return AppendKeyInt(dst, x), nil
		}
	case string:
		if c.Kind == Text {
			return AppendKeyText(dst, x), nil
		}
	case []byte:
		if c.Kind == Bytes {
			return AppendKeyText(dst, string(x)), nil
		}
	}
	return nil, fmt.Errorf("column %s: a %T cannot be part of a key as %s: %w", c.Name, v, c.Kind, ErrInvalid)
}

// KeyValues decodes a key, or the first columns of one, into the values of the
// given columns. It returns as many values as the key holds.
func KeyValues(cols []Column, k Key) ([]Value, error) {
	out := make([]Value, 0, len(cols))
	s := string(k)
	for _, c := range cols {
		if s == "" {
			return out, nil
		}
		v, rest, err := cutKeyValue(c, s)
		if err != nil {
			return nil, err
		}
		out, s = append(out, v), rest
	}
	if s != "" {
		return nil, fmt.Errorf("key has %d bytes left after %d columns: %w", len(s), len(cols), ErrCorrupt)
	}
	return out, nil
}

// cutKeyValue decodes the value at the front of s, which is not empty.
func cutKeyValue(c Column, s string) (Value, string, error) {
	short := fmt.Errorf("column %s: key is cut short: %w", c.Name, ErrCorrupt)
	if c.Nullable {
		present := s[0] != 0
		s = s[1:]
		if !present {
			return nil, s, nil
		}
	}
	switch c.Kind {
	case Bool:
		if len(s) < 1 {
			return nil, "", short
		}
		return int64(s[0]), s[1:], nil
	case Int, Time:
		if len(s) < 8 {
			return nil, "", short
		}
		v, rest := CutKeyInt(s)
		return v, rest, nil
	case Text, Bytes:
		text, rest, ok := CutKeyText(s)
		if !ok {
			return nil, "", short
		}
		if c.Kind == Bytes {
			return []byte(text), rest, nil
		}
		return text, rest, nil
	}
	return nil, "", fmt.Errorf("column %s: a %s column cannot be part of a key: %w", c.Name, c.Kind, ErrInvalid)
}

// CutKeyInt undoes AppendKeyInt. The key must have eight bytes.
func CutKeyInt(s string) (v int64, rest string) {
	_ = s[7]
	u := uint64(s[0])<<56 | uint64(s[1])<<48 | uint64(s[2])<<40 | uint64(s[3])<<32 |
		uint64(s[4])<<24 | uint64(s[5])<<16 | uint64(s[6])<<8 | uint64(s[7])
	return int64(u ^ 1<<63), s[8:]
}

// CutKeyText undoes AppendKeyText. It reports false if the key does not begin
// with a text.
func CutKeyText(s string) (text, rest string, ok bool) {
	i := strings.IndexByte(s, 0)
	if i >= 0 && i+1 < len(s) && s[i+1] == 1 {
		return s[:i], s[i+2:], true // the common case: nothing was escaped
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 || i+1 >= len(s) {
			return "", "", false
		}
		b.WriteString(s[:i])
		mark := s[i+1]
		s = s[i+2:]
		switch mark {
		case 1:
			return b.String(), s, true
		case 0xFF:
			b.WriteByte(0)
		default:
			return "", "", false
		}
	}
}

// After returns the lowest key greater than every key that begins with k, or
// empty if there is none.
func (k Key) After() Key {
	b := []byte(k)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0xFF {
			b[i]++
			return Key(b[:i+1])
		}
	}
	return ""
}

// FormatKey returns a printable form of the first columns of an order.
func FormatKey(cols []Column, k Key) string {
	values, err := KeyValues(cols, k)
	if err != nil {
		return fmt.Sprintf("%x", string(k))
	}
	parts := make([]string, len(values))
	for i, v := range values {
		switch x := v.(type) {
		case nil:
			parts[i] = "NULL"
		case string:
			parts[i] = strconv.Quote(x)
		case []byte:
			parts[i] = fmt.Sprintf("x'%x'", x)
		default:
			parts[i] = fmt.Sprint(x)
		}
	}
	return strings.Join(parts, ",")
}
