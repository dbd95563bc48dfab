package repo

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"
	"unsafe"

	"trihold/repo/driver"
)

var rawMessageType = reflect.TypeFor[json.RawMessage]()

// jsonCodec stores any type as JSON text.
func jsonCodec(t reflect.Type) *columnCodec {
	c := &columnCodec{
		kind: driver.JSON,
		encode: func(dst []byte, p unsafe.Pointer) ([]byte, error) {
			text, err := marshalColumn(reflect.NewAt(t, p).Interface())
			if err != nil {
				return nil, err
			}
			dst = binary.AppendUvarint(dst, uint64(len(text)))
			return append(dst, text...), nil
		},
		decode: func(s string, p unsafe.Pointer) (string, error) {
			text, rest, ok := cutText(s)
			if !ok {
				return "", errShort
			}
			if err := json.Unmarshal([]byte(text), reflect.NewAt(t, p).Interface()); err != nil {
				return "", fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
			}
			return rest, nil
		},
	}
	switch {
	case t == reflect.TypeFor[[]string]():
		c.clone = func(p unsafe.Pointer) { v := (*[]string)(p); *v = slices.Clone(*v) }
	case t == rawMessageType:
		c.clone = func(p unsafe.Pointer) { v := (*json.RawMessage)(p); *v = slices.Clone(*v) }
	case !sharesMemory(t):
	case plainJSON(t, map[reflect.Type]bool{}):
		c.clone = func(p unsafe.Pointer) {
			v := reflect.NewAt(t, p).Elem()
			v.Set(deepCopy(v))
		}
	default:
		c.clone = func(p unsafe.Pointer) { copyThroughJSON(reflect.NewAt(t, p).Elem()) }
	}
	return c
}

// marshalColumn returns v as compact JSON. Text that is not valid UTF-8 is
// refused: encoding/json would silently replace it.
func marshalColumn(v any) ([]byte, error) {
	if raw, ok := v.(*json.RawMessage); ok {
		if len(*raw) == 0 {
			return []byte("null"), nil
		}
		var b bytes.Buffer
		if err := json.Compact(&b, *raw); err != nil {
			return nil, fmt.Errorf("%w: %w", driver.ErrInvalid, err)
		}
		if !utf8.Valid(b.Bytes()) {
			return nil, fmt.Errorf("JSON is not valid UTF-8: %w", driver.ErrInvalid)
		}
		return b.Bytes(), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrInvalid, err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	// For what is not valid UTF-8, encoding/json writes the escape \ufffd (and a
	// real U+FFFD as itself), but copies what a json.Marshaler returns.
	if !utf8.Valid(text) || bytes.Contains(text, []byte(`\ufffd`)) && !validStrings(reflect.ValueOf(v)) {
		return nil, fmt.Errorf("a string inside is not valid UTF-8: %w", driver.ErrInvalid)
	}
	return text, nil
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// validStrings reports whether every string below v is valid UTF-8, but for
// those inside a json.Marshaler, such as a json.RawMessage, which may hold the
// escape \ufffd in its own right.
func validStrings(v reflect.Value) bool {
	if !v.IsValid() || v.Type().Implements(jsonMarshaler) || reflect.PointerTo(v.Type()).Implements(jsonMarshaler) {
		return true
	}
	if v.Type().Implements(textMarshaler) && v.CanInterface() && v.Kind() != reflect.Pointer {
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return err == nil && utf8.Valid(text)
	}
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return validStrings(v.Elem())
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !validStrings(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !validStrings(it.Key()) || !validStrings(it.Value()) {
				return false
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-" && !validStrings(v.Field(i)) {
				return false
			}
		}
	}
	return true
}

// sharesMemory reports whether assigning a value of type t shares memory that
// can be modified.
func sharesMemory(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if sharesMemory(t.Field(i).Type) {
				return t != timeType
			}
		}
		return false
	case reflect.Array:
		return sharesMemory(t.Elem())
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		return true
	}
	return false
}

// plainJSON reports whether everything below t is copied by deepCopy: exported
// fields, and no methods that make JSON of something else.
func plainJSON(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || t == timeType || t == rawMessageType {
		return true
	}
	seen[t] = true
	p := reflect.PointerTo(t)
	if p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return false
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && sharesMemory(f.Type) || !plainJSON(f.Type, seen) {
				return false
			}
		}
		return true
	case reflect.Map:
		return plainJSON(t.Key(), seen) && plainJSON(t.Elem(), seen)
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return plainJSON(t.Elem(), seen)
	case reflect.Interface:
		return t.NumMethod() == 0 // encoding/json fills it with plain types
	}
	return true
}

// deepCopy returns a copy of v that shares no memory with it.
func deepCopy(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if f := out.Field(i); f.CanSet() && sharesMemory(f.Type()) {
				f.Set(deepCopy(v.Field(i)))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		if reflect.Copy(out, v); sharesMemory(v.Type().Elem()) {
			for i := range v.Len() {
				out.Index(i).Set(deepCopy(v.Index(i)))
			}
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(it.Key(), deepCopy(it.Value()))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(deepCopy(v.Elem()))
		return out
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.Set(deepCopy(v.Elem()))
		return out
	}
	return v
}

// copyThroughJSON replaces v, a stored value, by what its JSON reads as.
func copyThroughJSON(v reflect.Value) {
	text, err := json.Marshal(v.Addr().Interface())
	own := reflect.New(v.Type())
	if err == nil {
		err = json.Unmarshal(text, own.Interface())
	}
	if err != nil {
		// The value was made from JSON when it was stored; a type whose methods
		// cannot do that twice breaks the contract of a column.
		panic(fmt.Sprintf("repo: column type %s does not survive JSON: %v", v.Type(), err))
	}
	v.Set(own.Elem())
}
