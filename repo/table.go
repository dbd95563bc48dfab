package repo

import (
	"fmt"
	"iter"
	"reflect"
	"strings"
	"unsafe"

	"trihold/repo/driver"
)

// A Table holds rows of the struct type T by a primary key of type K. It is
// declared once, is immutable after NewSchema, and is safe for concurrent use.
type Table[T, K any] struct {
	rows rowTable[T]
	key  keyPlan
}

// tableCore is the part of a table that does not depend on its types.
type tableCore struct {
	def    *driver.Table
	plan   *plan
	orders [][]int // the fields of each order's key
	frozen bool    // by NewSchema
}

// rowTable is the part of a table that depends on the type of its rows.
type rowTable[T any] struct {
	*tableCore
}

// NewTable declares a table. The selector returns a pointer to the field that is
// the primary key, or to an embedded struct whose fields are the columns of a
// composite one, in order. NewTable panics if the declaration is wrong.
func NewTable[T, K any](name string, key func(*T) *K) *Table[T, K] {
	if !validName.MatchString(name) {
		panic(fmt.Sprintf("repo: %q cannot be a table name: letters, digits and _, beginning with a letter", name))
	}
	if strings.HasPrefix(strings.ToLower(name), "sqlite_") {
		panic(fmt.Sprintf("repo: %q cannot be a table name: SQLite keeps names that begin with sqlite_ for itself", name))
	}
	p := compilePlan(name, reflect.TypeFor[T]())
	core := &tableCore{plan: p}
	sel := selectField(p, name, key)
	for _, i := range sel.fields {
		if p.fields[i].nullable {
			panic(fmt.Sprintf("repo: table %s: primary key column %s is a pointer; a key is never NULL", name, p.fields[i].name))
		}
	}
	core.def = &driver.Table{Name: name, Columns: p.columns(), Key: sel.fields}
	core.def.Decode = func(data []byte) (any, error) {
		row := new(T)
		err := p.decode(string(data), unsafe.Pointer(row))
		return row, err
	}
	core.def.Encode = func(dst []byte, row any) []byte {
		out, err := p.encode(dst, unsafe.Pointer(row.(*T)))
		if err != nil {
			panic(fmt.Sprintf("repo: table %s: a stored row cannot be encoded: %v", name, err)) // it was decoded from that
		}
		return out
	}
	core.def.AppendKey = func(dst []byte, order int, row any) []byte {
		return mustKey(p.appendKey(dst, unsafe.Pointer(row.(*T)), core.orders[order]))
	}
	core.def.Compare = func(order int, a, b any) int {
		return p.compare(unsafe.Pointer(a.(*T)), unsafe.Pointer(b.(*T)), core.orders[order])
	}
	core.def.CompareKey = func(order int, row any, tuple driver.Key) int {
		return p.compareKey(unsafe.Pointer(row.(*T)), string(tuple), core.orders[order])
	}
	core.orders = [][]int{sel.fields}
	return &Table[T, K]{rows: rowTable[T]{core}, key: p.keyPlan(sel)}
}

// mustKey is for keys of stored rows, whose columns were checked when the row
// was written.
func mustKey(key []byte, err error) []byte {
	if err != nil {
		panic(fmt.Sprintf("repo: a stored row has no key: %v", err))
	}
	return key
}

// selectField calls a selector and returns what it names.
func selectField[T, K any](p *plan, table string, selector func(*T) *K) selection {
	defer func() {
		if r := recover(); r != nil {
			if s, ok := r.(string); ok {
				panic(s)
			}
			panic(fmt.Sprintf("repo: table %s: a selector panics on a zero row: %v", table, r))
		}
	}()
	row := new(T)
	return p.resolve(table, unsafe.Pointer(row), unsafe.Pointer(selector(row)), reflect.TypeFor[K]())
}

func (t *Table[T, K]) define(b *schemaBuilder)    { b.tables = append(b.tables, t.rows.tableCore) }
func (t *Table[T, K]) driverTable() *driver.Table { return t.rows.def }

// Name returns the table's name.
func (t *Table[T, K]) Name() string { return t.rows.def.Name }

// Get returns the row with the given key, or ErrNotFound.
func (t *Table[T, K]) Get(r Reader, key K) (T, error) {
	k, err := t.encodeKey("get", key)
	if err != nil {
		var none T
		return none, err
	}
	row, err := r.readTx().get(t.rows.tableCore, k)
	if err != nil {
		var none T
		return none, err
	}
	return t.rows.take(row)
}

// Insert adds a row. If the key is taken by a row of this transaction it returns
// ErrExists; if it is taken in the store, Update does.
func (t *Table[T, K]) Insert(tx *Tx, row T) error {
	return tx.write(t.rows.tableCore, driver.Insert, unsafe.Pointer(&row))
}

// Put adds a row, or replaces the one with its key.
func (t *Table[T, K]) Put(tx *Tx, row T) error {
	return tx.write(t.rows.tableCore, driver.Put, unsafe.Pointer(&row))
}

// Delete removes the row with the given key, if there is one.
func (t *Table[T, K]) Delete(tx *Tx, key K) error {
	k, err := t.encodeKey("delete", key)
	if err != nil {
		return err
	}
	return tx.delete(t.rows.tableCore, k)
}

// All is the span of all rows, in the order of the primary key.
func (t *Table[T, K]) All() Span[T] {
	return Span[T]{table: t.rows, span: driver.Span{Table: t.rows.def}}
}

// Between is the span of the rows with lo <= key <= hi.
func (t *Table[T, K]) Between(lo, hi K) Span[T] {
	s := t.From(lo)
	end, err := t.encodeKey("between", hi)
	s.span.Hi = driver.Bound{Tuple: end}
	return s.orErr(err)
}

// From is the span of the rows with lo <= key.
func (t *Table[T, K]) From(lo K) Span[T] {
	s := t.All()
	k, err := t.encodeKey("from", lo)
	s.span.Lo = driver.Bound{Tuple: k}
	return s.orErr(err)
}

// Prefix is the span of the rows whose key begins with prefix; the key must be
// one string.
func (t *Table[T, K]) Prefix(prefix string) Span[T] {
	s := t.All()
	lo, hi, err := prefixBounds(nil, t.key.columns[0], prefix)
	if n := len(t.key.columns); err == nil && n > 1 {
		err = fmt.Errorf("its key has %d columns: %w", n, ErrInvalid)
	}
	if err != nil {
		return s.orErr(&Error{Op: "prefix", Table: t.Name(), Cause: err})
	}
	s.span.Lo, s.span.Hi = lo, hi
	return s
}

// Changed yields the keys of this table that a change touched, and whether each
// row was deleted.
func (t *Table[T, K]) Changed(c Change) iter.Seq2[K, bool] {
	return func(yield func(K, bool) bool) {
		for _, changed := range c.keys {
			if changed.Table != t.rows.def {
				continue
			}
			var key K
			if err := t.key.decode(changed.Key, unsafe.Pointer(&key)); err != nil {
				panic(fmt.Sprintf("repo: table %s: %v", t.Name(), err)) // the backend checked it against the schema
			}
			if !yield(key, changed.Deleted) {
				return
			}
		}
	}
}

// usualKey is the capacity that most keys fit into.
const usualKey = 48

func (t *Table[T, K]) encodeKey(op string, key K) (driver.Key, error) {
	k, err := t.key.append(make([]byte, 0, usualKey), unsafe.Pointer(&key))
	if err != nil {
		return "", &Error{Op: op, Table: t.Name(), Cause: err}
	}
	return driver.Key(unsafe.String(unsafe.SliceData(k), len(k))), nil // k is never written again
}

// take returns the caller's own copy of a row.
func (t rowTable[T]) take(row driver.Row) (T, error) {
	if row.Value == nil {
		return t.decode(row.Data)
	}
	if t.plan.shared {
		return t.clone(row.Value.(*T)), nil
	}
	return *row.Value.(*T), nil
}

func (t rowTable[T]) decode(data []byte) (T, error) {
	var row T
	s := unsafe.String(unsafe.SliceData(data), len(data)) // data is ours to keep
	if err := t.plan.decode(s, unsafe.Pointer(&row)); err != nil {
		return row, &Error{Op: "read", Table: t.def.Name, Cause: err}
	}
	return row, nil
}

func (t rowTable[T]) clone(live *T) T {
	row := *live
	t.plan.clone(unsafe.Pointer(&row))
	return row
}
