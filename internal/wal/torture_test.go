package wal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"trihold/internal/simdisk"
	"trihold/repo/driver"
)

// A world is a log on a simulated disk, and what it must hold.
type world struct {
	disk *simdisk.Disk
	rng  *rand.Rand
	log  *Log
	was  map[uint64][]byte // what it held before the step that was cut short
	is   map[uint64][]byte // what it holds if that step was done
	next uint64            // the index of the next entry, if all is done
	part bool              // some of the first of the new entries may be there
	// misses: if the oldest entries are missing then that is noticed by who opens the
	// log.
	misses bool
}

func diskConfig(disk *simdisk.Disk) Config {
	return Config{FS: disk, Dir: "/log", StoreID: testID, SegmentSize: firstEntry + 4096}
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{disk: simdisk.New(simdisk.Config{Seed: seed, Versions: 3}), rng: rand.New(rand.NewPCG(seed, 7)), is: map[uint64][]byte{}, next: 1}
	l, err := Create(diskConfig(w.disk))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.disk.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	w.log, w.was = l, maps.Clone(w.is)
	return w
}

// step does something to the log, and notes what it must hold then.
func (w *world) step() error {
	w.was, w.part = maps.Clone(w.is), false
	switch held := slices.Sorted(maps.Keys(w.is)); {
	case w.rng.IntN(8) == 0 && len(held) > 0:
		last := held[0] - 1 + w.rng.Uint64N(uint64(len(held)))
		maps.DeleteFunc(w.is, func(i uint64, _ []byte) bool { return i > last })
		w.next = last + 1
		return w.log.Truncate(last)
	case w.rng.IntN(20) == 0:
		clear(w.is)
		w.next = 1 + w.rng.Uint64N(w.next+20)
		return w.log.Reset(w.next)
	case w.rng.IntN(10) == 0 && len(held) > 0:
		// What is dropped is what the caller does not care about.
		before := held[w.rng.IntN(len(held))]
		maps.DeleteFunc(w.is, func(i uint64, _ []byte) bool { return i < before })
		w.was = maps.Clone(w.is)
		return w.log.DropBefore(before)
	case w.rng.IntN(6) == 0:
		return w.log.Mark()
	}
	w.part = true
	var batch [][]byte
	for range 1 + w.rng.IntN(1+w.rng.IntN(12)) {
		b := make([]byte, 1+w.rng.IntN(900))
		for i := range b {
			b[i] = byte(w.rng.Uint32())
		}
		w.is[w.next] = b
		w.next++
		batch = append(batch, append(make([]byte, EntryHeader), b...))
	}
	last, err := w.log.AppendAll(batch)
	if err == nil && last != w.next-1 {
		err = fmt.Errorf("appended up to %d, not %d", last, w.next-1)
	}
	return err
}

// check compares an open log with what it must hold.
func (w *world) check(l *Log) error {
	got, err := contents(l)
	if err != nil {
		return err
	}
	err = w.matches(got, w.is, w.next)
	if err == nil {
		return nil
	}
	if held := slices.Sorted(maps.Keys(w.was)); w.matches(got, w.was, l.Next()) == nil {
		if len(held) > 0 && l.Next() != held[len(held)-1]+1 {
			return fmt.Errorf("the next entry is %d after %d", l.Next(), held[len(held)-1])
		}
		return nil
	}
	for last := range w.is { // a part of the entries of the last write
		part := maps.Clone(w.is)
		maps.DeleteFunc(part, func(i uint64, _ []byte) bool { return i > last })
		if w.part && w.was[last] == nil && w.matches(got, part, l.Next()) == nil {
			return nil
		}
	}
	return err
}

func (w *world) matches(got, want map[uint64][]byte, next uint64) error {
	for i, b := range want {
		if !bytes.Equal(got[i], b) {
			return fmt.Errorf("entry %d of %d is not what was written", i, next-1)
		}
	}
	first := next
	for i := range want {
		first = min(first, i)
	}
	for i := range got {
		if i >= next || i >= first && want[i] == nil {
			return fmt.Errorf("entry %d should not be there; the next one is %d", i, next)
		}
	}
	if len(want) > 0 && len(got) > 0 && slices.Max(slices.Collect(maps.Keys(got))) != next-1 {
		return fmt.Errorf("the log does not end with entry %d", next-1)
	}
	return nil
}

// contents reads everything from a log.
func contents(l *Log) (map[uint64][]byte, error) {
	all := map[uint64][]byte{}
	for i := l.First(); i != 0 && i <= l.Last(); i++ {
		b, err := l.Get(i)
		if err != nil {
			return nil, err
		}
		all[i] = b
	}
	if _, err := l.Get(l.Next()); !errors.Is(err, ErrNotHeld) {
		return nil, fmt.Errorf("the entry after the last: %w", err)
	}
	return all, nil
}

// reopen opens the log, checks it, and takes what is there for what must be.
func (w *world) reopen() error {
	visited := map[uint64][]byte{}
	l, _, err := Open(diskConfig(w.disk), 0, func(i uint64, b []byte) error {
		visited[i] = bytes.Clone(b)
		return nil
	})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if held := slices.Sorted(maps.Keys(w.is)); w.misses && len(held) > 0 && l.Next() == w.next && (l.First() == 0 || l.First() > held[0]) {
		return errors.Join(fmt.Errorf("the log begins with entry %d: %w", l.First(), driver.ErrCorrupt), l.Close())
	}
	if err := w.check(l); err != nil {
		return errors.Join(err, l.Close())
	}
	got, err := contents(l)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(got, visited, bytes.Equal) {
		return errors.New("opening showed other entries than reading")
	}
	w.log, w.next = l, l.Next()
	w.is, w.was, w.part = got, maps.Clone(got), false
	return nil
}

// The power is cut at the N-th operation, for every N, and again while the log is
// opened, and then the log must go on.
func TestALossOfPowerAtAnyMomentLeavesTheLogBeforeOrAfterTheStep(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		for at := 1; ; at++ {
			w := newWorld(t, seed)
			waitForSpare(w.log)
			cut := w.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Crash: true})
			var failed error
			for i := 0; i < 25 && failed == nil; i++ {
				failed = w.step()
			}
			done := cut.Observed() == 0
			w.disk.Crash()
			_ = w.log.Close()
			for again := range 3 {
				w.disk.PowerCut(w.rng, []float64{0, 0.5, 1}[at%3])
				if again < 2 {
					w.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: 1 + w.rng.IntN(12), Crash: true})
				}
				if l, _, err := Open(diskConfig(w.disk), 0, func(uint64, []byte) error { return nil }); err == nil {
					w.disk.Crash()
					_ = l.Close()
				} else if again == 2 || errors.Is(err, driver.ErrCorrupt) {
					t.Fatalf("seed %d, cut at operation %d (%v): %v", seed, at, failed, err)
				} else {
					w.disk.Crash()
				}
			}
			w.disk.PowerCut(w.rng, 0)
			if err := w.reopen(); err != nil {
				t.Fatalf("seed %d, cut at operation %d (%v): %v", seed, at, failed, err)
			}
			for range 8 {
				if err := w.step(); err != nil {
					t.Fatalf("seed %d, cut at operation %d: going on: %v", seed, at, err)
				}
			}
			if err := w.log.Close(); err != nil {
				t.Fatal(err)
			}
			if err := w.reopen(); err != nil {
				t.Fatalf("seed %d, cut at operation %d: after going on: %v", seed, at, err)
			}
			if err := w.log.Close(); err != nil {
				t.Fatal(err)
			}
			if done {
				break
			}
		}
	}
}

// A process that ends loses nothing, and what it had not synced is made durable
// before it is built on.
func TestWhatAKilledProcessLeftSurvivesALossOfPowerInTheNextLife(t *testing.T) {
	for seed := range uint64(150) {
		w := newWorld(t, seed)
		waitForSpare(w.log)
		w.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: 1 + w.rng.IntN(150), Crash: true})
		for i := 0; i < 30 && w.step() == nil; i++ {
		}
		w.disk.Crash()
		_ = w.log.Close()
		w.disk.Kill()
		if err := w.reopen(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 5 {
			if err := w.step(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		w.disk.Crash()
		_ = w.log.Close()
		w.disk.PowerCut(w.rng, 0)
		if err := w.reopen(); err != nil {
			t.Fatalf("seed %d: after the loss of power: %v", seed, err)
		}
		_ = w.log.Close()
	}
}

// The log was closed, or opened after a loss of power: then any one damage is
// detected or changes nothing that counts.
func TestAnyDamageToALogThatWasTruncatedAndResetIsDetected(t *testing.T) {
	rounds := uint64(2000)
	if testing.Short() {
		rounds = 200
	}
	counts := map[string]int{}
	for seed := range rounds {
		w := newWorld(t, seed)
		for range 40 {
			if err := w.step(); err != nil {
				t.Fatal(err)
			}
		}
		if seed%2 == 0 {
			w.disk.Crash()
			_ = w.log.Close()
			w.disk.PowerCut(w.rng, 0)
			if err := w.reopen(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
		files := w.disk.Files()
		kind := simdisk.Damages()[w.rng.IntN(len(simdisk.Damages()))]
		done, err := w.disk.Damage(w.rng, kind, files[w.rng.IntN(len(files))])
		if errors.Is(err, simdisk.ErrNotPossible) || !done.Changed {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		w.was, w.part, w.misses = maps.Clone(w.is), false, true
		err = w.reopen()
		switch {
		case err == nil:
			counts["harmless"]++
			_ = w.log.Close()
		case errors.Is(err, driver.ErrCorrupt):
			counts["detected"]++
		default:
			t.Errorf("seed %d: %s: %v", seed, done.What, err)
		}
	}
	t.Log(counts)
	if counts["detected"] < int(rounds)/4 {
		t.Errorf("too few damages were detected: %v", counts)
	}
}
