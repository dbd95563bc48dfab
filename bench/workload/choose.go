package workload

import (
	"math"
	"math/rand/v2"
)

// theta is the constant of the zipfian distribution, as in YCSB.
const theta = 0.99

// A zipfian draws ranks from 0 to n-1, rank r with a probability proportional to
// 1/(r+1)^theta. The method is that of Gray et al., "Quickly Generating
// Billion-Record Synthetic Databases", SIGMOD 1994. It is a value: a copy is
// independent.
type zipfian struct {
	n     int64
	zetan float64 // the sum of 1/i^theta for i from 1 to n
	eta   float64
}

// newZipfian takes time proportional to n.
func newZipfian(n int64) zipfian {
	var z zipfian
	z.grow(n)
	return z
}

// grow raises n.
func (z *zipfian) grow(n int64) {
	for i := z.n + 1; i <= n; i++ {
		z.zetan += 1 / math.Pow(float64(i), theta)
	}
	z.n = n
	zeta2 := 1 + math.Pow(0.5, theta)
	z.eta = (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zeta2/z.zetan)
}

func (z *zipfian) draw(r *rand.Rand) int64 {
	u := r.Float64()
	uz := u * z.zetan
	switch {
	case uz < 1:
		return 0
	case uz < 1+math.Pow(0.5, theta):
		return min(1, z.n-1)
	}
	rank := int64(float64(z.n) * math.Pow(z.eta*u-z.eta+1, 1/(1-theta)))
	return min(rank, z.n-1)
}

// YCSB scrambles a zipfian over a fixed and very large number of items, so that
// the shape does not depend on the number of rows. Its sum is given, because it
// takes minutes to compute.
const (
	scrambledItems = 10_000_000_000
	scrambledZetan = 26.46902820178302
)

func newScrambled() zipfian {
	z := zipfian{n: scrambledItems, zetan: scrambledZetan}
	z.grow(scrambledItems) // adds nothing, computes eta
	return z
}

// scatter spreads ranks over numbers, as YCSB does: FNV-1a, 64 bits.
func scatter(rank int64) uint64 {
	h := uint64(0xCBF29CE484222325)
	for range 8 {
		h ^= uint64(rank & 0xFF)
		h *= 1099511628211
		rank >>= 8
	}
	return h
}
