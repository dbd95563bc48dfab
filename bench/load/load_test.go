package load

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"trihold/bench/workload"
	"trihold/repo"
)

func TestAPacerIsAConstantRateThatDoesNotDrift(t *testing.T) {
	for _, rate := range []float64{1, 3, 999, 7777.7} {
		p := Pacer{rate}
		const n = 1_000_000
		if got, want := p.At(n).Seconds(), n/rate; math.Abs(got-want) > 1e-6*want {
			t.Errorf("at %g/s operation %d is due after %.6f s, want %.6f", rate, n, got, want)
		}
		for i := int64(1); i < 1000; i++ {
			gap := (p.At(i) - p.At(i-1)).Seconds()
			if math.Abs(gap-1/rate) > 2e-9 {
				t.Fatalf("at %g/s the gap before operation %d is %.9f s", rate, i, gap)
			}
		}
		for _, d := range []time.Duration{0, time.Millisecond, time.Second, 12345 * time.Microsecond} {
			n := p.Count(d)
			if n > 0 && p.At(n-1) >= d || p.At(n) < d {
				t.Errorf("at %g/s %d operations are due before %v: %v, %v", rate, n, d, p.At(n-1), p.At(n))
			}
		}
	}
}

// A fake is a session whose operations do what the test says.
type fake struct {
	workload.Session
	do func() error

	mu      sync.Mutex
	skipped int
}

func (f *fake) Do(context.Context, *repo.Store, workload.Op) (int, error) { return 1, f.do() }

func (f *fake) Skip(workload.Op) {
	f.mu.Lock()
	f.skipped++
	f.mu.Unlock()
}

func target(t *testing.T, do func() error) (Target, *fake) {
	t.Helper()
	w, err := workload.Lookup("ycsb-c")
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Open(workload.Params{Rows: 10})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Session: s, do: do}
	return Target{Session: f, Workload: w}, f
}

// Coordinated omission: a stall must show in every operation that was due while
// it lasted, not only in the one that met it.
func TestAStallShowsInEveryOperationThatItDelays(t *testing.T) {
	const stall = 300 * time.Millisecond
	var mu sync.Mutex
	first := true
	do := func() error {
		mu.Lock() // a store that does one thing at a time
		defer mu.Unlock()
		if first {
			first = false
			time.Sleep(stall)
		}
		return nil
	}
	tg, _ := target(t, do)
	open, err := Open(t.Context(), tg, Pacer{500}, 600*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// Half of the operations were due during the stall, evenly spread over it.
	if op := open.Ops["read"]; op.Count != 300 || op.P99 < stall*9/10 || op.P50 > stall/2 {
		t.Errorf("open loop: %d operations, p50 %v, p99 %v", op.Count, op.P50, op.P99)
	}
	first = true
	closed, err := Closed(t.Context(), tg, 1, 600*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if op := closed.Ops["read"]; op.P99 > stall/2 || op.Max < stall {
		t.Errorf("closed loop: p99 %v, max %v: it should have met the stall once", op.P99, op.Max)
	}
}

func TestOperationsBeyondTheBoundAreNotSentAndFail(t *testing.T) {
	release := make(chan struct{})
	tg, f := target(t, func() error { <-release; return nil })
	time.AfterFunc(900*time.Millisecond, func() { close(release) })
	loop, err := Open(t.Context(), tg, Pacer{5000}, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(2500 - MaxInFlight)
	if loop.Overflow != want || loop.Failed != want || loop.Done != MaxInFlight || int64(f.skipped) != want {
		t.Errorf("overflow %d, failed %d, done %d, skipped %d; want %d not sent", loop.Overflow, loop.Failed, loop.Done, f.skipped, want)
	}
}

func TestFailuresAreCountedByKindAndHaveNoLatency(t *testing.T) {
	n := 0
	tg, _ := target(t, func() error {
		time.Sleep(time.Millisecond)
		if n++; n%2 == 0 {
			return &repo.Error{Op: "get", Kind: repo.ErrUnavailable, Cause: errors.New("gone")}
		}
		return nil
	})
	loop, err := Closed(t.Context(), tg, 1, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	failed := loop.Errors[repo.ErrUnavailable.Error()]
	if failed == 0 || failed != loop.Failed || loop.Done+failed != int64(n) || loop.Ops["read"].Count != loop.Done {
		t.Errorf("%d operations: %+v", n, loop)
	}
}

func TestAnEndedContextEndsALoop(t *testing.T) {
	tg, _ := target(t, func() error { time.Sleep(time.Millisecond); return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err1 := Closed(ctx, tg, 4, time.Minute)
	_, err2 := Open(ctx, tg, Pacer{100}, time.Minute)
	if !errors.Is(err1, context.DeadlineExceeded) || !errors.Is(err2, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %v, %v", time.Since(start), err1, err2)
	}
}

func BenchmarkRecord(b *testing.B) {
	w, _ := workload.Lookup("ycsb-a")
	r := newRecorder(w.Mix)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.record(1, workload.Read, time.Microsecond, time.Microsecond, 1, nil)
		}
	})
}
