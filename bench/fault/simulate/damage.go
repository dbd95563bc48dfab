package simulate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

// Damage builds a store, damages one of its files at rest, and starts it: it must
// refuse with ErrCorrupt, or hold exactly what it held. A store that refused must
// be as it was once the damage is undone.
func Damage(ctx context.Context, c Config) (Result, error) {
	c, err := c.validate("damage", SkipChecksums, ForgetTail)
	if err != nil {
		return Result{}, err
	}
	return c.run(ctx, "damage", func(uint64) bool { return true }, damage)
}

func damage(ctx context.Context, it *iteration) {
	l := newLab(it, 4)
	defer func() { it.result.Acked = l.history.countAcked() }()
	older := l.build(ctx)
	if older == nil {
		return
	}
	whole := l.disk.Clone()
	var done simdisk.Damaged
	if l.Control == ForgetTail {
		l.disk, done = older, simdisk.Damaged{What: "the whole directory is an older copy", Changed: true}
	} else if done = l.damageOne(); done.What == "" {
		return
	}
	it.result.Injected++
	s, err := l.open(ctx)
	switch {
	case errors.Is(err, driver.ErrCorrupt):
		it.result.Detected++
		if err := l.disk.Restore(whole, done.Names...); err != nil {
			it.fail("undo %s: %v", done.What, err)
			return
		}
		if s, err = l.open(ctx); err != nil {
			it.fail("%s: refused, and after it was undone: %v", done.What, err)
			return
		}
		l.check(ctx, s, done.What+": refused, and undone")
	case err != nil:
		it.fail("%s: %v is not ErrCorrupt", done.What, err)
		return
	case l.check(ctx, s, done.What) && done.Changed:
		it.result.Repaired++
	default:
		it.result.Unaffected++
	}
	l.goOn(ctx, s, done.What)
}

// goOn works on a store that came through, and starts it again.
func (l *lab) goOn(ctx context.Context, s *repo.Store, what string) {
	ok := len(l.result.Failures) == 0 && l.work(ctx, s, 2, 10, false)
	if err := s.Close(); err != nil {
		l.fail("%s: close: %v", what, err)
	}
	if !ok {
		return
	}
	s, err := l.open(ctx)
	if err != nil {
		l.fail("%s: after going on and a restart: %v", what, err)
		return
	}
	l.check(ctx, s, what+": after going on and a restart")
	if err := s.Close(); err != nil {
		l.fail("%s: close: %v", what, err)
	}
}

// build makes a store with several lives, and leaves it at rest: closed, or after
// a loss of power and one more start. It returns a copy of the disk from before
// the last life, or nil if something went wrong.
func (l *lab) build(ctx context.Context) (older *simdisk.Disk) {
	for range 1 + l.rng.IntN(3) {
		older = l.disk.Clone()
		s, err := l.open(ctx)
		if err != nil {
			l.fail("build: %v", err)
			return nil
		}
		cut := l.rng.IntN(2) == 0
		if cut {
			l.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: 50 + l.rng.IntN(200), Crash: true})
		}
		if !l.work(ctx, s, 1+l.rng.IntN(4), 10+l.rng.IntN(30), false) {
			return nil
		}
		if cut {
			l.disk.Crash()
		}
		if err := s.Close(); err != nil && !cut {
			l.fail("build: close: %v", err)
			return nil
		}
		if cut {
			l.powerCut()
			l.result.Injected--
		}
	}
	s, err := l.open(ctx)
	if err != nil {
		l.fail("build: %v", err)
		return nil
	}
	if !l.check(ctx, s, "build") {
		return nil
	}
	if l.rng.IntN(2) == 0 {
		l.disk.Crash()
		_ = s.Close()
		l.disk.PowerCut(l.rng, keeps[l.rng.IntN(len(keeps))])
	} else if err := s.Close(); err != nil {
		l.fail("build: close: %v", err)
		return nil
	}
	return older
}

// damageOne damages a random file of the store in a random way.
func (l *lab) damageOne() simdisk.Damaged {
	kinds, files := simdisk.Damages(), l.disk.Files()
	if l.Control == SkipChecksums { // nothing else would notice these
		kinds = []simdisk.Damage{simdisk.FlipBit}
	}
	files = slices.DeleteFunc(files, func(f string) bool { return !strings.HasPrefix(f, dir+"/") })
	if len(files) == 0 {
		l.fail("the store has no files")
		return simdisk.Damaged{}
	}
	for range 1000 {
		done, err := l.disk.Damage(l.rng, kinds[l.rng.IntN(len(kinds))], files[l.rng.IntN(len(files))])
		if err == nil {
			return done
		}
		if !errors.Is(err, simdisk.ErrNotPossible) {
			l.fail("damage: %v", err)
			return simdisk.Damaged{}
		}
	}
	l.fail("no file can be damaged")
	return simdisk.Damaged{}
}
