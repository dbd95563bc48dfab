package wal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
)

// golden are logs as released versions of this package left them, and the digest
// of what they hold. They never change.
var golden = []struct {
	dir         string
	first, last uint64
	torn        bool
	digest      string
}{
	// 25 entries, closed; and 26 of which a loss of power cut the last one short.
	{"v1-closed", 1, 25, false, "9467c389a3dd09f4646e53a40e87c517c14acfee4c5e24c77d0f694d6661a634"},
	{"v1-torn", 1, 25, true, "9467c389a3dd09f4646e53a40e87c517c14acfee4c5e24c77d0f694d6661a634"},
	// Batches, a reset to 5, a truncation to 20, of which a killed process left the
	// void segments behind, entries up to 40, and those before 8 dropped.
	{"v2", 8, 40, false, "6dd5a0f09a4881f63d2e5b0bb45af0bcf48416b8ff8a116590827525775befc6"},
}

func TestLogsOfEveryReleasedFormatHoldWhatTheyHeldAndGoOn(t *testing.T) {
	for _, g := range golden {
		c := config(copyDir(t, filepath.Join("testdata", g.dir)))
		for round := range uint64(2) { // the second with new entries behind
			sum := sha256.New()
			l, torn, err := Open(c, 0, func(i uint64, payload []byte) error {
				if i <= g.last {
					sum.Write(binary.LittleEndian.AppendUint64(nil, i))
					sum.Write(payload)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", g.dir, err)
			}
			if digest := fmt.Sprintf("%x", sum.Sum(nil)); digest != g.digest || l.First() != g.first || l.Last() != g.last+10*round || (torn > 0) != (g.torn && round == 0) {
				t.Errorf("%s, round %d: entries %d to %d, %d bytes torn, digest %s", g.dir, round, l.First(), l.Last(), torn, digest)
			}
			for i := l.First(); i <= l.Last(); i++ {
				if b, err := l.Get(i); err != nil || string(b) != string(payload(i)) {
					t.Errorf("%s, round %d: get entry %d: %d bytes, %v", g.dir, round, i, len(b), err)
				}
			}
			appendEntries(t, l, 10)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Entries of an older format can be taken back too.
func TestALogOfFormat1CanBeTruncatedAndReset(t *testing.T) {
	for _, dir := range []string{"v1-closed", "v1-torn"} {
		c := config(copyDir(t, filepath.Join("testdata", dir)))
		l, _, err := Open(c, 0, func(uint64, []byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Truncate(9); err != nil {
			t.Fatal(err)
		}
		appendEntries(t, l, 6)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if last, torn, err := readAll(c.Dir); last != 15 || torn != 0 || err != nil {
			t.Errorf("%s: after Truncate(9) and six more entries: %d entries, %d bytes torn, %v", dir, last, torn, err)
		}
	}
}
