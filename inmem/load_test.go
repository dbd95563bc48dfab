package inmem

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

// These tests are about what loads leave on the disk. What loads do is in the
// conformance suite.

// loadChange returns a change of the origin at a revision.
func loadChange(rev driver.Rev) driver.Change {
	w := noteWrite(int64(rev))
	return driver.Change{Rev: rev, ID: driver.CommitID{0xfe, byte(rev), byte(rev >> 8)}, Keys: []driver.ChangedKey{{Table: w.Table, Key: w.Key}}}
}

// noteRow returns the write of a row as it is in the origin.
func noteRow(id int64, text string, rev driver.Rev) driver.Write {
	t := noteSchema.Driver().Tables[0]
	n := &note{ID: id, Text: text}
	return driver.Write{Kind: driver.Put, Table: t, Key: driver.Key(t.AppendKey(nil, 0, n)), Data: t.Encode(nil, n), Rev: rev}
}

// putFence returns the write of a fence.
func putFence(t *testing.T, f driver.Fence, rev driver.Rev) driver.Write {
	t.Helper()
	w, err := noteSchema.Driver().PutState(driver.FenceRow, f, rev)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// mustLoad loads writes and the changes with revisions from first to last.
func mustLoad(t *testing.T, s driver.Store, first, last driver.Rev, writes ...driver.Write) {
	t.Helper()
	l := &driver.Load{}
	for rev := first; rev <= last && first > 0; rev++ {
		l.Changes = append(l.Changes, loadChange(rev))
	}
	if _, err := s.Commit(t.Context(), &driver.Commit{Load: l, Writes: writes}); err != nil {
		t.Fatalf("load of %d to %d: %v", first, last, err)
	}
}

// content returns all that a store shows, as text.
func content(t *testing.T, s driver.Store) string {
	t.Helper()
	var b strings.Builder
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "at %d, changes after %d\n", st.Rev, st.Oldest)
	snap, err := s.Begin(t.Context(), driver.Mode{Closed: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range st.Schema.Stored() {
		for order := range 1 + len(table.Indices) {
			for row, err := range snap.Scan(t.Context(), driver.Span{Table: table, Order: order}) {
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s %d: %d %q\n", table.Name, order, row.Rev, row.Canonical(nil, table))
			}
		}
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	if st.Rev > st.Oldest {
		for c, err := range s.Changes(t.Context(), st.Oldest) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "change %d %s", c.Rev, c.ID)
			for _, k := range c.Keys {
				fmt.Fprintf(&b, " %s %q %v", k.Table.Name, string(k.Key), k.Deleted)
			}
			b.WriteByte('\n')
			if c.Rev == st.Rev {
				break
			}
		}
	}
	fmt.Fprintf(&b, "fence %+v", s.(*Store).published.Load().fence)
	return b.String()
}

func openDriver(t *testing.T, c Config, schema *driver.Schema) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	return s
}

// loadAll fills an empty store with loads of all sorts.
func loadAll(t *testing.T, s driver.Store) {
	t.Helper()
	mustLoad(t, s, 0, 0, putFence(t, driver.Fence{Closed: true, By: "m"}, 1))
	for id := range int64(40) {
		mustLoad(t, s, 0, 0, noteRow(id, fmt.Sprint("row ", id, strings.Repeat("z", 500)), 500))
	}
	mustLoad(t, s, 499, 501, noteRow(1, "older", 499), noteRow(2, "newer", 501), noteRow(3, fmt.Sprint("row ", 4, strings.Repeat("z", 500)), 501))
	remove := noteRow(5, "", 0)
	remove.Kind, remove.Data, remove.Rev = driver.Delete, nil, 0
	mustLoad(t, s, 502, 502, remove, putFence(t, driver.Fence{Closed: true, To: "elsewhere", By: "m"}, 502))
	mustLoad(t, s, 503, 510)
}

func TestLoadsAreRecoveredAfterALossOfPower(t *testing.T) {
	for _, snapshotBytes := range []int64{1 << 40, 1} { // from the log, and from snapshots
		disk := simdisk.New(simdisk.Config{})
		c := powerConfig(disk)
		c.SnapshotBytes = snapshotBytes
		s := openDriver(t, c, noteSchema.Driver())
		loadAll(t, s)
		want := content(t, s)
		if !strings.Contains(want, "at 510, changes after 498\n") {
			t.Fatal(want)
		}
		for _, schema := range []*driver.Schema{nil, noteSchema.Driver()} {
			disk.Crash()
			cutPower(disk)
			_ = s.Close()
			s = openDriver(t, c, schema)
			if got := content(t, s); got != want {
				t.Fatalf("snapshots after %d bytes: recovered\n%s\nwant\n%s", snapshotBytes, got, want)
			}
		}
		if rev, err := s.Commit(t.Context(), &driver.Commit{ID: loadChange(505).ID, Writes: []driver.Write{noteWrite(1)}}); rev != 505 || err != nil {
			t.Errorf("a loaded commit is sent again: revision %d, %v", rev, err)
		}
		mustLoad(t, s, 0, 0, noteSchema.Driver().DeleteState(driver.FenceRow))
		if rev, err := s.Commit(t.Context(), &driver.Commit{ID: driver.CommitID{1}, Writes: []driver.Write{noteWrite(1)}}); rev != 511 || err != nil {
			t.Errorf("commit to the reopened store: revision %d, %v", rev, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAStoreWhoseLogIsGoneIsRecoveredFromASnapshotOfLoads(t *testing.T) {
	dir := t.TempDir()
	s := openDriver(t, Config{Dir: dir, Class: driver.Process, SegmentBytes: 32 << 10, SnapshotBytes: 8 << 10}, noteSchema.Driver())
	mustLoad(t, s, 0, 0, putFence(t, driver.Fence{By: "m"}, 1))
	for id := range int64(400) { // none of which raises the revision
		mustLoad(t, s, 0, 0, noteRow(id, fmt.Sprint("row ", id, strings.Repeat("z", 500)), 7))
	}
	want := content(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	snaps, err := filepath.Glob(filepath.Join(dir, snapshotDir, "*"+snapSuffix))
	if err != nil || len(snaps) != keptSnapshots {
		t.Fatalf("snapshots %v, %v", snaps, err)
	}
	if slices.Contains(filesOf(t, dir), filepath.Join(logDir, "0000000000000001.log")) {
		t.Error("the log is kept from its beginning, though the snapshots hold it")
	}
	flip(t, snaps[1])
	s = openDriver(t, Config{Dir: dir, Class: driver.Process, SnapshotBytes: 1 << 40, Logger: quiet}, nil)
	if got := content(t, s); got != want {
		t.Errorf("recovered\n%s\nwant\n%s", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestALoadThatCouldNotBeWrittenLeavesNothing(t *testing.T) {
	disk := &faultFS{}
	s := openDriver(t, Config{Dir: t.TempDir(), FS: disk, Class: driver.Process, SegmentBytes: 32 << 10, Logger: quiet}, noteSchema.Driver())
	mustLoad(t, s, 0, 0, putFence(t, driver.Fence{By: "m"}, 1))
	disk.failCreate.Store(true)
	failed := false
	id := int64(0)
	for ; !failed && id < 1000; id++ {
		before := content(t, s)
		l := &driver.Load{}
		if id >= 5 { // the spare segments take a few
			l.Changes = []driver.Change{loadChange(driver.Rev(100 + id))}
		}
		_, err := s.Commit(t.Context(), &driver.Commit{Load: l, Writes: []driver.Write{noteRow(id, fmt.Sprint(id, strings.Repeat("z", 4000)), 200)}})
		if failed = errors.Is(err, driver.ErrUnavailable); failed && content(t, s) != before {
			t.Errorf("after the failed load\n%s\nwant\n%s", content(t, s), before)
		}
	}
	if !failed {
		t.Fatal("the disk never filled up")
	}
	disk.failCreate.Store(false)
	again := &driver.Commit{Load: &driver.Load{Changes: []driver.Change{loadChange(driver.Rev(100 + id - 1))}}}
	for try := 0; ; try++ { // the preparation under way may still fail
		if rev, err := s.Commit(t.Context(), again); err == nil {
			if rev != driver.Rev(100+id-1) {
				t.Errorf("the load is sent again: revision %d", rev)
			}
			break
		} else if try == 10 {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A load leaves the revision as it is, so the revision of a snapshot does not tell
// what was read before the load and what after it.
func TestACommitThatReadBeforeALoadIsChecked(t *testing.T) {
	s := openDriver(t, Config{Class: driver.Memory}, noteSchema.Driver())
	ctx := t.Context()
	w := noteRow(1, "one", 0)
	if _, err := s.Commit(ctx, &driver.Commit{ID: driver.CommitID{1}, Writes: []driver.Write{w}}); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, s, 0, 0, putFence(t, driver.Fence{By: "m"}, 1), driver.Write{Kind: driver.Delete, Table: w.Table, Key: w.Key})
	mustLoad(t, s, 0, 0, noteSchema.Driver().DeleteState(driver.FenceRow))
	stale := &driver.Commit{ID: driver.CommitID{2}, Read: 1, Writes: []driver.Write{noteRow(2, "two", 0)},
		Checks: driver.Checks{Rows: []driver.RowCheck{{Table: w.Table, Key: w.Key, Rev: 1}}}}
	if _, err := s.Commit(ctx, stale); !errors.Is(err, driver.ErrConflict) {
		t.Errorf("commit that read a row which a load deleted: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestALoadThatDoesNotFitIntoTheLogIsTooLarge(t *testing.T) {
	s := openDriver(t, Config{Dir: t.TempDir(), SegmentBytes: 32 << 10}, noteSchema.Driver())
	l := &driver.Load{}
	for rev := driver.Rev(1); rev <= 1000; rev++ {
		l.Changes = append(l.Changes, loadChange(rev))
	}
	_, err := s.Commit(t.Context(), &driver.Commit{Load: l, Writes: []driver.Write{putFence(t, driver.Fence{By: "m"}, 1)}})
	if !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("a load of %d changes: %v", len(l.Changes), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyStoreHasNoSchema(t *testing.T) {
	for _, c := range []Config{{Class: driver.Memory}, {Dir: t.TempDir()}} {
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Prepare(context.Background(), nil); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("prepare of an empty store without a schema: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAFenceThatIsPutUpByACommitIsRecovered(t *testing.T) {
	c := Config{Dir: t.TempDir()}
	s := openNotes(t, c)
	if err := addNotes(t.Context(), s, 0, 3); err != nil {
		t.Fatal(err)
	}
	fence := &driver.Commit{ID: driver.CommitID{9}, Writes: []driver.Write{putFence(t, driver.Fence{To: "x", By: "m"}, 0)}}
	if rev, err := s.Driver().Commit(t.Context(), fence); rev != 4 || err != nil {
		t.Fatalf("the fence has revision %d, %v", rev, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openNotes(t, c)
	if err := addNotes(t.Context(), s, 3, 4); !errors.Is(err, repo.ErrMoved) {
		t.Errorf("commit behind the fence: %v", err)
	}
	if rev, err := s.Driver().Commit(t.Context(), fence); rev != 4 || err != nil {
		t.Errorf("the fence is sent again: revision %d, %v", rev, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
