package sqlitebackend

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"trihold/repo/driver"
)

// fenceOf is the write of a fence.
func fenceOf(t testing.TB, s *driver.Schema, rev driver.Rev, closed bool) driver.Write {
	t.Helper()
	w, err := s.PutState(driver.FenceRow, driver.Fence{By: "m1", To: "sqlite:new.db", Closed: closed}, rev)
	must(t, err)
	return w
}

// changesOf are n changes of another store, whose IDs tell their revisions.
func changesOf(first driver.Rev, n int) *driver.Load {
	l := &driver.Load{}
	for i := range n {
		rev := first + driver.Rev(i)
		l.Changes = append(l.Changes, driver.Change{Rev: rev, ID: driver.CommitID{0xF0, byte(rev >> 8), byte(rev)}})
	}
	return l
}

// loadedNotes is a load of notes that have the revision of its last change.
func loadedNotes(t testing.TB, s *driver.Schema, load *driver.Load, from, to int) *driver.Commit {
	t.Helper()
	rev := load.Changes[len(load.Changes)-1].Rev
	c := &driver.Commit{Writes: []driver.Write{fenceOf(t, s, rev, false)}, Load: load}
	for i := from; i < to; i++ {
		w := noteCommit(t, i).Writes[0]
		w.Table, w.Rev = s.Tables[0], rev
		c.Writes = append(c.Writes, w)
	}
	return c
}

func openDriver(t testing.TB, c Config, schema *driver.Schema) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.Prepare(t.Context(), schema))
	return s
}

// What the writer keeps in memory about a load must be what it finds in the file.
func TestALoadedStoreIsTheSameAfterReopening(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Process)
	s := openDriver(t, c, noteSchema.Driver())
	if rev, err := s.Commit(t.Context(), loadedNotes(t, noteSchema.Driver(), changesOf(1001, 300), 0, 40)); err != nil || rev != 1300 {
		t.Fatalf("the load: revision %d, %v", rev, err)
	}
	closing := fenceOf(t, noteSchema.Driver(), 1300, true)
	if rev, err := s.Commit(t.Context(), &driver.Commit{Writes: []driver.Write{closing}, Load: &driver.Load{}}); err != nil || rev != 1300 {
		t.Fatalf("closing: revision %d, %v", rev, err)
	}
	checkMoved(t, s)
	must(t, s.Close())
	s = openDriver(t, c, nil)
	checkMoved(t, s)
	st, err := s.Status(t.Context())
	must(t, err)
	if _, err := s.Commit(t.Context(), &driver.Commit{Writes: []driver.Write{st.Schema.DeleteState(driver.FenceRow)}, Load: &driver.Load{}}); err != nil {
		t.Fatalf("reopening the store: %v", err)
	}
	again := noteCommit(t, 1)
	again.Writes[0].Table = st.Schema.Tables[0]
	if rev, err := s.Commit(t.Context(), again); err != nil || rev != 1301 {
		t.Errorf("the next commit: revision %d, %v", rev, err)
	}
	if n := len(rowsOf(t, s, st.Schema.Tables[0])); n != 40 {
		t.Errorf("%d notes, 40 were loaded", n)
	}
}

// checkMoved checks a store that was closed at revision 1300 and retains 300
// changes.
func checkMoved(t *testing.T, s *Store) {
	t.Helper()
	st, err := s.Status(t.Context())
	must(t, err)
	if st.Rev != 1300 || st.Oldest != 1000 || st.Free <= 0 || st.Schema.Describe() != noteSchema.Driver().Describe() {
		t.Errorf("status %+v", st)
	}
	if s.writer.history.rows != 300 {
		t.Errorf("%d changes are counted", s.writer.history.rows)
	}
	if _, err := s.Begin(t.Context(), driver.Mode{}); !errors.Is(err, driver.ErrMoved) || !strings.Contains(err.Error(), "sqlite:new.db") {
		t.Errorf("begin: %v", err)
	}
	snap, err := s.Begin(t.Context(), driver.Mode{Closed: true})
	must(t, err)
	defer snap.Close()
	var f driver.Fence
	if rev, err := st.Schema.ReadState(t.Context(), snap, driver.FenceRow, &f); err != nil || rev != 1300 || !f.Closed {
		t.Errorf("the fence is %+v of revision %d, %v", f, rev, err)
	}
	if rev, err := s.Commit(t.Context(), &driver.Commit{ID: changesOf(1234, 1).Changes[0].ID}); err != nil || rev != 1234 {
		t.Errorf("a commit that came in by the load: revision %d, %v", rev, err)
	}
	if _, err := s.Commit(t.Context(), commitOf(1)); !errors.Is(err, driver.ErrMoved) {
		t.Errorf("a commit: %v", err)
	}
	for _, err := range s.Changes(t.Context(), 0) {
		if !errors.Is(err, driver.ErrCompacted) {
			t.Errorf("changes from the beginning: %v", err)
		}
		break
	}
	next := driver.Rev(1001)
	for c, err := range s.Changes(t.Context(), 1000) {
		must(t, err)
		if c.Rev != next {
			t.Fatalf("change %d, want %d", c.Rev, next)
		}
		if next++; next > 1300 {
			break
		}
	}
}

func TestChangesFollowALoad(t *testing.T) {
	s := openDriver(t, testConfig(t.TempDir(), driver.Process), noteSchema.Driver())
	if _, err := s.Commit(t.Context(), loadedNotes(t, noteSchema.Driver(), changesOf(50, 1), 0, 1)); err != nil {
		t.Fatal(err)
	}
	seen := make(chan driver.Rev)
	go func() {
		for c := range s.Changes(t.Context(), 50) {
			seen <- c.Rev
			return
		}
	}()
	time.Sleep(10 * time.Millisecond) // it waits by now, or soon
	if _, err := s.Commit(t.Context(), loadedNotes(t, noteSchema.Driver(), changesOf(51, 1), 1, 2)); err != nil {
		t.Fatal(err)
	}
	if rev := <-seen; rev != 51 {
		t.Errorf("change %d, want 51", rev)
	}
}

func TestAFenceRefusesWhatIsBehindItInTheBatch(t *testing.T) {
	s, closeStore := stopped(t, t.TempDir())
	defer func() { must(t, closeStore()) }()
	put := func(id byte) *driver.Commit { return commitOf(id, write(driver.Put, plainTable, &note{ID: "x"})) }
	fence := commitOf(3, fenceOf(t, batchSchema.Driver(), 0, false))
	load := &driver.Commit{Load: changesOf(4, 2)}
	reopen := &driver.Commit{Writes: []driver.Write{batchSchema.Driver().DeleteState(driver.FenceRow)}, Load: &driver.Load{}}
	revs, errs := commitTogether(s, put(1), put(2), fence, put(4), put(2), fence, load, put(4), reopen, put(4))
	want := []error{nil, nil, nil, driver.ErrMoved, nil, nil, nil, driver.ErrMoved, nil, nil}
	for i := range want {
		if !errors.Is(errs[i], want[i]) {
			t.Errorf("commit %d: got %v, want %v", i, errs[i], want[i])
		}
	}
	if got := fmt.Sprint(revs); got != "[1 2 3 0 2 3 5 0 5 6]" {
		t.Errorf("revisions %s", got)
	}
}

func TestAFenceThatFailedIsNotThere(t *testing.T) {
	s, closeStore := stopped(t, t.TempDir())
	defer func() { must(t, closeStore()) }()
	must(t, s.writer.session.exec(`CREATE TRIGGER broken BEFORE INSERT ON "_trihold_state" BEGIN SELECT RAISE(ABORT, 'broken'); END`))
	put := commitOf(1, write(driver.Put, plainTable, &note{ID: "x"}))
	revs, errs := commitTogether(s, commitOf(2, fenceOf(t, batchSchema.Driver(), 0, true)), put)
	if errs[0] == nil || errs[1] != nil || revs[1] != 1 {
		t.Errorf("%v, %v", revs, errs)
	}
	if _, err := s.Begin(t.Context(), driver.Mode{}); err != nil {
		t.Errorf("begin: %v", err)
	}
	must(t, s.writer.session.exec(`CREATE TRIGGER late BEFORE INSERT ON "_trihold_changes" BEGIN SELECT RAISE(ABORT, 'late'); END`))
	must(t, s.writer.session.exec(`DROP TRIGGER broken`))
	if _, errs := commitTogether(s, commitOf(3, fenceOf(t, batchSchema.Driver(), 0, true))); errs[0] == nil {
		t.Error("the fence is committed without its change")
	}
	must(t, s.writer.session.exec(`DROP TRIGGER late`))
	if revs, errs := commitTogether(s, commitOf(4)); errs[0] != nil || revs[0] != 2 {
		t.Errorf("after the failure: %v, %v", revs, errs)
	}
}

// A load may change rows without a new revision.
func TestAReadBeforeALoadIsLookedAtAfterIt(t *testing.T) {
	s, closeStore := stopped(t, t.TempDir())
	defer func() { must(t, closeStore()) }()
	put := write(driver.Put, plainTable, &note{ID: "x"})
	must(t, second(commitTogether(s, commitOf(1, write(driver.Put, plainTable, &note{ID: "y"}), fenceOf(t, batchSchema.Driver(), 0, false))))[0])
	loaded := put
	loaded.Rev = 1
	reopen := batchSchema.Driver().DeleteState(driver.FenceRow)
	must(t, second(commitTogether(s, &driver.Commit{Writes: []driver.Write{loaded, reopen}, Load: &driver.Load{}}))[0])
	reads := func(id byte) *driver.Commit {
		c := commitOf(id, put)
		c.Read, c.Checks.Rows = 1, []driver.RowCheck{{Table: plainTable, Key: put.Key}}
		return c
	}
	broken := commitOf(2, fenceOf(t, batchSchema.Driver(), 0, false))
	must(t, s.writer.session.exec(`CREATE TRIGGER broken BEFORE INSERT ON "_trihold_state" BEGIN SELECT RAISE(ABORT, 'broken'); END`))
	_, errs := commitTogether(s, reads(3), broken, reads(4))
	if !errors.Is(errs[0], driver.ErrConflict) || errs[1] == nil || !errors.Is(errs[2], driver.ErrConflict) {
		t.Errorf("got %v", errs)
	}
}

func TestAStoreThatIsNotThereHasNoSchema(t *testing.T) {
	for _, class := range []driver.Class{driver.Disk, driver.Replica} {
		dir := t.TempDir()
		s, err := Open(t.Context(), testConfig(dir, class))
		must(t, err)
		if err := s.Prepare(t.Context(), nil); !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), "nothing is stored there yet") {
			t.Errorf("prepare: %v", err)
		}
		must(t, s.Close())
		if _, err := os.Stat(s.config.Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it made a file: %v", err)
		}
	}
}

// makeOld takes from a database file what was added since the first version.
func makeOld(t testing.TB, path string) {
	t.Helper()
	db := sqlx.MustOpen("sqlite", dsn(path))
	for _, text := range []string{`DROP TRIGGER "_trihold_fence"`, `DROP TABLE "_trihold_state"`, `DROP VIEW "_trihold_load"`} {
		_, err := db.Exec(text)
		must(t, err)
	}
	must(t, db.Close())
}

func TestAStoreOfThePreviousVersionGetsAState(t *testing.T) {
	for _, class := range []driver.Class{driver.Disk, driver.Replica} {
		c := testConfig(t.TempDir(), class)
		s, d := openNotes(t, c)
		putNotes(t, s, 0, 3)
		must(t, d.Close())
		makeOld(t, c.Path)
		again := openDriver(t, c, noteSchema.Driver())
		if rev, err := again.Commit(t.Context(), commitOf(9, fenceOf(t, noteSchema.Driver(), 0, false))); err != nil || rev != 4 {
			t.Errorf("the fence: revision %d, %v", rev, err)
		}
		must(t, again.Close())
		if class == driver.Replica {
			loseMachine(t, c)
		}
		if last := openDriver(t, c, nil); last.writer.fence == nil {
			t.Error("the fence is not there after reopening")
		}
	}
}

func TestAReplicaOfThePreviousVersionIsRestored(t *testing.T) {
	dir := t.TempDir()
	plain, c := testConfig(dir, driver.Disk), testConfig(dir, driver.Replica)
	s, d := openNotes(t, plain)
	putNotes(t, s, 0, 3)
	must(t, d.Close())
	makeOld(t, plain.Path)
	full, err := c.complete()
	must(t, err)
	r, err := newReplica(full)
	must(t, err)
	must(t, r.open(t.Context()))
	must(t, r.close())
	loseMachine(t, c)
	if n := len(rowsOf(t, openDriver(t, c, noteSchema.Driver()), noteSchema.Driver().Tables[0])); n != 3 {
		t.Errorf("%d notes are restored, 3 were there", n)
	}
}

// A fence must hold after a restore, whose commit of nothing comes behind it.
func TestARestoredStoreStaysFenced(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Replica)
	s := openDriver(t, c, noteSchema.Driver())
	if _, err := s.Commit(t.Context(), loadedNotes(t, noteSchema.Driver(), changesOf(101, 3), 0, 5)); err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimPrefix(c.Replica, "file://")
	must(t, os.CopyFS(dir+"-then", os.DirFS(dir))) // before Close can send more
	must(t, s.Close())
	loseMachine(t, c)
	must(t, os.RemoveAll(dir))
	must(t, os.Rename(dir+"-then", dir))
	s = openDriver(t, c, nil)
	st, err := s.Status(t.Context())
	must(t, err)
	if want := driver.Rev(103 + restoreGap); st.Rev != want || st.Oldest != 100 {
		t.Errorf("revision %d, oldest %d", st.Rev, st.Oldest)
	}
	if n := len(rowsOf(t, s, st.Schema.Tables[0])); n != 5 {
		t.Errorf("%d notes, 5 were loaded", n)
	}
	if _, err := s.Commit(t.Context(), commitOf(1)); !errors.Is(err, driver.ErrMoved) {
		t.Errorf("a commit: %v", err)
	}
	snap, err := s.Begin(t.Context(), driver.Mode{})
	must(t, err)
	defer snap.Close()
	if rev, err := st.Schema.ReadState(t.Context(), snap, driver.FenceRow, &driver.Fence{}); err != nil || rev != st.Rev {
		t.Errorf("the fence is at %d, the store at %d: %v", rev, st.Rev, err)
	}
}
