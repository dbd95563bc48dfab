package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

var testID = StoreID{1, 2, 3}

// lazyFS does not sync: what is tested with it does not lose power.
type lazyFS struct{ vfs.OS }

type lazyFile struct{ vfs.File }

func (lazyFile) Sync() error { return nil }

func (lazyFS) SyncDir(string) error { return nil }

func (f lazyFS) Open(name string) (vfs.File, error) {
	file, err := f.OS.Open(name)
	return lazyFile{file}, err
}

func (f lazyFS) Create(name string) (vfs.File, error) {
	file, err := f.OS.Create(name)
	return lazyFile{file}, err
}

func config(dir string) Config {
	return Config{FS: lazyFS{}, Dir: dir, StoreID: testID, SegmentSize: firstEntry + 4096}
}

// payload returns the entry with the given index: its size varies.
func payload(index uint64) []byte {
	return bytes.Repeat([]byte{byte(index)}, int(index*37%900)+1)
}

func appendEntries(t testing.TB, l *Log, n int) {
	t.Helper()
	for range n {
		want := l.Last() + 1
		got, err := l.Append(append(make([]byte, EntryHeader), payload(want)...))
		if err != nil || got != want {
			t.Fatalf("append entry %d: got index %d, %v", want, got, err)
		}
	}
}

// readAll opens the log in dir, checks every entry, and returns the index of the
// last one.
func readAll(dir string) (last uint64, torn int64, err error) {
	l, torn, err := Open(config(dir), 1, func(index uint64, b []byte) error {
		if index != last+1 || !bytes.Equal(b, payload(index)) {
			return fmt.Errorf("read wrong data as entry %d after %d", index, last)
		}
		last = index
		return nil
	})
	if err != nil {
		return last, torn, err
	}
	return last, torn, l.Close()
}

// crashed returns the directory of a log of n entries as a crash leaves it.
func crashed(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	l, err := Create(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, n)
	crash := copyDir(t, dir)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return crash
}

func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatalf("segments of %s: %v, %v", dir, names, err)
	}
	return names
}

func TestEntriesAreReadBackInOrderAcrossSegmentsAndReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l, err := Create(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	for round := uint64(1); round <= 4; round++ {
		appendEntries(t, l, 20)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if last, torn, err := readAll(dir); last != 20*round || torn != 0 || err != nil {
			t.Fatalf("round %d: read up to entry %d, %d bytes torn, %v", round, last, torn, err)
		}
		if l, _, err = Open(config(dir), 1, func(uint64, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(segments(t, dir)); n < 5 {
		t.Errorf("only %d segments: rotation was not tested", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestACrashLosesNoAppendedEntry(t *testing.T) {
	for n := range 30 {
		dir := crashed(t, n)
		if last, torn, err := readAll(dir); last != uint64(n) || torn != 0 || err != nil {
			t.Fatalf("of %d entries read %d, %d bytes torn, %v", n, last, torn, err)
		}
	}
}

func TestATornTailIsCutAndCountedAndTheLogGoesOn(t *testing.T) {
	dir := crashed(t, 21)
	names := segments(t, dir)
	last := names[len(names)-1]
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	used := used(b)
	for cut := used - 1; cut > used-len(payload(21)); cut-- { // the write was cut short here
		torn := copyDir(t, dir)
		if err := os.Remove(filepath.Join(torn, tideName)); err != nil { // as after a loss of power
			t.Fatal(err)
		}
		damaged := bytes.Clone(b)
		clear(damaged[cut:])
		if err := os.WriteFile(filepath.Join(torn, filepath.Base(last)), damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		l, n, err := Open(config(torn), 1, func(uint64, []byte) error { return nil })
		if err != nil || n == 0 || l.Last() != 20 {
			t.Fatalf("cut at %d: %d bytes torn, last entry %d, %v", cut, n, l.Last(), err)
		}
		appendEntries(t, l, 5)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if last, _, err := readAll(torn); last != 25 || err != nil {
			t.Fatalf("after going on: %d, %v", last, err)
		}
	}
}

func TestDamageToTheLastEntryAfterAMereCrashIsDetected(t *testing.T) {
	dir := crashed(t, 21)
	names := segments(t, dir)
	last := names[len(names)-1]
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[used(b)-len(payload(21)):])
	if err := os.WriteFile(last, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAll(dir); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("a damaged last entry: %v", err)
	}
}

func TestAnOldCopyOfASegmentIsDetected(t *testing.T) {
	c := config(filepath.Join(t.TempDir(), "log"))
	c.SegmentSize = 1 << 20
	l, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 10)
	name := segments(t, c.Dir)[0]
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 10)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(c, 1, func(uint64, []byte) error { return nil }); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("an old copy: %v", err)
	}
}

func TestATideWithTheContentOfAnotherFileIsCorrupt(t *testing.T) {
	for _, content := range []string{"a part of the last entry, exchanged", "\x00\x00\x00\x00 a part that begins with zeros"} {
		dir := crashed(t, 21)
		if err := os.WriteFile(filepath.Join(dir, tideName), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readAll(dir); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("with %q: %v", content, err)
		}
	}
}

func TestATideThatIsGoneDamagedOrBehindSaysNothing(t *testing.T) {
	for what, do := range map[string]func(name string) error{
		"gone":    os.Remove,
		"damaged": func(name string) error { return os.WriteFile(name, []byte("FLOR, and then nothing that fits"), 0o644) },
		"behind": func(name string) error {
			b, err := os.ReadFile(filepath.Join(crashed(t, 3), tideName)) // of a log that begins in the same way
			if err != nil {
				return err
			}
			return os.WriteFile(name, b, 0o644)
		},
		"empty": func(name string) error { return os.Truncate(name, 0) },
	} {
		dir := crashed(t, 21)
		if err := do(filepath.Join(dir, tideName)); err != nil {
			t.Fatal(err)
		}
		if last, torn, err := readAll(dir); last != 21 || torn != 0 || err != nil {
			t.Errorf("a tide that is %s: read %d entries, %d bytes torn, %v", what, last, torn, err)
		}
	}
}

// Damage is one way to ruin a file at rest.
type damage struct {
	name string
	do   func(t *testing.T, dir string)
}

func TestAnyDamageToAClosedLogIsDetected(t *testing.T) {
	const entries = 25
	dir := crashed(t, entries)
	if _, _, err := readAll(dir); err != nil { // closes it
		t.Fatal(err)
	}
	var all []damage
	for _, name := range segments(t, dir) {
		all = append(all, damagesOf(t, name)...)
	}
	harmless := 0
	for _, d := range all {
		ruined := copyDir(t, dir)
		d.do(t, ruined)
		last, torn, err := readAll(ruined)
		switch {
		case err == nil && last == entries && torn == 0:
			harmless++ // a spare floor, or bytes that were never written
		case err == nil:
			t.Errorf("%s: opened with %d of %d entries and %d bytes torn", d.name, last, entries, torn)
		case !errors.Is(err, driver.ErrCorrupt):
			t.Errorf("%s: %v is not ErrCorrupt", d.name, err)
		}
	}
	t.Logf("%d damages, %d harmless", len(all), harmless)
	if harmless > len(all)/2 {
		t.Errorf("most damages hit nothing")
	}
}

// damagesOf returns damages to every part of a segment that is in use.
func damagesOf(t *testing.T, name string) []damage {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Base(name)
	used := used(b)
	edit := func(what string, f func([]byte) []byte) damage {
		return damage{base + " " + what, func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, base), f(bytes.Clone(b)), 0o644); err != nil {
				t.Fatal(err)
			}
		}}
	}
	var all []damage
	for at := 0; at < used; at += 29 {
		if isZero(b[at:at+29]) && at%145 != 0 { // zeros are many and much alike
			continue
		}
		all = append(all, edit(fmt.Sprintf("bit flipped at %d", at), func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b }))
	}
	for at := 0; at < used; at += 512 {
		if !isZero(b[at : at+512]) {
			all = append(all, edit(fmt.Sprintf("sector zeroed at %d", at), func(b []byte) []byte { clear(b[at : at+512]); return b }))
		}
	}
	for at := 0; at < len(b); at += 509 {
		all = append(all, edit(fmt.Sprintf("cut to %d", at), func(b []byte) []byte { return b[:at] }))
	}
	return append(all, damage{base + " removed", func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, base)); err != nil {
			t.Fatal(err)
		}
	}})
}

func TestSwappedAndForeignSegmentsAreDetected(t *testing.T) {
	dir := crashed(t, 30)
	names := segments(t, dir)
	a, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(names[1], a, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAll(dir); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("with a segment in place of another: %v", err)
	}
	c := config(crashed(t, 3))
	c.StoreID = StoreID{9}
	if _, _, err := Open(c, 1, func(uint64, []byte) error { return nil }); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("with segments of another store: %v", err)
	}
}

// Before the last entry, damage is detected even if the log was not closed.
func TestDamageBeforeTheTailOfACrashedLogIsDetected(t *testing.T) {
	const entries = 25
	dir := crashed(t, entries)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	names := segments(t, dir)
	for range 300 {
		name := names[r.IntN(len(names))]
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		used := used(b)
		if name == names[len(names)-1] {
			used -= int(diskSize(len(payload(entries)))) // the tail may be torn
		}
		if used <= firstEntry {
			continue
		}
		at := firstEntry + r.IntN(used-firstEntry)
		b[at] ^= 1 << r.IntN(8)
		ruined := copyDir(t, dir)
		if err := os.WriteFile(filepath.Join(ruined, filepath.Base(name)), b, 0o644); err != nil {
			t.Fatal(err)
		}
		last, torn, err := readAll(ruined)
		padding := err == nil && last == entries && torn == 0
		if !padding && !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%s, bit flipped at %d: %d of %d entries, %d bytes torn, %v", filepath.Base(name), at, last, entries, torn, err)
		}
	}
}

// faultFS fails chosen operations of the real file system.
type faultFS struct {
	vfs.OS
	failSync   atomic.Bool
	failCreate atomic.Bool
}

type faultFile struct {
	vfs.File
	fs *faultFS
}

var errInjected = errors.New("injected")

func (f *faultFS) Create(name string) (vfs.File, error) {
	if f.failCreate.Load() {
		return nil, errInjected
	}
	file, err := f.OS.Create(name)
	return faultFile{file, f}, err
}

func (f faultFile) Sync() error {
	if f.fs.failSync.Load() {
		return errInjected
	}
	return f.File.Sync()
}

func TestAFailedSyncStopsTheLogForGood(t *testing.T) {
	fsys := &faultFS{}
	c := config(filepath.Join(t.TempDir(), "log"))
	c.FS, c.SegmentSize = fsys, 1<<20
	l, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 3)
	waitForSpare(l)
	fsys.failSync.Store(true)
	if _, err := l.Append(make([]byte, EntryHeader+10)); !errors.Is(err, errInjected) {
		t.Errorf("append with failing sync: %v", err)
	}
	fsys.failSync.Store(false)
	if _, err := l.Append(make([]byte, EntryHeader+10)); !errors.Is(err, errInjected) {
		t.Errorf("append after a failed sync: %v; a later success must not be believed", err)
	}
	if err := l.Close(); !errors.Is(err, errInjected) {
		t.Errorf("close after a failed sync: %v", err)
	}
}

// waitForSpare waits until the next segment is prepared, so that a fault does
// not hit the preparation.
func waitForSpare(l *Log) {
	s := <-l.next
	ready := make(chan spare, 1)
	ready <- s
	l.next = ready
}

func TestWithoutSpaceForASegmentAppendFailsAndLaterGoesOn(t *testing.T) {
	fsys := &faultFS{}
	c := config(filepath.Join(t.TempDir(), "log"))
	c.FS = fsys
	l, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	waitForSpare(l)
	fsys.failCreate.Store(true)
	var failed error
	for failed == nil {
		_, failed = l.Append(append(make([]byte, EntryHeader), payload(l.Last()+1)...))
	}
	if !errors.Is(failed, ErrNoSpace) {
		t.Fatalf("append without space: %v", failed)
	}
	fsys.failCreate.Store(false)
	if _, err := l.Append(make([]byte, EntryHeader+3000)); !errors.Is(err, ErrNoSpace) {
		t.Logf("the attempt that was under way succeeded: %v", err)
	}
	at := l.Last()
	appendEntries(t, l, 10)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if at == l.Last() {
		t.Error("the log did not go on")
	}
}

func TestDroppedSegmentsAreGoneAndTheRestIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l, err := Create(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 40)
	before := len(segments(t, dir))
	if err := l.DropBefore(25); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if after := len(segments(t, dir)); after >= before {
		t.Errorf("%d segments before, %d after", before, after)
	}
	next := uint64(25)
	l, _, err = Open(config(dir), 25, func(index uint64, b []byte) error {
		if index != next || !bytes.Equal(b, payload(index)) {
			return fmt.Errorf("entry %d after %d", index, next-1)
		}
		next++
		return nil
	})
	if err != nil || next != 41 {
		t.Fatalf("read up to %d, %v", next-1, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAll(dir); !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("asking for a dropped entry: %v", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			l, err := Create(Config{FS: vfs.OS{}, Dir: filepath.Join(b.TempDir(), "log"), StoreID: testID})
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, EntryHeader+size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := l.Append(buf); err != nil {
					b.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
