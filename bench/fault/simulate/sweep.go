package simulate

import (
	"context"
	"fmt"
	"math"
	"sync"

	"trihold/internal/simdisk"
)

// sweepOps are the operations that a Sweep ends at, one lane for each and for
// each share of unsynced data that is kept.
var sweepOps = [...]simdisk.Op{simdisk.Write, simdisk.Sync, simdisk.Create, simdisk.Rename, simdisk.Remove, simdisk.SyncDir, simdisk.Mkdir}

// sweepKeeps are the shares; with a negative one only the process ends, and the
// power is cut after it was started again and has gone on.
var sweepKeeps = [...]float64{0, 0.5, 1, -1}

const lanes = len(sweepOps) * len(sweepKeeps)

// Sweep cuts the power at the first, second, third, ... operation of each kind
// over a small fixed load that starts, makes snapshots and new log files, closes
// and starts again, until there is no such operation left. Seeds are positions:
// a sweep begins at 0.
func Sweep(ctx context.Context, c Config) (Result, error) {
	endless := c.Iterations == 0
	c, err := c.validate("sweep", LieAboutSync, AcknowledgeEarly)
	if err != nil {
		return Result{}, err
	}
	s := &sweep{}
	if endless {
		c.Iterations = math.MaxInt
	}
	more := func(seed uint64) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.ended < lanes || c.Iterations == 1
	}
	return c.run(ctx, "sweep", more, s.position)
}

// A sweep remembers which lanes have come to their end.
type sweep struct {
	mu    sync.Mutex
	done  [lanes]bool
	ended int
}

// reached takes note of how far a lane has come. It reports false if it has ended
// before.
func (s *sweep) reached(lane int, observed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !observed && !s.done[lane] {
		s.done[lane] = true
		s.ended++
	}
}

func (s *sweep) isDone(lane int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[lane]
}

// position is one position of the sweep: one operation to end at.
func (s *sweep) position(ctx context.Context, it *iteration) {
	lane, at := int(it.seed%uint64(lanes)), int(it.seed/uint64(lanes))+1
	if s.isDone(lane) {
		it.skipped = true
		return
	}
	op, keep := sweepOps[lane%len(sweepOps)], sweepKeeps[lane/len(sweepOps)]
	fixed := *it // the load is the same everywhere
	fixed.seed = 0
	l := newLab(&fixed, 0)
	defer func() { it.result.Acked = l.history.countAcked() }()
	cut := l.disk.Inject(simdisk.Rule{Op: op, At: at, Crash: true})
	l.small(ctx)
	s.reached(lane, cut.Observed() > 0)
	it.result = fixed.result
	for i := range it.result.Failures {
		it.result.Failures[i].Seed = it.seed
	}
	if len(it.result.Failures) == 0 && cut.Observed() > 0 {
		l.iteration = it
		it.result.Injected++
		l.disk.Crash()
		how := fmt.Sprintf("power cut, keeping %v,", keep)
		if keep < 0 {
			l.disk.Kill()
			if !l.again(ctx, "killed", op, at) {
				return
			}
			how, keep = "power cut in the life after one that was killed", 0
		}
		l.disk.PowerCut(l.rng, keep)
		l.again(ctx, how, op, at)
	}
}

// small is the fixed load: two lives of a store. It ends early if the disk does.
func (l *lab) small(ctx context.Context) {
	for range 2 {
		s, err := l.open(ctx)
		if err != nil {
			if !isDead(l.disk) {
				l.fail("open: %v", err)
			}
			return
		}
		l.work(ctx, s, 1, 60, false)
		if err := s.Close(); err != nil && !isDead(l.disk) {
			l.fail("close: %v", err)
		}
	}
}

// again starts the store after it was ended at an operation, checks it, and goes
// on. It does not close it: that would make too much durable.
func (l *lab) again(ctx context.Context, how string, op simdisk.Op, at int) bool {
	what := fmt.Sprintf("%s at %v %d", how, op, at)
	s, err := l.open(ctx)
	if err != nil {
		l.fail("%s: %v", what, err)
		return false
	}
	ok := l.check(ctx, s, what) && l.work(ctx, s, 1, 5, false) && l.check(ctx, s, what+", after going on")
	l.disk.Crash()
	_ = s.Close()
	return ok
}
