package anatomy

import (
	"encoding/binary"
	"slices"
	"testing"
)

// segment returns a log segment with two entries, and zeros behind them.
func segment() []byte {
	b := make([]byte, 16<<10)
	copy(b, "TRIHLOG1")
	copy(b[block:], "FLOR")
	at := 3 * block
	for _, size := range []int{30, 41} {
		copy(b[at:], "ENTR")
		binary.LittleEndian.PutUint32(b[at+4:], uint32(size))
		at += (24 + size + 7) &^ 7
	}
	return b
}

func TestThePartsOfAFileCoverItWithoutAGap(t *testing.T) {
	for name, content := range map[string][]byte{
		"log/0000000000000001.log":        segment(),
		"snapshots/0000000000000001.snap": append([]byte("a prelude TRIHSNP1"), make([]byte, 80)...),
		"log/tide":                        make([]byte, 24),
		"store":                           []byte("a\nb\nc\n"),
		"other":                           []byte("x"),
		"log/0000000000000002.log":        segment()[:5000],
		"empty":                           nil,
	} {
		at := 0
		for _, p := range Parts(name, content) {
			if p.From != at || p.To <= p.From {
				t.Errorf("%s: part %v begins elsewhere than at %d, or is empty", name, p, at)
			}
			at = p.To
		}
		if at != len(content) {
			t.Errorf("%s: the parts end at %d of %d", name, at, len(content))
		}
	}
}

func TestTheLastEntryOfALogSegmentIsToldFromThoseBefore(t *testing.T) {
	parts := Parts("x.log", segment())
	for name, want := range map[string]Part{
		"entry: payload":      {"entry: payload", 3*block + 24 + 25, 3*block + 24 + 30},
		"last entry: length":  {"last entry: length", 3*block + 56 + 4, 3*block + 56 + 8},
		"last entry: payload": {"last entry: payload", 3*block + 56 + 24 + 25, 3*block + 56 + 24 + 41},
		"zero space":          {"zero space", 3*block + 56 + 72, 16 << 10},
	} {
		i := slices.IndexFunc(parts, func(p Part) bool { return p.Name == name })
		if i < 0 || parts[i] != want {
			t.Errorf("%s is not %v: %v", name, want, parts)
		}
	}
}
