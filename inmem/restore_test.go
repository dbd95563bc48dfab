package inmem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"trihold/inmem/raftstore"
	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/repo"
	"trihold/repo/driver"
)

// backupOf returns a backup of a store with notes, and the store's digest.
func backupOf(t *testing.T) (backup []byte, want repo.Digest) {
	t.Helper()
	s := openNotes(t, Config{Class: driver.Memory})
	if err := addNotes(t.Context(), s, 0, 60); err != nil {
		t.Fatal(err)
	}
	want, err := s.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st := s.Driver().(*Store)
	r := *st.published.Load()
	r.index, r.last, r.format = 90, batchID{1, 2, 3}, 3
	var b bytes.Buffer
	if err := writeBackup(&b, bodyID, &r, st.recent); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), want
}

const restored = "/srv/data/restored"

// restoreSmall restores a backup with small log files, which cost less to make.
func restoreSmall(ctx context.Context, fsys vfs.FS, backup io.Reader, dir string) error {
	return restoreBackup(ctx, fsys, backup, dir, 32<<10)
}

// digestOn returns the digest of a store on a disk.
func digestOn(t *testing.T, fsys vfs.FS) (d repo.Digest, err error) {
	t.Helper()
	st, err := Open(Config{FS: fsys, Dir: restored, SegmentBytes: 32 << 10, Logger: quiet})
	if err != nil {
		return d, err
	}
	s, err := repo.New(t.Context(), st, noteSchema)
	if err != nil {
		return d, errors.Join(err, st.Close())
	}
	if d, err = s.Digest(t.Context()); err == nil {
		err = addNotes(t.Context(), s, 1000, 1010)
	}
	return d, errors.Join(err, s.Close())
}

func TestARestoredStoreHasWhatTheBackupHas(t *testing.T) {
	backup, want := backupOf(t)
	_, preludeSize, err := raftstore.ReadPrelude(bytes.NewReader(backup))
	if err != nil {
		t.Fatal(err)
	}
	for what, file := range map[string][]byte{"backup": backup, "body alone": backup[preludeSize:]} {
		disk := simdisk.New(simdisk.Config{})
		if err := restoreSmall(t.Context(), disk, bytes.NewReader(file), restored); err != nil {
			t.Fatal(err)
		}
		got, err := digestOn(t, disk)
		if err != nil || got.Sum != want.Sum || got.Rev != want.Rev {
			t.Errorf("%s: restored revision %d, sum %s; want %d, %s; %v", what, got.Rev, got.Sum, want.Rev, want.Sum, err)
		}
		again, err := digestOn(t, disk)
		if err != nil || again.Rev != want.Rev+10 {
			t.Errorf("%s: after ten commits revision %d, %v", what, again.Rev, err)
		}
	}
}

func TestARestoredStoreIsAnotherOne(t *testing.T) {
	backup, _ := backupOf(t)
	disk := simdisk.New(simdisk.Config{})
	if err := RestoreBackup(t.Context(), disk, bytes.NewReader(backup), restored); err != nil {
		t.Fatal(err)
	}
	m, err := readManifest(disk, restored)
	if err != nil || m.ID == bodyID {
		t.Errorf("the restored store has the ID %x, %v", m.ID, err)
	}
}

func TestADamagedBackupIsRefusedAndLeavesTheDirectoryEmpty(t *testing.T) {
	backup, _ := backupOf(t)
	disk := simdisk.New(simdisk.Config{})
	for at := 0; at < len(backup); at += 1 + at%3 {
		ruined := slices.Clone(backup)
		ruined[at] ^= 1 << (at % 8)
		for _, file := range [][]byte{ruined, backup[:at]} {
			if err := restoreSmall(t.Context(), disk, bytes.NewReader(file), restored); !errors.Is(err, driver.ErrCorrupt) {
				t.Errorf("damaged at %d: %v", at, err)
			}
		}
	}
	if names, err := disk.List(restored); err != nil || len(names) > 0 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
}

func TestTheSnapshotOfASingleNodeIsNoBackup(t *testing.T) {
	r, changes := memberRoot(t, 3)
	r.format = 0
	err := restoreSmall(t.Context(), simdisk.New(simdisk.Config{}), bytes.NewReader(bodyOf(t, r, changes)), restored)
	if !errors.Is(err, driver.ErrInvalid) || errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("restored with %v", err)
	}
}

func TestABackupIsRestoredIntoAnEmptyDirectoryOnly(t *testing.T) {
	backup, want := backupOf(t)
	disk := simdisk.New(simdisk.Config{})
	if err := restoreSmall(t.Context(), disk, bytes.NewReader(backup), restored); err != nil {
		t.Fatal(err)
	}
	if err := restoreSmall(t.Context(), disk, bytes.NewReader(backup), restored); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("onto a store: %v", err)
	}
	if got, err := digestOn(t, disk); err != nil || got.Sum != want.Sum {
		t.Errorf("the store that was there: %v", err)
	}
	other := simdisk.New(simdisk.Config{})
	if err := errors.Join(other.MkdirAll(restored), vfs.WriteFile(other, restored+"/letter", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := restoreSmall(t.Context(), other, bytes.NewReader(backup), restored); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("beside something else: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := restoreSmall(ctx, simdisk.New(simdisk.Config{}), bytes.NewReader(backup), restored); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended: %v", err)
	}
}

func TestALossOfPowerAtAnyMomentOfRestoringLeavesTheStoreOrNone(t *testing.T) {
	backup, want := backupOf(t)
	for at := 1; ; at++ {
		for _, keep := range []float64{0, 0.5, 1} {
			disk := simdisk.New(simdisk.Config{Seed: uint64(at)})
			cut := disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Crash: true})
			done := restoreSmall(t.Context(), disk, bytes.NewReader(backup), restored)
			if cut.Observed() == 0 {
				return
			}
			disk.PowerCut(rand.New(rand.NewPCG(uint64(at), 0)), keep)
			err := restoreSmall(t.Context(), disk, bytes.NewReader(backup), restored)
			if err != nil && !errors.Is(err, driver.ErrInvalid) {
				t.Errorf("cut at operation %d, keeping %v: again: %v", at, keep, err)
			}
			if err == nil && done == nil {
				t.Errorf("cut at operation %d, keeping %v: a store that was restored is gone", at, keep)
			}
			if got, err := digestOn(t, disk); err != nil || got.Sum != want.Sum {
				t.Errorf("cut at operation %d, keeping %v: %v", at, keep, err)
			}
		}
	}
}

func TestAnInterruptedRestoreDoesNotOpenAsAnEmptyStore(t *testing.T) {
	backup, want := backupOf(t)
	for at := 1; ; at++ {
		disk := simdisk.New(simdisk.Config{})
		in := disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Err: syscall.ENOSPC, Times: -1})
		err := restoreSmall(t.Context(), disk, bytes.NewReader(backup), restored)
		if in.Observed() == 0 {
			return
		}
		disk.Heal()
		if err == nil {
			t.Errorf("failing from operation %d on: restored", at)
		}
		names, err := disk.List(restored)
		if err != nil || len(names) == 0 || slices.Equal(names, []string{restoringName + ".tmp"}) {
			continue
		}
		if got, err := digestOn(t, disk); err == nil && got.Sum != want.Sum {
			t.Errorf("failing from operation %d on: opens with %v, files %v", at, got, names)
		}
	}
}
