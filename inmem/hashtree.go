package inmem

import (
	"math/bits"
	"slices"
)

const (
	// hashFan is the number of branches of a node.
	hashFan = 16
	// hashLeaf is how many rows a leaf has at most. The rows of a leaf are searched
	// one by one: they lie in a few cache lines, which the processor fetches ahead.
	hashLeaf = 32
)

// A hashTree finds rows by the hash of their primary key. Every four bits of the hash,
// from the highest, choose a branch; at the end of the branches is a small leaf. With
// a million rows, the nodes above the leaves fit into the cache of a processor, so that
// a search waits for memory only where it gets to the leaf.
//
// A copy shares everything with its original until it is written to. Branches are not
// merged again when rows are deleted.
type hashTree struct {
	owner *hashOwner
	root  hashNode
}

// A hashOwner is a tree as the owner of what only this tree has. It is not empty
// because pointers to it must differ.
type hashOwner struct{ _ byte }

// A hashNode is a leaf, or it has branches.
type hashNode struct {
	owner    *hashOwner // the tree that may change the leaf or the branches in place
	branches *[hashFan]hashNode
	leaf     []hashedRow
}

type hashedRow struct {
	hash uint64
	row  *row
}

func newHashTree() *hashTree { return &hashTree{owner: &hashOwner{}} }

// copy returns a tree that can be written to while the original is read.
func (t *hashTree) copy() *hashTree { return &hashTree{owner: &hashOwner{}, root: t.root} }

// get returns the row with a hash, or nil.
func (t *hashTree) get(hash uint64) *row {
	n := &t.root
	for h := hash; n.branches != nil; h = bits.RotateLeft64(h, 4) {
		n = &n.branches[h>>60]
	}
	for i := range n.leaf {
		if n.leaf[i].hash == hash {
			return n.leaf[i].row
		}
	}
	return nil
}

// own returns the leaf where a hash belongs, and its depth, for the tree to write to.
func (t *hashTree) own(hash uint64) (n *hashNode, depth int) {
	n = &t.root
	for {
		if n.owner != t.owner {
			n.owner = t.owner
			if n.branches != nil {
				branches := *n.branches
				n.branches = &branches
			}
			n.leaf = slices.Clone(n.leaf)
		}
		if n.branches == nil {
			return n, depth
		}
		n = n.branch(hash, depth)
		depth++
	}
}

// branch returns where a hash belongs below a node with branches.
func (n *hashNode) branch(hash uint64, depth int) *hashNode {
	return &n.branches[hash<<(4*depth)>>60]
}

// set sets the row with a hash, and returns the one that it replaces, or nil.
func (t *hashTree) set(hash uint64, r *row) (old *row) {
	n, depth := t.own(hash)
	for i := range n.leaf {
		if n.leaf[i].hash == hash {
			old, n.leaf[i].row = n.leaf[i].row, r
			return old
		}
	}
	for len(n.leaf) == hashLeaf {
		t.split(n, depth)
		n = n.branch(hash, depth)
		depth++
	}
	n.add(hashedRow{hash, r})
	return nil
}

// add adds a row to a leaf that has room. Leaves grow by little, because most never
// become full.
func (n *hashNode) add(r hashedRow) {
	if len(n.leaf) == cap(n.leaf) {
		n.leaf = append(make([]hashedRow, 0, len(n.leaf)+4), n.leaf...)
	}
	n.leaf = append(n.leaf, r)
}

// split turns a leaf into branches.
func (t *hashTree) split(n *hashNode, depth int) {
	leaf := n.leaf
	n.leaf, n.branches = nil, &[hashFan]hashNode{}
	for i := range n.branches {
		n.branches[i].owner = t.owner
	}
	for _, r := range leaf {
		n.branch(r.hash, depth).add(r)
	}
}

// delete removes the row with a hash, if there is one.
func (t *hashTree) delete(hash uint64) {
	n, _ := t.own(hash)
	n.leaf = slices.DeleteFunc(n.leaf, func(r hashedRow) bool { return r.hash == hash })
}
