package wal

import (
	"errors"
	"math/rand/v2"
	"testing"

	"trihold/internal/simdisk"
	"trihold/repo/driver"
)

// Once a log that lost its power has been opened again, damage to any entry is
// detected, and so is a segment that goes back to what it was.
func TestDamageAfterALossOfPowerAndAnotherStartIsDetected(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for _, kind := range []simdisk.Damage{simdisk.ZeroBlock, simdisk.Stale} {
		detected := 0
		for range 50 {
			disk := simdisk.New(simdisk.Config{Versions: 2})
			c := Config{FS: disk, Dir: "/log", StoreID: testID, SegmentSize: firstEntry + 32<<10}
			l, err := Create(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := disk.SyncDir("/"); err != nil { // the directory is its owner's affair
				t.Fatal(err)
			}
			appendEntries(t, l, 30)
			for range 2 {
				disk.Crash()
				_ = l.Close()
				disk.PowerCut(rng, 0)
				if l, _, err = Open(c, 1, func(uint64, []byte) error { return nil }); err != nil || l.Last() != 30 {
					t.Fatalf("after a loss of power: %v, %v", l, err)
				}
			}
			disk.Crash()
			_ = l.Close()
			disk.PowerCut(rng, 0)
			done, err := disk.Damage(rng, kind, "/log/0000000000000001.log")
			if err != nil {
				t.Fatal(err)
			}
			l, torn, err := Open(c, 1, func(uint64, []byte) error { return nil })
			switch {
			case errors.Is(err, driver.ErrCorrupt):
				detected++
			case err != nil:
				t.Errorf("%s: %v", done.What, err)
			case l.Last() != 30 || torn != 0:
				t.Errorf("%s: the log ends with entry %d, %d bytes torn", done.What, l.Last(), torn)
			default:
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		if detected < 10 {
			t.Errorf("%v: only %d of 50 were detected", kind, detected)
		}
	}
}
