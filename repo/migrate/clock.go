package migrate

import (
	"sync"
	"sync/atomic"
	"time"
)

// A clock measures the program's own commits: a migration is to leave them alone.
type clock struct {
	waiting atomic.Int64 // commits that had to wait at a fence, ever

	mu    sync.Mutex
	began time.Time       // of the current window; guarded by mu
	now   [buckets]uint32 // commits by duration in this window; guarded by mu
	p99   time.Duration   // of the window before; guarded by mu
}

const (
	// buckets are a quarter of a power of two wide, from a microsecond on.
	buckets = 4 * 30
	window  = time.Second
)

// measure takes note of a commit that began at start.
func (c *clock) measure(start time.Time) {
	now := time.Now()
	at := bucketOf(now.Sub(start))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	c.now[at]++
}

// turn begins a new window when one is over. The caller holds mu.
func (c *clock) turn(now time.Time) {
	if now.Sub(c.began) < window {
		return
	}
	var all, seen uint32
	for _, n := range c.now {
		all += n
	}
	c.p99 = 0
	for at, n := range c.now {
		if seen += n; all > 0 && seen >= all-all/100 {
			c.p99 = upTo(at)
			break
		}
	}
	c.began, c.now = now, [buckets]uint32{}
}

// load returns the 99th percentile of the last full window, and how many commits have
// had to wait.
func (c *clock) load() (p99 time.Duration, waiting int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(time.Now())
	return c.p99, c.waiting.Load()
}

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	at := 0
	for limit := time.Microsecond; limit < d && at+4 < buckets; limit *= 2 {
		at += 4
	}
	for at > 0 && upTo(at-1) >= d {
		at--
	}
	return at
}

// upTo returns the longest duration that a bucket takes.
func upTo(at int) time.Duration {
	whole := time.Microsecond << (at / 4)
	return whole + whole*time.Duration(at%4)/4
}
