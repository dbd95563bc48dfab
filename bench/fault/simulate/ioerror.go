package simulate

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

// IOError makes operations of the disk fail, for once or for good, or fills it up.
// The errors must be of the documented kinds, reading must go on, nothing may be
// acknowledged that a later loss of power takes away, and the store must start
// again. With a disk that was full it must go on by itself.
func IOError(ctx context.Context, c Config) (Result, error) {
	c, err := c.validate("ioerror", AcknowledgeEarly)
	if err != nil {
		return Result{}, err
	}
	return c.run(ctx, "ioerror", func(uint64) bool { return true }, ioError)
}

func ioError(ctx context.Context, it *iteration) {
	l := newLab(it, 0)
	defer func() { it.result.Acked = l.history.countAcked() }()
	switch l.rng.IntN(4) {
	case 0:
		l.fillUp(ctx)
	case 1:
		l.failStart(ctx)
	default:
		l.failAtWork(ctx)
	}
}

var failingOps = [...]simdisk.Op{simdisk.Write, simdisk.Write, simdisk.Sync, simdisk.Sync, simdisk.Rename, simdisk.Create, simdisk.Remove, simdisk.SyncDir}

// rule returns a rule that fails one operation, or all from there on.
func (l *lab) rule(at int) simdisk.Rule {
	r := simdisk.Rule{Op: failingOps[l.rng.IntN(len(failingOps))], At: at, Err: syscall.EIO}
	if l.rng.IntN(3) == 0 {
		r.Times = -1
	}
	if l.rng.IntN(3) == 0 {
		r.Err = syscall.ENOSPC
	}
	r.Short = l.rng.IntN(2) == 0
	switch r.Op {
	case simdisk.Rename, simdisk.Create, simdisk.Remove, simdisk.SyncDir:
		r.At = 1 + at/20
	}
	return r
}

// failAtWork lets an operation fail under load.
func (l *lab) failAtWork(ctx context.Context) {
	s, err := l.open(ctx)
	if err != nil {
		l.fail("open: %v", err)
		return
	}
	r := l.rule(1 + l.rng.IntN(120))
	what := fmt.Sprintf("%v at %v %d", r.Err, r.Op, r.At)
	in := l.disk.Inject(r)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.patient(ctx, s, 1+l.rng.IntN(4), 40)
	l.result.Injected += min(in.Observed(), 1)
	if err := s.View(ctx, func(*repo.ReadTx) error { return nil }); err != nil {
		l.fail("%s: reading does not go on: %v", what, err)
	}
	if err := s.Close(); err != nil && in.Observed() == 0 {
		l.fail("%s: close: %v, though nothing was wrong", what, err)
	}
	l.disk.Heal()
	if l.rng.IntN(2) == 0 {
		l.disk.Crash()
		l.disk.PowerCut(l.rng, keeps[l.rng.IntN(len(keeps))])
	}
	l.restart(ctx, what)
}

// patient runs clients that wait only a moment for an unknown outcome: a store
// that has stopped writing does not tell it.
func (l *lab) patient(ctx context.Context, s *repo.Store, clients, ops int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rec := s.Driver().(*recorder)
	rec.onUnknown = func() { time.AfterFunc(5*time.Millisecond, cancel) }
	l.work(ctx, s, clients, ops, true)
}

// restart starts the store, which must hold what was acknowledged, and works.
func (l *lab) restart(ctx context.Context, what string) {
	s, err := l.open(ctx)
	if err != nil {
		l.fail("%s: start again: %v", what, err)
		return
	}
	ok := l.check(ctx, s, what) && l.work(ctx, s, 2, 10, false) && l.check(ctx, s, what+": after going on")
	if err := s.Close(); err != nil && ok {
		l.fail("%s: close: %v", what, err)
	}
}

// failStart lets an operation fail while the store starts: it must say so with an
// error of a documented kind, and not take it for damage.
func (l *lab) failStart(ctx context.Context) {
	s, err := l.open(ctx)
	if err != nil {
		l.fail("open: %v", err)
		return
	}
	l.work(ctx, s, 2, 30, false)
	if err := s.Close(); err != nil {
		l.fail("close: %v", err)
		return
	}
	r := l.rule(1 + l.rng.IntN(8))
	if l.rng.IntN(2) == 0 {
		r.Op = [...]simdisk.Op{simdisk.Read, simdisk.Open, simdisk.List}[l.rng.IntN(3)]
		r.Err = syscall.EIO
	}
	what := fmt.Sprintf("%v at %v %d of the start", r.Err, r.Op, r.At)
	in := l.disk.Inject(r)
	s, err = l.open(ctx)
	l.result.Injected += min(in.Observed(), 1)
	switch {
	case err == nil:
		l.check(ctx, s, what)
		_ = s.Close() // the rule may still hold
	case !errors.Is(err, driver.ErrUnavailable) || errors.Is(err, driver.ErrCorrupt):
		l.fail("%s: %v is not ErrUnavailable", what, err)
	}
	l.disk.Heal()
	l.restart(ctx, what)
}

// fillUp leaves no space on the disk for a while.
func (l *lab) fillUp(ctx context.Context) {
	s, err := l.open(ctx)
	if err != nil {
		l.fail("open: %v", err)
		return
	}
	l.work(ctx, s, 2, 10, false)
	l.disk.SetCapacity(l.disk.Used() + l.rng.Int64N(40<<10))
	full := false
	w := &load{store: s, history: l.history, disk: l.disk, numbers: &l.numbers, faulty: true}
	for round := uint64(0); round < 40 && !full; round++ {
		err := l.oneMore(ctx, s)
		switch {
		case errors.Is(err, driver.ErrUnavailable):
			full = true
			l.result.Injected++
		case err != nil:
			l.fail("on a disk that fills up: %v is not ErrUnavailable", err)
		}
		w.run(ctx, l.rng.Uint64(), 2, 5)
	}
	for _, p := range w.problems {
		l.fail("on a disk that fills up: %s", p)
	}
	l.check(ctx, s, "on a full disk")
	l.disk.SetCapacity(0)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if err = l.oneMore(ctx, s); err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		l.fail("with space again, commits still fail: %v", err)
	}
	l.work(ctx, s, 2, 10, true)
	l.check(ctx, s, "with space again")
	if err := s.Close(); err != nil {
		l.fail("close after a full disk: %v", err)
	}
	l.restart(ctx, "a full disk")
}

// oneMore commits something that is never refused for what it is.
func (l *lab) oneMore(ctx context.Context, s *repo.Store) error {
	return s.Update(ctx, func(tx *repo.Tx) error {
		return transfers.Put(tx, transfer{ID: l.numbers.Add(1)})
	})
}
