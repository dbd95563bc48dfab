package fusefs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	s := rand.Uint64()
	if env := os.Getenv("TRIHOLD_SEED"); env != "" {
		var err error
		if s, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TRIHOLD_SEED=%d", s)
	return rand.New(rand.NewPCG(s, 0))
}

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, m.b[min(off, int64(len(m.b))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if end := off + int64(len(p)); end > int64(len(m.b)) {
		_ = m.Truncate(end)
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) Truncate(size int64) error {
	if size <= int64(len(m.b)) {
		m.b = m.b[:size:size]
	} else {
		m.b = append(m.b, make([]byte, size-int64(len(m.b)))...)
	}
	return nil
}

// tracked is a file and what is unsynced of it.
type tracked struct {
	t    testing.TB
	file memory
	u    unsynced
}

func track(t testing.TB, content []byte) *tracked {
	return &tracked{t, memory{bytes.Clone(content)}, newUnsynced(int64(len(content)))}
}

func (f *tracked) write(off int64, b []byte) {
	f.t.Helper()
	if err := f.u.willWrite(&f.file, off, len(b)); err != nil {
		f.t.Fatal(err)
	}
	n, _ := f.file.WriteAt(b, off)
	f.u.wrote(off, n)
}

func (f *tracked) truncate(size int64) {
	f.t.Helper()
	if err := f.u.willTruncate(&f.file, size); err != nil {
		f.t.Fatal(err)
	}
	_ = f.file.Truncate(size)
	f.u.truncated(size)
}

func (f *tracked) lose(r *rand.Rand, keep float64) (lost, kept int) {
	f.t.Helper()
	lost, kept, err := f.u.lose(&f.file, r, keep)
	if err != nil {
		f.t.Fatal(err)
	}
	return lost, kept
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (f *tracked) random(r *rand.Rand) {
	switch r.IntN(5) {
	case 0:
		f.truncate(r.Int64N(6000))
	default:
		f.write(r.Int64N(5000), randomBytes(r, r.IntN(2000)))
	}
}

func TestWithNothingKeptAFileIsAsItWasSynced(t *testing.T) {
	r := seeded(t)
	for round := range 2000 {
		f := track(t, randomBytes(r, r.IntN(4000)))
		for range r.IntN(4) { // some syncs
			for range r.IntN(6) {
				f.random(r)
			}
			f.u.sync()
		}
		synced := bytes.Clone(f.file.b)
		for range 1 + r.IntN(6) {
			f.random(r)
		}
		f.lose(r, 0)
		if !bytes.Equal(f.file.b, synced) {
			t.Fatalf("round %d: the file is not as it was synced", round)
		}
		if !f.u.clean() {
			t.Fatalf("round %d: something is still unsynced", round)
		}
	}
}

func TestWithEverythingKeptAFileIsAsItWasWritten(t *testing.T) {
	r := seeded(t)
	for round := range 2000 {
		f := track(t, randomBytes(r, r.IntN(4000)))
		for range r.IntN(10) {
			f.random(r)
		}
		newest := bytes.Clone(f.file.b)
		if lost, _ := f.lose(r, 1); lost > 0 || !bytes.Equal(f.file.b, newest) {
			t.Fatalf("round %d: the file is not as it was written; %d sectors lost", round, lost)
		}
	}
}

func TestATornFileHoldsWholeSectorsOldAndNew(t *testing.T) {
	r := seeded(t)
	before, after := bytes.Repeat([]byte{'a'}, 100*sectorSize), bytes.Repeat([]byte{'b'}, 120*sectorSize)
	f := track(t, before)
	f.write(0, after)
	lost, kept := f.lose(r, 0.5)
	if lost+kept != 120 || lost < 20 || kept < 20 {
		t.Errorf("%d sectors lost and %d kept of 120", lost, kept)
	}
	news := 0
	for s := 0; s*sectorSize < len(f.file.b); s++ {
		got := f.file.b[s*sectorSize : (s+1)*sectorSize]
		old := byte('a')
		if s >= 100 {
			old = 0
		}
		switch {
		case bytes.Equal(got, bytes.Repeat([]byte{'b'}, sectorSize)):
			news++
		case !bytes.Equal(got, bytes.Repeat([]byte{old}, sectorSize)):
			t.Errorf("sector %d is neither old nor new", s)
		}
	}
	if news != kept {
		t.Errorf("%d sectors are new, %d were reported", news, kept)
	}
}

func TestASectorMaySurviveAsItWasInBetween(t *testing.T) {
	r := seeded(t)
	seen := map[byte]bool{}
	for range 500 {
		f := track(t, []byte{'0'})
		for state := byte('1'); state <= '3'; state++ {
			f.write(0, []byte{state})
		}
		f.lose(r, 0.5)
		seen[f.file.b[0]] = true
	}
	for state := byte('0'); state <= '3'; state++ {
		if !seen[state] {
			t.Errorf("state %c was never seen", state)
		}
	}
}

func TestWhatAFailedSyncLeftIsLostForGood(t *testing.T) {
	r := seeded(t)
	f := track(t, bytes.Repeat([]byte{'a'}, 3*sectorSize))
	f.write(0, bytes.Repeat([]byte{'b'}, 2*sectorSize))
	f.u.failSync()
	f.write(0, bytes.Repeat([]byte{'c'}, sectorSize)) // written again
	f.u.sync()
	if f.u.clean() {
		t.Fatal("a later sync made everything durable")
	}
	f.lose(r, 1)
	want := append(bytes.Repeat([]byte{'c'}, sectorSize), bytes.Repeat([]byte{'a'}, 2*sectorSize)...)
	if !bytes.Equal(f.file.b, want) {
		t.Error("want the sector that was written again, and the others as they were")
	}
}

func TestSurvivorsOfDirectoriesAreBetweenNoneAndAll(t *testing.T) {
	r := seeded(t)
	sum := 0
	for range 3000 {
		if n := surviving(10, r, 0); n != 0 {
			t.Fatalf("%d survive with keep 0", n)
		}
		if n := surviving(10, r, 1); n != 10 {
			t.Fatalf("%d survive with keep 1", n)
		}
		n := surviving(10, r, 0.5)
		if n < 0 || n > 10 {
			t.Fatalf("%d survive of 10", n)
		}
		sum += n
	}
	if sum < 13_000 || sum > 17_000 {
		t.Errorf("%d survive of 30000 with keep 0.5", sum)
	}
}
