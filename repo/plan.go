package repo

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unsafe"

	"trihold/repo/driver"
)

// A plan is what is known about a row type. It is compiled once per table;
// nothing that reads or writes rows uses reflection.
type plan struct {
	typ    reflect.Type
	fields []field
	// unstable: JSON columns may read as something that marshals differently, so
	// a row has its final form only after one round trip.
	unstable bool
	// shared: copying the struct shares memory; use clone.
	shared bool
}

// A field is one column of a row type.
type field struct {
	name   string
	offset uintptr
	typ    reflect.Type
	*columnCodec
}

var validName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

// compilePlan compiles a struct type. Mistakes in a declaration are panics, as
// in regexp.MustCompile.
func compilePlan(table string, t reflect.Type) *plan {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("repo: table %s: row type %s is not a struct", table, t))
	}
	p := &plan{typ: t}
	p.flatten(table, t, 0)
	if len(p.fields) == 0 {
		panic(fmt.Sprintf("repo: table %s: row type %s has no fields", table, t))
	}
	names := map[string]bool{}
	for _, f := range p.fields {
		if !validName.MatchString(f.name) {
			panic(fmt.Sprintf("repo: table %s: %q cannot be a column name: letters, digits and _, beginning with a letter", table, f.name))
		}
		if low := strings.ToLower(f.name); names[low] {
			panic(fmt.Sprintf("repo: table %s: two columns are called %s", table, f.name))
		} else {
			names[low] = true
		}
		p.shared = p.shared || f.clone != nil
		p.unstable = p.unstable || f.kind == driver.JSON && f.typ != rawMessageType
	}
	return p
}

func (p *plan) flatten(table string, t reflect.Type, base uintptr) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("db")
		switch {
		case tag == "-":
			continue
		case f.Anonymous && f.Type.Kind() == reflect.Struct && f.Type != timeType:
			p.flatten(table, f.Type, base+f.Offset)
			continue
		case !f.IsExported():
			panic(fmt.Sprintf(`repo: table %s: field %s.%s is not exported; export it, or tag it db:"-"`, table, t, f.Name))
		}
		name := tag
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		p.fields = append(p.fields, field{name: name, offset: base + f.Offset, typ: f.Type, columnCodec: compileColumn(f.Type)})
	}
}

// columns returns the fields as columns.
func (p *plan) columns() []driver.Column {
	out := make([]driver.Column, len(p.fields))
	for i, f := range p.fields {
		out[i] = driver.Column{Name: f.name, Kind: f.kind, Nullable: f.nullable}
	}
	return out
}

// encode appends a row in canonical form.
func (p *plan) encode(dst []byte, row unsafe.Pointer) ([]byte, error) {
	for i := range p.fields {
		f := &p.fields[i]
		var err error
		if dst, err = f.encode(dst, unsafe.Add(row, f.offset)); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.name, err)
		}
	}
	return dst, nil
}

// decode fills a zero row from its canonical form. Strings share memory with s.
func (p *plan) decode(s string, row unsafe.Pointer) error {
	for i := range p.fields {
		f := &p.fields[i]
		var err error
		if s, err = f.decode(s, unsafe.Add(row, f.offset)); err != nil {
			return fmt.Errorf("column %s: %w", f.name, err)
		}
	}
	if s != "" {
		return fmt.Errorf("row has %d bytes left after its last column: %w", len(s), driver.ErrCorrupt)
	}
	return nil
}

// clone makes a copied row its own: afterwards it shares no memory that can be
// modified with the row it was copied from.
func (p *plan) clone(row unsafe.Pointer) {
	for i := range p.fields {
		if f := &p.fields[i]; f.clone != nil {
			f.clone(unsafe.Add(row, f.offset))
		}
	}
}

// appendKey appends the key made of the given fields.
func (p *plan) appendKey(dst []byte, row unsafe.Pointer, fields []int) ([]byte, error) {
	for _, i := range fields {
		f := &p.fields[i]
		var err error
		if dst, err = f.key(dst, unsafe.Add(row, f.offset)); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.name, err)
		}
	}
	return dst, nil
}

// checkKeySize returns an error if the key made of the given fields is too
// large.
func (p *plan) checkKeySize(row unsafe.Pointer, fields []int) error {
	size := 0
	for _, i := range fields {
		size += p.fields[i].keySize(unsafe.Add(row, p.fields[i].offset))
	}
	if size > driver.MaxKey {
		return fmt.Errorf("key of %d bytes, the limit is %d: %w", size, driver.MaxKey, driver.ErrTooLarge)
	}
	return nil
}

// compare compares two rows by the given fields.
func (p *plan) compare(a, b unsafe.Pointer, fields []int) int {
	for _, i := range fields {
		f := &p.fields[i]
		if c := f.compare(unsafe.Add(a, f.offset), unsafe.Add(b, f.offset)); c != 0 {
			return c
		}
	}
	return 0
}

// compareKey compares a row with a tuple of the first of the given fields.
func (p *plan) compareKey(row unsafe.Pointer, tuple string, fields []int) int {
	for _, i := range fields {
		if tuple == "" {
			return 0
		}
		f := &p.fields[i]
		var c int
		if c, tuple = f.compareKey(unsafe.Add(row, f.offset), tuple); c != 0 {
			return c
		}
	}
	return 0
}

// A selection is what a selector names: fields, and where in the row the
// selected value that holds them begins.
type selection struct {
	fields []int
	at     uintptr
}

// resolve returns what a selector's pointer names: the one field of exactly that
// type at that place, or the fields of an embedded struct there.
func (p *plan) resolve(table string, row, selected unsafe.Pointer, t reflect.Type) selection {
	fail := func(why string) {
		panic(fmt.Sprintf("repo: table %s: a selector returns a *%s %s", table, t, why))
	}
	at := uintptr(selected) - uintptr(row)
	if uintptr(selected) < uintptr(row) || at+t.Size() > p.typ.Size() {
		fail("that does not point into the row")
	}
	var found []int
	for i, f := range p.fields {
		if f.offset == at && f.typ == t {
			found = []int{i}
			break
		}
		if t.Kind() == reflect.Struct && f.offset >= at && f.offset+f.typ.Size() <= at+t.Size() {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		fail("that is not a column, nor an embedded struct of columns")
	}
	for _, i := range found {
		if p.fields[i].key == nil {
			fail(fmt.Sprintf("whose column %s, a %s, cannot be part of a key", p.fields[i].name, p.fields[i].typ))
		}
	}
	return selection{fields: found, at: at}
}
