package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

func create(t testing.TB) (*Log, Config) {
	t.Helper()
	c := config(filepath.Join(t.TempDir(), "log"))
	l, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

// batch returns n entries from an index on, as AppendAll takes them.
func batch(from uint64, n int) [][]byte {
	var all [][]byte
	for i := range uint64(n) {
		all = append(all, append(make([]byte, EntryHeader), payload(from+i)...))
	}
	return all
}

func mustHold(t *testing.T, l *Log, first, last uint64) {
	t.Helper()
	if l.First() != first || l.Last() != last {
		t.Errorf("the log holds %d to %d, not %d to %d", l.First(), l.Last(), first, last)
	}
	for i := first; i != 0 && i <= last; i++ {
		if b, err := l.Get(i); err != nil || !bytes.Equal(b, payload(i)) {
			t.Errorf("get entry %d: %d bytes, %v", i, len(b), err)
		}
	}
	for _, i := range []uint64{0, first - 1, l.Next(), l.Next() + 7} {
		if _, err := l.Get(i); !errors.Is(err, ErrNotHeld) {
			t.Errorf("get entry %d, which is not there: %v", i, err)
		}
	}
}

func reopen(t *testing.T, l *Log) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _, err := Open(l.c, 0, func(uint64, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestABatchIsReadBackAndMayBeLargerThanASegment(t *testing.T) {
	l, _ := create(t)
	for _, n := range []int{1, 3, 60, 0, 2, 40} { // 60 do not fit a segment, nor the one that is empty
		if last, err := l.AppendAll(batch(l.Next(), n)); err != nil || last != l.Last() {
			t.Fatalf("append %d: %d, %v", n, last, err)
		}
	}
	mustHold(t, l, 1, 106)
	l = reopen(t, l)
	mustHold(t, l, 1, 106)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTruncateTakesBackEntriesAndTheLogGoesOn(t *testing.T) {
	for last := range uint64(41) {
		l, _ := create(t)
		appendEntries(t, l, 40)
		if err := l.Truncate(last); err != nil {
			t.Fatalf("truncate to %d: %v", last, err)
		}
		mustHold(t, l, min(last, 1), last)
		l = reopen(t, l)
		mustHold(t, l, min(last, 1), last)
		appendEntries(t, l, 7)
		mustHold(t, l, 1, last+7)
		l = reopen(t, l)
		mustHold(t, l, 1, last+7)
		if err := l.Truncate(last + 3); err != nil {
			t.Fatal(err)
		}
		appendEntries(t, l, 1)
		l = reopen(t, l)
		mustHold(t, l, 1, last+4)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALogThatWasResetBeginsWhereItWasTold(t *testing.T) {
	for _, first := range []uint64{1, 15, 41, 1000} {
		l, c := create(t)
		appendEntries(t, l, 40)
		if err := l.Reset(first); err != nil {
			t.Fatal(err)
		}
		if l.First() != 0 || l.Last() != 0 || l.Next() != first || len(segments(t, c.Dir)) != 1 {
			t.Errorf("after a reset to %d: %d to %d, next %d, %v", first, l.First(), l.Last(), l.Next(), segments(t, c.Dir))
		}
		l = reopen(t, l)
		if _, err := l.AppendAll(batch(first, 60)); err != nil { // makes the empty segment larger
			t.Fatal(err)
		}
		mustHold(t, l, first, first+59)
		l = reopen(t, l)
		mustHold(t, l, first, first+59)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatCannotBeTakenBackIsRefusedAndNothingChanges(t *testing.T) {
	l, _ := create(t)
	appendEntries(t, l, 40)
	if err := l.DropBefore(25); err != nil {
		t.Fatal(err)
	}
	if err := l.Truncate(3); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("truncate to a dropped entry: %v", err)
	}
	if err := l.Reset(0); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("reset to 0: %v", err)
	}
	if err := l.Truncate(l.First() - 1); err != nil { // all of them
		t.Error(err)
	}
	if l.First() != 0 || l.Last() != 0 {
		t.Errorf("after taking back everything: %d to %d", l.First(), l.Last())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// The segment that goes on after a truncation is lost, with the tide: what was
// taken back must not come to life again.
func TestTheLossOfTheSegmentBehindATruncationIsDetected(t *testing.T) {
	l, c := create(t)
	appendEntries(t, l, 10)
	if err := l.Mark(); err != nil { // a floor that is higher than the one that will count
		t.Fatal(err)
	}
	if err := l.Truncate(4); err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{segmentID{5, 1}.fileName(), tideName} {
		if err := os.Remove(filepath.Join(c.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := readAll(c.Dir); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("without the segment: %v", err)
	}
}

// A process is killed at every operation of a truncation. The next one finishes it,
// or it has not happened.
func TestTheLossOfTheSegmentBehindAnInterruptedTruncationIsDetected(t *testing.T) {
	for at, interrupted := 1, 0; ; at++ {
		w := newWorld(t, 1)
		if _, err := w.log.AppendAll(batch(1, 10)); err != nil {
			t.Fatal(err)
		}
		waitForSpare(w.log)
		killed := w.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Crash: true})
		_ = w.log.Truncate(4)
		if killed.Observed() == 0 {
			if interrupted < 3 {
				t.Errorf("the truncation was only interrupted %d times after it had begun", interrupted)
			}
			_ = w.log.Close()
			return
		}
		_ = w.log.Close()
		w.disk.Kill()
		l, _, err := Open(diskConfig(w.disk), 0, func(uint64, []byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		truncated := l.Last() == 4
		appendEntries(t, l, 3)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !truncated {
			continue
		}
		interrupted++
		for _, name := range []string{segmentID{5, 1}.fileName(), tideName} {
			if err := w.disk.Remove(filepath.Join("/log", name)); err != nil {
				t.Fatal(err)
			}
		}
		if l, _, err := Open(diskConfig(w.disk), 0, func(uint64, []byte) error { return nil }); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("killed at operation %d, without the segment: %v, %v", at, l, err)
		}
	}
}

// The segments of a log go back to what they were before a truncation, and have as
// many entries as are there now.
func TestOldCopiesOfAllSegmentsOfATruncatedLogAreDetected(t *testing.T) {
	l, c := create(t)
	appendEntries(t, l, 10)
	old := copyDir(t, c.Dir)
	if err := l.Truncate(4); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendAll([][]byte{make([]byte, EntryHeader+5), make([]byte, EntryHeader+6)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tide, err := os.ReadFile(filepath.Join(c.Dir, tideName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, tideName), tide, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAll(old); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("old copies: %v", err)
	}
}

// Of the sectors of a batch that was being written any may be missing.
func TestATornBatchIsCutWhateverIsLeftOfIt(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld(t, seed)
		if _, err := w.log.AppendAll(batch(1, 2)); err != nil {
			t.Fatal(err)
		}
		waitForSpare(w.log)
		w.disk.Inject(simdisk.Rule{Op: simdisk.Sync, Crash: true})
		if _, err := w.log.AppendAll(batch(3, 5)); err == nil {
			t.Fatal("the power was not cut")
		}
		_ = w.log.Close()
		w.disk.PowerCut(w.rng, 0.5)
		l, _, err := Open(diskConfig(w.disk), 0, func(uint64, []byte) error { return nil })
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		mustHold(t, l, 1, l.Last())
		if l.Last() < 2 {
			t.Errorf("seed %d: the log ends with entry %d", seed, l.Last())
		}
		_ = l.Close()
	}
}

// An entry of a batch that was synced is damaged, and no floor says so: what was
// written later does.
func TestDamageToABatchBeforeALaterWriteIsDetected(t *testing.T) {
	for i := range 5 {
		l, c := create(t)
		at := l.tail.at
		entries := batch(1, 5)
		for _, b := range entries[:i] {
			at += diskSize(len(b) - EntryHeader)
		}
		if _, err := l.AppendAll(entries); err != nil {
			t.Fatal(err)
		}
		appendEntries(t, l, 1)
		if _, err := l.tail.file.WriteAt([]byte{'X'}, at+EntryHeader); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Get(uint64(i + 1)); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("reading damaged entry %d: %v", i+1, err)
		}
		dir := copyDir(t, c.Dir)
		if err := os.Remove(filepath.Join(dir, tideName)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readAll(dir); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("opening with damaged entry %d: %v", i+1, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutSpaceTruncateAndResetChangeNothing(t *testing.T) {
	fsys := &faultFS{}
	c := config(filepath.Join(t.TempDir(), "log"))
	c.FS, c.SegmentSize = fsys, 1<<20
	l, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 9)
	waitForSpare(l)
	l.next = noSpare()
	fsys.failCreate.Store(true)
	for _, do := range []func(uint64) error{l.Truncate, l.Reset} {
		if err := do(3); !errors.Is(err, ErrNoSpace) {
			t.Errorf("without space: %v", err)
		}
	}
	mustHold(t, l, 1, 9)
	fsys.failCreate.Store(false)
	<-l.next
	l.prepare()
	if err := l.Truncate(3); err != nil {
		t.Error(err)
	}
	l = reopen(t, l)
	mustHold(t, l, 1, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func noSpare() chan spare {
	next := make(chan spare, 1)
	next <- spare{err: errInjected}
	return next
}

func TestEntriesAreReadWhileOthersAreAppendedAndDropped(t *testing.T) {
	l, _ := create(t)
	appendEntries(t, l, 1)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				first, last := l.First(), l.Last()
				i := first + uint64(n)%(last-first+1)
				if b, err := l.Get(i); err == nil && !bytes.Equal(b, payload(i)) || err != nil && !errors.Is(err, ErrNotHeld) {
					t.Errorf("get entry %d: %d bytes, %v", i, len(b), err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if last := l.Last(); last > 20 {
					if err := l.DropBefore(last - 20); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
	for range 200 {
		if _, err := l.AppendAll(batch(l.Next(), 4)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNamesOfSegmentsAreReadBackAndNothingElseIs(t *testing.T) {
	for _, id := range []segmentID{{1, 0}, {0xabc, 1}, {1 << 63, 1<<32 - 1}} {
		if got, ok := parseSegmentName(id.fileName()); !ok || got != id {
			t.Errorf("%s is read as %v, %v", id.fileName(), got, ok)
		}
	}
	for _, name := range []string{"tide", "spare.tmp", "1.log", "000000000000000A.log", "0000000000000001-.log", "0000000000000001-00000000.log", "0000000000000001-1.log"} {
		if id, ok := parseSegmentName(name); ok {
			t.Errorf("%s is taken for segment %v", name, id)
		}
	}
}

func TestSegmentsOfANewerGenerationTakeThePlaceOfOlderOnes(t *testing.T) {
	live, void := liveSegments([]segmentID{{1, 0}, {30, 0}, {20, 0}, {10, 0}, {15, 1}, {25, 1}, {28, 1}, {26, 2}})
	if !slices.Equal(live, []segmentID{{1, 0}, {10, 0}, {15, 1}, {25, 1}, {26, 2}}) || len(void) != 3 {
		t.Errorf("live %v, void %v", live, void)
	}
}

func BenchmarkAppendAll(b *testing.B) {
	for _, n := range []int{16, 64} {
		b.Run(fmt.Sprintf("%dx256B", n), func(b *testing.B) {
			l, err := Create(Config{FS: vfs.OS{}, Dir: filepath.Join(b.TempDir(), "log"), StoreID: testID})
			if err != nil {
				b.Fatal(err)
			}
			var entries [][]byte
			for range n {
				entries = append(entries, make([]byte, EntryHeader+256))
			}
			for b.Loop() {
				if _, err := l.AppendAll(entries); err != nil {
					b.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	l, _ := create(b)
	appendEntries(b, l, 100)
	for b.Loop() {
		if _, err := l.Get(50); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
