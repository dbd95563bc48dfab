package simdisk

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
)

const sector = 512

// A node is a file or a directory. Its disk's mutex guards it.
type node struct {
	// Of a file.
	cur      []byte   // what programs see
	durable  []byte   // what is certain to be there after the power was cut
	writes   []write  // what lies between the two, oldest first
	written  int      // the number of the last write
	versions [][]byte // some older durable contents
	synced   int      // how many there were
	dropped  bool     // it has lost its name

	// Of a directory; not nil.
	entries        map[string]*node
	durableEntries map[string]*node
	changes        []dirChange // between the two, oldest first
}

// A write is an unsynced write or, if data is nil, a truncation to the offset at.
type write struct {
	number int
	at     int64
	data   []byte
	// doubtful: a sync that covered it has failed.
	doubtful bool
}

// A dirChange gives a node the name to, takes the name from away from it, or
// does both as one.
type dirChange struct {
	from, to string
	node     *node
}

func newDir() *node {
	return &node{entries: map[string]*node{}, durableEntries: map[string]*node{}}
}

// change changes a directory.
func (n *node) change(c dirChange) {
	c.apply(n.entries)
	n.changes = append(n.changes, c)
}

func (c dirChange) apply(entries map[string]*node) {
	if c.to != "" {
		entries[c.to] = c.node
	}
	if c.from != "" && entries[c.from] == c.node {
		delete(entries, c.from)
	}
}

// write writes into a file.
func (n *node) write(b []byte, at int64) {
	n.cur = grown(n.cur, at+int64(len(b)))
	copy(n.cur[at:], b)
	n.written++
	n.writes = append(n.writes, write{number: n.written, at: at, data: append([]byte{}, b...)})
}

func (n *node) truncate(size int64) {
	n.cur = resized(n.cur, size)
	n.written++
	n.writes = append(n.writes, write{number: n.written, at: size})
}

// sync makes the writes up to a number durable, except for those in doubt, and
// reports whether there were any.
func (n *node) sync(upTo int) (changed bool) {
	left := n.writes[:0]
	for _, w := range n.writes {
		if w.number > upTo || w.doubtful {
			left = append(left, w)
			continue
		}
		changed = true
		if w.data == nil {
			n.durable = resized(n.durable, w.at)
			continue
		}
		n.durable = grown(n.durable, w.at+int64(len(w.data)))
		copy(n.durable[w.at:], w.data)
	}
	clear(n.writes[len(left):])
	n.writes = left
	return changed
}

// doubt takes note of a sync that failed.
func (n *node) doubt() {
	for i := range n.writes {
		n.writes[i].doubtful = true
	}
}

// remember keeps the durable content as an older version: each that ever was
// with the same probability.
func (n *node) remember(rng *rand.Rand, versions int) {
	n.synced++
	at := len(n.versions)
	if at >= versions {
		if at = rng.IntN(n.synced); at >= versions {
			return
		}
		n.versions[at] = slices.Clone(n.durable)
		return
	}
	n.versions = append(n.versions, slices.Clone(n.durable))
}

// settle is the loss of power.
func (n *node) settle(rng *rand.Rand, keep float64) {
	if n.entries == nil {
		n.durable = n.survivor(rng, keep)
		n.cur, n.writes = slices.Clone(n.durable), nil
		return
	}
	for _, c := range n.changes {
		if rng.Float64() < keep {
			c.apply(n.durableEntries)
		}
	}
	n.entries, n.changes = maps.Clone(n.durableEntries), nil
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		child := n.entries[name]
		child.dropped = false
		child.settle(rng, keep)
	}
}

// survivor returns what is left of a file.
func (n *node) survivor(rng *rand.Rand, keep float64) []byte {
	left := n.durable
	for _, w := range n.writes {
		if w.data == nil {
			if rng.Float64() < keep {
				left = resized(left, w.at)
			}
			continue
		}
		if rng.Float64() < keep { // the file's new size, apart from its content
			left = grown(left, w.at+int64(len(w.data)))
		}
		for from := w.at; from < w.at+int64(len(w.data)); {
			to := min((from/sector+1)*sector, w.at+int64(len(w.data)))
			part := w.data[from-w.at : to-w.at]
			if keep < 1 && rng.IntN(8) == 0 { // torn
				part = part[:rng.IntN(len(part)+1)]
			}
			if rng.Float64() < keep {
				left = grown(left, from+int64(len(part)))
				copy(left[from:], part)
			}
			from = to
		}
	}
	return left
}

func grown(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b
	}
	return resized(b, size)
}

// resized cuts b or fills it up with zeros.
func resized(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func (n *node) clone() *node {
	if n.entries == nil {
		c := &node{cur: slices.Clone(n.cur), durable: slices.Clone(n.cur), synced: n.synced}
		c.versions = slices.Clone(n.versions) // contents are never modified
		return c
	}
	c := newDir()
	for name, child := range n.entries {
		c.entries[name] = child.clone()
	}
	c.durableEntries = maps.Clone(c.entries)
	return c
}

// size returns the bytes of all files of a tree.
func (n *node) size() int64 {
	size := int64(len(n.cur))
	for _, child := range n.entries {
		size += child.size()
	}
	return size
}

// files returns the paths of all files of a tree, sorted.
func (n *node) files(path string) []string {
	if n.entries == nil {
		return []string{path}
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		all = append(all, n.entries[name].files(filepath.Join(path, name))...)
	}
	return all
}
