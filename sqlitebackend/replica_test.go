package sqlitebackend

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/superfly/ltx"

	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// What a replica is good for is specific to this backend.

// loseMachine removes all of a store but its replica.
func loseMachine(t testing.TB, c Config) {
	t.Helper()
	must(t, removeDatabase(c.Path))
	must(t, os.RemoveAll(localStateOf(c)))
}

func localStateOf(c Config) string {
	return filepath.Join(filepath.Dir(c.Path), "."+filepath.Base(c.Path)+"-litestream")
}

func TestALostMachineLosesNothingInClassReplica(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	repotest.Crash(t, rounds, func(ctx context.Context, dir string) (driver.Store, error) {
		c := testConfig(dir, driver.Replica)
		if os.Getenv("TRIHOLD_CRASH_DIR") == "" { // the process was killed: now its disk is lost
			if err := errors.Join(removeDatabase(c.Path), os.RemoveAll(localStateOf(c))); err != nil {
				return nil, err
			}
		}
		return Open(ctx, c)
	})
}

// asyncConfig is a store with a replica that is only written when asked for or at
// the end.
func asyncConfig(t testing.TB) Config {
	t.Helper()
	c := testConfig(t.TempDir(), driver.Replica)
	c.Class, c.SyncInterval = driver.Disk, time.Hour
	return c
}

func TestARestoredStoreNeverRepeatsARevision(t *testing.T) {
	c := asyncConfig(t)
	lost := losesCommits(t, c, 10, 20)
	s, _ := openNotes(t, c)
	n, rev := countNotes(t, s)
	if n != 10 {
		t.Errorf("%d notes are there, 10 were replicated", n)
	}
	if rev <= lost {
		t.Errorf("the restored store is at revision %d, the lost one was at %d", rev, lost)
	}
	putNotes(t, s, 30, 31)
	if _, next := countNotes(t, s); next != rev+1 {
		t.Errorf("the next revision is %d, after %d", next, rev)
	}
}

// losesCommits makes a store with so many notes, of which so many reached the
// replica, and loses all but the replica. It returns the last revision.
func losesCommits(t *testing.T, c Config, replicated, all int) repo.Rev {
	t.Helper()
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, replicated)
	must(t, s.Close())
	dir := strings.TrimPrefix(c.Replica, "file://")
	must(t, os.CopyFS(dir+"-then", os.DirFS(dir)))
	s, _ = openNotes(t, c)
	putNotes(t, s, replicated, all)
	_, rev := countNotes(t, s)
	must(t, s.Close())
	loseMachine(t, c)
	must(t, os.RemoveAll(dir))
	must(t, os.Rename(dir+"-then", dir))
	return rev
}

func TestChangesRefusesARevisionThatWasLost(t *testing.T) {
	c := asyncConfig(t)
	losesCommits(t, c, 10, 20)
	s, restored := openNotes(t, c)
	putNotes(t, s, 20, 22)
	for _, err := range restored.Changes(t.Context(), 15) {
		if !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("after a lost revision: got %v", err)
		}
		break
	}
	var keys int
	for change, err := range restored.Changes(t.Context(), 10) {
		must(t, err)
		if keys += len(change.Keys); keys == 2 {
			break
		}
	}
}

func TestAFileThatIsBehindItsReplicaIsRefused(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 5)
	must(t, s.Close())
	old, err := os.ReadFile(c.Path)
	must(t, err)
	s, _ = openNotes(t, c)
	putNotes(t, s, 5, 10)
	must(t, s.Close())
	loseMachine(t, c)
	must(t, os.WriteFile(c.Path, old, 0o644))

	d, err := Open(t.Context(), c)
	must(t, err)
	_, err = repo.New(t.Context(), d, noteSchema)
	if !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "move it away") {
		t.Fatalf("an old file opens: %v", err)
	}
	must(t, os.Rename(c.Path, c.Path+".old")) // the remedy
	s, _ = openNotes(t, c)
	if n, _ := countNotes(t, s); n != 10 {
		t.Errorf("%d notes after the restore, want 10", n)
	}
}

// A local file with the same content but without Litestream's state is not old.
func TestAFileAsNewAsItsReplicaIsTaken(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 5)
	must(t, s.Close())
	must(t, os.RemoveAll(localStateOf(c)))
	s, _ = openNotes(t, c)
	putNotes(t, s, 5, 6)
	must(t, s.Close())
	loseMachine(t, c)
	s, _ = openNotes(t, c)
	if n, _ := countNotes(t, s); n != 6 {
		t.Errorf("%d notes after the restore, want 6", n)
	}
}

func TestAnEmptyReplicaOfALostDatabaseIsRefused(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 5)
	must(t, s.Close())
	must(t, removeDatabase(c.Path))
	c.Replica += "-mistyped"
	d, err := Open(t.Context(), c)
	must(t, err)
	_, err = repo.New(t.Context(), d, noteSchema)
	if !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), "is empty although") {
		t.Errorf("a store without its data opens: %v", err)
	}
	if _, err := os.Stat(c.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a database was made: %v", err)
	}
}

func TestAReplicaOfAnotherSchemaIsNotRestored(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	s, _ := openNotes(t, c)
	must(t, s.Close())
	loseMachine(t, c)
	d, err := Open(t.Context(), c)
	must(t, err)
	_, err = repo.New(t.Context(), d, repo.NewSchema())
	if !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if left := listDir(t, filepath.Dir(c.Path)); left != "replica(4096)" {
		t.Errorf("left behind: %s", left)
	}
}

func TestWithoutItsReplicaClassReplicaRefusesWritesAndRecovers(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	hide, unhide := linkReplica(t, c)
	s, d := openNotes(t, c)
	putNotes(t, s, 0, 5)
	hide()

	lost := noteCommit(t, 5)
	if _, err := d.Commit(t.Context(), lost); !errors.Is(err, driver.ErrUncertain) {
		t.Fatalf("the first commit after the replica is gone: %v", err)
	}
	_, err := d.Commit(t.Context(), noteCommit(t, 6))
	if !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), c.Replica) {
		t.Fatalf("the next commit: %v", err)
	}
	if n, _ := countNotes(t, s); n < 5 {
		t.Errorf("%d notes can be read, want at least 5", n)
	}
	unhide()
	deadline := time.Now().Add(10 * time.Second)
	var rev driver.Rev
	for {
		if rev, err = d.Commit(t.Context(), lost); err == nil || time.Now().After(deadline) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil || rev != 6 {
		t.Fatalf("the uncertain commit sent again: revision %d, %v; want 6", rev, err)
	}
	putNotes(t, s, 6, 8)
	must(t, s.Close())
	loseMachine(t, c)
	s, _ = openNotes(t, c)
	if n, _ := countNotes(t, s); n != 8 {
		t.Errorf("%d notes after the restore, want 8", n)
	}
}

func TestWithoutItsReplicaClassDiskGoesOn(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	c.Class, c.SyncInterval = driver.Disk, time.Millisecond
	hide, unhide := linkReplica(t, c)
	s, d := openNotes(t, c)
	putNotes(t, s, 0, 5)
	hide()
	putNotes(t, s, 5, 10)
	time.Sleep(2 * retryInterval)
	putNotes(t, s, 10, 15)
	unhide()
	waitFor(t, "the replica to catch up", func() bool {
		local, err := d.replica.db.Pos()
		must(t, err)
		return d.replica.db.Replica.Pos() == ltx.Pos{TXID: local.TXID}
	})
	must(t, s.Close())
	loseMachine(t, c)
	s, _ = openNotes(t, c)
	if n, _ := countNotes(t, s); n != 15 {
		t.Errorf("%d notes after the restore, want 15", n)
	}
}

// linkReplica makes the replica's directory a symbolic link, so that it can be
// pointed to something unusable, and back, at one stroke.
func linkReplica(t *testing.T, c Config) (hide, unhide func()) {
	t.Helper()
	dir := strings.TrimPrefix(c.Replica, "file://")
	point := func(to string) {
		must(t, os.Symlink(to, dir+"-next"))
		must(t, os.Rename(dir+"-next", dir))
	}
	must(t, os.Mkdir(dir+"-real", 0o755))
	must(t, os.WriteFile(dir+"-unusable", nil, 0o644))
	point(dir + "-real")
	return func() { point(dir + "-unusable") }, func() { point(dir + "-real") }
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// noteCommit puts one note, without reading anything.
func noteCommit(t testing.TB, i int) *driver.Commit {
	t.Helper()
	def := noteSchema.Driver().Tables[0]
	n := noteOf(i)
	return &driver.Commit{ID: driver.CommitID{byte(i), byte(i >> 8), byte(i >> 16), 1}, Writes: []driver.Write{{
		Kind: driver.Put, Table: def, Key: driver.Key(def.AppendKey(nil, 0, &n)), Data: def.Encode(nil, &n),
	}}}
}

// A writer that never pauses must neither starve the replica nor let the log
// grow.
func TestAHotWriterKeepsReplicaAndLogShort(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	c.Class, c.SyncInterval = driver.Process, 100*time.Millisecond
	s, d := openNotes(t, c)
	var longest int64
	var behind time.Duration
	stop := time.Now().Add(3 * time.Second)
	for i := 0; time.Now().Before(stop); i += 100 {
		err := s.Update(t.Context(), func(tx *repo.Tx) error {
			for k := range 100 {
				if err := notes.Put(tx, noteOf(i+k)); err != nil {
					return err
				}
			}
			return nil
		})
		must(t, err)
		if info, err := os.Stat(c.Path + "-wal"); err == nil {
			longest = max(longest, info.Size())
		}
		behind = max(behind, time.Since(d.replica.db.LastSuccessfulSyncAt()))
	}
	t.Logf("the log grew to %d MiB, the replica was behind by up to %v", longest>>20, behind)
	if longest > 32<<20 {
		t.Errorf("the log grew to %d bytes", longest)
	}
	if behind > 20*c.SyncInterval {
		t.Errorf("the replica was behind by %v", behind)
	}
}

func TestADamagedReplicaIsCorruptAndNotRestored(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 50)
	must(t, s.Close())
	loseMachine(t, c)
	damaged := 0
	must(t, filepath.WalkDir(strings.TrimPrefix(c.Replica, "file://"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || len(content) == 0 {
			return err
		}
		damaged++
		content[len(content)/2] ^= 1
		return os.WriteFile(path, content, 0o644)
	}))
	if damaged == 0 {
		t.Fatal("there was nothing to damage")
	}
	d, err := Open(t.Context(), c)
	must(t, err)
	if err := d.Prepare(t.Context(), noteSchema.Driver()); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("prepare: %v, want ErrCorrupt", err)
	}
	must(t, d.Close())
	if _, err := os.Stat(c.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was restored: %v", err)
	}
}

// SQLite itself would remove the log and begin anew.
func TestALogWithoutItsDatabaseIsRefusedAndKept(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Disk)
	log := c.Path + "-wal"
	must(t, os.WriteFile(log, []byte("what a lost database has left"), 0o644))
	d, err := Open(t.Context(), c)
	must(t, err)
	if err := d.Prepare(t.Context(), noteSchema.Driver()); !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), log) {
		t.Errorf("prepare: %v, want ErrCorrupt that names the log", err)
	}
	must(t, d.Close())
	if _, err := os.Stat(log); err != nil {
		t.Errorf("the log: %v", err)
	}
}
