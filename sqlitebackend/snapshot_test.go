package sqlitebackend

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// The limit is specific to this backend: an open read transaction keeps the log
// from starting over.
func TestASnapshotHeldTooLongEndsWithAnError(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Process)
	c.SnapshotLimit = 20 * time.Millisecond
	s, d := openNotes(t, c)
	putNotes(t, s, 0, 3)
	snap, err := d.Begin(t.Context(), driver.Mode{})
	must(t, err)
	defer snap.Close()
	def := noteSchema.Driver().Tables[0]
	key := noteCommit(t, 1).Writes[0].Key
	if _, err := snap.Get(t.Context(), def, key); err != nil {
		t.Fatal(err)
	}
	var ended error
	waitFor(t, "the snapshot to end", func() bool {
		_, ended = snap.Get(t.Context(), def, key)
		return ended != nil
	})
	if !errors.Is(ended, driver.ErrUnavailable) {
		t.Errorf("got %v", ended)
	}
	if n, _ := countNotes(t, s); n != 3 {
		t.Errorf("%d notes in a new snapshot", n)
	}
}

// Snapshots that overlap all the time must not make the log grow for ever.
func TestTheLogStartsOverWhileSnapshotsComeAndGo(t *testing.T) {
	const limit = 64
	c := testConfig(t.TempDir(), driver.Process)
	c.logPages = limit
	s, _ := openNotes(t, c)
	putNotes(t, s, 0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				err := s.View(t.Context(), func(tx *repo.ReadTx) error {
					_, err := notes.Get(tx, noteOf(0).ID)
					time.Sleep(2 * time.Millisecond)
					return err
				})
				if err != nil {
					t.Errorf("view: %v", err)
				}
			}
		})
	}
	for i := range 40 {
		err := s.Update(t.Context(), func(tx *repo.Tx) error {
			for k := range looksEvery {
				if err := notes.Put(tx, noteOf(i*7+k)); err != nil {
					return err
				}
			}
			return nil
		})
		must(t, err)
	}
	cancel()
	readers.Wait()
	info, err := os.Stat(c.Path + "-wal")
	must(t, err)
	t.Logf("the log grew to %d pages", info.Size()/4096)
	if info.Size() > 4*limit*4096 {
		t.Errorf("the log grew to %d pages, though it is to start over at %d", info.Size()/4096, limit)
	}
}

// The revision of a snapshot is worked out without a query where that can be
// right. It must be, whatever commits at the same time.
func TestTheRevisionOfASnapshotIsThatOfItsState(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Process)
	s, d := openNotes(t, c)
	putNotes(t, s, 0, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := s.Update(t.Context(), func(tx *repo.Tx) error { return notes.Put(tx, noteOf(0)) }); err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	def := noteSchema.Driver().Tables[0]
	key := noteCommit(t, 0).Writes[0].Key
	reads := 0
	for ctx.Err() == nil {
		snap, err := d.Begin(t.Context(), driver.Mode{})
		must(t, err)
		row, err := snap.Get(t.Context(), def, key)
		must(t, err)
		// Every commit writes this row, so the last one is the revision.
		if rev := snap.Rev(); rev != row.Rev {
			t.Fatalf("the row was written at %d, the snapshot says %d", row.Rev, rev)
		}
		must(t, snap.Close())
		reads++
	}
	writers.Wait()
	if reads < 100 {
		t.Errorf("only %d reads", reads)
	}
}

// There are only so many regular sessions. Snapshots that wait for each other, as
// the closures of a program may, must not wait for ever.
func TestAnyNumberOfSnapshotsCanBeOpenAtATime(t *testing.T) {
	c := testConfig(t.TempDir(), driver.Process)
	s, d := openNotes(t, c)
	putNotes(t, s, 0, 1)
	def := noteSchema.Driver().Tables[0]
	key := noteCommit(t, 0).Writes[0].Key
	var open []driver.Snapshot
	for range 3 * maxRegular() {
		snap, err := d.Begin(t.Context(), driver.Mode{})
		must(t, err)
		if _, err = snap.Get(t.Context(), def, key); err != nil {
			t.Fatalf("snapshot %d: %v", len(open), err)
		}
		open = append(open, snap)
	}
	one, err := d.Begin(t.Context(), driver.Mode{})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience/5)
	defer cancel()
	if _, err := one.Get(ctx, def, key); !errors.Is(err, driver.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ends while all sessions are out: %v", err)
	}
	must(t, one.Close())
	for _, snap := range open {
		must(t, snap.Close())
	}
	if d.readers.extra != 0 || len(d.readers.slots) != 0 || len(d.readers.idle) > maxRegular() {
		t.Errorf("left over: %d extra, %d slots, %d idle", d.readers.extra, len(d.readers.slots), len(d.readers.idle))
	}
}

// SQLite keeps the state that a query reads for as long as the query is open, also
// beyond a ROLLBACK. A session with such a query would show old states for ever.
func TestASnapshotThatFailsToBeginLeavesNoQueryOpen(t *testing.T) {
	s, d := openNotes(t, testConfig(t.TempDir(), driver.Process))
	putNotes(t, s, 0, 3)
	rev, _ := d.visible.load()
	d.visible.set(rev - 1) // as if the latest commit were still under way
	d.visible.begin()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	snap, err := d.Begin(ctx, driver.Mode{})
	must(t, err)
	var failed error
	for _, err := range snap.Scan(ctx, driver.Span{Table: noteSchema.Driver().Tables[0]}) {
		failed = err
	}
	if !errors.Is(failed, context.DeadlineExceeded) {
		t.Fatalf("a scan of a commit that cannot be shown yet: %v", failed)
	}
	must(t, snap.Close())
	d.visible.set(rev)
	putNotes(t, s, 3, 6)
	for range 2 * maxRegular() {
		if n, rev := countNotes(t, s); n != 6 {
			t.Fatalf("%d notes at revision %d, want 6", n, rev)
		}
	}
}
