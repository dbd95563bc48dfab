package fusefs

import (
	"math"
	"math/rand/v2"
)

// A Loss says what a loss of power did.
type Loss struct {
	Files       int // that had something unsynced
	SectorsLost int
	SectorsKept int
	NamesLost   int // changes of directories: names created, renamed or removed
	NamesKept   int
}

// surviving returns how many of the first n changes survive: keep of them on
// average.
func surviving(n int, r *rand.Rand, keep float64) int {
	if keep <= 0 {
		return 0
	}
	return min(n, int(float64(n+1)*math.Pow(r.Float64(), (1-keep)/keep)))
}
