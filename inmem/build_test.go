package inmem

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"trihold/repo/driver"
)

// sortKeys sorts keys as rows are sorted.
func sortKeys(keys [][]byte) [][]byte {
	s := newSorter(len(keys))
	for _, k := range keys {
		s.bytes = append(s.bytes, k...)
		s.close()
	}
	var out [][]byte
	for _, e := range s.sorted() {
		out = append(out, keys[e.row])
	}
	return out
}

func TestRowsAreSortedAsComparingTheirKeysWould(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 100, 511, 512, 5000} {
		for _, alphabet := range []int{1, 2, 256} {
			for _, length := range []int{1, 8, 30} {
				var keys [][]byte
				for range n {
					key := []byte("common")
					for range rng.IntN(length + 1) {
						key = append(key, byte(rng.IntN(alphabet)))
					}
					keys = append(keys, key)
				}
				want := slices.Clone(keys)
				slices.SortFunc(want, bytes.Compare)
				if got := sortKeys(keys); !slices.EqualFunc(got, want, bytes.Equal) {
					t.Fatalf("%d keys of up to %d of %d letters are out of order", n, length, alphabet)
				}
			}
		}
	}
}

func TestBuiltIndicesAreThoseThatWritingMakes(t *testing.T) {
	r, changes := memberRoot(t, 3000)
	got, _, err := readBody(bytes.NewReader(bodyOf(t, r, changes)), bodyID, noteSchema.Driver(), false)
	if err != nil {
		t.Fatal(err)
	}
	built, written := &got.tables[0], &r.tables[0]
	rows, _ := built.rows()
	if problems := built.wrongOrders(rows); len(problems) > 0 {
		t.Error(problems)
	}
	for o := range written.orders {
		if a, b := fmt.Sprint(valuesOf(written, o)), fmt.Sprint(valuesOf(built, o)); a != b {
			t.Errorf("order %d differs", o)
		}
	}
	// They are written to like any others.
	s := thaw(got)
	p, err := prepare(noteSchema.Driver(), &driver.Commit{Writes: []driver.Write{noteWrite(100_000)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(p)
	rows, _ = s.tables[0].rows()
	if problems := s.tables[0].wrongOrders(rows); len(problems) > 0 || len(rows) != 3001 {
		t.Errorf("after a write: %d rows, %v", len(rows), problems)
	}
}

func TestWhatIsWrittenWhileRecoveringIsInTheIndicesAfterwards(t *testing.T) {
	bare, whole := thaw(newRoot(noteSchema.Driver())), thaw(newRoot(noteSchema.Driver()))
	bare.strip()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		w := noteWrite(rng.Int64N(300))
		if rng.IntN(3) == 0 {
			w = driver.Write{Kind: driver.Delete, Table: w.Table, Key: w.Key}
		}
		p, err := prepare(noteSchema.Driver(), &driver.Commit{Writes: []driver.Write{w}}, false)
		if err != nil {
			t.Fatal(err)
		}
		bare.apply(p)
		whole.apply(p)
	}
	bare.complete()
	got, want := bare.freeze(), whole.freeze()
	if got.hash != want.hash || got.tables[0].rev != want.tables[0].rev {
		t.Errorf("hash %x, revision %d; want %x, %d", got.hash, got.tables[0].rev, want.hash, want.tables[0].rev)
	}
	rows, sum := got.tables[0].rows()
	if problems := got.tables[0].wrongOrders(rows); len(problems) > 0 {
		t.Error(problems)
	}
	if wantRows, wantSum := want.tables[0].rows(); sum != wantSum || len(rows) != len(wantRows) {
		t.Errorf("%d rows, want %d", len(rows), len(wantRows))
	}
}

func valuesOf(t *table, order int) (all []note) {
	t.orders[order].Scan(func(r *row) bool { all = append(all, *r.value.(*note)); return true })
	return all
}
