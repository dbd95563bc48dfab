package driver

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A Value is the value of one column as SQL knows it. Its dynamic type is one
// of
//
//	nil      NULL, in a nullable column
//	int64    Bool (0 or 1), Int, Time (microseconds since 1970, UTC)
//	float64  Float; never NaN or infinite, never -0
//	string   Text (valid UTF-8), JSON (one JSON value)
//	[]byte   Bytes; never nil
type Value any

// AppendValues appends a row in canonical form: the values of its columns in
// order, each as
//
//	nullable column    one byte, 0 for NULL, else 1 and the value
//	Bool               one byte, 0 or 1
//	Int, Time          zigzag varint
//	Float              eight bytes, IEEE 754, little endian
//	Text, Bytes, JSON  length as uvarint, then the bytes
//
// Equal rows have equal bytes, whatever backend they come from.
func AppendValues(dst []byte, cols []Column, values []Value) ([]byte, error) {
	if len(values) != len(cols) {
		return nil, fmt.Errorf("row has %d values for %d columns: %w", len(values), len(cols), ErrCorrupt)
	}
	for i, c := range cols {
		v := values[i]
		if c.Nullable {
			if v == nil {
				dst = append(dst, 0)
				continue
			}
			dst = append(dst, 1)
		}
		switch x := v.(type) {
		case int64:
			switch c.Kind {
			case Bool:
				dst = append(dst, byte(x&1))
				continue
			case Int, Time:
				dst = binary.AppendVarint(dst, x)
				continue
			}
		case float64:
			if c.Kind == Float {
				dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
				continue
			}
		case string:
			if c.Kind == Text || c.Kind == JSON {
				dst = binary.AppendUvarint(dst, uint64(len(x)))
				dst = append(dst, x...)
				continue
			}
		case []byte:
			if c.Kind == Bytes {
				dst = binary.AppendUvarint(dst, uint64(len(x)))
				dst = append(dst, x...)
				continue
			}
		}
		return nil, fmt.Errorf("column %s holds a %T, not a %s: %w", c.Name, v, c.Kind, ErrCorrupt)
	}
	return dst, nil
}

// RowValues decodes a row in canonical form. The values do not refer to data.
func RowValues(dst []Value, cols []Column, data []byte) ([]Value, error) {
	for _, c := range cols {
		v, rest, ok := cutValue(c, data)
		if !ok {
			return nil, fmt.Errorf("column %s: row is cut short: %w", c.Name, ErrCorrupt)
		}
		dst, data = append(dst, v), rest
	}
	if len(data) != 0 {
		return nil, fmt.Errorf("row has %d bytes left after its last column: %w", len(data), ErrCorrupt)
	}
	return dst, nil
}

func cutValue(c Column, b []byte) (v Value, rest []byte, ok bool) {
	if c.Nullable {
		if len(b) == 0 {
			return nil, nil, false
		}
		if b[0] == 0 {
			return nil, b[1:], true
		}
		b = b[1:]
	}
	switch c.Kind {
	case Bool:
		if len(b) == 0 {
			return nil, nil, false
		}
		return int64(b[0]), b[1:], true
	case Int, Time:
		x, n := binary.Varint(b)
		if n <= 0 {
			return nil, nil, false
		}
		return x, b[n:], true
	case Float:
		if len(b) < 8 {
			return nil, nil, false
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:], true
	default:
		size, n := binary.Uvarint(b)
		if n <= 0 || uint64(len(b)-n) < size {
			return nil, nil, false
		}
		end := n + int(size)
		if c.Kind == Bytes {
			return append([]byte{}, b[n:end]...), b[end:], true
		}
		return string(b[n:end]), b[end:], true
	}
}
