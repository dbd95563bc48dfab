package raftstore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
	"trihold/internal/wal"
)

// The files in testdata are as released versions of this package left them. They never
// change.

// goldenEntry returns what the log of format 1 holds: entries of all kinds.
func goldenEntry(index uint64) *raft.Log {
	l := &raft.Log{Index: index, Term: 1 + index/7, Type: raft.LogType(index % 6), Data: make([]byte, index*53%700)}
	for i := range l.Data {
		l.Data[i] = byte(index) ^ byte(i)
	}
	if index%3 == 0 {
		l.Extensions = []byte("extension")
	}
	if index%5 != 0 {
		l.AppendedAt = time.Unix(1_800_000_000, int64(index)*1000).UTC()
	}
	return l
}

func goldenLog(dir string) LogConfig {
	return LogConfig{WAL: wal.Config{FS: vfs.OS{}, Dir: dir, StoreID: wal.StoreID{7}, SegmentSize: 16 << 10}, After: never}
}

func copied(t *testing.T, name string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestALogOfFormat1HoldsWhatItHeld(t *testing.T) {
	const digest = "78332a74ba61e994c15965b9754e93638b79f919363f443a656ea72e4ff3bbaa"
	l, torn, err := OpenLog(goldenLog(copied(t, "log-1")))
	if err != nil || torn != 0 {
		t.Fatalf("open: %d bytes torn, %v", torn, err)
	}
	first, last := l.Range()
	if first != 31 || last != 60 || l.LastTerm() != 9 {
		t.Errorf("entries %d to %d, the last of term %d", first, last, l.LastTerm())
	}
	sum := sha256.New()
	for i := first; i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil {
			t.Fatal(err)
		}
		if want := goldenEntry(i); fmt.Sprint(got) != fmt.Sprint(*want) {
			t.Errorf("entry %d is %+v", i, got)
		}
		sum.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, got.Index), got.Term))
		sum.Write([]byte{byte(got.Type)})
		sum.Write(binary.LittleEndian.AppendUint64(nil, uint64(got.AppendedAt.UnixMicro())))
		sum.Write(got.Extensions)
		sum.Write(got.Data)
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != digest {
		t.Errorf("the digest is %s", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// One has equal copies, the other was left by a process that was killed between them.
func TestAHardStateOfFormat1HoldsWhatItHeld(t *testing.T) {
	for name, vote := range map[string]string{"state-1": "n2/fedcba9876543210", "state-1-killed": "n3/00112233445566ff"} {
		s, err := OpenState(StateConfig{FS: vfs.OS{}, Name: filepath.Join(copied(t, "state"), name), Dir: testDir})
		if err != nil {
			t.Fatal(err)
		}
		term, err1 := s.GetUint64([]byte("LastVoteTerm"))
		cand, err2 := s.Get([]byte("LastVoteCand"))
		if s.Term() != 9 || term != 9 || string(cand) != vote || err1 != nil || err2 != nil {
			t.Errorf("%s: term %d, vote in %d for %s (%v, %v)", name, s.Term(), term, cand, err1, err2)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
