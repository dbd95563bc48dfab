package repo

import (
	"fmt"
	"unicode/utf8"
	"unsafe"

	"trihold/repo/driver"
)

// A keyPlan encodes a Go value as the first columns of a key. It is compiled
// once for each key or index column type.
type keyPlan struct {
	columns []driver.Column
	parts   []keyPart
}

type keyPart struct {
	offset uintptr // within the value
	*columnCodec
}

// keyPlan returns the plan for values of the type that sel selects.
func (p *plan) keyPlan(sel selection) keyPlan {
	var k keyPlan
	for _, i := range sel.fields {
		f := p.fields[i]
		k.columns = append(k.columns, driver.Column{Name: f.name, Kind: f.kind, Nullable: f.nullable})
		k.parts = append(k.parts, keyPart{offset: f.offset - sel.at, columnCodec: f.columnCodec})
	}
	return k
}

// append appends the value at v to a key.
func (k *keyPlan) append(dst []byte, v unsafe.Pointer) ([]byte, error) {
	start := len(dst)
	for i := range k.parts {
		part := &k.parts[i]
		var err error
		if dst, err = part.key(dst, unsafe.Add(v, part.offset)); err != nil {
			return nil, fmt.Errorf("key column %s: %w", k.columns[i].Name, err)
		}
	}
	if len(dst)-start > driver.MaxKey {
		size := 0
		for i := range k.parts {
			size += k.parts[i].keySize(unsafe.Add(v, k.parts[i].offset))
		}
		if size > driver.MaxKey {
			return nil, fmt.Errorf("key of %d bytes, the limit is %d: %w", size, driver.MaxKey, driver.ErrTooLarge)
		}
	}
	return dst, nil
}

// decode sets the value at v from a key.
func (k *keyPlan) decode(key driver.Key, v unsafe.Pointer) error {
	values, err := driver.KeyValues(k.columns, key)
	if err != nil {
		return err
	}
	if len(values) != len(k.parts) {
		return fmt.Errorf("key holds %d of %d columns: %w", len(values), len(k.parts), driver.ErrCorrupt)
	}
	for i := range k.parts {
		k.parts[i].setKey(unsafe.Add(v, k.parts[i].offset), values[i])
	}
	return nil
}

// prefixBounds returns the bounds of all tuples that begin with head and whose
// next column, the last of the key plan, begins with prefix.
func prefixBounds(head []byte, c driver.Column, prefix string) (lo, hi driver.Bound, err error) {
	if c.Kind != driver.Text && c.Kind != driver.Bytes {
		return lo, hi, fmt.Errorf("column %s is %s and has no prefixes: %w", c.Name, c.Kind, driver.ErrInvalid)
	}
	if c.Kind == driver.Text && !utf8.ValidString(prefix) {
		return lo, hi, fmt.Errorf("prefix %.40q is not valid UTF-8: %w", prefix, driver.ErrInvalid)
	}
	if c.Nullable {
		head = driver.AppendKeyNotNull(head[:len(head):len(head)])
	}
	lo = driver.Bound{Tuple: driver.Key(driver.AppendKeyText(head[:len(head):len(head)], prefix))}
	if next, ok := nextPrefix(prefix, c.Kind); ok {
		hi = driver.Bound{Tuple: driver.Key(driver.AppendKeyText(head[:len(head):len(head)], next)), Open: true}
		return lo, hi, nil
	}
	if c.Nullable {
		head = head[:len(head)-1]
	}
	return lo, driver.Bound{Tuple: driver.Key(head)}, nil
}

// nextPrefix returns the lowest string that is greater than every string that
// begins with s, if there is one. Text stays valid UTF-8, whose byte order is
// the order of code points.
func nextPrefix(s string, kind driver.Kind) (string, bool) {
	if kind == driver.Bytes {
		next := driver.Key(s).After()
		return string(next), next != ""
	}
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch {
		case r == utf8.MaxRune:
			continue
		case r == 0xD7FF:
			r = 0xE000 // skip the surrogates
		default:
			r++
		}
		return s + string(r), true
	}
	return "", false
}
