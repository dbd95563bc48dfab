package workload

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"trihold/repo"
)

// A history knows what a session has written. It keeps, for each key, the writes
// that could be the last one by the order of real time: one that ended before
// another began is not the last.
type history struct {
	loaded int64 // rows that Load writes
	start  time.Time
	writes atomic.Uint64 // the number of the latest write
	shards [64]historyShard

	mu      sync.Mutex         // guards what follows
	next    int64              // the number of the next new key
	settled int64              // all keys below it have been inserted, or failed to be
	pending map[int64]struct{} // settled keys above it
	wrong   []string           // what reads found wrong while the run lasted
	wrongs  int
}

type historyShard struct {
	sync.Mutex
	keys []keyHistory // of the keys whose number is the shard's modulo 64
	_    [40]byte     // keeps neighbours off one cache line
}

type keyHistory struct {
	present bool   // loaded, or an insert was acknowledged
	maybe   bool   // the outcome of an insert is unknown
	put     bool   // it was written by something other than read-modify-write
	adds    uint32 // acknowledged read-modify-writes
	unsure  uint32 // read-modify-writes with unknown outcome
	// last holds the writes that may be the last one. While it is nil, that is
	// the load.
	last []write
}

// A write is one write of one key.
type write struct {
	stamp      Stamp
	begin, end int64 // nanoseconds since the start; end is unknown forever if the outcome is
}

const forever = math.MaxInt64

func newHistory(loaded int64) *history {
	h := &history{loaded: loaded, start: time.Now(), next: loaded, settled: loaded, pending: map[int64]struct{}{}}
	for i := range h.shards {
		h.shards[i].keys = make([]keyHistory, 0, loaded/int64(len(h.shards))+1)
	}
	for n := range loaded {
		h.with(n, func(k *keyHistory) { k.present = true })
	}
	return h
}

// with calls fn with the history of a key, locked.
func (h *history) with(n int64, fn func(*keyHistory)) {
	s := &h.shards[n%int64(len(h.shards))]
	at := int(n / int64(len(h.shards)))
	s.Lock()
	defer s.Unlock()
	for at >= len(s.keys) {
		s.keys = append(s.keys, keyHistory{})
	}
	fn(&s.keys[at])
}

// begin starts a write, whose number is new.
func (h *history) begin() write {
	return write{stamp: Stamp{Write: h.writes.Add(1)}, begin: int64(time.Since(h.start)), end: forever}
}

// end records what became of a write. Its stamp is that of the last attempt.
func (h *history) end(n int64, kind Kind, w write, err error) {
	certain := err == nil
	if certain {
		w.end = int64(time.Since(h.start))
	}
	defer func() {
		if kind == Insert {
			h.settle(n)
		}
	}()
	if !certain && refused(err) {
		return
	}
	h.with(n, func(k *keyHistory) { k.add(kind, w, certain) })
}

func (k *keyHistory) add(kind Kind, w write, certain bool) {
	switch {
	case kind == RMW && certain:
		k.adds++
	case kind == RMW:
		k.unsure++
	default:
		k.put = true
	}
	if k.last == nil && k.present && !certain {
		k.last = append(k.last, write{begin: -1, end: -1}) // the load
	}
	if kind == Insert && certain {
		k.present = true
	} else if kind == Insert {
		k.maybe = true
	}
	if certain {
		kept := k.last[:0]
		overtaken := false
		for _, other := range k.last {
			if other.end >= w.begin {
				kept = append(kept, other)
			}
			overtaken = overtaken || other.end != forever && other.begin > w.end
		}
		if k.last = kept; overtaken {
			return
		}
	}
	k.last = append(k.last, w)
}

// refused reports whether err says that nothing was written. Any error that does
// not is taken for an unknown outcome.
func refused(err error) bool {
	if errors.Is(err, repo.ErrUncertain) {
		return false
	}
	for _, kind := range []error{
		repo.ErrConflict, repo.ErrUnavailable, repo.ErrExists, repo.ErrNotFound, repo.ErrInvalid, repo.ErrTooLarge, repo.ErrReadOnly, repo.ErrMoved,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// newKey returns the number of a key that nobody has inserted yet.
func (h *history) newKey() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	return h.next - 1
}

// settle says that the insert of a key has ended.
func (h *history) settle(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending[n] = struct{}{}
	for {
		if _, ok := h.pending[h.settled]; !ok {
			return
		}
		delete(h.pending, h.settled)
		h.settled++
	}
}

// inserted returns a number below which all inserts have ended.
func (h *history) inserted() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settled
}

// present reports whether a key is certainly in the store.
func (h *history) present(n int64) (yes bool) {
	h.with(n, func(k *keyHistory) { yes = k.present })
	return yes
}

// complain records that a read found something wrong.
func (h *history) complain(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrongs++; len(h.wrong) < maxFindings {
		h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
	}
}

// judge says what is wrong with a row of the store, or returns "".
func (h *history) judge(n int64, s Stamp) (finding string) {
	if n < 0 || n >= h.next {
		return "was never inserted"
	}
	h.with(n, func(k *keyHistory) {
		switch {
		case !k.present && !k.maybe:
			finding = "is there although its insert failed"
		case s.Write > h.writes.Load():
			finding = fmt.Sprintf("holds write %d, which was never made", s.Write)
		case !k.mayHold(s):
			finding = fmt.Sprintf("holds write %d, which was overwritten, or failed", s.Write)
		case !k.put && (s.Count < k.adds || s.Count > k.adds+k.unsure):
			finding = fmt.Sprintf("went through %d read-modify-writes, but %d were acknowledged", s.Count, k.adds)
		}
	})
	return finding
}

func (k *keyHistory) mayHold(s Stamp) bool {
	if k.last == nil {
		return s == Stamp{}
	}
	for _, w := range k.last {
		if w.stamp == s {
			return true
		}
	}
	return false
}
