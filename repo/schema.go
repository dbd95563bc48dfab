package repo

import (
	"fmt"
	"slices"
	"strings"

	"trihold/repo/driver"
)

// A Schema is the tables and indices of a store.
type Schema struct {
	driver *driver.Schema
}

// A Def is a declaration that NewSchema takes: a Table or an index.
type Def interface {
	define(b *schemaBuilder)
}

// An AnyTable is a Table of any type.
type AnyTable interface {
	Def
	driverTable() *driver.Table
}

type schemaBuilder struct {
	tables  []*tableCore
	indices map[*driver.Index]bool
}

// NewSchema returns the schema made of the given tables and indices. Every index
// of a table must be among them, and a table belongs to one schema. It panics if
// the declarations contradict each other, and is meant for package variables.
func NewSchema(defs ...Def) *Schema {
	b := &schemaBuilder{indices: map[*driver.Index]bool{}}
	for _, d := range defs {
		d.define(b)
	}
	var tables []*driver.Table
	names := map[string]bool{}
	claim := func(name string) {
		if low := strings.ToLower(name); names[low] {
			panic(fmt.Sprintf("repo: two tables or indices are called %s", name))
		} else {
			names[low] = true
		}
	}
	for _, t := range b.tables {
		if t.frozen {
			panic(fmt.Sprintf("repo: table %s already belongs to a schema", t.def.Name))
		}
		t.frozen = true
		claim(t.def.Name)
		for _, x := range t.def.Indices {
			claim(x.Name)
			if !b.indices[x] {
				panic(fmt.Sprintf("repo: index %s is declared but not part of the schema of its table", x.Name))
			}
			delete(b.indices, x)
		}
		tables = append(tables, t.def)
	}
	for x := range b.indices {
		panic(fmt.Sprintf("repo: index %s is part of a schema without its table", x.Name))
	}
	return &Schema{driver: driver.NewSchema(tables...)}
}

// Driver returns the schema as backends see it, for tools that work on a
// driver.Store.
func (s *Schema) Driver() *driver.Schema { return s.driver }

// addIndex declares an index of a table.
func (t *tableCore) addIndex(unique bool, selected ...selection) *driver.Index {
	if t.frozen {
		panic(fmt.Sprintf("repo: table %s already belongs to a schema; declare its indices before", t.def.Name))
	}
	x := &driver.Index{Unique: unique}
	names := []string{t.def.Name}
	for _, sel := range selected {
		if len(sel.fields) != 1 {
			panic(fmt.Sprintf("repo: table %s: an index column is one field, not a struct of them", t.def.Name))
		}
		x.Columns = append(x.Columns, sel.fields[0])
		names = append(names, t.def.Columns[sel.fields[0]].Name)
	}
	x.Name = strings.Join(names, "_")
	t.def.Indices = append(t.def.Indices, x)
	t.orders = append(t.orders, slices.Concat(x.Columns, t.def.Key))
	return x
}
