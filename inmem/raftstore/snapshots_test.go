package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"trihold/internal/simdisk"
	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

var (
	testCluster = wal.StoreID{1, 2, 3}
	testServers = raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: "n1/0011223344556677", Address: "127.0.0.1:7001"},
		{Suffrage: raft.Nonvoter, ID: "n2/8899aabbccddeeff", Address: "127.0.0.1:7002"},
	}}
)

const snapDir = "/srv/raft/snapshots"

// testBody returns the body of a snapshot: some bytes that depend on the index,
// and their checksum.
func testBody(index uint64) []byte {
	b := bytes.Repeat([]byte(fmt.Sprint("state ", index, " ")), 100)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func verifyTestBody(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	end := len(b) - 4
	if end < 0 || crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return fmt.Errorf("body is damaged: %w", driver.ErrCorrupt)
	}
	return nil
}

func openTest(fsys vfs.FS) (*Snapshots, error) {
	return OpenSnapshots(SnapshotConfig{FS: fsys, Dir: snapDir, Cluster: testCluster, Verify: verifyTestBody})
}

// writeTest writes a snapshot of term 7.
func writeTest(s *Snapshots, index uint64, body []byte) error {
	k, err := s.Create(1, index, 7, testServers, index-1, nil)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(body, 100) {
		if _, err := k.Write(some); err != nil {
			return errors.Join(err, k.Cancel())
		}
	}
	return k.Close()
}

// diskWith returns a disk with snapshots of entries 10 and 20, and a store of them
// that was checked.
func diskWith(t *testing.T, c simdisk.Config) (*simdisk.Disk, *Snapshots) {
	t.Helper()
	disk := simdisk.New(c)
	s, err := openTest(disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(1, 0); err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{10, 20} {
		if err := writeTest(s, index, testBody(index)); err != nil {
			t.Fatal(err)
		}
	}
	return disk, s
}

// indices returns the indices that Raft is shown.
func indices(t *testing.T, s *Snapshots) (all []uint64) {
	t.Helper()
	metas, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metas {
		all = append(all, m.Index)
	}
	return all
}

func noTmp(t *testing.T, disk *simdisk.Disk) {
	t.Helper()
	for _, name := range disk.Files() {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left over", name)
		}
	}
}

func TestASnapshotIsReadAsItWasWritten(t *testing.T) {
	_, s := diskWith(t, simdisk.Config{})
	metas, err := s.List()
	if err != nil || len(metas) != 2 {
		t.Fatalf("%v, %v", metas, err)
	}
	m, body, err := s.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := &raft.SnapshotMeta{Version: 1, ID: metas[0].ID, Index: 20, Term: 7, Configuration: testServers, ConfigurationIndex: 19, Size: int64(len(testBody(20)))}
	if !reflect.DeepEqual(m, want) || !reflect.DeepEqual(metas[0], want) {
		t.Errorf("opened %+v, listed %+v, want %+v", m, metas[0], want)
	}
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, testBody(20)) {
		t.Errorf("another body, %v", err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheOldestSnapshotIsRemovedWhenANewOneIsProven(t *testing.T) {
	_, s := diskWith(t, simdisk.Config{})
	if got := indices(t, s); !slices.Equal(got, []uint64{20, 10}) || s.OldestIndex() != 10 {
		t.Fatalf("snapshots %v, oldest %d", got, s.OldestIndex())
	}
	k, err := s.Create(1, 30, 8, testServers, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write(testBody(30)); err != nil {
		t.Fatal(err)
	}
	if got := indices(t, s); !slices.Equal(got, []uint64{20, 10}) {
		t.Errorf("while one is written: %v", got)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if got := indices(t, s); !slices.Equal(got, []uint64{30, 20}) || s.OldestIndex() != 20 {
		t.Errorf("snapshots %v, oldest %d", got, s.OldestIndex())
	}
}

func TestWithOneSnapshotAllOfTheLogIsKept(t *testing.T) {
	s, err := openTest(simdisk.New(simdisk.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeTest(s, 10, testBody(10)); err != nil || s.OldestIndex() != 0 {
		t.Errorf("oldest %d, %v", s.OldestIndex(), err)
	}
}

func TestNothingIsListedBeforeItWasChecked(t *testing.T) {
	disk, _ := diskWith(t, simdisk.Config{})
	s, err := openTest(disk)
	if err != nil {
		t.Fatal(err)
	}
	if metas, err := s.List(); err == nil {
		t.Errorf("listed %v", metas)
	}
}

func TestASnapshotThatIsNotWholeWhenReadBackNeverCounts(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	if err := writeTest(s, 30, testBody(30)[1:]); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("closed with %v", err)
	}
	k, err := s.Create(1, 40, 7, testServers, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Cancel(), k.Close()); err != nil {
		t.Error(err)
	}
	if _, err := k.Write([]byte("late")); err == nil {
		t.Error("a cancelled snapshot can be written")
	}
	noTmp(t, disk)
	if got := indices(t, s); !slices.Equal(got, []uint64{20, 10}) {
		t.Errorf("snapshots %v", got)
	}
}

// restarted opens and checks the snapshots of a disk.
func restarted(disk vfs.FS, first, last uint64) (s *Snapshots, passed []error, err error) {
	if s, err = openTest(disk); err == nil {
		passed, err = s.Check(first, last)
	}
	return s, passed, err
}

// ruin changes the content of a file durably.
func ruin(t *testing.T, disk *simdisk.Disk, name string, change func(b []byte) []byte) *simdisk.Disk {
	t.Helper()
	disk = disk.Clone()
	b, err := vfs.ReadFile(disk, name)
	if err == nil {
		err = vfs.WriteFile(disk, name, change(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

func TestADamagedSnapshotIsPassedOverOnlyIfTheLogHasWhatItIncluded(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	newest := s.path(snapshotFile{index: 20, term: 7}.name())
	content, err := vfs.ReadFile(disk, newest)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"elongated": func(b []byte) []byte { return append(b, 0) },
	}
	for at := range content {
		cases[fmt.Sprint("flipped at ", at)] = func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b }
		cases[fmt.Sprint("cut at ", at)] = func(b []byte) []byte { return b[:at] }
	}
	for what, change := range cases {
		ruined := ruin(t, disk, newest, change)
		s, passed, err := restarted(ruined, 11, 25)
		if err != nil || len(passed) != 1 || !errors.Is(passed[0], driver.ErrCorrupt) || len(s.Damaged()) != 1 {
			t.Fatalf("%s: passed over %v, %v", what, passed, err)
		}
		if got := indices(t, s); !slices.Equal(got, []uint64{10}) || s.OldestIndex() != 0 {
			t.Errorf("%s: snapshots %v, oldest %d", what, got, s.OldestIndex())
		}
		for _, log := range [][2]uint64{{12, 25}, {21, 20}, {11, 19}, {21, 30}} {
			s, _, err := restarted(ruined, log[0], log[1])
			if !errors.Is(err, driver.ErrCorrupt) {
				t.Errorf("%s: with the log from %d to %d: %v", what, log[0], log[1], err)
			}
			if _, err := s.List(); err == nil {
				t.Errorf("%s: with the log from %d to %d something is listed", what, log[0], log[1])
			}
		}
	}
}

func TestTheNextSnapshotTakesThePlaceOfADamagedOne(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	disk = ruin(t, disk, s.path(snapshotFile{index: 20, term: 7}.name()), func(b []byte) []byte { return b[1:] })
	s, _, err := restarted(disk, 11, 25)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeTest(s, 25, testBody(25)); err != nil {
		t.Fatal(err)
	}
	if got := indices(t, s); !slices.Equal(got, []uint64{25, 10}) || len(s.Damaged()) != 0 || len(disk.Files()) != 2 {
		t.Errorf("snapshots %v, damaged %v, files %v", got, s.Damaged(), disk.Files())
	}
}

func TestALostSnapshotIsNoticedUnlessTheLogReachesBack(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	if err := disk.Remove(s.path(snapshotFile{index: 20, term: 7}.name())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restarted(disk, 11, 25); err != nil {
		t.Errorf("with a log that reaches back: %v", err)
	}
	if _, _, err := restarted(disk, 12, 25); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("with one that does not: %v", err)
	}
	if err := vfs.RemoveTree(disk, snapDir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restarted(disk, 1, 25); err != nil {
		t.Errorf("without any, and the whole log: %v", err)
	}
	if _, _, err := restarted(disk, 2, 25); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("without any, and a part of the log: %v", err)
	}
}

func TestSnapshotsWithEachOthersNamesAreDamaged(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	a, b, c := s.path(snapshotFile{index: 10, term: 7}.name()), s.path(snapshotFile{index: 20, term: 7}.name()), snapDir+"/c"
	for _, names := range [][2]string{{a, c}, {b, a}, {c, b}} {
		if err := disk.Rename(names[0], names[1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, passed, err := restarted(disk, 11, 30); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("passed over %v, %v", passed, err)
	}
}

func TestSnapshotsOfAnotherClusterOrANewerFormatAreRefused(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	newest := s.path(snapshotFile{index: 20, term: 7}.name())
	other := ruin(t, disk, newest, func(b []byte) []byte {
		p := Prelude{Cluster: wal.StoreID{9}, Version: 1, Index: 20, Term: 7, Configuration: testServers}
		return append(p.Encode(), testBody(20)...)
	})
	if _, passed, err := restarted(other, 11, 30); err != nil || len(passed) != 1 {
		t.Errorf("of another cluster: passed over %v, %v", passed, err)
	}
	newer := ruin(t, disk, newest, func(b []byte) []byte {
		end := preludeFixed + binary.LittleEndian.Uint32(b[60:])
		b[12]++
		binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
		return b
	})
	if _, _, err := restarted(newer, 11, 30); !errors.Is(err, driver.ErrInvalid) || errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("of a newer format: %v", err)
	}
}

func TestALossOfPowerAtAnyMomentLeavesTheOldSnapshotsOrTheNewOne(t *testing.T) {
	for at := 1; ; at++ {
		for _, keep := range []float64{0, 0.5, 1} {
			disk, s := diskWith(t, simdisk.Config{Seed: uint64(at)})
			cut := disk.Inject(simdisk.Rule{Op: simdisk.Any, At: at, Crash: true})
			done := writeTest(s, 30, testBody(30))
			if cut.Observed() == 0 {
				return
			}
			disk.PowerCut(rand.New(rand.NewPCG(uint64(at), 0)), keep)
			s, passed, err := restarted(disk, 11, 35)
			if err != nil || len(passed) > 0 {
				t.Fatalf("cut at operation %d, keeping %v: passed over %v, %v", at, keep, passed, err)
			}
			got := indices(t, s)
			if got[0] != 30 && (got[0] != 20 || done == nil) {
				t.Errorf("cut at operation %d, keeping %v: snapshots %v, though writing ended with %v", at, keep, got, done)
			}
			noTmp(t, disk)
			if err := writeTest(s, 30, testBody(30)); err != nil {
				t.Errorf("cut at operation %d, keeping %v: the next one: %v", at, keep, err)
			}
		}
	}
}

func TestAFailingDiskLeavesTheOldSnapshotsAndNothingElse(t *testing.T) {
	for _, op := range []simdisk.Op{simdisk.Create, simdisk.Write, simdisk.Sync, simdisk.Read, simdisk.Rename, simdisk.SyncDir} {
		for at := 1; ; at++ {
			disk, s := diskWith(t, simdisk.Config{})
			in := disk.Inject(simdisk.Rule{Op: op, At: at, Err: syscall.EIO, Short: at%2 == 0})
			err := writeTest(s, 30, testBody(30))
			observed := in.Observed()
			disk.Heal()
			noTmp(t, disk)
			if observed == 0 {
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%v %d: %v", op, at, err)
			}
			if got := indices(t, s); !slices.Equal(got, []uint64{20, 10}) {
				t.Errorf("%v %d: snapshots %v", op, at, got)
			}
			if err := writeTest(s, 31, testBody(31)); err != nil || indices(t, s)[0] != 31 {
				t.Errorf("%v %d: the next one: %v", op, at, err)
			}
		}
	}
}

func TestAFullDiskLeavesTheOldSnapshotsAndNothingElse(t *testing.T) {
	disk, s := diskWith(t, simdisk.Config{})
	used := disk.Used()
	for space := int64(0); space < int64(len(testBody(30))); space += 100 {
		disk.SetCapacity(used + space)
		if err := writeTest(s, 30, testBody(30)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("with space for %d bytes: %v", space, err)
		}
		noTmp(t, disk)
		if disk.Used() != used {
			t.Fatalf("%d bytes are used, it was %d", disk.Used(), used)
		}
	}
	if got := indices(t, s); !slices.Equal(got, []uint64{20, 10}) {
		t.Errorf("snapshots %v", got)
	}
}
