package driver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// A Kind is the type of a column.
type Kind uint8

// The numbers and names are part of the on-disk formats.
const (
	Bool  Kind = 1
	Int   Kind = 2 // signed, 64 bits
	Float Kind = 3
	Text  Kind = 4
	Bytes Kind = 5
	Time  Kind = 6
	JSON  Kind = 7
)

func (k Kind) String() string {
	names := [...]string{Bool: "bool", Int: "int", Float: "float", Text: "text", Bytes: "bytes", Time: "time", JSON: "json"}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText makes a Kind readable in a stored schema.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText undoes MarshalText.
func (k *Kind) UnmarshalText(text []byte) error {
	for known := Bool; known <= JSON; known++ {
		if known.String() == string(text) {
			*k = known
			return nil
		}
	}
	return fmt.Errorf("unknown kind of column %q: %w", text, ErrInvalid)
}

// A Column is one column of a table.
type Column struct {
	Name     string `json:"name"`
	Kind     Kind   `json:"kind"`
	Nullable bool   `json:"nullable,omitempty"`
}

// An Index is another order over the rows of a table: by the index's columns,
// then by the primary key. A unique index holds at most one row for any values
// of its columns none of which is NULL.
type Index struct {
	Name    string `json:"name"`    // unique within the schema, fit for SQL
	Columns []int  `json:"columns"` // positions in Table.Columns
	Unique  bool   `json:"unique,omitempty"`
}

// A Table describes a table to a backend. It is immutable.
type Table struct {
	ID      int        `json:"-"` // position in Schema.Stored
	Name    string     `json:"name"`
	Columns []Column   `json:"columns"`
	Key     []int      `json:"key"` // positions of the primary key's columns
	Indices []*Index   `json:"indices,omitempty"`
	orders  [][]Column // columns of each order, by order

	// What follows is compiled by package repo for the Go type of the rows.
	// A live row is what Decode returns.

	// Decode makes a live row of one in canonical form. It keeps no reference to
	// data. It fails with ErrCorrupt if data is not a row of this table.
	Decode func(data []byte) (any, error) `json:"-"`
	// Encode appends the canonical form of a live row.
	Encode func(dst []byte, row any) []byte `json:"-"`
	// AppendKey appends the key of a live row in an order: the columns of the
	// order as in OrderColumns.
	AppendKey func(dst []byte, order int, row any) []byte `json:"-"`
	// Compare compares two live rows in an order: the sign is that of comparing
	// their keys.
	Compare func(order int, a, b any) int `json:"-"`
	// CompareKey compares a live row with a tuple of the first columns of an
	// order; 0 means that the row begins with the tuple.
	CompareKey func(order int, row any, tuple Key) int `json:"-"`
}

// OrderColumns returns the columns that make up a key of the given order: those
// of the primary key for order 0, and those of the index followed by those of
// the primary key for an index.
func (t *Table) OrderColumns(order int) []Column { return t.orders[order] }

// FormatKey returns a printable form of a primary key.
func (t *Table) FormatKey(k Key) string { return FormatKey(t.orders[0], k) }

// IndexColumnNames returns the names of an index's columns, separated by
// commas.
func (t *Table) IndexColumnNames(x *Index) string {
	names := make([]string, len(x.Columns))
	for i, c := range x.Columns {
		names[i] = t.Columns[c].Name
	}
	return strings.Join(names, ",")
}

// A Schema is the tables of a store.
type Schema struct {
	Tables []*Table
	// State is the table that every store has besides; see StateTable. It is no
	// part of the description.
	State *Table
}

// Stored returns all tables that a backend keeps: Tables, and then State.
func (s *Schema) Stored() []*Table { return append(s.Tables[:len(s.Tables):len(s.Tables)], s.State) }

// NewSchema completes the tables and returns them as a schema. A table belongs
// to one schema.
func NewSchema(tables ...*Table) *Schema {
	for id, t := range tables {
		t.ID = id
		key := pick(t.Columns, t.Key)
		t.orders = [][]Column{key}
		for _, x := range t.Indices {
			t.orders = append(t.orders, append(pick(t.Columns, x.Columns), key...))
		}
	}
	return &Schema{Tables: tables, State: newStateTable(len(tables))}
}

func pick(cols []Column, at []int) []Column {
	out := make([]Column, len(at), len(at)+4)
	for i, c := range at {
		out[i] = cols[c]
	}
	return out
}

// Describe returns the schema as JSON, for storing beside the data. Equal
// schemas have equal descriptions.
func (s *Schema) Describe() string {
	b, err := json.Marshal(s.Tables)
	if err != nil {
		panic(fmt.Sprintf("describe schema: %v", err)) // plain data cannot fail
	}
	return string(b)
}

// Fingerprint returns a short hash of the description.
func (s *Schema) Fingerprint() string {
	sum := sha256.Sum256([]byte(s.Describe()))
	return hex.EncodeToString(sum[:8])
}

// MustMatch returns an error that names the first difference if a store's
// description is not that of s.
func (s *Schema) MustMatch(stored string) error {
	if stored == s.Describe() {
		return nil
	}
	var was []json.RawMessage
	if err := json.Unmarshal([]byte(stored), &was); err != nil {
		return fmt.Errorf("stored schema is not readable: %w: %w", ErrCorrupt, err)
	}
	what := fmt.Sprintf("it has %d tables, the program has %d", len(was), len(s.Tables))
	for i := range min(len(was), len(s.Tables)) {
		is, err := json.Marshal(s.Tables[i])
		if err != nil {
			return err
		}
		if string(is) != string(was[i]) {
			what = fmt.Sprintf("table %d is %s there and %s in the program", i+1, was[i], is)
			break
		}
	}
	return fmt.Errorf("the store was made with another schema: %s; open it with that schema, or use another place for this one: %w", what, ErrInvalid)
}
