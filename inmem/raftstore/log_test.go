package raftstore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"trihold/internal/simdisk"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// never is a clock at which the log never rests, so that tests are deterministic.
func never(time.Duration) <-chan time.Time { return nil }

func logConfigOn(disk *simdisk.Disk) LogConfig {
	return LogConfig{WAL: wal.Config{FS: disk, Dir: "/log", StoreID: wal.StoreID{7}, SegmentSize: 20 << 10}, After: never}
}

func createLog(t *testing.T, c LogConfig) *Log {
	t.Helper()
	l, err := CreateLog(c)
	if err == nil {
		err = c.WAL.FS.SyncDir("/")
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// logs returns entries from an index on.
func logs(first uint64, n int, term uint64) []*raft.Log {
	var all []*raft.Log
	for i := first; i < first+uint64(n); i++ {
		all = append(all, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(i)}, int(i%900))})
	}
	return all
}

func mustRange(t *testing.T, l *Log, first, last uint64) {
	t.Helper()
	a, err1 := l.FirstIndex()
	b, err2 := l.LastIndex()
	if a != first || b != last || err1 != nil || err2 != nil {
		t.Errorf("the log has entries %d to %d, not %d to %d (%v, %v)", a, b, first, last, err1, err2)
	}
	for i := first; i != 0 && i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || got.Index != i {
			t.Errorf("get entry %d: %d, %v", i, got.Index, err)
		}
	}
	if err := l.GetLog(b+1, new(raft.Log)); err != raft.ErrLogNotFound { // Raft compares it so
		t.Errorf("get the entry after the last: %v", err)
	}
}

func TestAnEntryIsReadAsItWasStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := raft.Log{
			Index: rapid.Uint64Range(1, math.MaxUint64).Draw(t, "index"),
			Term:  rapid.Uint64().Draw(t, "term"),
			Type:  raft.LogType(rapid.Byte().Draw(t, "type")),
			Data:  rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		want.Extensions = rapid.SliceOf(rapid.Byte()).Draw(t, "extensions")
		if rapid.Bool().Draw(t, "timed") {
			want.AppendedAt = time.UnixMicro(rapid.Int64Range(math.MinInt64/2, math.MaxInt64/2).Draw(t, "at")).UTC()
		}
		b := encodeEntry(&want)[wal.EntryHeader:]
		var got raft.Log
		if err := decodeEntry(want.Index, b, &got); err != nil {
			t.Fatal(err)
		}
		if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type || !got.AppendedAt.Equal(want.AppendedAt) ||
			!bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) {
			t.Fatalf("stored %+v, read %+v", want, got)
		}
		for cut := range min(len(b)-len(want.Data), 40) {
			if err := decodeEntry(1, b[:cut], &got); !errors.Is(err, driver.ErrCorrupt) {
				t.Fatalf("cut to %d bytes: %v", cut, err)
			}
		}
	})
}

func TestAnEntryOfAnUnknownFormIsRefused(t *testing.T) {
	b := encodeEntry(&raft.Log{Index: 1, Term: 1})[wal.EntryHeader:]
	newer := bytes.Clone(b)
	newer[0] = entryFormat + 1
	if err := decodeEntry(1, newer, new(raft.Log)); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("of a newer format: %v", err)
	}
	long := append(append(bytes.Clone(b[:entryFixed]), 0x81, 0), b[entryFixed+1:]...)
	none := bytes.Clone(b)
	none[0] = 0
	for what, b := range map[string][]byte{"with a long number": long, "without a format": none} {
		if err := decodeEntry(1, b, new(raft.Log)); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOldEntriesAreRemovedUpToWhatIsRetained(t *testing.T) {
	l := createLog(t, logConfigOn(simdisk.New(simdisk.Config{})))
	for i := uint64(1); i <= 600; i++ {
		if err := l.StoreLog(logs(i, 1, 1)[0]); err != nil {
			t.Fatal(err)
		}
	}
	l.Retain(300)
	if err := l.DeleteRange(1, 500); err != nil {
		t.Fatal(err)
	}
	if first := l.First(); first < 200 || first > 300 {
		t.Errorf("the log begins with entry %d", first)
	}
	l.Retain(math.MaxUint64)
	if err := l.DeleteRange(l.First(), 500); err != nil {
		t.Fatal(err)
	}
	if first := l.First(); first < 450 || first > 501 {
		t.Errorf("the log begins with entry %d", first)
	}
	mustRange(t, l, l.First(), 600)
	if err := l.DeleteRange(560, 570); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("removing entries from the middle: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAConflictingEndIsRemovedAndReplaced(t *testing.T) {
	c := logConfigOn(simdisk.New(simdisk.Config{}))
	l := createLog(t, c)
	if err := l.StoreLogs(logs(1, 40, 3)); err != nil {
		t.Fatal(err)
	}
	if err := l.StoreLogs(logs(41, 40, 5)); err != nil {
		t.Fatal(err)
	}
	for _, from := range []uint64{60, 30, 1} {
		if err := l.DeleteRange(from, l.mustLast()); err != nil {
			t.Fatal(err)
		}
		first := min(from-1, 1)
		mustRange(t, l, first, from-1)
		if want := map[uint64]uint64{60: 5, 30: 3, 1: 0}[from]; l.LastTerm() != want {
			t.Errorf("the last term is %d, not %d", l.LastTerm(), want)
		}
	}
	if err := l.StoreLogs(logs(1, 3, 9)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, torn, err := OpenLog(c)
	if err != nil || torn != 0 || l.LastTerm() != 9 {
		t.Fatalf("open: %d bytes torn, %v", torn, err)
	}
	mustRange(t, l, 1, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func (l *Log) mustLast() uint64 { _, last := l.Range(); return last }

// What Raft does to a log when it has installed a snapshot, and when it has taken one.
func TestALogIsEmptiedForASnapshotOfAnotherHistoryOnly(t *testing.T) {
	for _, test := range []struct {
		name        string
		index, term uint64 // of the snapshot
		retained    uint64
		keeps       bool
	}{
		{"taken of this log, with an older one behind it", 100, 2, 50, true},
		{"taken of this log, alone", 100, 2, math.MaxUint64, false},
		{"installed, from beyond the log", 300, 4, 50, false},
		{"installed, of a log with other entries", 90, 4, 50, false},
	} {
		c := logConfigOn(simdisk.New(simdisk.Config{}))
		c.Newest = func() (uint64, uint64) { return test.index, test.term }
		l := createLog(t, c)
		l.Retain(test.retained)
		if err := l.StoreLogs(logs(1, 100, 2)); err != nil {
			t.Fatal(err)
		}
		if err := l.DeleteRange(1, 100); err != nil {
			t.Fatal(err)
		}
		if l.keepsAny() != test.keeps {
			t.Errorf("%s: the log has entries %d to %d", test.name, l.First(), l.mustLast())
		}
		next := max(test.index, l.mustLast()) + 1
		if err := l.StoreLogs(logs(next, 2, 5)); err != nil {
			t.Errorf("%s: store entry %d: %v", test.name, next, err)
		}
		if err := l.StoreLogs(logs(next+3, 1, 5)); !errors.Is(err, driver.ErrInvalid) || l.Failed() != nil {
			t.Errorf("%s: store an entry after a gap that no snapshot covers: %v", test.name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *Log) keepsAny() bool { last, _ := l.LastIndex(); return last > 0 }

// The node stopped when the snapshot was there and the log not yet emptied.
func TestALogThatEndsBeforeTheSnapshotBeginsAnewBehindIt(t *testing.T) {
	c := logConfigOn(simdisk.New(simdisk.Config{}))
	c.Newest = func() (uint64, uint64) { return 300, 4 }
	l := createLog(t, c)
	if err := l.StoreLogs(logs(1, 100, 2)); err != nil {
		t.Fatal(err)
	}
	if err := l.StoreLogs(logs(302, 1, 5)); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("store an entry that does not follow the snapshot: %v", err)
	}
	if err := l.StoreLogs(logs(301, 4, 5)); err != nil {
		t.Fatal(err)
	}
	mustRange(t, l, 301, 304)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedWriteEndsAllWritingAndIsReportedOnce(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	c := logConfigOn(disk)
	var reported []error
	c.OnFail = func(err error) { reported = append(reported, err) }
	l := createLog(t, c)
	if err := l.StoreLogs(logs(1, 5, 1)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _, err := OpenLog(c) // now the file to write to is known by its name
	if err != nil {
		t.Fatal(err)
	}
	disk.Inject(simdisk.Rule{Op: simdisk.Sync, Name: ".log", Err: syscall.EIO})
	for range 2 {
		if err := l.StoreLogs(logs(6, 1, 1)); !errors.Is(err, syscall.EIO) {
			t.Errorf("store: %v", err)
		}
	}
	if l.Failed() == nil || len(reported) != 1 || !errors.Is(reported[0], syscall.EIO) {
		t.Errorf("reported %v", reported)
	}
	if err := l.DeleteRange(1, 2); !errors.Is(err, syscall.EIO) {
		t.Errorf("removing entries: %v", err)
	}
	mustRange(t, l, 1, 5)
	if err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("close: %v", err)
	}
}

func TestWithoutSpaceALogGoesOnLaterUnlessEntriesWereTakenBack(t *testing.T) {
	for _, back := range []bool{false, true} {
		disk := simdisk.New(simdisk.Config{})
		var failures atomic.Int64
		c := logConfigOn(disk)
		c.OnFail = func(error) { failures.Add(1) }
		l := createLog(t, c)
		if err := l.StoreLogs(logs(1, 5, 1)); err != nil {
			t.Fatal(err)
		}
		if back {
			if err := l.DeleteRange(5, 5); err != nil {
				t.Fatal(err)
			}
		}
		next := l.mustLast() + 1
		disk.SetCapacity(disk.Used() + 64<<10)
		if err := l.StoreLogs(logs(next, 800, 1)); !errors.Is(err, driver.ErrUnavailable) {
			t.Fatalf("without space: %v", err)
		}
		disk.SetCapacity(0)
		err := l.StoreLogs(logs(next, 800, 1))
		if errors.Is(err, driver.ErrUnavailable) && !back { // what was prepared without space
			err = l.StoreLogs(logs(next, 800, 1))
		}
		if back != (err != nil) || back != (failures.Load() == 1) {
			t.Errorf("entries taken back: %v; with space again: %v; %d failures", back, err, failures.Load())
		}
		_ = l.Close()
	}
}

func TestAWriteThatHangsIsSeenAndEveryWriteIsObserved(t *testing.T) {
	hang := make(chan struct{})
	var hanging atomic.Bool
	disk := simdisk.New(simdisk.Config{Slow: func(string) {
		if hanging.Load() {
			<-hang
		}
	}})
	var clock, observed atomic.Int64
	c := logConfigOn(disk)
	c.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	c.Observe = func(d time.Duration) { observed.Add(int64(d)) }
	l := createLog(t, c)
	if err := l.StoreLogs(logs(1, 1, 1)); err != nil || l.Busy() != 0 {
		t.Fatal(err, l.Busy())
	}
	clock.Add(int64(time.Hour))
	hanging.Store(true)
	done := make(chan error)
	go func() { done <- l.StoreLogs(logs(2, 1, 1)) }()
	for l.Busy() == 0 {
		time.Sleep(time.Millisecond)
	}
	clock.Add(int64(7 * time.Second))
	if busy := l.Busy(); busy != 7*time.Second {
		t.Errorf("busy for %v", busy)
	}
	hanging.Store(false)
	close(hang)
	if err := <-done; err != nil || l.Busy() != 0 || time.Duration(observed.Load()) != 7*time.Second {
		t.Errorf("%v, busy for %v, observed %v", err, l.Busy(), time.Duration(observed.Load()))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// Damage to the last entries, after the log has rested and then lost its power.
func TestALogThatRestsIsMarked(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	c := logConfigOn(disk)
	rest := make(chan time.Time)
	c.After = func(time.Duration) <-chan time.Time { return rest }
	l := createLog(t, c)
	if err := l.StoreLogs(logs(1, 5, 1)); err != nil {
		t.Fatal(err)
	}
	rest <- time.Time{}
	f, err := disk.Open("/log/0000000000000001.log")
	if err != nil {
		t.Fatal(err)
	}
	for marked := make([]byte, 1); marked[0] == 0 || l.Busy() > 0; {
		if _, err := f.ReadAt(marked, 4<<10); err != nil {
			t.Fatal(err)
		}
	}
	disk.Crash()
	_ = l.Close()
	disk.PowerCut(rand.New(rand.NewPCG(1, 0)), 0)
	if f, err = disk.Open("/log/0000000000000001.log"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 4<<10), 12<<10); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenLog(c); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("damage to what was stored before the log rested: %v", err)
	}
}

func TestDamageToAnyEntryIsFoundByReadingAndEndsAllWriting(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	c := logConfigOn(disk)
	var reported error
	c.OnFail = func(err error) { reported = err }
	l := createLog(t, c)
	if err := l.StoreLogs(logs(1, 9, 1)); err != nil {
		t.Fatal(err)
	}
	f, err := disk.Open("/log/0000000000000001.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 512), 12<<10); err != nil {
		t.Fatal(err)
	}
	if err := l.GetLog(1, new(raft.Log)); !errors.Is(err, driver.ErrCorrupt) || !errors.Is(reported, driver.ErrCorrupt) {
		t.Errorf("read %v, reported %v", err, reported)
	}
	if err := l.StoreLogs(logs(10, 1, 1)); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("store: %v", err)
	}
	_ = l.Close()
}

// A node is what Raft knows about a log: what it stored, and the newest snapshot.
type node struct {
	disk     *simdisk.Disk
	rng      *rand.Rand
	log      *Log
	snapshot uint64 // index of the newest snapshot
	term     uint64
	before   map[uint64]raft.Log
	is       map[uint64]raft.Log
	stored   []*raft.Log // by the last step
}

func (n *node) config() LogConfig {
	c := logConfigOn(n.disk)
	c.Newest = func() (uint64, uint64) { return n.snapshot, math.MaxUint64 } // of another history
	return c
}

func (n *node) last() uint64 {
	last := n.log.mustLast()
	return max(last, n.snapshot)
}

// step does to the log what Raft does.
func (n *node) step() error {
	n.before, n.stored = maps.Clone(n.is), nil
	held := slices.Sorted(maps.Keys(n.is))
	switch {
	case n.rng.IntN(8) == 0 && len(held) > 1: // a conflict
		from := held[1+n.rng.IntN(len(held)-1)]
		n.term++
		maps.DeleteFunc(n.is, func(i uint64, _ raft.Log) bool { return i >= from })
		return n.log.DeleteRange(from, held[len(held)-1])
	case n.rng.IntN(15) == 0: // a snapshot is installed
		n.snapshot = n.last() + 1 + n.rng.Uint64N(30)
		first, _ := n.log.FirstIndex()
		last, _ := n.log.LastIndex()
		clear(n.is)
		return n.log.DeleteRange(first, last)
	case n.rng.IntN(8) == 0 && len(held) > 1: // old entries are no longer needed
		to := held[n.rng.IntN(len(held)-1)]
		maps.DeleteFunc(n.is, func(i uint64, _ raft.Log) bool { return i <= to })
		n.before = maps.Clone(n.is)
		n.snapshot = max(n.snapshot, to)
		return n.log.DeleteRange(n.log.First(), to)
	}
	n.stored = logs(n.last()+1, 1+n.rng.IntN(8), n.term)
	if n.stored[0].Index > n.log.mustLast()+1 { // what is before was not removed in time
		clear(n.is)
	}
	for _, l := range n.stored {
		n.is[l.Index] = *l
	}
	return n.log.StoreLogs(n.stored)
}

// reopen opens the log and compares it with what it must hold.
func (n *node) reopen() error {
	l, _, err := OpenLog(n.config())
	if err != nil {
		return err
	}
	got := map[uint64]raft.Log{}
	first, last := l.Range()
	for i := first; i <= last; i++ {
		var e raft.Log
		if err := l.GetLog(i, &e); err != nil {
			return errors.Join(err, l.Close())
		}
		got[i] = e
	}
	if first > n.snapshot+1 {
		return errors.Join(fmt.Errorf("the log begins with entry %d: %w", first, driver.ErrCorrupt), l.Close())
	}
	ok := agree(got, n.is) || agree(got, n.before)
	part := maps.Clone(n.before)
	for _, s := range n.stored { // some of the first
		part[s.Index] = *s
		ok = ok || agree(got, part)
	}
	if len(n.stored) > 0 && len(got) == 0 && n.stored[0].Index == n.snapshot+1 {
		ok = true // it was reset to begin behind the snapshot
	}
	if !ok {
		return errors.Join(fmt.Errorf("the log holds entries %d to %d, snapshot %d, want %d or %d entries", first, last, n.snapshot, len(n.is), len(n.before)), l.Close())
	}
	n.log, n.is, n.before, n.stored = l, got, maps.Clone(got), nil
	return nil
}

// agree reports whether a log has all entries that it must have, the same last one, and
// no other content.
func agree(got, want map[uint64]raft.Log) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	for i, w := range want {
		g, ok := got[i]
		if !ok || g.Term != w.Term || !bytes.Equal(g.Data, w.Data) {
			return false
		}
	}
	return slices.Max(slices.Collect(maps.Keys(got))) == slices.Max(slices.Collect(maps.Keys(want)))
}

func newNode(t *testing.T, seed uint64) *node {
	n := &node{disk: simdisk.New(simdisk.Config{Seed: seed, Versions: 3}), rng: rand.New(rand.NewPCG(seed, 1)), term: 1, before: map[uint64]raft.Log{}, is: map[uint64]raft.Log{}}
	n.log = createLog(t, n.config())
	return n
}

func TestALossOfPowerAtAnyMomentLeavesTheLogBeforeOrAfterTheCall(t *testing.T) {
	for seed := range uint64(600) {
		n := newNode(t, seed)
		n.disk.Inject(simdisk.Rule{Op: simdisk.Any, At: 1 + n.rng.IntN(150), Crash: true})
		for i := 0; i < 40 && n.step() == nil; i++ {
		}
		n.disk.Crash()
		_ = n.log.Close()
		n.disk.PowerCut(n.rng, []float64{0, 0.5, 1}[seed%3])
		if err := n.reopen(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 5 {
			if err := n.step(); err != nil {
				t.Fatalf("seed %d: going on: %v", seed, err)
			}
		}
		if err := n.log.Close(); err != nil {
			t.Fatal(err)
		}
		if err := n.reopen(); err != nil {
			t.Fatalf("seed %d: after going on: %v", seed, err)
		}
		if err := n.log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnyDamageToALogAtRestIsDetected(t *testing.T) {
	detected := 0
	for seed := range uint64(800) {
		n := newNode(t, seed)
		for range 30 {
			if err := n.step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.log.Close(); err != nil {
			t.Fatal(err)
		}
		n.before, n.stored = maps.Clone(n.is), nil
		files := n.disk.Files()
		kind := simdisk.Damages()[n.rng.IntN(len(simdisk.Damages()))]
		done, err := n.disk.Damage(n.rng, kind, files[n.rng.IntN(len(files))])
		if errors.Is(err, simdisk.ErrNotPossible) || !done.Changed {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		switch err := n.reopen(); {
		case err == nil:
			_ = n.log.Close()
		case errors.Is(err, driver.ErrCorrupt):
			detected++
		default:
			t.Errorf("seed %d: %s: %v", seed, done.What, err)
		}
	}
	if detected < 200 {
		t.Errorf("only %d damages were detected", detected)
	}
}
