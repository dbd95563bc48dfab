package load

import "time"

// A Pacer is the schedule of an open loop: a constant rate. It is a pure
// function of the operation's number, so that a late operation does not delay
// those after it.
type Pacer struct {
	PerSecond float64
}

// At returns when operation n, counted from 0, is meant to be sent, from the
// start of the loop.
func (p Pacer) At(n int64) time.Duration {
	return time.Duration(float64(n) / p.PerSecond * float64(time.Second))
}

// Count returns how many operations are meant to be sent before d.
func (p Pacer) Count(d time.Duration) int64 {
	n := int64(d.Seconds() * p.PerSecond)
	for n > 0 && p.At(n-1) >= d {
		n--
	}
	for p.At(n) < d {
		n++
	}
	return n
}
