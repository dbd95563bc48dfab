package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trihold/bench/machine"
	"trihold/bench/result"
	"trihold/repo"
)

// A lab is what the measurements share.
type lab struct {
	Config
	dir      string
	absolute []string     // of the row that is measured, what its ratios were made of, and what else is to be known
	fresh    int          // directories made so far
	million  *itemStore   // opened by the first row that needs it
	plain    *plainItems  // a map with the same rows
	quick    *result.File // of one round, once it has been run
	faults   *result.File // of fault --quick, once it has been run
}

// directory makes a fresh directory.
func (l *lab) directory() (string, error) {
	l.fresh++
	dir := filepath.Join(l.dir, fmt.Sprint(l.fresh))
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", fmt.Errorf("make a directory: %w", err)
	}
	return dir, nil
}

// with opens a store in a fresh directory, which goes where the URL has {dir},
// and removes it afterwards.
func (l *lab) with(ctx context.Context, url string, s *repo.Schema, fn func(s *repo.Store, dir string) error) error {
	dir, err := l.directory()
	if err != nil {
		return err
	}
	store, err := repo.Open(ctx, strings.ReplaceAll(url, "{dir}", dir), s)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = fn(store, dir)
	return errors.Join(err, store.Close(), os.RemoveAll(dir))
}

// A measurement returns one value of one round.
type measurement func() (float64, error)

// compare returns the medians of the ratios of measurements to a reference. In
// every second round the reference comes last. What the values themselves were,
// in their unit, is kept for the row.
func (l *lab) compare(ctx context.Context, unit string, reference measurement, others ...measurement) ([]float64, error) {
	all := append([]measurement{reference}, others...)
	values := make([][]float64, len(all)) // by measurement, then by round
	ratios := make([][]float64, len(others))
	for round := range l.Rounds {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		for n := range all {
			if round%2 == 1 {
				n = len(all) - 1 - n
			}
			v, err := all[n]()
			if err != nil {
				return nil, err
			}
			values[n] = append(values[n], v)
		}
		for i := range others {
			ratios[i] = append(ratios[i], values[i+1][round]/values[0][round])
		}
	}
	absolute := medians(values)
	l.note("%s %s against %s %s", numbers(absolute[1:]), unit, number(absolute[0]), unit)
	return medians(ratios), nil
}

// note keeps a sentence for the row that is measured.
func (l *lab) note(format string, args ...any) {
	l.absolute = append(l.absolute, fmt.Sprintf(format, args...))
}

func medians(values [][]float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = result.Median(v)
	}
	return out
}

// p50 returns the median time of n operations, in microseconds.
func p50(n int, op func(i int) error) (float64, error) {
	took := make([]time.Duration, 0, n)
	for i := range n {
		start := time.Now()
		if err := op(i); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	return machine.Micros(machine.Percentile(took, 50)), nil
}

// chunk is how many short operations are timed together.
const chunk = 500

// each returns the time of one of n operations, in nanoseconds: for operations so short
// that looking at the clock would show. It is the median of the means of chunks, which
// another program does not move that takes the processor away now and then: that would
// hit the longer of two loops only.
func each(n int, op func(i int) error) (float64, error) {
	var means []float64
	for from := 0; from < n; from += chunk {
		to := min(from+chunk, n)
		start := time.Now()
		for i := from; i < to; i++ {
			if err := op(i); err != nil {
				return 0, err
			}
		}
		means = append(means, float64(time.Since(start))/float64(to-from))
	}
	return result.Median(means), nil
}

// rate returns how many operations clients carry out in a second.
func (l *lab) rate(clients int, op func(client, i int) error) (float64, error) {
	var wg sync.WaitGroup
	var done atomic.Int64
	var failed error
	var once sync.Once
	start := time.Now()
	end := start.Add(l.Duration)
	for client := range clients {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				if err := op(client, i); err != nil {
					once.Do(func() { failed = err })
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds(), failed
}

const (
	// syncs is how many samples a round of F or C has.
	syncs = 100
	// roundTrips is how many a round of T has.
	roundTrips = 2000
)

// f measures F.
func (l *lab) f() (float64, error) { return l.sync(machine.Sync) }

// c measures C.
func (l *lab) c() (float64, error) { return l.sync(machine.Create) }

// t measures T.
func (l *lab) t() (float64, error) {
	took, err := machine.Loopback(roundTrips)
	if err != nil {
		return 0, err
	}
	return machine.Micros(machine.Percentile(took, 50)), nil
}

// sync returns the median of what a measurement of the disk took.
func (l *lab) sync(measure func(string, int) ([]time.Duration, error)) (float64, error) {
	took, err := measure(l.dir, syncs)
	if err != nil {
		return 0, err
	}
	return machine.Micros(machine.Percentile(took, 50)), nil
}
