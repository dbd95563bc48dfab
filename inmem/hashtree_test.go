package inmem

import (
	"maps"
	"math/rand/v2"
	"testing"

	"trihold/repo/driver"
)

// Hashes that begin alike fill a leaf however often it is split.
func TestAHashTreeIsAMapAndItsCopiesStayAsTheyWere(t *testing.T) {
	for _, mask := range []uint64{1<<64 - 1, 0xFFF<<52 | 0xFF, 0xFFF} {
		r := rand.New(rand.NewPCG(mask, 1))
		tree, want := newHashTree(), map[uint64]*row{}
		type frozen struct {
			tree *hashTree
			want map[uint64]*row
		}
		var copies []frozen
		for n := range 20_000 {
			hash := r.Uint64() & mask
			if r.IntN(3) == 0 {
				tree.delete(hash)
				delete(want, hash)
			} else {
				next := &row{rev: driver.Rev(n)}
				if old := tree.set(hash, next); old != want[hash] {
					t.Fatalf("mask %x: set replaced %v, want %v", mask, old, want[hash])
				}
				want[hash] = next
			}
			if n%2000 == 0 {
				copies = append(copies, frozen{tree, maps.Clone(want)})
				tree = tree.copy()
			}
		}
		for i, c := range append(copies, frozen{tree, want}) {
			for n := range 20_000 {
				hash := r.Uint64() & mask
				if n%2 == 0 && mask != 0xFFF {
					hash &= 0xFFF << 52
				}
				if got := c.tree.get(hash); got != c.want[hash] {
					t.Fatalf("mask %x, copy %d: hash %x has %v, want %v", mask, i, hash, got, c.want[hash])
				}
			}
			for hash, r := range c.want {
				if c.tree.get(hash) != r {
					t.Fatalf("mask %x, copy %d: hash %x is lost", mask, i, hash)
				}
			}
		}
	}
}
