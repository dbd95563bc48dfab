package archive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"trihold/repo/archive"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// mustBeFound checks that a damaged archive is refused as such.
func mustBeFound(t *testing.T, b []byte, what string) {
	t.Helper()
	_, err := archive.Verify(t.Context(), bytes.NewReader(b), nil)
	if !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "export the store again") {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestAnyBitThatDiffersIsFound(t *testing.T) {
	b := exported(t, filled(t, 3))
	for at := range b {
		for bit := range 8 {
			b[at] ^= 1 << bit
			mustBeFound(t, b, fmt.Sprintf("bit %d of byte %d of %d", bit, at, len(b)))
			b[at] ^= 1 << bit
		}
	}
}

func TestAnyCutIsFound(t *testing.T) {
	b := exported(t, filled(t, 3))
	for size := range b {
		mustBeFound(t, b[:size], fmt.Sprintf("cut to %d of %d", size, len(b)))
	}
	mustBeFound(t, append(slices.Clone(b), 0), "a byte more")
	mustBeFound(t, append(slices.Clone(b), b...), "twice")
	for at := range b {
		mustBeFound(t, slices.Delete(slices.Clone(b), at, at+1), fmt.Sprintf("without byte %d", at))
	}
}

func TestAnySwapIsFound(t *testing.T) {
	b := exported(t, filled(t, 3))
	for at := range len(b) - 1 {
		if b[at] == b[at+1] {
			continue
		}
		b[at], b[at+1] = b[at+1], b[at]
		mustBeFound(t, b, fmt.Sprintf("bytes %d and %d swapped", at, at+1))
		b[at], b[at+1] = b[at+1], b[at]
	}
	large := exported(t, filled(t, 30_000))
	blocks := bytes.Split(large, []byte("BLCK"))
	if len(blocks) < 5 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for i := 1; i < len(blocks); i++ {
		for j := i + 1; j < len(blocks); j++ {
			swapped := slices.Clone(blocks)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			mustBeFound(t, bytes.Join(swapped, []byte("BLCK")), fmt.Sprintf("blocks %d and %d swapped", i, j))
		}
		mustBeFound(t, bytes.Join(slices.Delete(slices.Clone(blocks), i, i+1), []byte("BLCK")), fmt.Sprintf("without block %d", i))
	}
	_, err := archive.Verify(t.Context(), bytes.NewReader(bytes.Join(slices.Delete(blocks, 2, 3), []byte("BLCK"))), nil)
	wantKind(t, err, driver.ErrCorrupt, "what comes after row \"u00")
}

func TestABlockOfAnotherArchiveIsFound(t *testing.T) {
	block := []byte("BLCK")
	a, b := bytes.Split(exported(t, filled(t, 20)), block), bytes.Split(exported(t, filled(t, 30)), block)
	for i := 1; i < len(a); i++ {
		mixed := slices.Clone(a)
		mixed[i] = b[i]
		mustBeFound(t, bytes.Join(mixed, block), fmt.Sprintf("block %d of another archive", i))
	}
}

func TestANewerFormatIsRefusedWithTheRemedy(t *testing.T) {
	b := exported(t, filled(t, 3))
	binary.LittleEndian.PutUint32(b[12:], 2)
	size := int(binary.LittleEndian.Uint32(b[16:]))
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(b[20:], crc32.Update(crc32.Checksum(b[:20], table), table, b[24:24+size]))
	_, err := archive.NewReader(bytes.NewReader(b))
	wantKind(t, err, driver.ErrInvalid, "use a newer program")
}

func TestADamagedArchiveIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	b := exported(t, filled(t, 30_000))
	b[len(b)-100] ^= 1
	m := repotest.NewModel()
	_, err := archive.Import(t.Context(), bytes.NewReader(b), m, nil)
	wantKind(t, err, driver.ErrCorrupt, "does not match its checksum")
	if err := m.Prepare(t.Context(), nil); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("the store was prepared: %v", err)
	}
}
