package inmem

import (
	"github.com/cespare/xxhash/v2"

	"trihold/repo/driver"
)

// The hash of a state tells replicas that differ: it is a sum over all rows of a number
// made of table, key and revision, so it is kept up to date row by row and does not
// depend on the order in which they came. (The construction is AdHash, by Bellare and
// Micciancio, 1997; here it guards against faults, not against adversaries.) What a row
// of a revision contains is not part of it: that is in the log, which has checksums of
// its own, and is the same for all.
//
// The number of a row never changes, because cluster members compare it, and snapshot
// files hold it.

// rowHash returns the number of a row.
func rowHash(table int, key driver.Key, rev driver.Rev) uint64 {
	return scramble(xxhash.Sum64String(string(key)) + uint64(table)*0x9e3779b97f4a7c15 + scramble(uint64(rev)))
}

// scramble spreads every bit of a number over all of them (the finalizer of
// SplitMix64, by Vigna).
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rehash replaces a row in the table's hash; either may be nil.
func (t *table) rehash(key driver.Key, old, next *row) {
	if old != nil {
		t.hash -= rowHash(t.def.ID, key, old.rev)
	}
	if next != nil {
		t.hash += rowHash(t.def.ID, key, next.rev)
	}
}

// stateHash returns the hash of all rows and of the revision.
func (r *root) stateHash() uint64 {
	h := scramble(uint64(r.rev))
	for i := range r.tables {
		h += r.tables[i].hash
	}
	return h
}
