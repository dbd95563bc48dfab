package inmem

import (
	"testing"

	"trihold/repo/driver"
)

// The hash of a row is computed twice for each that is written over.
func BenchmarkRowHash(b *testing.B) {
	key := noteWrite(1).Key
	var sum uint64
	for rev := range driver.Rev(b.N) {
		sum += rowHash(0, key, rev)
	}
	if b.N > 1 && sum == 0 {
		b.Error("the hash of some rows is zero")
	}
}

func TestTheHashOfAStateTellsWhichRowsItHasAndOfWhichRevision(t *testing.T) {
	state := func(ids ...int64) *root {
		s := thaw(newRoot(noteSchema.Driver()))
		for _, id := range ids {
			p, err := prepare(noteSchema.Driver(), &driver.Commit{Writes: []driver.Write{noteWrite(id)}}, false)
			if err != nil {
				t.Fatal(err)
			}
			s.apply(p)
		}
		return s.freeze()
	}
	if a, b := state(1, 2), state(1, 2); a.hash != b.hash {
		t.Errorf("equal states have hashes %016x and %016x", a.hash, b.hash)
	}
	seen := map[uint64]string{}
	for name, r := range map[string]*root{"nothing": state(), "1": state(1), "2": state(2), "1, 2": state(1, 2), "2, 1": state(2, 1), "1 twice": state(1, 1)} {
		if other, taken := seen[r.hash]; taken {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[r.hash] = name
	}
}
