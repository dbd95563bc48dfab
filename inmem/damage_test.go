package inmem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"trihold/internal/vfs"
	"trihold/repo"
	"trihold/repo/driver"
)

// These tests are about the files of this backend, so they are not part of the
// conformance suite.

type note struct {
	ID   int64  `db:"id"`
	Text string `db:"text"`
	Even bool   `db:"even"`
}

var (
	notes       = repo.NewTable("note", func(n *note) *int64 { return &n.ID })
	notesByText = repo.NewUnique1(notes, func(n *note) *string { return &n.Text })
	notesByEven = repo.NewIndex1(notes, func(n *note) *bool { return &n.Even })
	noteSchema  = repo.NewSchema(notes, notesByText, notesByEven)
)

func addNotes(ctx context.Context, s *repo.Store, from, to int64) error {
	for id := from; id < to; id++ {
		err := s.Update(ctx, func(tx *repo.Tx) error {
			return notes.Put(tx, note{ID: id, Text: fmt.Sprintf("note %d %s", id, strings.Repeat("x", int(id%50))), Even: id%2 == 0})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// quiet is for tests in which warnings are expected.
var quiet = slog.New(slog.DiscardHandler)

func openNotes(t testing.TB, c Config) *repo.Store {
	t.Helper()
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := repo.New(t.Context(), d, noteSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// storeWithSnapshots makes a store with snapshot files and log behind them, and
// returns its digest.
func storeWithSnapshots(t *testing.T, dir string) string {
	t.Helper()
	c := Config{Dir: dir, Class: driver.Process, SnapshotBytes: 8 << 10}
	for round := range int64(4) {
		s := openNotes(t, c)
		if err := addNotes(t.Context(), s, round*200, round*200+200); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openNotes(t, c)
	d, err := s.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if d.Tables[0].Rows != 800 {
		t.Fatalf("store has %d rows", d.Tables[0].Rows)
	}
	return d.Sum
}

// reopenedDigest opens a store and returns its digest.
func reopenedDigest(ctx context.Context, dir string) (string, error) {
	d, err := Open(Config{Dir: dir, Class: driver.Process, SnapshotBytes: 1 << 40, Logger: quiet})
	if err != nil {
		return "", err
	}
	s, err := repo.New(ctx, d, noteSchema)
	if err != nil {
		return "", err
	}
	digest, err := s.Digest(ctx)
	return digest.Sum, errors.Join(err, s.Close())
}

func TestDamageAtRestIsNeverSilent(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "store")
	want := storeWithSnapshots(t, dir)
	files := filesOf(t, dir)
	snaps := 0
	for _, f := range files {
		if strings.HasSuffix(f, snapSuffix) {
			snaps++
		}
	}
	if snaps != keptSnapshots {
		t.Fatalf("%d snapshot files; they would not be tested", snaps)
	}
	rounds := 250
	if testing.Short() {
		rounds = 40
	}
	detected, survived := 0, 0
	for range rounds {
		ruined := filepath.Join(t.TempDir(), "ruined")
		if err := os.CopyFS(ruined, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		name := files[r.IntN(len(files))]
		what := ruin(t, r, filepath.Join(ruined, name))
		got, err := reopenedDigest(t.Context(), ruined)
		switch {
		case err == nil && got == want:
			survived++ // unused space, or a snapshot for which there is another
		case err == nil:
			t.Errorf("%s %s: opened with other content", name, what)
		case errors.Is(err, driver.ErrCorrupt) || errors.Is(err, driver.ErrInvalid):
			detected++
		default:
			t.Errorf("%s %s: %v is neither ErrCorrupt nor ErrInvalid", name, what, err)
		}
	}
	t.Logf("%d damages: %d detected, %d without effect", rounds, detected, survived)
	if detected < rounds/10 {
		t.Error("hardly any damage was detected: the test has no teeth")
	}
}

func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == lockName {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// ruin damages the part of a file that is in use.
func ruin(t *testing.T, r *rand.Rand, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	used := len(strings.TrimRight(string(b), "\x00"))
	at := r.IntN(used)
	var what string
	switch r.IntN(4) {
	case 0:
		what = fmt.Sprintf("with a bit flipped at %d", at)
		b[at] ^= 1 << r.IntN(8)
	case 1:
		at &^= 511
		what = fmt.Sprintf("with a sector zeroed at %d", at)
		clear(b[at:min(at+512, len(b))])
	case 2:
		what = fmt.Sprintf("cut to %d of %d bytes", at, len(b))
		b = b[:at]
	case 3:
		what = "removed"
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return what
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return what
}

func TestADamagedSnapshotIsPassedOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	want := storeWithSnapshots(t, dir)
	snaps, err := filepath.Glob(filepath.Join(dir, snapshotDir, "*"+snapSuffix))
	if err != nil || len(snaps) != keptSnapshots {
		t.Fatalf("snapshots %v, %v", snaps, err)
	}
	flip(t, snaps[1])
	if got, err := reopenedDigest(t.Context(), dir); err != nil || got != want {
		t.Errorf("with the newest snapshot damaged: digest %s, want %s; %v", got, want, err)
	}
	flip(t, snaps[0])
	if got, err := reopenedDigest(t.Context(), dir); err != nil || got != want {
		t.Errorf("with both snapshots damaged and a log that reaches back: digest %s, want %s; %v", got, want, err)
	}
	log := filepath.Join(dir, logDir)
	if err := os.Rename(filepath.Join(log, "0000000000000001.log"), filepath.Join(log, "0000000000000002.log")); err != nil {
		t.Fatal(err)
	}
	if _, err := reopenedDigest(t.Context(), dir); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("with both snapshots damaged and a log that does not reach back: %v", err)
	}
}

func flip(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// faultFS is the real disk, some operations of which can be made to fail.
type faultFS struct {
	vfs.OS
	failSync, failCreate atomic.Bool
}

type faultFile struct {
	vfs.File
	fs *faultFS
}

func (f *faultFS) Create(name string) (vfs.File, error) {
	if f.failCreate.Load() {
		return nil, fs.ErrPermission // as good as no space: no new segment
	}
	file, err := f.OS.Create(name)
	return faultFile{file, f}, err
}

func (f faultFile) Sync() error {
	if f.fs.failSync.Load() {
		return errors.New("injected: input/output error")
	}
	return f.File.Sync()
}

func TestAfterAFailedSyncNothingIsAcknowledgedAndReadingGoesOn(t *testing.T) {
	disk := &faultFS{}
	dir := t.TempDir()
	s := openNotes(t, Config{Dir: dir, FS: disk, Logger: quiet})
	ctx := t.Context()
	if err := addNotes(ctx, s, 0, 10); err != nil {
		t.Fatal(err)
	}
	disk.failSync.Store(true)
	c := &driver.Commit{ID: driver.CommitID{1}, Writes: []driver.Write{noteWrite(100)}}
	if _, err := s.Driver().Commit(ctx, c); !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("commit with a failing sync: %v; it may be on disk", err)
	}
	disk.failSync.Store(false)
	if _, err := s.Driver().Commit(ctx, &driver.Commit{ID: driver.CommitID{2}, Writes: []driver.Write{noteWrite(101)}}); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("commit after a failed sync: %v; a later success must not be believed", err)
	}
	err := s.View(ctx, func(tx *repo.ReadTx) error {
		n, err := notes.All().Count(tx)
		if n != 10 {
			t.Errorf("%d rows are shown, 10 were acknowledged", n)
		}
		return err
	})
	if err != nil {
		t.Errorf("view after a failed sync: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("close does not tell that the log failed")
	}
}

// noteWrite returns a write of a note with the given ID.
func noteWrite(id int64) driver.Write {
	t := noteSchema.Driver().Tables[0]
	n := &note{ID: id, Text: fmt.Sprint(id)}
	return driver.Write{Kind: driver.Put, Table: t, Key: driver.Key(t.AppendKey(nil, 0, n)), Data: t.Encode(nil, n)}
}

func TestWithAFullDiskCommitsFailAndGoOnWhenThereIsSpaceAgain(t *testing.T) {
	disk := &faultFS{}
	dir := t.TempDir()
	s := openNotes(t, Config{Dir: dir, FS: disk, Class: driver.Process})
	ctx := t.Context()
	big := func(id int64) error {
		return s.Update(ctx, func(tx *repo.Tx) error {
			return notes.Put(tx, note{ID: id, Text: fmt.Sprint(id, strings.Repeat("y", 900))})
		})
	}
	var failed error
	var id int64
	for ; failed == nil; id++ {
		if id == 10 {
			disk.failCreate.Store(true)
		}
		if id > 100_000 {
			t.Fatal("the disk never filled up")
		}
		failed = big(id)
	}
	if !errors.Is(failed, driver.ErrUnavailable) {
		t.Errorf("commit on a full disk: %v", failed)
	}
	lost := id - 1
	disk.failCreate.Store(false)
	for try := 0; ; try++ { // the preparation under way may still fail
		if err := big(id); err == nil {
			break
		} else if try == 10 {
			t.Fatalf("commit after space was freed: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openNotes(t, Config{Dir: dir})
	err := s.View(ctx, func(tx *repo.ReadTx) error {
		if _, err := notes.Get(tx, lost); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("the refused commit %d: %v", lost, err)
		}
		n, err := notes.All().Count(tx)
		if int64(n) != lost+1 || tx.Rev() != repo.Rev(lost+1) {
			t.Errorf("%d rows at revision %d, want %d", n, tx.Rev(), lost+1)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
