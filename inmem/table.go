package inmem

import (
	"hash/maphash"
	"iter"

	"github.com/tidwall/btree"

	"trihold/repo/driver"
)

// treeDegree trades the depth of a look-up against the size of the nodes that a
// write copies.
const treeDegree = 32

// A row is a version of a row. It is immutable.
type row struct {
	rev   driver.Rev
	value any // as Table.Decode made it
}

// A probe stands in a row's place where a tree is searched for a bound: it lies
// before all rows that begin with the tuple or, with behind set, behind them.
type probe struct {
	tuple  driver.Key
	behind bool
}

// A tree is one order of a table. Its items are pointers: the key of a row in
// every order is in the row, and comparing looks it up there.
type tree = btree.BTreeG[*row]

// An order is how a tree compares rows.
type order struct {
	def *driver.Table
	n   int
	// loading is the row that is being loaded behind all others, while a tree is built
	// from sorted rows: nothing needs to be compared then.
	loading *row
}

func newTree(o *order) *tree {
	return btree.NewBTreeGOptions(o.less, btree.Options{Degree: treeDegree, NoLocks: true})
}

func (o *order) less(a, b *row) bool {
	if o.loading != nil {
		return b == o.loading
	}
	if p, ok := a.value.(*probe); ok {
		return !p.after(o.def, o.n, b)
	}
	if p, ok := b.value.(*probe); ok {
		return p.after(o.def, o.n, a)
	}
	return o.def.Compare(o.n, a.value, b.value) < 0
}

// after reports whether the probe lies behind a row.
func (p *probe) after(def *driver.Table, order int, r *row) bool {
	c := def.CompareKey(order, r.value, p.tuple)
	return c < 0 || c == 0 && p.behind
}

var hashSeed = maphash.MakeSeed()

// A table is the rows of a table in all its orders. The one that belongs to a
// published root is immutable.
type table struct {
	def    *driver.Table
	orders []*tree // by order
	byHash *hashTree
	// collided: two keys with the same hash have been there. Then byHash holds
	// only one of them, and not finding a row in it proves nothing.
	collided bool
	rev      driver.Rev // of the last commit that wrote to the table
	hash     uint64     // see hash.go
	// bare: only the first order is filled, and hash is not known. So it is while a
	// store is recovered; see root.complete.
	bare bool
}

func newTable(def *driver.Table) table {
	t := table{def: def, orders: make([]*tree, 1+len(def.Indices)), byHash: newHashTree()}
	for o := range t.orders {
		t.orders[o] = newTree(&order{def: def, n: o})
	}
	return t
}

// copyTrees gives the table trees of its own; nodes are shared until written.
func (t *table) copyTrees() {
	orders := make([]*tree, len(t.orders))
	for o := range orders {
		orders[o] = t.orders[o].Copy()
	}
	t.orders, t.byHash = orders, t.byHash.copy()
}

func (t *table) len() int { return t.orders[0].Len() }

// get returns the row with a primary key, or nil.
func (t *table) get(key driver.Key) *row {
	r := t.byHash.get(maphash.String(hashSeed, string(key)))
	if r != nil && t.def.CompareKey(0, r.value, key) == 0 {
		return r
	}
	if !t.collided && !t.bare {
		return nil
	}
	bound := driver.Bound{Tuple: key}
	for r := range t.walk(driver.Span{Table: t.def, Lo: bound, Hi: bound, Limit: 1}) {
		return r
	}
	return nil
}

// write replaces the row with a primary key; next is nil for a delete.
func (t *table) write(key driver.Key, next *row) {
	if t.bare {
		t.writeBare(key, next)
		return
	}
	old := t.get(key)
	hash := maphash.String(hashSeed, string(key))
	t.rehash(key, old, next)
	if next == nil {
		if old == nil {
			return
		}
		for _, order := range t.orders {
			order.Delete(old)
		}
		if t.byHash.get(hash) == old {
			t.byHash.delete(hash)
		}
		return
	}
	for o, order := range t.orders {
		if old != nil && o > 0 && t.def.Compare(o, old.value, next.value) != 0 {
			order.Delete(old)
		}
		order.Set(next)
	}
	if r := t.byHash.set(hash, next); r != nil && r != old {
		t.collided = true
	}
}

// writeBare is write where there is only the first order.
func (t *table) writeBare(key driver.Key, next *row) {
	if next != nil {
		t.orders[0].Set(next)
	} else if old := t.get(key); old != nil {
		t.orders[0].Delete(old)
	}
}

// walk yields the rows of a span.
func (t *table) walk(s driver.Span) iter.Seq[*row] {
	order := t.orders[s.Order]
	return func(yield func(*row) bool) {
		n := 0
		visit := func(r *row) bool {
			n++
			return yield(r) && n != s.Limit
		}
		lo, hi := lower(s.Lo), upper(s.Hi)
		switch {
		case !s.Reverse:
			order.Ascend(&row{value: lo}, func(r *row) bool {
				return (hi == nil || hi.after(t.def, s.Order, r)) && visit(r)
			})
		case hi == nil:
			order.Reverse(func(r *row) bool { return !lo.after(t.def, s.Order, r) && visit(r) })
		default:
			order.Descend(&row{value: hi}, func(r *row) bool { return !lo.after(t.def, s.Order, r) && visit(r) })
		}
	}
}

// lower returns the probe before the first row of a span.
func lower(b driver.Bound) *probe { return &probe{tuple: b.Tuple, behind: b.Open} }

// upper returns the probe behind the last row of a span, or nil if there is no
// bound.
func upper(b driver.Bound) *probe {
	if b.Tuple == "" {
		return nil
	}
	return &probe{tuple: b.Tuple, behind: !b.Open}
}
