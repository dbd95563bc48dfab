package check

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"trihold/bench/fault/history"
)

func BenchmarkCheckers(b *testing.B) {
	for _, ops := range []int{10_000, 100_000} {
		e := simulate(rand.New(rand.NewPCG(1, 0)), large(ops))
		for _, c := range All() {
			b.Run(fmt.Sprintf("%s/ops=%d", c.Name, ops), func(b *testing.B) {
				benchmark(b, c.Name, e)
			})
		}
	}
}

// The dear ones, when all operations are theirs.
func BenchmarkLinear(b *testing.B) {
	benchmark(b, "linear", simulate(rand.New(rand.NewPCG(1, 0)), oneRegister(10_000, 16)))
}

func BenchmarkSerial(b *testing.B) {
	for _, loose := range []bool{false, true} {
		s := large(10_000)
		s.kinds, s.loose = []history.Kind{history.Lists}, loose
		e := simulate(rand.New(rand.NewPCG(1, 0)), s)
		b.Run(fmt.Sprintf("cycles=%v", loose), func(b *testing.B) { benchmark(b, "serial", e) })
	}
}

func benchmark(b *testing.B, checker string, e *Evidence) {
	b.ReportAllocs()
	for b.Loop() {
		if v := checkWith(b, checker, e); v.Result == Unknown {
			b.Fatal(v.Detail)
		}
	}
}
