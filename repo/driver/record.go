package driver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// A Record is the live row of a table that no Go type stands for: the values of
// its columns in order. Tools that know a store by its description only work on
// Records.
type Record []Value

// ParseSchema returns the schema with the given description (see
// Schema.Describe). Its live rows are Records.
func ParseSchema(description string) (*Schema, error) {
	var tables []*Table
	dec := json.NewDecoder(strings.NewReader(description))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&tables); err != nil {
		return nil, fmt.Errorf("read the description of a schema: %w: %w", ErrCorrupt, err)
	}
	for _, t := range tables {
		if err := t.sound(); err != nil {
			return nil, fmt.Errorf("read the description of table %q: %w: %w", t.Name, ErrCorrupt, err)
		}
		t.compileRecords()
	}
	return NewSchema(tables...), nil
}

// sound reports what makes a table unusable, if anything does.
func (t *Table) sound() error {
	inside := func(at []int) error {
		for _, c := range at {
			if c < 0 || c >= len(t.Columns) {
				return fmt.Errorf("it has no column %d", c)
			}
		}
		return nil
	}
	if t.Name == "" || len(t.Key) == 0 {
		return fmt.Errorf("it has no name, or no key")
	}
	if err := inside(t.Key); err != nil {
		return err
	}
	for _, x := range t.Indices {
		if err := inside(x.Columns); err != nil || x.Name == "" {
			return fmt.Errorf("index %q: %w", x.Name, cmp.Or(err, fmt.Errorf("it has no name")))
		}
	}
	return nil
}

// compileRecords sets the functions of a table whose live rows are Records.
func (t *Table) compileRecords() {
	t.Decode = func(data []byte) (any, error) {
		values, err := RowValues(make([]Value, 0, len(t.Columns)), t.Columns, data)
		return Record(values), err
	}
	t.Encode = func(dst []byte, row any) []byte {
		out, err := AppendValues(dst, t.Columns, row.(Record))
		if err != nil {
			panic(fmt.Sprintf("encode a row of %s: %v", t.Name, err)) // Decode made it
		}
		return out
	}
	t.AppendKey = func(dst []byte, order int, row any) []byte {
		values := row.(Record)
		for _, c := range t.orderPositions(order) {
			var err error
			if dst, err = AppendKeyValue(dst, t.Columns[c], values[c]); err != nil {
				panic(fmt.Sprintf("key of a row of %s: %v", t.Name, err)) // Decode made it
			}
		}
		return dst
	}
	t.Compare = func(order int, a, b any) int {
		var bufA, bufB [128]byte
		return bytes.Compare(t.AppendKey(bufA[:0], order, a), t.AppendKey(bufB[:0], order, b))
	}
	t.CompareKey = func(order int, row any, tuple Key) int {
		var buf [128]byte
		key := t.AppendKey(buf[:0], order, row)
		if len(key) > len(tuple) {
			key = key[:len(tuple)]
		}
		return bytes.Compare(key, []byte(tuple))
	}
}

// orderPositions returns the positions of the columns of an order.
func (t *Table) orderPositions(order int) []int {
	if order == 0 {
		return t.Key
	}
	return append(t.Indices[order-1].Columns[:len(t.Indices[order-1].Columns):len(t.Indices[order-1].Columns)], t.Key...)
}
