package inmem

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"trihold/repo/driver"
)

// strip leaves only the first order of empty tables to be filled, until complete.
func (r *root) strip() {
	for i := range r.tables {
		r.tables[i].bare = true
	}
}

// complete fills the other orders of all tables from the first, unless they are. They
// are sorted, because loading a tree in order is cheaper, and much cheaper than writing
// row by row. They are built in parallel, as many at a time as there are processors:
// each takes memory of its own meanwhile.
func (r *root) complete() {
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	build := func(f func()) {
		slots <- struct{}{}
		wg.Go(func() { f(); <-slots })
	}
	for i := range r.tables {
		t := &r.tables[i]
		if !t.bare {
			continue
		}
		t.bare = false
		rows := t.inOrder()
		build(func() { t.buildHash(rows) })
		for x := range t.def.Indices {
			build(func() { t.buildIndex(rows, x+1) })
		}
	}
	wg.Wait()
}

// inOrder returns all rows in the order of their primary keys.
func (t *table) inOrder() []*row {
	rows := make([]*row, 0, t.len())
	t.orders[0].Scan(func(r *row) bool { rows = append(rows, r); return true })
	return rows
}

func (t *table) buildIndex(rows []*row, n int) {
	keys := newSorter(len(rows))
	for _, r := range rows {
		keys.bytes = t.def.AppendKey(keys.bytes, n, r.value)
		keys.close()
	}
	o := &order{def: t.def, n: n}
	tr := newTree(o)
	for _, e := range keys.sorted() {
		o.loading = rows[e.row]
		tr.Load(o.loading)
	}
	o.loading = nil
	t.orders[n] = tr
}

func (t *table) buildHash(rows []*row) {
	all := make([]sortable, len(rows))
	var key []byte
	for i, r := range rows {
		key = t.def.AppendKey(key[:0], 0, r.value)
		all[i] = sortable{maphash.Bytes(hashSeed, key), uint32(i)}
		t.hash += rowHash(t.def.ID, driver.Key(key), r.rev)
	}
	sortByHead(all, make([]sortable, len(all)))
	for i, e := range all {
		if i > 0 && all[i-1].head == e.head {
			t.collided = true
			continue
		}
		t.byHash.set(e.head, rows[e.row])
	}
}

// A sorter sorts rows by keys without comparing two of them: by eight bytes of the
// keys at a time, as numbers, and only rows that are equal in those by the next
// eight. The keys lie behind each other, in the order in which they are made, since
// looking at the rows again in another order means waiting for memory each time.
type sorter struct {
	bytes  []byte
	ends   []int // of each key in bytes
	common int   // bytes at their front that all keys have in common
	spare  []sortable
}

func newSorter(rows int) *sorter {
	return &sorter{ends: make([]int, 0, rows)}
}

// key returns the key of the i-th row.
func (s *sorter) key(i uint32) []byte {
	if i == 0 {
		return s.bytes[:s.ends[0]]
	}
	return s.bytes[s.ends[i-1]:s.ends[i]]
}

// close ends the key of a row, which has been appended to bytes.
func (s *sorter) close() {
	s.ends = append(s.ends, len(s.bytes))
	n := len(s.ends) - 1
	if n == 0 {
		s.common = len(s.bytes)
		s.bytes = slices.Grow(s.bytes, len(s.bytes)*cap(s.ends)*9/8) // others are about as long
		return
	}
	first, key := s.key(0)[:s.common], s.key(uint32(n))
	common := 0
	for common < len(first) && common < len(key) && first[common] == key[common] {
		common++
	}
	s.common = common
}

// A sortable is a row, by its position, with eight bytes of its key. It holds no
// pointer, so moving it is no matter of the garbage collector.
type sortable struct {
	head uint64
	row  uint32
}

// sorted returns the rows in the order of their keys.
func (s *sorter) sorted() []sortable {
	all := make([]sortable, len(s.ends))
	for i := range all {
		all[i].row = uint32(i)
	}
	s.spare = make([]sortable, len(all))
	s.sort(all, s.common)
	return all
}

// sort sorts rows whose keys are equal in the bytes before at.
func (s *sorter) sort(some []sortable, at int) {
	for i := range some {
		key := s.key(some[i].row)
		if len(key) < at { // it is a part of the others, and has no more bytes to go by
			slices.SortFunc(some, func(a, b sortable) int { return bytes.Compare(s.key(a.row), s.key(b.row)) })
			return
		}
		if key = key[at:]; len(key) >= 8 {
			some[i].head = binary.BigEndian.Uint64(key)
			continue
		}
		var head [8]byte
		copy(head[:], key)
		some[i].head = binary.BigEndian.Uint64(head[:])
	}
	sortByHead(some, s.spare)
	for len(some) > 0 {
		n := 1
		for n < len(some) && some[n].head == some[0].head {
			n++
		}
		if n > 1 {
			s.sort(some[:n], at+8)
		}
		some = some[n:]
	}
}

// sortByHead sorts by head. The spare slice is at least as long.
func sortByHead(some, spare []sortable) {
	if len(some) < 512 {
		slices.SortFunc(some, func(a, b sortable) int { return cmp.Compare(a.head, b.head) })
		return
	}
	// A radix sort, byte by byte from the lowest. Bytes in which all heads are equal
	// are left out.
	var counts [8][256]int
	for i := range some {
		for b := range counts {
			counts[b][byte(some[i].head>>(8*b))]++
		}
	}
	from, to := some, spare[:len(some)]
	for b := range counts {
		if counts[b][byte(some[0].head>>(8*b))] == len(some) {
			continue
		}
		next := 0
		for v, n := range counts[b] {
			counts[b][v], next = next, next+n
		}
		for _, e := range from {
			v := byte(e.head >> (8 * b))
			to[counts[b][v]] = e
			counts[b][v]++
		}
		from, to = to, from
	}
	if &from[0] != &some[0] {
		copy(some, from)
	}
}
