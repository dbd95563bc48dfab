package anatomy

import (
	"encoding/binary"
	"slices"
	"testing"
)

// segment returns a log segment with an entry of each format, and zeros behind them.
func segment() []byte {
	b := make([]byte, 16<<10)
	copy(b, "TRIHLOG1")
	copy(b[block:], "FLOR")
	at := 3 * block
	copy(b[at:], "ENT2")
	binary.LittleEndian.PutUint32(b[at+4:], 100)
	at += 28 + 100
	copy(b[at:], "ENTR")
	binary.LittleEndian.PutUint32(b[at+4:], 90)
	return b
}

func TestThePartsOfAFileCoverItWithoutAGap(t *testing.T) {
	for name, content := range map[string][]byte{
		"log/0000000000000001.log":        segment(),
		"snapshots/0000000000000001.snap": append([]byte("a prelude TRIHSNP1"), make([]byte, 80)...),
		"raft/state":                      append([]byte("TRIHHARD"), make([]byte, 2*block-8)...),
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
	const second = 3*block + 128
	for _, want := range []Part{
		{"entry: payload", 3*block + 28 + payloadHead, 3*block + 28 + 100},
		{"last entry: length", second + 4, second + 8},
		{"last entry: payload", second + 24 + payloadHead, second + 24 + 90},
		{"zero space", second + 120, 16 << 10},
	} {
		if i := slices.IndexFunc(parts, func(p Part) bool { return p.Name == want.Name }); i < 0 || parts[i] != want {
			t.Errorf("there is no part %v: %v", want, parts)
		}
	}
}
