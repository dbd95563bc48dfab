package simdisk

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// seeded returns a source of randomness whose seed is printed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("TRIHOLD_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored makes a file with a content and its name durable.
func stored(t *testing.T, d *Disk, name, content string) vfs.File {
	t.Helper()
	must(t, vfs.WriteFile(d, name, []byte(content)))
	f, err := d.Open(name)
	must(t, err)
	return f
}

func content(t *testing.T, d *Disk, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(d, name)
	must(t, err)
	return string(b)
}

func put(t *testing.T, f vfs.File, s string, at int64) {
	t.Helper()
	n, err := f.WriteAt([]byte(s), at)
	must(t, err)
	if n != len(s) {
		t.Fatalf("wrote %d bytes of %d", n, len(s))
	}
}

func TestWhatWasSyncedSurvivesAndWhatWasNotIsKeptOrLostBySector(t *testing.T) {
	rng := seeded(t)
	kept, lost, torn, beforeEarlier := 0, 0, 0, 0
	for range 200 {
		d := New(Config{})
		f := stored(t, d, "/f", strings.Repeat("a", 4*sector))
		put(t, f, strings.Repeat("b", 2*sector), sector)
		must(t, f.Sync())
		put(t, f, strings.Repeat("c", 4*sector), 0)
		put(t, f, strings.Repeat("d", 4*sector), 0)
		d.PowerCut(rng, 0.5)
		got := content(t, d, "/f")
		if len(got) != 4*sector {
			t.Fatalf("%d bytes are left", len(got))
		}
		for i := range 4 {
			old := "abba"[i]
			for _, c := range []byte(got[i*sector : (i+1)*sector]) {
				if c != old && c != 'c' && c != 'd' {
					t.Fatalf("sector %d holds %q", i, c)
				}
			}
			switch s := got[i*sector : (i+1)*sector]; {
			case strings.Count(s, "d") == sector:
				kept++
			case strings.Count(s, string(old)) == sector:
				lost++
			case strings.Count(s, "c") == sector:
				beforeEarlier++
			default:
				torn++
			}
		}
	}
	if kept == 0 || lost == 0 || torn == 0 || beforeEarlier == 0 {
		t.Errorf("of 800 sectors %d kept, %d lost, %d torn, %d with the earlier write only: some never happen", kept, lost, torn, beforeEarlier)
	}
}

func TestAFileThatGrewMayHaveAnySizeInBetween(t *testing.T) {
	rng := seeded(t)
	sizes := map[int]bool{}
	for range 200 {
		d := New(Config{})
		f := stored(t, d, "/f", "begin")
		put(t, f, strings.Repeat("x", 3*sector), 5)
		d.PowerCut(rng, 0.5)
		got := content(t, d, "/f")
		if !strings.HasPrefix(got, "begin") {
			t.Fatalf("what was synced is gone: %.20q", got)
		}
		sizes[len(got)] = true
	}
	if !sizes[5] || !sizes[5+3*sector] || len(sizes) < 4 {
		t.Errorf("sizes seen: %v", sizes)
	}
}

func TestTheEdgesOfKeepAreExact(t *testing.T) {
	for keep, want := range map[float64]string{0: "old", 1: "newer"} {
		d := New(Config{})
		f := stored(t, d, "/f", "old")
		put(t, f, "newer", 0)
		d.PowerCut(seeded(t), keep)
		if got := content(t, d, "/f"); got != want {
			t.Errorf("keep %v: %q", keep, got)
		}
	}
}

func TestANameIsDurableOnlyAfterItsDirectoryWasSynced(t *testing.T) {
	rng := seeded(t)
	d := New(Config{})
	must(t, d.MkdirAll("/a/b"))
	must(t, vfs.WriteFile(d, "/a/b/f", []byte("content")))
	clone := d.Clone()
	d.PowerCut(rng, 0)
	if _, err := d.List("/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new directory above was not synced: %v", err)
	}
	d = clone
	if got := content(t, d, "/a/b/f"); got != "content" {
		t.Errorf("the clone holds %q", got)
	}
	must(t, d.Rename("/a/b/f", "/a/b/g"))
	f, err := d.Create("/a/b/h")
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	d.PowerCut(rng, 0)
	if names, err := d.List("/a/b"); err != nil || strings.Join(names, " ") != "f" {
		t.Errorf("after losing a rename and a creation: %v, %v", names, err)
	}
	must(t, d.Rename("/a/b/f", "/a/b/g"))
	must(t, d.SyncDir("/a/b"))
	must(t, d.Remove("/a/b/g"))
	d.PowerCut(rng, 0)
	if got := content(t, d, "/a/b/g"); got != "content" {
		t.Errorf("after losing a removal: %q", got)
	}
}

func TestARenameIsAtomicAndReplacesItsTarget(t *testing.T) {
	rng := seeded(t)
	seen := map[string]int{}
	for range 100 {
		d := New(Config{})
		must(t, stored(t, d, "/f", "old").Close())
		f, err := d.Create("/f.tmp")
		must(t, err)
		put(t, f, "new", 0)
		must(t, f.Sync())
		must(t, f.Close())
		must(t, d.Rename("/f.tmp", "/f"))
		d.PowerCut(rng, 0.5)
		seen[content(t, d, "/f")]++
	}
	if seen["old"] == 0 || seen["new"] == 0 || len(seen) != 2 {
		t.Errorf("contents seen: %v", seen)
	}
}

func TestHandlesAndLocksEndWithThePower(t *testing.T) {
	d := New(Config{})
	f := stored(t, d, "/f", "x")
	_, err := d.Lock("/lock", "it")
	must(t, err)
	if _, err := d.Lock("/lock", "it"); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("second lock: %v", err)
	}
	dead := d.Dead()
	d.Crash()
	select {
	case <-dead:
	default:
		t.Error("Dead is not closed")
	}
	if err := f.Sync(); !errors.Is(err, ErrPower) {
		t.Errorf("sync after a crash: %v", err)
	}
	d.PowerCut(seeded(t), 1)
	if _, err := f.WriteAt([]byte("y"), 0); !errors.Is(err, ErrPower) {
		t.Errorf("write through a handle of before: %v", err)
	}
	if _, err := d.Lock("/lock", "it"); err != nil {
		t.Errorf("lock after the power cut: %v", err)
	}
	if got := content(t, d, "/f"); got != "x" {
		t.Errorf("content %q", got)
	}
}

func TestAKillLosesNothingAndMakesNothingDurable(t *testing.T) {
	d := New(Config{})
	f := stored(t, d, "/f", "old")
	put(t, f, "new", 0)
	must(t, d.Rename("/f", "/g"))
	d.Crash()
	d.Kill()
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrPower) {
		t.Errorf("read through a handle of before: %v", err)
	}
	if got := content(t, d, "/g"); got != "new" {
		t.Errorf("after the kill: %q", got)
	}
	d.PowerCut(seeded(t), 0)
	if got := content(t, d, "/f"); got != "old" {
		t.Errorf("after the loss of power: %q", got)
	}
}

func TestRulesFailTheOperationsTheyNameAndCountThem(t *testing.T) {
	d := New(Config{})
	f := stored(t, d, "/f", "old")
	third := d.Inject(Rule{Op: Write, Name: "f", At: 3, Times: 2, Err: syscall.EIO})
	other := d.Inject(Rule{Op: Write, Name: "nowhere", Times: -1, Err: syscall.ENOSPC})
	for i := range 6 {
		_, err := f.WriteAt([]byte("x"), int64(i))
		if failed := i == 2 || i == 3; failed != errors.Is(err, syscall.EIO) {
			t.Errorf("write %d: %v", i+1, err)
		}
	}
	if third.Observed() != 2 || other.Observed() != 0 {
		t.Errorf("observed %d and %d, want 2 and 0", third.Observed(), other.Observed())
	}
	if got := content(t, d, "/f"); got != "xx"+"\x00\x00"+"xx" && got != "xxd"+"\x00"+"xx" {
		t.Errorf("content %q", got)
	}
	d.Heal()
	for _, r := range []Rule{{Op: Create}, {Op: Rename}, {Op: Remove}, {Op: SyncDir}, {Op: Read}, {Op: Open}, {Op: Sync}} {
		r.Err, r.Times = syscall.EIO, -1
		in := d.Inject(r)
		_, createErr := d.Create("/g")
		_, openErr := d.Open("/f")
		_, readErr := f.ReadAt(make([]byte, 1), 0)
		errs := map[Op]error{Create: createErr, Open: openErr, Read: readErr, Sync: f.Sync(), SyncDir: d.SyncDir("/"), Rename: d.Rename("/f", "/f"), Remove: d.Remove("/g")}
		for op, err := range errs {
			if (op == r.Op) != errors.Is(err, syscall.EIO) {
				t.Errorf("rule on %v: %v returns %v", r.Op, op, err)
			}
		}
		if in.Observed() != 1 {
			t.Errorf("rule on %v observed %d times", r.Op, in.Observed())
		}
		d.Heal()
	}
}

func TestACrashAtAnOperationLeavesItDoneOrNotDone(t *testing.T) {
	rng := seeded(t)
	done := 0
	for range 100 {
		d := New(Config{})
		must(t, stored(t, d, "/f", "x").Close())
		in := d.Inject(Rule{Op: Any, At: 1, Crash: true})
		if err := d.Rename("/f", "/g"); !errors.Is(err, ErrPower) {
			t.Fatalf("the rename: %v", err)
		}
		if in.Observed() != 1 {
			t.Fatal("not observed")
		}
		d.PowerCut(rng, 0.5)
		if d.Files()[0] == "/g" {
			done++
		}
	}
	if done == 0 || done == 100 {
		t.Errorf("done %d times of 100", done)
	}
}

func TestAShortWriteWritesAPartAndFails(t *testing.T) {
	d := New(Config{Seed: 3})
	f := stored(t, d, "/f", strings.Repeat("a", 100))
	d.Inject(Rule{Op: Write, Err: syscall.EIO, Short: true})
	n, err := f.WriteAt(bytes.Repeat([]byte("b"), 100), 0)
	if !errors.Is(err, syscall.EIO) || strings.Count(content(t, d, "/f"), "b") != n {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
}

// On Linux a page whose writing failed is marked clean: a later sync that
// succeeds says nothing about it.
func TestALaterSyncDoesNotSaveWhatAFailedOneCovered(t *testing.T) {
	d := New(Config{})
	f := stored(t, d, "/f", "old")
	put(t, f, "one", 0)
	d.Inject(Rule{Op: Sync, Err: syscall.EIO})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	put(t, f, "T", 0)
	must(t, f.Sync())
	if got := content(t, d, "/f"); got != "Tne" {
		t.Errorf("programs see %q", got)
	}
	d.PowerCut(seeded(t), 0)
	if got := content(t, d, "/f"); got != "Tld" {
		t.Errorf("left is %q", got)
	}
}

func TestAFullDiskRefusesWhatGrowsAndNothingElse(t *testing.T) {
	d := New(Config{Capacity: 100})
	f := stored(t, d, "/f", strings.Repeat("a", 60))
	g := stored(t, d, "/g", "")
	n, err := g.WriteAt(bytes.Repeat([]byte("b"), 50), 0)
	if n != 40 || !errors.Is(err, syscall.ENOSPC) || d.Used() != 100 {
		t.Errorf("wrote %d bytes, %v; used %d", n, err, d.Used())
	}
	put(t, f, strings.Repeat("c", 60), 0)
	must(t, d.Remove("/g"))
	put(t, f, strings.Repeat("c", 100), 0)
	if _, err := f.WriteAt([]byte("d"), 100); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write beyond: %v", err)
	}
	d.SetCapacity(101)
	put(t, f, "d", 100)
	if used, err := d.Usage("/"); err != nil || used != 101 || d.Used() != 101 {
		t.Errorf("usage %d, used %d, %v", used, d.Used(), err)
	}
}

func TestADiskThatLiesAboutSyncKeepsNothing(t *testing.T) {
	d := New(Config{LieAboutSync: true})
	must(t, stored(t, d, "/f", "x").Close())
	d.PowerCut(seeded(t), 0)
	if files := d.Files(); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

func TestASlowSyncCoversOnlyWhatWasWrittenBeforeIt(t *testing.T) {
	var f vfs.File
	d := New(Config{Slow: func(string) {
		if f != nil {
			_, _ = f.WriteAt([]byte("later"), 10)
		}
	}})
	f = stored(t, d, "/f", "first")
	must(t, f.Sync())
	d.PowerCut(seeded(t), 0)
	if got := content(t, d, "/f"); got != "first" {
		t.Errorf("left is %q", got)
	}
}

func TestEveryKindOfDamageHappens(t *testing.T) {
	rng := seeded(t)
	for _, kind := range Damages() {
		changed := 0
		for range 50 {
			d := New(Config{Versions: 2})
			f := stored(t, d, "/f", strings.Repeat("a", 5000))
			put(t, f, "b", 100)
			must(t, f.Sync())
			must(t, stored(t, d, "/g", "other").Close())
			before, whole := content(t, d, "/f"), d.Clone()
			got, err := d.Damage(rng, kind, "/f")
			must(t, err)
			d.PowerCut(rng, 0) // it is durable
			after, err := vfs.ReadFile(d, "/f")
			if kind == Lose {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("the lost file: %v", err)
				}
			} else {
				must(t, err)
			}
			if got.Changed != (before != string(after)) {
				t.Errorf("%s: says changed: %v", got.What, got.Changed)
			}
			if got.Changed {
				changed++
			}
			must(t, d.Restore(whole, got.Names...))
			if content(t, d, "/f") != before || content(t, d, "/g") != "other" || d.Used() != whole.Used() {
				t.Errorf("%s: is not undone", got.What)
			}
		}
		if changed == 0 {
			t.Errorf("%v never changed anything", kind)
		}
	}
	if _, err := New(Config{}).Damage(rng, FlipBit, "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("damage to a file that is not there: %v", err)
	}
}

func TestTheSameSeedGivesTheSameDisk(t *testing.T) {
	run := func() string {
		rng := rand.New(rand.NewPCG(5, 0))
		d := New(Config{Seed: 5, Versions: 2})
		for i := range 20 {
			f := stored(t, d, "/f", strings.Repeat("a", 3000))
			put(t, f, strings.Repeat("b", rng.IntN(5000)), int64(rng.IntN(3000)))
			if i%3 == 0 {
				must(t, f.Sync())
			}
			must(t, f.Close())
			d.PowerCut(rng, 0.4)
		}
		return content(t, d, "/f")
	}
	if a, b := run(), run(); a != b {
		t.Error("two runs differ")
	}
}

// The disk behaves as the operating system's where nothing fails.
func TestAnHonestDiskDoesWhatTheOperatingSystemDoes(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		fsys vfs.FS
		dir  string
	}{"os": {vfs.OS{}, dir}, "simulated": {New(Config{}), "/work"}} {
		t.Run(name, func(t *testing.T) {
			fsys, dir := c.fsys, c.dir
			must(t, fsys.MkdirAll(dir+"/a/b"))
			must(t, fsys.MkdirAll(dir+"/a/b"))
			f, err := fsys.Create(dir + "/a/f")
			must(t, err)
			if _, err := fsys.Create(dir + "/a/f"); !errors.Is(err, fs.ErrExist) {
				t.Errorf("create what exists: %v", err)
			}
			put(t, f, "hello", 3)
			must(t, f.Truncate(6))
			if size, err := f.Size(); err != nil || size != 6 {
				t.Errorf("size %d, %v", size, err)
			}
			must(t, f.Close())
			if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("close again: %v", err)
			}
			if b, err := vfs.ReadFile(fsys, dir+"/a/f"); err != nil || string(b) != "\x00\x00\x00hel" {
				t.Errorf("content %q, %v", b, err)
			}
			for what, err := range map[string]error{
				"open":   errOf(fsys.Open(dir + "/none")),
				"list":   errOf(fsys.List(dir + "/none")),
				"rename": fsys.Rename(dir+"/none", dir+"/x"),
				"remove": fsys.Remove(dir + "/none"),
				"sync":   fsys.SyncDir(dir + "/none"),
			} {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of what does not exist: %v", what, err)
				}
			}
			for what, err := range map[string]error{"list": errOf(fsys.List(dir + "/a/f")), "mkdir": fsys.MkdirAll(dir + "/a/f/g")} {
				if !errors.Is(err, syscall.ENOTDIR) {
					t.Errorf("%s of a file: %v", what, err)
				}
			}
			if err := fsys.Remove(dir + "/a"); !errors.Is(err, syscall.ENOTEMPTY) {
				t.Errorf("remove a directory that holds something: %v", err)
			}
			if names, err := fsys.List(dir + "/a"); err != nil || strings.Join(names, " ") != "b f" {
				t.Errorf("list: %v, %v", names, err)
			}
			l, err := fsys.Lock(dir+"/lock", "it")
			must(t, err)
			if _, err := fsys.Lock(dir+"/lock", "it"); !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("second lock: %v", err)
			}
			must(t, l.Close())
			must(t, vfs.RemoveTree(fsys, dir+"/a"))
			must(t, vfs.RemoveTree(fsys, dir+"/a"))
			if names, err := fsys.List(dir); err != nil || len(names) != 0 {
				t.Errorf("left: %v, %v", names, err)
			}
		})
	}
}

func errOf[T any](_ T, err error) error { return err }
