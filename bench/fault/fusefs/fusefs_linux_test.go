package fusefs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

func mount(t testing.TB, c Config) *FS {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	c.Back, c.Mountpoint = filepath.Join(dir, "back"), filepath.Join(dir, "mnt")
	f, err := Mount(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
		if left := mountsAt(t, dir); len(left) > 0 {
			t.Errorf("mounts are left: %v", left)
		}
	})
	return f
}

// mountsAt returns what is mounted at a directory and below.
func mountsAt(t testing.TB, dir string) (at []string) {
	t.Helper()
	all, err := procfs.GetMounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.MountPoint == dir || within(dir, m.MountPoint) {
			at = append(at, m.MountPoint)
		}
	}
	return at
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lose(t testing.TB, f *FS, keep float64) Loss {
	t.Helper()
	loss, err := f.PowerLoss(seeded(t), keep)
	must(t, err)
	t.Logf("lost %+v", loss)
	return loss
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func expectNames(t testing.TB, dir string, want ...string) {
	t.Helper()
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", filepath.Base(dir), got, want)
	}
}

func expectContent(t testing.TB, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", filepath.Base(name), got, err, want)
	}
}

// writeSynced writes a file, and syncs it and its name.
func writeSynced(t testing.TB, name, content string) {
	t.Helper()
	file, err := os.Create(name)
	must(t, err)
	_, err = file.WriteString(content)
	must(t, errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(name))))
}

func TestWhatWasSyncedSurvivesALossOfPower(t *testing.T) {
	f := mount(t, Config{})
	total := 0
	for range 3 { // the victim goes on where it was
		v := startVictim(t, nil, "append", f.Dir())
		v.acked(total + 200)
		total = max(v.kill(), total+200)
		lose(t, f, 0)
		good, wrong := readRecords(t, f.Dir())
		if good < total || wrong > 0 {
			t.Fatalf("%d records were acknowledged; %d are there, and %d wrong ones", total, good, wrong)
		}
		total = good
	}
}

func TestWhatWasNotSyncedIsGone(t *testing.T) {
	f := mount(t, Config{})
	v := startVictim(t, nil, "append-lazy", f.Dir())
	v.acked(1000)
	v.kill()
	loss := lose(t, f, 0)
	if good, wrong := readRecords(t, f.Dir()); good > 0 || wrong > 0 || loss.SectorsLost < 100 {
		t.Errorf("%d records are there, and %d wrong ones", good, wrong)
	}
}

func TestWhatIsHalfKeptIsTorn(t *testing.T) {
	f := mount(t, Config{})
	v := startVictim(t, nil, "append-lazy", f.Dir())
	v.acked(2000)
	v.kill()
	loss := lose(t, f, 0.5)
	if _, wrong := readRecords(t, f.Dir()); wrong < 100 || loss.SectorsKept < 20 || loss.SectorsLost < 20 {
		t.Errorf("%d wrong records", wrong)
	}
}

func TestALieAboutSyncLosesWhatWasAcknowledged(t *testing.T) {
	f := mount(t, Config{LieAboutSync: true, KeepNames: true})
	v := startVictim(t, nil, "append", f.Dir())
	v.acked(200)
	v.kill()
	lose(t, f, 0)
	if good, _ := readRecords(t, f.Dir()); good > 0 {
		t.Errorf("%d records survived", good)
	}
	if n := f.Counts().Lies; n < 200 {
		t.Errorf("%d lies were counted", n)
	}
}

// rows returns how many of the rows 1, 2, 3 ... are there.
func rows(t *testing.T, f *FS) int {
	t.Helper()
	n, failure := startVictim(t, nil, "check", f.Dir()).end()
	if failure != "" {
		t.Fatal(failure)
	}
	return n
}

func TestSQLiteKeepsWhatItAcknowledgedThroughLossesOfPower(t *testing.T) {
	f := mount(t, Config{})
	last := 0
	for i, keep := range []float64{0, 0.5, 0, 0.3, 0.8} {
		v := startVictim(t, nil, "sqlite", f.Dir(), "FULL")
		v.acked(last + 150)
		acked := max(v.kill(), last+150)
		lose(t, f, keep)
		last = rows(t, f)
		if last < acked {
			t.Fatalf("loss %d: %d rows were acknowledged, %d are there", i, acked, last)
		}
	}
}

func TestSQLiteWithoutASyncPerCommitLosesCommits(t *testing.T) {
	for range 5 { // a checkpoint right before the kill would leave nothing to lose
		f := mount(t, Config{})
		v := startVictim(t, nil, "sqlite", f.Dir(), "FULL") // else even the table may be lost
		v.acked(1)
		v.kill()
		v = startVictim(t, nil, "sqlite", f.Dir(), "NORMAL")
		v.acked(300)
		acked := max(v.kill(), 300)
		lose(t, f, 0)
		if n := rows(t, f); n < acked {
			t.Logf("%d of %d rows are there", n, acked)
			return
		}
	}
	t.Error("nothing was lost")
}

func TestWhatIsUnsyncedIsRememberedThoughTheKernelForgetsTheFile(t *testing.T) {
	f := mount(t, Config{})
	name := filepath.Join(f.Dir(), "a")
	writeSynced(t, name, "old")
	must(t, os.WriteFile(name, []byte("never synced"), 0o644))
	known := func() *inode {
		f.mu.Lock()
		defer f.mu.Unlock()
		in, err := f.find(f.root, "a")
		must(t, err)
		if in.opens > 0 {
			return nil // closing it takes a moment to be told
		}
		return in
	}
	waitFor(t, "the file to be closed", func() bool { return known() != nil })
	in := known()
	(&kernelSide{fs: f}).Forget(in.id, in.lookups)
	if known() != in {
		t.Error("it was forgotten")
	}
	lose(t, f, 0)
	expectContent(t, name, "old")
}

func TestAFailedSyncIsNotMadeGoodByTheNext(t *testing.T) {
	f := mount(t, Config{})
	name := filepath.Join(f.Dir(), "a")
	writeSynced(t, name, "old")
	i, err := f.Inject(Rule{Op: OpSync, Glob: "a", Count: 1, Errno: syscall.EIO})
	must(t, err)
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteString("new")
	must(t, err)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	must(t, errors.Join(file.Sync(), file.Close()))
	expectContent(t, name, "new") // from the cache of the kernel
	lose(t, f, 0)
	expectContent(t, name, "old")
	if i.Fired() != 1 || f.Counts().Injected != 1 {
		t.Errorf("fired %d times, counted %+v", i.Fired(), f.Counts())
	}
}

func TestAVictimSeesTheErrorOfItsDisk(t *testing.T) {
	f := mount(t, Config{})
	i, err := f.Inject(Rule{Op: OpSync, Glob: "db-wal", After: 20, Count: 1, Errno: syscall.EIO})
	must(t, err)
	v := startVictim(t, nil, "sqlite", f.Dir(), "FULL")
	acked, failure := v.end()
	if !strings.Contains(failure, "disk I/O error") || i.Fired() != 1 {
		t.Errorf("the victim said %q, the rule fired %d times", failure, i.Fired())
	}
	lose(t, f, 0)
	if n := rows(t, f); n < acked || n > acked+1 {
		t.Errorf("%d rows were acknowledged, %d are there", acked, n)
	}
}

func TestRulesHitTheirOperationsOnly(t *testing.T) {
	f := mount(t, Config{})
	must(t, os.Mkdir(filepath.Join(f.Dir(), "d"), 0o755))
	in := func(name string) string { return filepath.Join(f.Dir(), name) }
	must(t, os.WriteFile(in("d/file"), []byte("x"), 0o644))
	for _, c := range []struct {
		rule Rule
		do   func() error
	}{
		{Rule{Op: OpOpen, Glob: "d/file"}, func() error { _, err := os.ReadFile(in("d/file")); return err }},
		{Rule{Op: OpRead, Glob: "fil?"}, func() error { _, err := os.ReadFile(in("d/file")); return err }},
		{Rule{Op: OpWrite}, func() error { return os.WriteFile(in("d/file"), []byte("y"), 0o644) }},
		{Rule{Op: OpCreate, Glob: "*.new"}, func() error { return os.WriteFile(in("d/x.new"), nil, 0o644) }},
		{Rule{Op: OpCreate, Glob: "sub"}, func() error { return os.Mkdir(in("sub"), 0o755) }},
		{Rule{Op: OpRename, Glob: "d/other"}, func() error { return os.Rename(in("d/file"), in("d/other")) }},
		{Rule{Op: OpRename, Glob: "file"}, func() error { return os.Rename(in("d/file"), in("d/other")) }},
		{Rule{Op: OpRemove, Glob: "file"}, func() error { return os.Remove(in("d/file")) }},
		{Rule{Op: OpSyncDir, Glob: "d"}, func() error { return syncDir(in("d")) }},
		{Rule{Op: OpTruncate}, func() error { return os.Truncate(in("d/file"), 0) }},
	} {
		other := c.rule
		other.Glob, other.Errno = "nothing", syscall.EMFILE
		no, err := f.Inject(other)
		must(t, err)
		c.rule.Errno = syscall.EDQUOT
		yes, err := f.Inject(c.rule)
		must(t, err)
		if err := c.do(); !errors.Is(err, syscall.EDQUOT) {
			t.Errorf("%s of %q: got %v", c.rule.Op, c.rule.Glob, err)
		}
		if yes.Fired() == 0 || no.Fired() > 0 {
			t.Errorf("%s of %q: fired %d times, the other rule %d times", c.rule.Op, c.rule.Glob, yes.Fired(), no.Fired())
		}
		yes.Remove()
		no.Remove()
	}
	expectNames(t, in("d"), "file")
	for _, r := range []Rule{{Op: "fsink", Errno: syscall.EIO}, {Op: OpRead}, {Op: OpRead, Glob: "[", Errno: syscall.EIO}} {
		if _, err := f.Inject(r); err == nil {
			t.Errorf("rule %+v was taken", r)
		}
	}
}

func TestADelayEndsWithItsRule(t *testing.T) {
	f := mount(t, Config{})
	i, err := f.Inject(Rule{Op: OpSync, Delay: time.Hour})
	must(t, err)
	v := startVictim(t, nil, "append", f.Dir())
	waitFor(t, "the sync to be delayed", func() bool { return i.Fired() == 1 })
	i.Remove()
	v.acked(10)
	v.kill()
}

func TestAVictimCanBeKilledWhileItsDiskStalls(t *testing.T) {
	f := mount(t, Config{})
	i, err := f.Inject(Rule{Op: OpSync, Glob: "log", Delay: time.Hour})
	must(t, err)
	v := startVictim(t, nil, "append", f.Dir())
	waitFor(t, "the sync to be delayed", func() bool { return i.Fired() == 1 })
	v.kill()
	lose(t, f, 0)
	if good, wrong := readRecords(t, f.Dir()); good+wrong > 0 {
		t.Errorf("%d records, and %d wrong ones", good, wrong)
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestAFullDiskRecoversWhenSpaceIsFreed(t *testing.T) {
	f := mount(t, Config{Capacity: 200_000})
	ballast := filepath.Join(f.Dir(), "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 100_000), 0o644))
	acked, failure := startVictim(t, nil, "sqlite", f.Dir(), "FULL").end()
	if !strings.Contains(failure, "full") {
		t.Errorf("after %d rows the victim said %q", acked, failure)
	}
	if n := f.Counts().NoSpace; n == 0 || f.Used() > 200_000 {
		t.Errorf("no space %d times, %d bytes used", n, f.Used())
	}
	must(t, os.Remove(ballast))
	v := startVictim(t, nil, "sqlite", f.Dir(), "FULL")
	v.acked(acked + 20)
	acked = max(v.kill(), acked+20)
	lose(t, f, 0)
	if n := rows(t, f); n < acked {
		t.Errorf("%d rows were acknowledged, %d are there", acked, n)
	}
}

func TestSpaceOfAnOpenFileIsFreedWhenItIsClosed(t *testing.T) {
	for _, keepNames := range []bool{false, true} {
		f := mount(t, Config{KeepNames: keepNames})
		name := filepath.Join(f.Dir(), "a")
		file, err := os.Create(name)
		must(t, err)
		_, err = file.Write(make([]byte, 5000))
		must(t, errors.Join(err, os.Remove(name)))
		var st unix.Stat_t
		must(t, unix.Fstat(int(file.Fd()), &st))
		if f.Used() != 5000 || st.Nlink != 0 {
			t.Errorf("%d bytes used, %d names", f.Used(), st.Nlink)
		}
		must(t, file.Close())
		waitFor(t, "the space to be freed", func() bool { return f.Used() == 0 })
	}
}

func TestNamesAreLostUnlessTheirDirectoryIsSynced(t *testing.T) {
	f := mount(t, Config{})
	in := func(name string) string { return filepath.Join(f.Dir(), name) }
	writeSynced(t, in("a"), "a")
	writeSynced(t, in("b"), "b")
	writeSynced(t, in("c"), "c")
	must(t, os.Mkdir(in("d"), 0o755))
	must(t, syncDir(f.Dir()))
	writeSynced(t, in("d/inside"), "x")

	// a new file is synced, and its name is not
	file, err := os.Create(in("new"))
	must(t, err)
	_, err = file.WriteString("new")
	must(t, errors.Join(err, file.Sync(), file.Close()))
	must(t, os.Rename(in("new"), in("a"))) // over a
	must(t, os.Remove(in("b")))
	must(t, os.Rename(in("c"), in("d/moved")))
	must(t, os.Mkdir(in("e"), 0o755))
	writeSynced(t, in("e/f"), "lost with its directory")
	must(t, os.Remove(in("d/inside")))
	must(t, os.Rename(in("d/moved"), in("d/again")))
	must(t, os.Remove(in("d/again")))
	must(t, os.Remove(in("d")))
	must(t, os.Symlink("a", in("link")))
	must(t, os.Link(in("a"), in("hard")))
	expectNames(t, f.Dir(), "a", "e", "hard", "link")

	loss := lose(t, f, 0)
	expectNames(t, f.Dir(), "a", "b", "c", "d")
	expectNames(t, in("d"), "inside")
	for _, name := range []string{"a", "b", "c"} {
		expectContent(t, in(name), name)
	}
	if loss.NamesLost != 11 {
		t.Errorf("%d changes of directories were lost", loss.NamesLost)
	}
}

func TestNamesStayOnceTheirDirectoryIsSynced(t *testing.T) {
	f := mount(t, Config{})
	in := func(name string) string { return filepath.Join(f.Dir(), name) }
	writeSynced(t, in("a"), "a")
	writeSynced(t, in("b"), "b")
	must(t, os.MkdirAll(in("d/e"), 0o755))
	writeSynced(t, in("d/e/f"), "f")
	must(t, os.Rename(in("a"), in("d/a"))) // with d synced, so is that a is gone, and that d is there
	must(t, syncDir(in("d")))
	must(t, os.Rename(in("b"), in("B"))) // not synced
	lose(t, f, 0)
	expectNames(t, f.Dir(), "b", "d")
	expectNames(t, in("d"), "a", "e")
	expectContent(t, in("d/a"), "a")

	must(t, os.RemoveAll(in("d")))
	must(t, syncDir(f.Dir()))
	lose(t, f, 0)
	expectNames(t, f.Dir(), "b")
	if left := names(t, f.back); !slices.Equal(left, []string{graveyard, "b"}) {
		t.Errorf("behind the mount there is %q", left)
	}
	if left := names(t, filepath.Join(f.back, graveyard)); len(left) > 0 {
		t.Errorf("the graveyard holds %q", left)
	}
}

func TestARenameTakesTheEarlierChangesOfBothDirectoriesWithIt(t *testing.T) {
	for _, synced := range []string{"from", "to"} {
		f := mount(t, Config{})
		in := func(name string) string { return filepath.Join(f.Dir(), name) }
		must(t, errors.Join(os.Mkdir(in("from"), 0o755), os.Mkdir(in("to"), 0o755), syncDir(f.Dir())))
		writeSynced(t, in("to/b"), "old")
		file, err := os.Create(in("from/a"))
		must(t, err)
		_, err = file.WriteString("new")
		must(t, errors.Join(err, file.Sync(), file.Close()))
		must(t, os.Remove(in("to/b")))
		must(t, os.Rename(in("from/a"), in("to/b")))
		must(t, syncDir(in(synced)))
		lose(t, f, 0)
		expectNames(t, in("from"))
		expectContent(t, in("to/b"), "new")
	}
}

func TestNamesCanBeKept(t *testing.T) {
	f := mount(t, Config{KeepNames: true})
	in := func(name string) string { return filepath.Join(f.Dir(), name) }
	writeSynced(t, in("old"), "old")
	must(t, os.WriteFile(in("tmp"), []byte("never synced"), 0o644))
	must(t, os.Rename(in("tmp"), in("old")))
	must(t, os.Mkdir(in("d"), 0o755))
	loss := lose(t, f, 0)
	expectNames(t, f.Dir(), "d", "old")
	expectContent(t, in("old"), "") // the well-known empty file
	if loss.NamesLost != 0 {
		t.Errorf("lost %+v", loss)
	}
}

func TestTheFirstChangesOfDirectoriesSurvive(t *testing.T) {
	f := mount(t, Config{})
	between := false
	for round := 0; !between && round < 20; round++ {
		dir := filepath.Join(f.Dir(), fmt.Sprint("round", round))
		must(t, os.Mkdir(dir, 0o755))
		must(t, syncDir(f.Dir()))
		for i := range 10 {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
		}
		lose(t, f, 0.5)
		got := names(t, dir)
		for i, name := range got {
			if name != fmt.Sprint(i) {
				t.Fatalf("%q survived", got)
			}
		}
		between = len(got) > 0 && len(got) < 10
	}
	if !between {
		t.Error("it was always none or all")
	}
}

func TestALossOfPowerIsRefusedWhileAVictimLives(t *testing.T) {
	f := mount(t, Config{})
	f.patience = 100 * time.Millisecond
	name := filepath.Join(f.Dir(), "a")
	writeSynced(t, name, "a")
	v := startVictim(t, nil, "open", name)
	v.acked(1)
	_, err := f.PowerLoss(seeded(t), 0)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", v.cmd.Process.Pid)) {
		t.Errorf("got %v", err)
	}
	v.kill()
	lose(t, f, 0)
	expectContent(t, name, "a")
}

func TestTheServingProcessCannotMapFiles(t *testing.T) {
	f := mount(t, Config{})
	name := filepath.Join(f.Dir(), "a")
	writeSynced(t, name, "content")
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	if b, err := unix.Mmap(int(file.Fd()), 0, 7, unix.PROT_READ, unix.MAP_SHARED); err == nil {
		_ = unix.Munmap(b)
		t.Error("the file was mapped")
	} else if !errors.Is(err, unix.ENODEV) {
		t.Error(err)
	}
}

func TestUnmountTakesTheFilesFromWhoStillUsesThem(t *testing.T) {
	f := mount(t, Config{})
	v := startVictim(t, nil, "append", f.Dir())
	v.acked(1)
	must(t, f.Unmount())
	if left := mountsAt(t, f.Dir()); len(left) > 0 {
		t.Errorf("mounts are left: %v", left)
	}
	if _, failure := v.end(); failure == "" {
		t.Error("the victim noticed nothing")
	}
	expectNames(t, f.Dir())
	must(t, f.Unmount()) // once more
}

func TestAMountLeftByAKilledProcessIsCleaned(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	back, mnt := filepath.Join(dir, "back"), filepath.Join(dir, "m n t")
	for _, clean := range []func() error{
		func() error {
			cleaned, err := Clean(dir)
			if err == nil && !slices.Equal(cleaned, []string{mnt}) {
				err = fmt.Errorf("cleaned %q", cleaned)
			}
			return err
		},
		func() error { // mounting again cleans as well
			f, err := Mount(Config{Back: back, Mountpoint: mnt})
			if err != nil {
				return err
			}
			return f.Unmount()
		},
	} {
		v := startVictim(t, nil, "mount", back, mnt)
		v.acked(1)
		if cleaned, err := Clean(dir); err != nil || len(cleaned) > 0 {
			t.Errorf("cleaned %q, which is served, %v", cleaned, err)
		}
		v.kill()
		if err := clean(); err != nil {
			t.Error(err)
		}
	}
	all, err := procfs.GetMounts()
	must(t, err)
	for _, m := range all {
		if strings.HasPrefix(m.MountPoint, dir) {
			t.Errorf("left: %s", m.MountPoint)
			_ = unix.Unmount(unescape(m.MountPoint), unix.MNT_DETACH)
		}
	}
}

func TestItWorksInANamespaceOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	attr := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	probe := exec.Command("/bin/true")
	probe.SysProcAttr = attr
	if err := probe.Run(); err != nil {
		t.Skipf("no user namespaces: %v", err)
	}
	_, failure := startVictim(t, attr, "all", filepath.Join(dir, "back"), filepath.Join(dir, "mnt")).end()
	if strings.Contains(failure, "not available") && os.Getuid() != 0 {
		t.Skip(failure)
	}
	if failure != "" {
		t.Error(failure)
	}
	expectContent(t, filepath.Join(dir, "back", "x"), "x")
}

func BenchmarkAppendAndSync(b *testing.B) {
	f := mount(b, Config{})
	for _, place := range []struct{ name, dir string }{{"mounted", f.Dir()}, {"native", b.TempDir()}} {
		b.Run(place.name, func(b *testing.B) {
			file, err := os.Create(filepath.Join(place.dir, "log"))
			must(b, err)
			defer file.Close()
			for b.Loop() {
				_, err := file.Write(record(1))
				must(b, errors.Join(err, file.Sync()))
			}
		})
	}
}
