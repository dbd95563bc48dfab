package repo

import (
	"fmt"
	"unsafe"

	"trihold/repo/driver"
)

// An Index1 is another order over the rows of a table: by one column, then by
// the primary key.
type Index1[T, A any] struct {
	index[T]
	a keyPlan
}

// An Index2 orders the rows of a table by two columns.
type Index2[T, A, B any] struct {
	index[T]
	a, b keyPlan
}

// An Index3 orders the rows of a table by three columns.
type Index3[T, A, B, C any] struct {
	index[T]
	a, b, c keyPlan
}

// A Unique1 is an Index1 in which no two rows have the same value. Rows whose
// value is NULL are not compared.
type Unique1[T, A any] struct{ Index1[T, A] }

// A Unique2 is an Index2 in which no two rows have the same values. Rows in which
// either is NULL are not compared.
type Unique2[T, A, B any] struct{ Index2[T, A, B] }

// A Unique3 is an Index3 in which no two rows have the same values. Rows in which
// any of them is NULL are not compared.
type Unique3[T, A, B, C any] struct{ Index3[T, A, B, C] }

// NewIndex1 declares an index over the column that the selector points to.
func NewIndex1[T, K, A any](t *Table[T, K], column func(*T) *A) *Index1[T, A] {
	return newIndex1(t.rows, false, column)
}

// NewUnique1 declares a unique index over one column.
func NewUnique1[T, K, A any](t *Table[T, K], column func(*T) *A) *Unique1[T, A] {
	return &Unique1[T, A]{*newIndex1(t.rows, true, column)}
}

// NewIndex2 declares an index over two columns.
func NewIndex2[T, K, A, B any](t *Table[T, K], columns func(*T) (*A, *B)) *Index2[T, A, B] {
	return newIndex2(t.rows, false, columns)
}

// NewUnique2 declares a unique index over two columns.
func NewUnique2[T, K, A, B any](t *Table[T, K], columns func(*T) (*A, *B)) *Unique2[T, A, B] {
	return &Unique2[T, A, B]{*newIndex2(t.rows, true, columns)}
}

// NewIndex3 declares an index over three columns.
func NewIndex3[T, K, A, B, C any](t *Table[T, K], columns func(*T) (*A, *B, *C)) *Index3[T, A, B, C] {
	return newIndex3(t.rows, false, columns)
}

// NewUnique3 declares a unique index over three columns.
func NewUnique3[T, K, A, B, C any](t *Table[T, K], columns func(*T) (*A, *B, *C)) *Unique3[T, A, B, C] {
	return &Unique3[T, A, B, C]{*newIndex3(t.rows, true, columns)}
}

func newIndex1[T, A any](t rowTable[T], unique bool, columns func(*T) *A) *Index1[T, A] {
	a := selectField(t.plan, t.def.Name, columns)
	return &Index1[T, A]{newIndex(t, unique, a), t.plan.keyPlan(a)}
}

func newIndex2[T, A, B any](t rowTable[T], unique bool, columns func(*T) (*A, *B)) *Index2[T, A, B] {
	a := selectField(t.plan, t.def.Name, func(r *T) *A { a, _ := columns(r); return a })
	b := selectField(t.plan, t.def.Name, func(r *T) *B { _, b := columns(r); return b })
	return &Index2[T, A, B]{newIndex(t, unique, a, b), t.plan.keyPlan(a), t.plan.keyPlan(b)}
}

func newIndex3[T, A, B, C any](t rowTable[T], unique bool, columns func(*T) (*A, *B, *C)) *Index3[T, A, B, C] {
	a := selectField(t.plan, t.def.Name, func(r *T) *A { a, _, _ := columns(r); return a })
	b := selectField(t.plan, t.def.Name, func(r *T) *B { _, b, _ := columns(r); return b })
	c := selectField(t.plan, t.def.Name, func(r *T) *C { _, _, c := columns(r); return c })
	return &Index3[T, A, B, C]{newIndex(t, unique, a, b, c), t.plan.keyPlan(a), t.plan.keyPlan(b), t.plan.keyPlan(c)}
}

// All is the span of all rows in the order of the index.
func (x *index[T]) All() Span[T] { return x.whole() }

// Eq is the span of the rows with the given value.
func (x *Index1[T, A]) Eq(a A) Span[T] { return x.eq(arg(&x.a, &a)) }

// Between is the span of the rows with lo <= value <= hi.
func (x *Index1[T, A]) Between(lo, hi A) Span[T] {
	return x.between(nil, arg(&x.a, &lo), arg(&x.a, &hi))
}

// From is the span of the rows with lo <= value.
func (x *Index1[T, A]) From(lo A) Span[T] { return x.from(nil, arg(&x.a, &lo)) }

// Prefix is the span of the rows whose value, a string, begins with prefix.
func (x *Index1[T, A]) Prefix(prefix string) Span[T] { return x.prefix(nil, &x.a, prefix) }

// Eq is the span of the rows with the given value of the first column.
func (x *Index2[T, A, B]) Eq(a A) Span[T] { return x.eq(arg(&x.a, &a)) }

// Eq2 is the span of the rows with the given values.
func (x *Index2[T, A, B]) Eq2(a A, b B) Span[T] { return x.eq(arg(&x.a, &a), arg(&x.b, &b)) }

// Between is the span of the rows with the given first value and
// lo <= second value <= hi.
func (x *Index2[T, A, B]) Between(a A, lo, hi B) Span[T] {
	return x.between(args{arg(&x.a, &a)}, arg(&x.b, &lo), arg(&x.b, &hi))
}

// From is the span of the rows with the given first value and lo <= second value.
func (x *Index2[T, A, B]) From(a A, lo B) Span[T] {
	return x.from(args{arg(&x.a, &a)}, arg(&x.b, &lo))
}

// Prefix is the span of the rows with the given first value whose second value,
// a string, begins with prefix.
func (x *Index2[T, A, B]) Prefix(a A, prefix string) Span[T] {
	return x.prefix(args{arg(&x.a, &a)}, &x.b, prefix)
}

// Eq is the span of the rows with the given value of the first column.
func (x *Index3[T, A, B, C]) Eq(a A) Span[T] { return x.eq(arg(&x.a, &a)) }

// Eq2 is the span of the rows with the given values of the first two columns.
func (x *Index3[T, A, B, C]) Eq2(a A, b B) Span[T] { return x.eq(arg(&x.a, &a), arg(&x.b, &b)) }

// Eq3 is the span of the rows with the given values.
func (x *Index3[T, A, B, C]) Eq3(a A, b B, c C) Span[T] {
	return x.eq(arg(&x.a, &a), arg(&x.b, &b), arg(&x.c, &c))
}

// Between is the span of the rows with the given first two values and
// lo <= third value <= hi.
func (x *Index3[T, A, B, C]) Between(a A, b B, lo, hi C) Span[T] {
	return x.between(args{arg(&x.a, &a), arg(&x.b, &b)}, arg(&x.c, &lo), arg(&x.c, &hi))
}

// From is the span of the rows with the given first two values and
// lo <= third value.
func (x *Index3[T, A, B, C]) From(a A, b B, lo C) Span[T] {
	return x.from(args{arg(&x.a, &a), arg(&x.b, &b)}, arg(&x.c, &lo))
}

// Prefix is the span of the rows with the given first two values whose third
// value, a string, begins with prefix.
func (x *Index3[T, A, B, C]) Prefix(a A, b B, prefix string) Span[T] {
	return x.prefix(args{arg(&x.a, &a), arg(&x.b, &b)}, &x.c, prefix)
}

// Get returns the row with the given value, or ErrNotFound.
func (x *Unique1[T, A]) Get(r Reader, a A) (T, error) { return x.one(r, arg(&x.a, &a)) }

// Get returns the row with the given values, or ErrNotFound.
func (x *Unique2[T, A, B]) Get(r Reader, a A, b B) (T, error) {
	return x.one(r, arg(&x.a, &a), arg(&x.b, &b))
}

// Get returns the row with the given values, or ErrNotFound.
func (x *Unique3[T, A, B, C]) Get(r Reader, a A, b B, c C) (T, error) {
	return x.one(r, arg(&x.a, &a), arg(&x.b, &b), arg(&x.c, &c))
}

// index is what all indices share.
type index[T any] struct {
	table rowTable[T]
	def   *driver.Index
	order int
}

func newIndex[T any](t rowTable[T], unique bool, selected ...selection) index[T] {
	def := t.addIndex(unique, selected...)
	return index[T]{table: t, def: def, order: len(t.def.Indices)}
}

func (x *index[T]) define(b *schemaBuilder) { b.indices[x.def] = true }

// An indexArg is one column's value in a call of a span method.
type indexArg struct {
	plan *keyPlan
	at   unsafe.Pointer
}

type args []indexArg

func arg[A any](plan *keyPlan, v *A) indexArg { return indexArg{plan, unsafe.Pointer(v)} }

// tuple encodes values of the first columns of the index.
func (x *index[T]) tuple(values ...indexArg) ([]byte, error) {
	var key []byte
	for _, v := range values {
		var err error
		if key, err = v.plan.append(key, v.at); err != nil {
			return nil, &Error{Op: "span", Table: x.table.def.Name, Index: x.table.def.IndexColumnNames(x.def), Cause: err}
		}
	}
	return key, nil
}

func (x *index[T]) whole() Span[T] {
	return Span[T]{table: x.table, span: driver.Span{Table: x.table.def, Order: x.order}}
}

func (x *index[T]) eq(values ...indexArg) Span[T] {
	s := x.whole()
	tuple, err := x.tuple(values...)
	s.span.Lo = driver.Bound{Tuple: driver.Key(tuple)}
	s.span.Hi = s.span.Lo
	return s.orErr(err)
}

func (x *index[T]) between(head args, lo, hi indexArg) Span[T] {
	s := x.from(head, lo)
	tuple, err := x.tuple(append(head, hi)...)
	s.span.Hi = driver.Bound{Tuple: driver.Key(tuple)}
	return s.orErr(err)
}

func (x *index[T]) from(head args, lo indexArg) Span[T] {
	s := x.eq(head...)
	tuple, err := x.tuple(append(head, lo)...)
	s.span.Lo = driver.Bound{Tuple: driver.Key(tuple)}
	return s.orErr(err)
}

func (x *index[T]) prefix(head args, last *keyPlan, prefix string) Span[T] {
	s := x.whole()
	tuple, err := x.tuple(head...)
	if err != nil {
		return s.orErr(err)
	}
	if s.span.Lo, s.span.Hi, err = prefixBounds(tuple, last.columns[0], prefix); err != nil {
		err = &Error{Op: "prefix", Table: x.table.def.Name, Index: x.table.def.IndexColumnNames(x.def), Cause: err}
	}
	return s.orErr(err)
}

// one returns the one row of a unique index with the given values.
func (x *index[T]) one(r Reader, values ...indexArg) (T, error) {
	for _, v := range values {
		if part := v.plan.parts[0]; part.nullable && *(*unsafe.Pointer)(v.at) == nil {
			var none T
			return none, &Error{Op: "get", Table: x.table.def.Name, Index: x.table.def.IndexColumnNames(x.def), Kind: ErrInvalid,
				Cause: fmt.Errorf("%s is NULL, which is not unique; use Eq", v.plan.columns[0].Name)}
		}
	}
	return x.eq(values...).First(r)
}
