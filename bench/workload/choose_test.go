package workload

import (
	"math"
	"math/rand/v2"
	"testing"
)

const draws = 1_000_000

func TestZipfianRanksHaveTheProbabilitiesOfTheDistribution(t *testing.T) {
	const n = 1000
	z := newZipfian(n)
	r := rand.New(rand.NewPCG(1, 2))
	count := make([]int, n)
	for range draws {
		count[z.draw(r)]++
	}
	// The method of Gray et al. is exact for ranks 0 and 1, and approximates the
	// sum behind them: single ranks are off by some percent, sums are not.
	for rank, tolerance := range map[int]float64{0: 0.01, 1: 0.02, 2: 0.2, 9: 0.15, 99: 0.15} {
		want := draws / math.Pow(float64(rank+1), theta) / z.zetan
		if got := float64(count[rank]); math.Abs(got-want) > tolerance*want {
			t.Errorf("rank %d was drawn %.0f times, want %.0f within %.0f %%", rank, got, want, 100*tolerance)
		}
	}
	upTo, want := 0, 0.0
	for rank := range 100 {
		upTo += count[rank]
		want += draws / math.Pow(float64(rank+1), theta) / z.zetan
	}
	if math.Abs(float64(upTo)-want) > 0.02*want {
		t.Errorf("the first 100 ranks were drawn %d times, want %.0f within 2 %%", upTo, want)
	}
}

func TestAZipfianThatHasGrownIsTheOneThatWasMadeSo(t *testing.T) {
	grown := newZipfian(100)
	grown.grow(5000)
	if made := newZipfian(5000); grown != made {
		t.Errorf("grown: %+v, made: %+v", grown, made)
	}
}

func TestScrambledZipfianKeysAreHotButSpread(t *testing.T) {
	s := newTestSession(t, "ycsb-c", 1000).Stream(1)
	count := map[int64]int{}
	for range draws {
		op := s.Next()
		if op.Kind != Read || op.Key < 0 || op.Key >= 1000 {
			t.Fatalf("drew %+v", op)
		}
		count[op.Key]++
	}
	// The hottest key has its own share, 1/zetan of 10^10 items, and its part of
	// the many items that share a key with it.
	hot := int64(scatter(0) % 1000)
	if share := float64(count[hot]) / draws; share < 1/scrambledZetan || share > 1/scrambledZetan+0.01 {
		t.Errorf("the hottest key has a share of %.4f, want a little more than %.4f", share, 1/scrambledZetan)
	}
	if len(count) < 990 {
		t.Errorf("only %d of 1000 keys were drawn", len(count))
	}
}

func TestLatestKeysAreTheOnesInsertedLast(t *testing.T) {
	k := newTestSession(t, "ycsb-d", 1000)
	s := k.Stream(1)
	near := 0
	reads := 0
	for range 10_000 {
		op := s.Next()
		if op.Kind == Insert {
			k.Skip(op) // as if it had failed: it has ended
			continue
		}
		if reads++; op.Key > k.history.inserted()-1 {
			t.Fatalf("read of key %d before its insert has ended", op.Key)
		}
		if op.Key >= k.history.inserted()-10 {
			near++
		}
	}
	if share := float64(near) / float64(reads); share < 0.3 {
		t.Errorf("%.2f of the reads are among the last ten keys, want more than 0.3", share)
	}
}

func TestAMixHasItsShares(t *testing.T) {
	for _, w := range Workloads() {
		sum := 0
		for _, s := range w.Mix {
			sum += s.Percent
		}
		if sum != 100 {
			t.Errorf("the mix of %s adds up to %d %%", w.Name, sum)
		}
	}
	s := newTestSession(t, "ycsb-e", 100).Stream(7)
	scans, lengths := 0, map[int]bool{}
	for range 10_000 {
		if op := s.Next(); op.Kind == Scan {
			scans++
			lengths[op.Len] = true
		}
	}
	if scans < 9_400 || scans > 9_600 {
		t.Errorf("%d of 10,000 operations are scans, want about 9,500", scans)
	}
	if len(lengths) != 100 || lengths[0] || !lengths[1] || !lengths[100] {
		t.Errorf("scans have %d lengths, want 1 to 100", len(lengths))
	}
}

func newTestSession(t *testing.T, name string, rows int64) *keyed[User] {
	t.Helper()
	w, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Open(Params{Rows: rows, Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*keyed[User])
}
