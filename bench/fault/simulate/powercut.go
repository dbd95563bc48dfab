package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

// dir is where the store lies. The directories above are new too.
const dir = "/srv/data/store"

// PowerCut lets clients work and cuts the power at a random operation of the
// disk, several times on one disk, also while the store starts. Sometimes it is
// only the process that ends; what that had not synced is in danger until the
// power is cut later.
func PowerCut(ctx context.Context, c Config) (Result, error) {
	c, err := c.validate("powercut", LieAboutSync, AcknowledgeEarly, ForgetTail)
	if err != nil {
		return Result{}, err
	}
	return c.run(ctx, "powercut", func(uint64) bool { return true }, powerCut)
}

// A lab is the things of one iteration that outlive a store.
type lab struct {
	*iteration
	rng     *rand.Rand
	disk    *simdisk.Disk
	history *history
	numbers atomic.Int64
}

func newLab(it *iteration, versions int) *lab {
	return &lab{
		iteration: it,
		rng:       rand.New(rand.NewPCG(it.seed, 1)),
		disk:      simdisk.New(simdisk.Config{Seed: it.seed, LieAboutSync: it.Control == LieAboutSync, Versions: versions}),
		history:   newHistory(it.Control),
	}
}

// keeps is how much of what was not synced a power cut may keep.
var keeps = [...]float64{0, 0.1, 0.5, 0.9, 1}

func (l *lab) powerCut() {
	l.disk.Crash()
	l.disk.PowerCut(l.rng, keeps[l.rng.IntN(len(keeps))])
	l.result.Injected++
}

// open opens the store.
func (l *lab) open(ctx context.Context) (*repo.Store, error) {
	d, err := l.Open(ctx, l.disk, dir)
	if err != nil {
		return nil, err
	}
	return repo.New(ctx, &recorder{Store: d, history: l.history}, schema)
}

// check checks the store and reports what is wrong. It returns false then.
func (l *lab) check(ctx context.Context, s *repo.Store, when string) bool {
	v := l.history.check(ctx, s)
	if len(v.problems) == 0 {
		return true
	}
	l.result.Lost += v.lost
	l.result.Silent++
	for _, p := range v.problems {
		l.fail("%s: %s", when, p)
	}
	return false
}

// work runs clients on a store and reports what they found.
func (l *lab) work(ctx context.Context, s *repo.Store, clients, ops int, faulty bool) bool {
	w := &load{store: s, history: l.history, disk: l.disk, numbers: &l.numbers, faulty: faulty}
	w.run(ctx, l.rng.Uint64(), clients, ops)
	for _, p := range w.problems {
		l.fail("%s", p)
	}
	return len(w.problems) == 0
}

func powerCut(ctx context.Context, it *iteration) {
	l := newLab(it, 0)
	defer func() { it.result.Acked = l.history.countAcked() }()
	cuts := 1 + l.rng.IntN(4)
	for cut := range cuts {
		if !l.cutOnce(ctx, cut) {
			return
		}
	}
	s, err := l.open(ctx)
	if err != nil {
		it.fail("start after %d cuts: %v", cuts, err)
		return
	}
	ok := l.check(ctx, s, fmt.Sprintf("after %d cuts", cuts)) && l.work(ctx, s, 2, 5, false) && l.check(ctx, s, "after going on")
	if err := s.Close(); err != nil && ok {
		it.fail("close: %v", err)
	}
}

// cutOnce is one life of the store, from one start to the loss of power.
func (l *lab) cutOnce(ctx context.Context, cut int) bool {
	var older *simdisk.Disk
	if l.Control == ForgetTail {
		older = l.disk.Clone()
	}
	during := l.rng.IntN(3) == 0 // the start
	if during {
		l.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: 1 + l.rng.IntN(30), Crash: true})
	}
	s, err := l.open(ctx)
	if err != nil && !isDead(l.disk) {
		l.fail("start after %d cuts: %v", cut, err)
		return false
	}
	if err == nil {
		ok := true
		if !during {
			ok = l.check(ctx, s, fmt.Sprintf("after %d cuts", cut))
			l.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: 1 + l.rng.IntN(250), Crash: true})
		}
		ok = ok && l.work(ctx, s, 1+l.rng.IntN(6), 5+l.rng.IntN(40), false)
		l.disk.Crash() // if it has not yet
		if err := s.Close(); errors.Is(err, driver.ErrCorrupt) {
			l.fail("close: %v", err)
		}
		if !ok {
			return false
		}
	}
	if older != nil {
		l.disk = older
	}
	if l.rng.IntN(4) == 0 { // what was not synced then still waits for its loss
		l.disk.Crash()
		l.disk.Kill()
		l.result.Injected++
		return true
	}
	l.powerCut()
	return true
}
