package raftstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

const testDir = "0123456789abcdef"

func stateOn(disk vfs.FS) StateConfig { return StateConfig{FS: disk, Name: "/state", Dir: testDir} }

func createState(t *testing.T, disk vfs.FS) *State {
	t.Helper()
	s, err := CreateState(stateOn(disk), 3)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheHardStateIsReadAsItWasSet(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	s := createState(t, disk)
	if s.Term() != 3 {
		t.Errorf("the term is %d", s.Term())
	}
	if err := errors.Join(s.SetUint64([]byte(keyTerm), 8), s.SetUint64([]byte("LastVoteTerm"), 7), s.Set([]byte("LastVoteCand"), []byte("n2"))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		term, err1 := s.GetUint64([]byte("LastVoteTerm"))
		cand, err2 := s.Get([]byte("LastVoteCand"))
		if s.Term() != 8 || term != 7 || string(cand) != "n2" || err1 != nil || err2 != nil {
			t.Errorf("term %d, vote in %d for %q (%v, %v)", s.Term(), term, cand, err1, err2)
		}
		// Raft knows a missing key by this text.
		if _, err := s.Get([]byte("other")); err == nil || err.Error() != "not found" {
			t.Errorf("a missing value: %v", err)
		}
		if _, err := s.GetUint64([]byte("other")); err == nil || err.Error() != "not found" {
			t.Errorf("a missing number: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if s, err = OpenState(stateOn(disk)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set([]byte("k"), make([]byte, stateBlock)); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("a value that does not fit: %v", err)
	}
	if err := s.Set([]byte("k"), []byte("v")); err != nil {
		t.Errorf("after that: %v", err)
	}
	_ = s.Close()
}

func TestTheTermDoesNotGoBack(t *testing.T) {
	s := createState(t, simdisk.New(simdisk.Config{}))
	if err := s.SetUint64([]byte(keyTerm), 2); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("term 2 after term 3: %v", err)
	}
	if err := s.SetUint64([]byte(keyTerm), 4); err != nil || s.Term() != 4 {
		t.Errorf("term %d after term 3: %v", s.Term(), err)
	}
}

func TestAVoteThatWasNotFinishedIsNobodys(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	s := createState(t, disk)
	earlier := errors.Join(s.SetUint64([]byte(keyVoteTerm), 4), s.Set([]byte(keyVote), []byte("n2")))
	if err := errors.Join(earlier, s.SetUint64([]byte(keyVoteTerm), 6), s.Close()); err != nil { // and the node ends here
		t.Fatal(err)
	}
	s, err := OpenState(stateOn(disk))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if vote, err := s.Get([]byte(keyVote)); err == nil {
		t.Errorf("after an interrupted vote in term 6 the node takes itself to have voted for %q", vote)
	}
}

func TestAnExistingHardStateIsNotMadeAgainAndAMissingOneNotOpened(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	if _, err := OpenState(stateOn(disk)); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("open a missing one: %v", err)
	}
	s := createState(t, disk)
	if _, err := CreateState(stateOn(disk), 3); !errors.Is(err, driver.ErrExists) {
		t.Errorf("make an existing one: %v", err)
	}
	_ = s.Close()
	other := stateOn(disk)
	other.Dir = "ffffffffffffffff"
	if _, err := OpenState(other); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("open that of another directory: %v", err)
	}
}

// The power is cut at every operation, and again at every operation of the start.
func TestALossOfPowerAtAnyMomentKeepsWhatWasSet(t *testing.T) {
	key := []byte("LastVoteCand")
	for at := 1; ; at++ {
		finished := 0
		for again := 1; again <= 6; again++ {
			for _, keep := range []float64{0, 0.5, 1} {
				rng := rand.New(rand.NewPCG(uint64(at), uint64(again)))
				disk := simdisk.New(simdisk.Config{})
				s := createState(t, disk)
				cut := disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Crash: true})
				set := 0
				for set < 5 && s.Set(key, []byte{byte(set + 1)}) == nil {
					set++
				}
				if cut.Observed() == 0 {
					finished++
				}
				disk.Crash()
				_ = s.Close()
				if again%2 == 0 {
					disk.Kill()
				} else {
					disk.PowerCut(rng, keep)
				}
				disk.Inject(simdisk.Rule{Op: simdisk.Any, At: again, Crash: true})
				if s, err := OpenState(stateOn(disk)); err == nil {
					disk.Crash()
					_ = s.Close()
				}
				disk.Crash()
				disk.PowerCut(rng, keep)
				s, err := OpenState(stateOn(disk))
				if err != nil {
					t.Fatalf("cut at operation %d: %v", at, err)
				}
				got, err := s.Get(key)
				if len(got) == 0 {
					got = []byte{0}
				}
				if int(got[0]) != set && int(got[0]) != set+1 {
					t.Errorf("cut at operation %d: %d was set, %d is there (%v)", at, set, got[0], err)
				}
				_ = s.Close()
			}
		}
		if finished > 0 {
			return
		}
	}
}

// Any one damage leaves what was set, and is mended; the next one in the other copy
// leaves it, too.
func TestOneDamageAfterTheOtherToTheHardStateIsMended(t *testing.T) {
	disk := simdisk.New(simdisk.Config{})
	s := createState(t, disk)
	for i := range uint64(5) {
		if err := s.SetUint64([]byte(keyTerm), 10+i); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := vfs.ReadFile(disk, "/state")
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 7 {
		f, err := disk.Open("/state")
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{whole[at] ^ 1<<(at%8)}
		if at%3 == 0 {
			b = make([]byte, stateBlock-at%stateBlock)
		}
		if _, err := f.WriteAt(b, int64(at)); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		s, err := OpenState(stateOn(disk))
		if err != nil || s.Term() != 14 {
			t.Fatalf("damaged at %d: %v", at, err)
		}
		_ = s.Close()
		if got, err := vfs.ReadFile(disk, "/state"); err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("damaged at %d: not mended (%v)", at, err)
		}
	}
	for _, size := range []int64{0, 50, stateBlock, stateBlock + 50} {
		f, err := disk.Open("/state")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		s, err := OpenState(stateOn(disk))
		if size < stateBlock != errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", size, err)
		}
		if err == nil {
			_ = s.Close()
		}
		_ = disk.Remove("/state")
		if err := vfs.WriteFile(disk, "/state", whole); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAfterAFailedWriteTheHardStateIsNotBelieved(t *testing.T) {
	for _, op := range []simdisk.Op{simdisk.Write, simdisk.Sync} {
		for at := 1; at <= 2; at++ {
			disk := simdisk.New(simdisk.Config{})
			s := createState(t, disk)
			disk.Inject(simdisk.Rule{Op: op, At: at, Err: syscall.EIO})
			for range 2 {
				if err := s.SetUint64([]byte(keyTerm), 9); !errors.Is(err, syscall.EIO) {
					t.Errorf("%v %d fails: set: %v", op, at, err)
				}
			}
			if _, err := s.GetUint64([]byte(keyTerm)); !errors.Is(err, syscall.EIO) {
				t.Errorf("%v %d fails: get: %v", op, at, err)
			}
			if err := s.Close(); !errors.Is(err, syscall.EIO) {
				t.Errorf("%v %d fails: close: %v", op, at, err)
			}
		}
	}
}
