package workload

import "math/rand/v2"

// An Op is one operation to carry out.
type Op struct {
	Kind Kind
	Key  int64 // the number of the key
	Len  int   // rows of a Scan
}

// A Stream is a sequence of operations that depends on its seed, and on how many
// inserts have succeeded. It is used by one goroutine.
type Stream struct {
	w       Workload
	history *history
	rand    *rand.Rand
	zipf    zipfian
}

// Next returns the next operation.
func (s *Stream) Next() Op {
	op := Op{Kind: s.kind()}
	switch op.Kind {
	case Insert:
		op.Key = s.history.newKey()
		return op
	case Scan:
		op.Len = 1 + s.rand.IntN(s.w.MaxScan)
	}
	op.Key = s.key()
	return op
}

func (s *Stream) kind() Kind {
	n := s.rand.IntN(100)
	for _, share := range s.w.Mix {
		if n -= share.Percent; n < 0 {
			return share.Kind
		}
	}
	panic("workload: the mix of " + s.w.Name + " is less than 100 %")
}

// key returns the number of a key to read or to write. Zipfian and uniform keys
// are those that were loaded: with a growing modulus, other keys would become
// hot at every insert.
func (s *Stream) key() int64 {
	switch s.w.Keys {
	case Latest:
		n := s.history.inserted()
		if n > s.zipf.n {
			s.zipf.grow(n)
		}
		return max(n-1-s.zipf.draw(s.rand), 0)
	case Uniform:
		return s.rand.Int64N(s.history.loaded)
	}
	return int64(scatter(s.zipf.draw(s.rand)) % uint64(s.history.loaded))
}
