package repo

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"trihold/repo/driver"
)

// Bytes is a string of arbitrary bytes. Unlike []byte it can be a key or an
// index column.
type Bytes string

// A column codec is what is compiled for one column type. The pointers it takes
// point to a field of that type.
type columnCodec struct {
	kind     driver.Kind
	nullable bool
	// encode appends the value in canonical form, or says why it cannot be
	// stored.
	encode func(dst []byte, p unsafe.Pointer) ([]byte, error)
	// decode sets the field from the front of s and returns the rest. Strings
	// share memory with s.
	decode func(s string, p unsafe.Pointer) (string, error)
	// compare compares two values; nil if the type cannot be part of a key.
	compare func(a, b unsafe.Pointer) int
	// compareKey compares a value with the one at the front of an encoded key,
	// and returns the rest of the key.
	compareKey func(p unsafe.Pointer, key string) (int, string)
	// key appends the value as part of a key; nil if the type cannot be one.
	key func(dst []byte, p unsafe.Pointer) ([]byte, error)
	// keySize is the number of bytes that count against driver.MaxKey.
	keySize func(p unsafe.Pointer) int
	// setKey sets the field from a value of a decoded key.
	setKey func(p unsafe.Pointer, v driver.Value)
	// clone replaces what the field refers to by a copy; nil if assignment
	// already copies.
	clone func(p unsafe.Pointer)
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[Bytes]()
)

// compileColumn returns the codec for a field type.
func compileColumn(t reflect.Type) *columnCodec {
	if t.Kind() == reflect.Pointer {
		if elem := compileScalar(t.Elem()); elem != nil {
			return nullableCodec(t.Elem(), elem)
		}
		return jsonCodec(t)
	}
	if c := compileScalar(t); c != nil {
		return c
	}
	return jsonCodec(t)
}

// compileScalar returns the codec for a type that is a column of its own, or nil
// for one that is stored as JSON.
func compileScalar(t reflect.Type) *columnCodec {
	switch t {
	case timeType:
		return timeCodec()
	case bytesType:
		return textCodec(driver.Bytes)
	}
	switch t.Kind() {
	case reflect.String:
		return textCodec(driver.Text)
	case reflect.Bool:
		return boolCodec()
	case reflect.Int:
		return intCodec[int]()
	case reflect.Int8:
		return intCodec[int8]()
	case reflect.Int16:
		return intCodec[int16]()
	case reflect.Int32:
		return intCodec[int32]()
	case reflect.Int64:
		return intCodec[int64]()
	case reflect.Float64:
		return floatCodec()
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() && t != rawMessageType {
			return blobCodec()
		}
	}
	return nil
}

var (
	errShort   = fmt.Errorf("row is cut short: %w", driver.ErrCorrupt)
	errNotText = fmt.Errorf("a text column of a row is not valid UTF-8: %w", driver.ErrCorrupt)
)

func intCodec[I int | int8 | int16 | int32 | int64]() *columnCodec {
	return &columnCodec{
		kind: driver.Int,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			return binary.AppendVarint(dst, int64(*(*I)(p))), nil
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			v, n := varint(s)
			if n <= 0 {
				return "", errShort
			}
			if int64(I(v)) != v {
				return "", fmt.Errorf("%d does not fit the field's type: %w", v, driver.ErrCorrupt)
			}
			*(*I)(p) = I(v)
			return s[n:], nil
		},
		compare: func(a, b unsafe.Pointer) int { return cmp.Compare(*(*I)(a), *(*I)(b)) },
		compareKey: func(p unsafe.Pointer, key string) (int, string) {
			v, rest := driver.CutKeyInt(key)
			return cmp.Compare(int64(*(*I)(p)), v), rest
		},
		key: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			return driver.AppendKeyInt(dst, int64(*(*I)(p))), nil
		},
		keySize: func(unsafe.Pointer) int { return 8 },
		setKey:  func(p unsafe.Pointer, v driver.Value) { *(*I)(p) = I(v.(int64)) },
	}
}

func boolCodec() *columnCodec {
	return &columnCodec{
		kind: driver.Bool,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			return driver.AppendKeyBool(dst, *(*bool)(p)), nil
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			if s == "" {
				return "", errShort
			}
			*(*bool)(p) = s[0] != 0
			return s[1:], nil
		},
		compare: func(a, b unsafe.Pointer) int { return cmp.Compare(*(*byte)(a), *(*byte)(b)) },
		compareKey: func(p unsafe.Pointer, key string) (int, string) {
			return cmp.Compare(*(*byte)(p), key[0]), key[1:]
		},
		key: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			return driver.AppendKeyBool(dst, *(*bool)(p)), nil
		},
		keySize: func(unsafe.Pointer) int { return 1 },
		setKey:  func(p unsafe.Pointer, v driver.Value) { *(*bool)(p) = v.(int64) != 0 },
	}
}

func floatCodec() *columnCodec {
	return &columnCodec{
		kind: driver.Float,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			f := *(*float64)(p)
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("%v cannot be stored: %w", f, driver.ErrInvalid)
			}
			if f == 0 {
				f = 0 // -0 is 0
			}
			return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			if len(s) < 8 {
				return "", errShort
			}
			*(*float64)(p) = math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[:8])))
			return s[8:], nil
		},
	}
}

// timeMicros returns a time as it is stored.
func timeMicros(t time.Time) (int64, error) {
	us := t.UnixMicro()
	if lost := t.Sub(time.UnixMicro(us)); lost < 0 || lost >= time.Microsecond {
		return 0, fmt.Errorf("time %v is out of range: %w", t, driver.ErrInvalid)
	}
	return us, nil
}

func timeCodec() *columnCodec {
	return &columnCodec{
		kind: driver.Time,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			us, err := timeMicros(*(*time.Time)(p))
			return binary.AppendVarint(dst, us), err
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			us, n := varint(s)
			if n <= 0 {
				return "", errShort
			}
			*(*time.Time)(p) = time.UnixMicro(us).UTC()
			return s[n:], nil
		},
		compare: func(a, b unsafe.Pointer) int { return (*time.Time)(a).Compare(*(*time.Time)(b)) },
		compareKey: func(p unsafe.Pointer, key string) (int, string) {
			us, rest := driver.CutKeyInt(key)
			return cmp.Compare((*time.Time)(p).UnixMicro(), us), rest
		},
		key: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			us, err := timeMicros(*(*time.Time)(p))
			return driver.AppendKeyInt(dst, us), err
		},
		keySize: func(unsafe.Pointer) int { return 8 },
		setKey: func(p unsafe.Pointer, v driver.Value) {
			*(*time.Time)(p) = time.UnixMicro(v.(int64)).UTC()
		},
	}
}

// textCodec is for types whose kind is string: text, or Bytes.
func textCodec(kind driver.Kind) *columnCodec {
	valid := func(s string) error {
		if kind == driver.Text && !utf8.ValidString(s) {
			return fmt.Errorf("%.40q is not valid UTF-8 (type repo.Bytes holds arbitrary bytes): %w", s, driver.ErrInvalid)
		}
		return nil
	}
	return &columnCodec{
		kind: kind,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			s := *(*string)(p)
			dst = binary.AppendUvarint(dst, uint64(len(s)))
			return append(dst, s...), valid(s)
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			text, rest, ok := cutText(s)
			if !ok {
				return "", errShort
			}
			if kind == driver.Text && !utf8.ValidString(text) {
				return "", errNotText
			}
			*(*string)(p) = text
			return rest, nil
		},
		compare: func(a, b unsafe.Pointer) int { return strings.Compare(*(*string)(a), *(*string)(b)) },
		compareKey: func(p unsafe.Pointer, key string) (int, string) {
			text, rest, _ := driver.CutKeyText(key)
			return strings.Compare(*(*string)(p), text), rest
		},
		key: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			s := *(*string)(p)
			return driver.AppendKeyText(dst, s), valid(s)
		},
		keySize: func(p unsafe.Pointer) int { return len(*(*string)(p)) },
		setKey: func(p unsafe.Pointer, v driver.Value) {
			if b, ok := v.([]byte); ok {
				*(*string)(p) = string(b)
				return
			}
			*(*string)(p) = v.(string)
		},
	}
}

func blobCodec() *columnCodec {
	return &columnCodec{
		kind: driver.Bytes,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			b := *(*[]byte)(p)
			dst = binary.AppendUvarint(dst, uint64(len(b)))
			return append(dst, b...), nil
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			text, rest, ok := cutText(s)
			if !ok {
				return "", errShort
			}
			if text != "" {
				*(*[]byte)(p) = []byte(text)
			}
			return rest, nil
		},
		clone: func(p unsafe.Pointer) {
			b := (*[]byte)(p)
			*b = append([]byte(nil), *b...)
		},
	}
}

// nullableCodec is for pointers to a scalar.
func nullableCodec(elem reflect.Type, c *columnCodec) *columnCodec {
	n := &columnCodec{
		kind:     c.kind,
		nullable: true,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			v := *(*unsafe.Pointer)(p)
			if v == nil {
				return append(dst, 0), nil
			}
			return c.encode(append(dst, 1), v)
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			if s == "" {
				return "", errShort
			}
			if s[0] == 0 {
				return s[1:], nil
			}
			v := reflect.New(elem).UnsafePointer()
			*(*unsafe.Pointer)(p) = v
			return c.decode(s[1:], v)
		},
		clone: func(p unsafe.Pointer) {
			v := (*unsafe.Pointer)(p)
			if *v == nil {
				return
			}
			own := reflect.New(elem)
			own.Elem().Set(reflect.NewAt(elem, *v).Elem())
			*v = own.UnsafePointer()
			if c.clone != nil {
				c.clone(*v)
			}
		},
	}
	if c.key == nil {
		return n
	}
	n.compare = func(a, b unsafe.Pointer) int {
		va, vb := *(*unsafe.Pointer)(a), *(*unsafe.Pointer)(b)
		switch {
		case va == nil && vb == nil:
			return 0
		case va == nil:
			return -1
		case vb == nil:
			return 1
		}
		return c.compare(va, vb)
	}
	n.compareKey = func(p unsafe.Pointer, key string) (int, string) {
		v := *(*unsafe.Pointer)(p)
		null := key[0] == 0
		switch {
		case v == nil && null:
			return 0, key[1:]
		case v == nil:
			return -1, ""
		case null:
			return 1, ""
		}
		return c.compareKey(v, key[1:])
	}
	n.key = func(dst []byte, p unsafe.Pointer) ([]byte, error) {
		v := *(*unsafe.Pointer)(p)
		if v == nil {
			return driver.AppendKeyNull(dst), nil
		}
		return c.key(driver.AppendKeyNotNull(dst), v)
	}
	n.keySize = func(p unsafe.Pointer) int {
		if v := *(*unsafe.Pointer)(p); v != nil {
			return c.keySize(v)
		}
		return 0
	}
	return n
}

// varint is binary.Varint for strings.
func varint(s string) (int64, int) {
	if len(s) > 0 && s[0] < 0x80 { // most values are small
		return int64(s[0]>>1) ^ -int64(s[0]&1), 1
	}
	return binary.Varint(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// cutText cuts a length and that many bytes from the front of s.
func cutText(s string) (text, rest string, ok bool) {
	size, n := binary.Uvarint(unsafe.Slice(unsafe.StringData(s), len(s)))
	if n <= 0 || uint64(len(s)-n) < size {
		return "", "", false
	}
	end := n + int(size)
	return s[n:end], s[end:], true
}
