package steady

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"trihold/bench/load"
	"trihold/bench/result"
	"trihold/repo/driver"
)

// A Load writes to a store until its context ends or its time is over.
type Load struct {
	Store *Store
	Rate  float64             // commits a second
	For   time.Duration       // zero is until the context ends
	Shown func(sample Sample) // called every second

	mu     sync.Mutex
	hist   *hdrhistogram.Histogram // of this second; guarded by mu
	counts Counts                  // guarded by mu
	err    error                   // the first failure; guarded by mu
}

// Counts say what became of the commits so far.
type Counts struct {
	Acknowledged int64 `json:"acknowledged"`
	Failed       int64 `json:"failed"`
	Uncertain    int64 `json:"uncertain"`
}

// A Sample is a second of a load. Times count from when a commit was due.
type Sample struct {
	At    float64 `json:"s"`
	Rate  float64 `json:"per_second"`
	P50Ms float64 `json:"p50_ms"`
	P99Ms float64 `json:"p99_ms"`
	MaxMs float64 `json:"max_ms"`
	Counts
}

const (
	workers = 64
	// waiting is how many commits may be due and not begun before the pace is given up.
	waiting = 1 << 16
	// readEvery is after how many commits a worker looks at what it has written.
	readEvery = 10
)

// Run writes. It returns the ledger, the counts, and the first error that a commit
// met; every commit that was begun has ended.
func (l *Load) Run(ctx context.Context) (*Ledger, Counts, error) {
	l.hist = result.NewHistogram()
	ledger := &Ledger{parts: make([][]entry, workers), slots: make([]entry, workers)}
	if l.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.For)
		defer cancel()
	}
	due := make(chan time.Time, waiting)
	var writers sync.WaitGroup
	for w := range workers {
		writers.Go(func() { l.work(ctx, ledger, w, due) })
	}
	start := time.Now()
	over, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		l.show(start, over)
	}()
	pace(ctx, load.Pacer{PerSecond: l.Rate}, start, due)
	close(due)
	writers.Wait()
	close(over)
	<-shown
	l.mu.Lock()
	defer l.mu.Unlock()
	return ledger, l.counts, l.err
}

// pace hands out the times at which commits are due.
func pace(ctx context.Context, p load.Pacer, start time.Time, due chan<- time.Time) {
	for n := int64(0); n < math.MaxInt64; n++ {
		at := start.Add(p.At(n))
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return
		}
		select {
		case due <- at:
		case <-ctx.Done():
			return
		}
	}
}

// work is one worker. When ctx ends it begins no commit any more, but one that is
// under way is waited for, so that nothing is left uncertain.
func (l *Load) work(ctx context.Context, ledger *Ledger, w int, due <-chan time.Time) {
	slot := &ledger.slots[w]
	lost := true // what the worker's row is must be looked up
	for n := int64(0); ; n++ {
		at, more := <-due
		if !more || ctx.Err() != nil {
			break
		}
		e, err := l.Store.attempt(context.WithoutCancel(ctx), slot, w, n, lost || n%readEvery == 0 && slot.rev > 0, lost)
		lost = err != nil
		ledger.parts[w] = append(ledger.parts[w], e)
		l.note(e, time.Since(at), err)
	}
	if lost {
		slot.rev = 0 // there is nothing to be said about it
	}
}

// attempt is one commit of a worker. If look is set, it reads the worker's row before,
// which must be as it was left unless that is lost.
func (s *Store) attempt(ctx context.Context, slot *entry, w int, n int64, look, lost bool) (entry, error) {
	insert, err := s.write(driver.Insert, fmt.Sprintf("%s-w%02d-%08d", s.run, w, n), int64(w+1)<<32+n)
	if err != nil {
		return entry{rev: failed}, err
	}
	put, err := s.write(driver.Put, fmt.Sprintf("%s-w%02d", s.run, w), int64(w+1)<<32-1)
	if err != nil {
		return entry{rev: failed}, err
	}
	e := entry{insert.Key, failed}
	slot.key = put.Key
	if look {
		rev, err := s.revision(ctx, put.Key)
		if err == nil && rev != slot.rev && !lost {
			err = fmt.Errorf("%s has revision %d, and was acknowledged with %d", s.table.FormatKey(put.Key), rev, slot.rev)
		}
		if err != nil {
			return e, err
		}
		slot.rev = rev
	}
	c := &driver.Commit{ID: newID(), Read: slot.rev, Writes: []driver.Write{insert, put}}
	c.Checks.Rows = []driver.RowCheck{{Table: s.table, Key: put.Key, Rev: slot.rev}}
	rev, err := s.settle(ctx, c)
	switch {
	case err == nil:
		e.rev, slot.rev = rev, rev
	case errors.Is(err, driver.ErrUncertain):
		e.rev = uncertain
	}
	return e, err
}

// revision reads the revision of a row, zero if it is not there.
func (s *Store) revision(ctx context.Context, key driver.Key) (driver.Rev, error) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	snap, err := s.driver.Begin(ctx, driver.Mode{})
	if err != nil {
		return 0, err
	}
	row, err := snap.Get(ctx, s.table, key)
	if errors.Is(err, driver.ErrNotFound) {
		err = nil
	}
	return row.Rev, errors.Join(err, snap.Close())
}

// note takes down what became of a commit.
func (l *Load) note(e entry, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.rev {
	case failed:
		l.counts.Failed++
	case uncertain:
		l.counts.Uncertain++
	default:
		l.counts.Acknowledged++
		result.RecordLatency(l.hist, took)
	}
	if l.err == nil {
		l.err = err
	}
}

// show shows a sample every second until the load is over.
func (l *Load) show(start time.Time, over <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := start
	for {
		select {
		case <-tick.C:
		case <-over:
			return
		}
		now := time.Now()
		l.mu.Lock()
		s := Sample{At: now.Sub(start).Seconds(), Rate: float64(l.hist.TotalCount()) / now.Sub(last).Seconds(), Counts: l.counts}
		ms := func(ns int64) float64 { return float64(ns/1000) / 1000 }
		s.P50Ms, s.P99Ms, s.MaxMs = ms(l.hist.ValueAtPercentile(50)), ms(l.hist.ValueAtPercentile(99)), ms(l.hist.Max())
		l.hist.Reset()
		l.mu.Unlock()
		last = now
		l.Shown(s)
	}
}
