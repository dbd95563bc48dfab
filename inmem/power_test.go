package inmem

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

// These tests are about what a loss of power leaves, on a simulated disk. They
// are single findings of the campaigns in bench/fault/simulate.

// powerConfig is a store on a simulated disk, with many small files.
func powerConfig(disk *simdisk.Disk) Config {
	return Config{Dir: "/srv/data/store", FS: disk, SegmentBytes: 32 << 10, SnapshotBytes: 24 << 10, Logger: quiet}
}

// cutPower loses everything that was not synced.
func cutPower(disk *simdisk.Disk) { disk.PowerCut(rand.New(rand.NewPCG(1, 0)), 0) }

func TestAStoreInNewDirectoriesSurvivesALossOfPower(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	s := openNotes(t, powerConfig(disk))
	if err := addNotes(t.Context(), s, 0, 1); err != nil {
		t.Fatal(err)
	}
	disk.Crash()
	cutPower(disk)
	_ = s.Close() // it cannot be closed well
	s = openNotes(t, powerConfig(disk))
	if d, err := s.Digest(t.Context()); err != nil || d.Tables[0].Rows != 1 {
		t.Errorf("after the loss of power the store has %v, %v", d.Tables, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Before the manifest is there, there is no store: it can be made again.
func TestALossOfPowerAtAnyMomentOfCreatingLeavesAStoreOrNone(t *testing.T) {
	for at := 1; ; at++ {
		for _, keep := range []float64{0, 0.5, 1} {
			disk := simdisk.New(simdisk.Config{})
			cut := disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Crash: true})
			if d, err := Open(powerConfig(disk)); err == nil {
				if err := d.Prepare(t.Context(), noteSchema.Driver()); err == nil {
					disk.Crash()
				}
				_ = d.Close()
			}
			if cut.Observed() == 0 {
				return
			}
			disk.PowerCut(rand.New(rand.NewPCG(uint64(at), 0)), keep)
			s := openNotes(t, powerConfig(disk))
			if err := addNotes(t.Context(), s, 0, 1); err != nil {
				t.Errorf("cut at operation %d, keeping %v: %v", at, keep, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("cut at operation %d, keeping %v: close: %v", at, keep, err)
			}
		}
	}
}

// A process that ends has not lost what it wrote, but has not made it durable
// either: whoever goes on must.
func TestWhatAProcessLeftUnsyncedIsMadeDurableBeforeItIsBuiltOn(t *testing.T) {
	for _, op := range []simdisk.Op{simdisk.SyncDir, simdisk.Sync} {
		for at := 1; ; at++ {
			disk := simdisk.New(simdisk.Config{})
			killed := disk.Inject(simdisk.Rule{Op: op, At: at, Crash: true})
			if d, err := Open(powerConfig(disk)); err == nil {
				if s, err := repo.New(t.Context(), d, noteSchema); err == nil {
					ctx, cancel := context.WithCancel(t.Context())
					stop := context.AfterFunc(t.Context(), cancel)
					go func() { <-disk.Dead(); cancel() }()
					_ = addNotes(ctx, s, 0, 300) // several log files
					stop()
					disk.Crash()
					_ = s.Close()
				}
			}
			if killed.Observed() == 0 {
				break
			}
			disk.Kill()
			s := openNotes(t, powerConfig(disk))
			if err := addNotes(t.Context(), s, 1000, 1010); err != nil {
				t.Fatal(err)
			}
			want, err := s.Digest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			disk.Crash()
			cutPower(disk)
			_ = s.Close()
			s = openNotes(t, powerConfig(disk))
			if got, err := s.Digest(t.Context()); err != nil || got.Sum != want.Sum {
				t.Errorf("killed at %v %d: after the loss of power revision %d, want %d; %v", op, at, got.Rev, want.Rev, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if op == simdisk.Sync {
				at += 30 // there are many
			}
		}
	}
}

// An error of the disk is no damage: there is nothing to restore, and the next
// start may succeed.
func TestAnErrorOfTheDiskWhileOpeningIsUnavailable(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	s := openNotes(t, powerConfig(disk))
	if err := addNotes(t.Context(), s, 0, 300); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, op := range []simdisk.Op{simdisk.Open, simdisk.Read, simdisk.List, simdisk.Sync, simdisk.SyncDir} {
		for at := 1; ; at++ {
			in := disk.Inject(simdisk.Rule{Op: op, At: at, Err: syscall.EIO})
			d, err := Open(powerConfig(disk))
			if err == nil {
				if err = d.Prepare(t.Context(), noteSchema.Driver()); err != nil {
					_ = d.Close()
				}
			}
			observed := in.Observed()
			if disk.Heal(); err == nil {
				if err := d.Close(); err != nil && observed == 0 {
					t.Error(err)
				}
			} else if !errors.Is(err, driver.ErrUnavailable) || errors.Is(err, driver.ErrCorrupt) {
				t.Errorf("%v %d fails: %v", op, at, err)
			}
			if observed == 0 {
				break
			}
		}
	}
}
