package inmem

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"

	"trihold/repo/driver"
)

// buildIndices fills the other orders of all tables from the first, sorted,
// because loading a tree in order is cheaper and packs it tighter. They are built
// in parallel.
func (r *root) buildIndices() {
	var wg sync.WaitGroup
	for i := range r.tables {
		t := &r.tables[i]
		wg.Go(t.buildHash)
		for x := range t.def.Indices {
			wg.Go(func() { t.buildIndex(x + 1) })
		}
	}
	wg.Wait()
}

// A sortable row has a number in which most rows differ, so that sorting rarely
// has to look at the rows themselves.
type sortable struct {
	head uint64
	row  *row
}

func (t *table) buildIndex(order int) {
	rows := t.sortables(order)
	slices.SortFunc(rows, func(a, b sortable) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return t.def.Compare(order, a.row.value, b.row.value)
	})
	for _, s := range rows {
		t.orders[order].Load(s.row)
	}
}

// sortables returns all rows with the first eight bytes of their key in an order
// behind the prefix that all keys have in common.
func (t *table) sortables(order int) []sortable {
	rows := make([]sortable, 0, t.len())
	var key, common []byte
	t.orders[0].Scan(func(r *row) bool {
		key = t.def.AppendKey(key[:0], order, r.value)
		if len(rows) == 0 {
			common = slices.Clone(key)
		}
		common = common[:commonPrefix(common, key)]
		rows = append(rows, sortable{row: r})
		return true
	})
	for i := range rows {
		key = t.def.AppendKey(key[:0], order, rows[i].row.value)
		var head [8]byte
		copy(head[:], key[len(common):])
		rows[i].head = binary.BigEndian.Uint64(head[:])
	}
	return rows
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (t *table) buildHash() {
	rows := make([]sortable, 0, t.len())
	var key []byte
	t.orders[0].Scan(func(r *row) bool {
		key = t.def.AppendKey(key[:0], 0, r.value)
		rows = append(rows, sortable{maphash.Bytes(hashSeed, key), r})
		t.hash += rowHash(t.def.ID, driver.Key(key), r.rev)
		return true
	})
	slices.SortFunc(rows, func(a, b sortable) int { return cmp.Compare(a.head, b.head) })
	for i, s := range rows {
		if i > 0 && rows[i-1].head == s.head {
			t.collided = true
			continue
		}
		t.byHash.set(s.head, s.row)
	}
}
