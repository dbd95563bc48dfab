package proxy

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// A link is the bandwidth of one direction, which all connections share.
type link struct {
	mu   sync.Mutex
	free time.Time // when what was reserved so far has been sent
}

// reserve returns how long to wait before sending n bytes.
func (l *link) reserve(n int, perSecond int64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	wait := l.free.Sub(now)
	l.free = l.free.Add(timeFor(n, perSecond))
	return wait
}

// shareOf returns how many bytes are sent at once, so that the flow is even.
func shareOf(perSecond int64) int64 { return max(1, perSecond/50) }

func timeFor(n int, perSecond int64) time.Duration {
	return time.Duration(float64(n) / float64(perSecond) * float64(time.Second))
}

// A flipper flips bits of one direction of a connection. Where it does so depends
// on the seed and not on how the stream came in pieces.
type flipper struct {
	rand  *rand.Rand
	every int64
	at    int64 // the byte to damage, counted from the next one
	left  int64 // bytes between that one and the next stretch of every bytes
}

// flip flips one bit in every so many bytes and returns how many.
func (f *flipper) flip(b []byte, every int64) (n int) {
	if every <= 0 {
		f.every = 0
		return 0
	}
	if every != f.every {
		f.every = every
		f.choose(0)
	}
	for f.at < int64(len(b)) {
		b[f.at] ^= 1 << f.rand.IntN(8)
		n++
		f.choose(f.at + 1 + f.left)
	}
	f.at -= int64(len(b))
	return n
}

// choose chooses the byte to damage in the stretch that begins at start.
func (f *flipper) choose(start int64) {
	in := f.rand.Int64N(f.every)
	f.at, f.left = start+in, f.every-in-1
}

// A cutter counts the bytes of one direction of a connection until it is cut.
type cutter struct {
	every  int64
	passed int64
}

// left returns how many bytes may still pass.
func (c *cutter) left(every int64) int64 {
	if every <= 0 {
		c.every = 0
		return math.MaxInt64
	}
	if every != c.every {
		c.every, c.passed = every, 0
	}
	return every - c.passed
}

// slowRead is how much a slow reader reads at once.
const slowRead = 512

// readLimit returns how many bytes to read at once. The buffer of the kernel stays
// as it is: once made small, it would never again be as fast as before.
func (p *pipe) readLimit() int {
	if p.conn.proxy.state.Load().flow(p.dir).SlowReader > 0 {
		return slowRead
	}
	return len(p.buf)
}

// pauseAfter waits for as long as reading n bytes should have taken.
func (p *pipe) pauseAfter(n int) bool {
	s := p.conn.proxy.state.Load()
	rate := s.flow(p.dir).SlowReader
	return rate <= 0 || p.sleep(timeFor(n, rate), s.over)
}
