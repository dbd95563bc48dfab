package load

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"trihold/bench/result"
	"trihold/bench/workload"
	"trihold/repo"
)

const (
	// MaxLag is the highest 99th percentile of the send lag with which the result
	// of an open loop is valid.
	MaxLag = time.Millisecond
	// MaxInFlight is how many operations an open loop has under way at most. One
	// that is due beyond that is not sent, and counts as failed.
	MaxInFlight = 1024
)

// A Target is what a loop drives.
type Target struct {
	Store    *repo.Store
	Session  workload.Session
	Workload workload.Workload
	Seed     uint64 // of the sequence of operations
}

// Closed runs clients for a while, each of which sends its next operation when
// the last one has ended. An operation that is under way at the end is waited
// for and counts.
func Closed(ctx context.Context, t Target, clients int, d time.Duration) (*result.Loop, error) {
	rec := newRecorder(t.Workload.Mix)
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for client := range clients {
		stream := t.Session.Stream(t.Seed + uint64(client))
		wg.Go(func() {
			for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
				op := stream.Next()
				attempts, err := t.Session.Do(ctx, t.Store, op)
				then := now
				now = time.Now()
				took := now.Sub(then)
				rec.record(client, op.Kind, took, took, attempts, err)
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	loop, err := rec.loop(time.Since(start))
	if err == nil {
		loop.Clients = clients
	}
	return loop, err
}

// A sending is an operation and the time at which it is meant to be sent.
type sending struct {
	op workload.Op
	at time.Time
}

// Open sends operations at the pacer's times for a while, and waits for them to
// end. Latencies are counted from the intended times.
func Open(ctx context.Context, t Target, p Pacer, d time.Duration) (*result.Loop, error) {
	rec := newRecorder(t.Workload.Mix)
	var wg sync.WaitGroup
	work := make(chan sending)
	workers := 0
	start := func(s sending) (ok bool) {
		if workers == MaxInFlight {
			return false
		}
		id := workers
		workers++
		wg.Go(func() {
			for more := true; more; s, more = <-work {
				sent := time.Now()
				attempts, err := t.Session.Do(ctx, t.Store, s.op)
				now := time.Now()
				rec.record(id, s.op.Kind, now.Sub(s.at), now.Sub(sent), attempts, err)
			}
		})
		return true
	}
	began := time.Now()
	lag, overflow := send(ctx, t.Session, t.Session.Stream(t.Seed), p, p.Count(d), began, work, start)
	close(work)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	loop, err := rec.loop(max(time.Since(began), d))
	if err != nil {
		return nil, err
	}
	loop.Offered, loop.Overflow, loop.LagP99 = p.PerSecond, overflow, time.Duration(lag.ValueAtPercentile(99))
	loop.Failed += overflow
	if overflow > 0 {
		loop.Errors["not sent: too many under way"] = overflow
	}
	return loop, nil
}

// send sends n operations, each at its time: to a worker that waits for work, or
// to a new one. It returns how late it was, and how many operations found
// neither.
func send(
	ctx context.Context, s workload.Session, stream *workload.Stream, p Pacer, n int64, began time.Time, work chan<- sending, start func(sending) bool,
) (lag *hdrhistogram.Histogram, overflow int64) {
	lag = result.NewHistogram()
	defer becomePunctual()()
	for i := int64(0); i < n && ctx.Err() == nil; i++ {
		next := sending{at: began.Add(p.At(i)), op: stream.Next()}
		for wait := time.Until(next.at); wait > 0; wait = time.Until(next.at) {
			pause(wait)
		}
		result.RecordLatency(lag, time.Since(next.at))
		select {
		case work <- next:
			continue
		default:
		}
		if !start(next) {
			s.Skip(next.op)
			overflow++
		}
	}
	return lag, overflow
}
