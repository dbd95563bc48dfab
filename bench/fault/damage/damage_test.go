package damage

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// random returns a source with a new seed, or with the one to be replayed.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("TRIHOLD_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TRIHOLD_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// put writes a file with an unusual mode and time.
func put(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	err := errors.Join(
		os.MkdirAll(filepath.Dir(path), 0o755),
		os.RemoveAll(path), // it may not be writable
		os.WriteFile(path, b, 0o600),
		os.Chmod(path, 0o440),
		os.Chtimes(path, longAgo, longAgo),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// text returns size bytes of which none is zero.
func text(rng *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(1 + rng.IntN(255))
	}
	return b
}

// tree returns the content of every file below a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path[len(dir)+1:]] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// apply damages and checks that Done tells the truth, and all of it.
func apply(t *testing.T, rng *rand.Rand, target Target, files []string, kind Kind) (d Done, before, after string) {
	t.Helper()
	then := tree(t, target.Dir)
	d, err := Apply(rng, target, files, kind)
	if err != nil {
		t.Fatal(err)
	}
	now := tree(t, target.Dir)
	if d.Kind != kind || !slices.Contains(files, d.File) {
		t.Fatalf("done is %+v", d)
	}
	before, after = then[d.File], now[d.File]
	if got := differ([]byte(before), []byte(after)); got != d.Differ || got == 0 {
		t.Errorf("%v: %d bytes differ, not %d", d, got, d.Differ)
	}
	if d.Offset > 0 && before[:d.Offset] != after[:d.Offset] {
		t.Errorf("%v: changed before the offset", d)
	}
	if end := int(d.Offset + d.Length); len(after) == len(before) && before[end:] != after[end:] {
		t.Errorf("%v: changed behind the end", d)
	}
	for _, hit := range []string{d.File, d.Other} {
		if _, there := now[hit]; there {
			info, err := os.Stat(filepath.Join(target.Dir, hit))
			if err != nil || info.Mode() != 0o440 || !info.ModTime().Equal(longAgo) {
				t.Errorf("%v: %s has mode %v, time %v, %v", d, hit, info.Mode(), info.ModTime(), err)
			}
		}
		delete(then, hit)
		delete(now, hit)
	}
	if !maps.Equal(then, now) {
		t.Errorf("%v: other files were changed", d)
	}
	return d, before, after
}

func TestAFlippedBitIsOneBitInUse(t *testing.T) {
	rng := random(t)
	for range 100 {
		dir := t.TempDir()
		used := 1 + rng.IntN(9000)
		put(t, dir, "log", append(text(rng, used), make([]byte, 50000)...))
		d, before, after := apply(t, rng, Target{Dir: dir}, []string{"log"}, FlipBit)
		if flipped := before[d.Offset] ^ after[d.Offset]; bits.OnesCount8(flipped) != 1 || flipped != 1<<d.Bit {
			t.Errorf("%v: bits %08b were flipped", d, flipped)
		}
		if d.Offset >= int64(used) {
			t.Errorf("%v: only %d bytes are in use", d, used)
		}
	}
}

func TestNoBitIsFlippedInAHole(t *testing.T) {
	rng := random(t)
	dir := t.TempDir()
	b := make([]byte, 100*sectorSize)
	b[0], b[50*sectorSize+1], b[99*sectorSize] = 1, 1, 1
	put(t, dir, "log", b)
	seen := map[int64]bool{}
	for range 200 {
		d, _, _ := apply(t, rng, Target{Dir: dir}, []string{"log"}, FlipBit)
		seen[d.Offset/sectorSize] = true
		put(t, dir, "log", b)
	}
	if !maps.Equal(seen, map[int64]bool{0: true, 50: true, 99: true}) {
		t.Errorf("sectors hit: %v", slices.Sorted(maps.Keys(seen)))
	}
}

func TestEverywhereHitsZerosToo(t *testing.T) {
	rng := random(t)
	dir := t.TempDir()
	target := Target{Dir: dir, Everywhere: true}
	put(t, dir, "log", make([]byte, 5000))
	apply(t, rng, target, []string{"log"}, FlipBit)
	d, _, after := apply(t, rng, target, []string{"log"}, Truncate)
	if d.Offset != int64(len(after)) || d.Offset+d.Length != 5000 {
		t.Errorf("%v: %d bytes are left of 5000", d, len(after))
	}
}

func TestAZeroedPieceWasNotZero(t *testing.T) {
	rng := random(t)
	for kind, size := range map[Kind]int64{ZeroSector: sectorSize, ZeroBlock: blockSize} {
		dir := t.TempDir()
		b := make([]byte, 20*size+100)
		copy(b[7*size:], text(rng, int(2*size)))
		b[20*size+3] = 1 // in the last piece, which is short
		put(t, dir, "db", b)
		seen := map[int64]bool{}
		for range 3 {
			d, _, after := apply(t, rng, Target{Dir: dir}, []string{"db"}, kind)
			want := size
			if d.Offset == 20*size {
				want = 100
			}
			if d.Offset%size != 0 || d.Length != want || bytes.ContainsFunc([]byte(after[d.Offset:d.Offset+d.Length]), func(r rune) bool { return r != 0 }) {
				t.Errorf("%v: want %d bytes zeroed at a multiple of %d", d, want, size)
			}
			seen[d.Offset/size] = true
		}
		if len(seen) != 3 {
			t.Errorf("%s: pieces hit: %v", kind, seen)
		}
		if d, err := Apply(rng, Target{Dir: dir}, []string{"db"}, kind); !errors.Is(err, ErrNothing) {
			t.Errorf("%v, %v: all is zero already", d, err)
		}
	}
}

func TestATruncatedFileLacksBytesInUse(t *testing.T) {
	rng := random(t)
	shortest := 9000
	for range 100 {
		dir := t.TempDir()
		put(t, dir, "log", append(text(rng, 9000), make([]byte, 50000)...))
		d, before, after := apply(t, rng, Target{Dir: dir, MaxCut: 100}, []string{"log"}, Truncate)
		if len(after) >= 9000 || len(after) < 8900 || before[:len(after)] != after {
			t.Errorf("%v: %d bytes are left", d, len(after))
		}
		shortest = min(shortest, len(after))
	}
	if shortest > 8950 {
		t.Errorf("no cut of more than %d bytes in 100", 9000-shortest)
	}
}

func TestAShortFileCanBeTruncatedToNothing(t *testing.T) {
	rng := random(t)
	dir := t.TempDir()
	put(t, dir, "log", []byte{7, 0, 0})
	_, _, after := apply(t, rng, Target{Dir: dir}, []string{"log"}, Truncate)
	if after != "" {
		t.Errorf("%q is left", after)
	}
	if d, err := Apply(rng, Target{Dir: dir}, []string{"log"}, Truncate); !errors.Is(err, ErrNothing) {
		t.Errorf("%v, %v", d, err)
	}
}

func TestSwappedFilesHaveEachOthersContent(t *testing.T) {
	rng := random(t)
	dir := t.TempDir()
	put(t, dir, "a", []byte("one"))
	put(t, dir, "b", []byte("one"))
	put(t, dir, "deep/c", []byte("three"))
	then := tree(t, dir)
	d, _, _ := apply(t, rng, Target{Dir: dir}, []string{"a", "b", "deep/c"}, SwapFiles)
	now := tree(t, dir)
	if now[d.File] != then[d.Other] || now[d.Other] != then[d.File] {
		t.Errorf("%v: %q", d, now)
	}
	if d, err := Apply(rng, Target{Dir: dir}, []string{"a"}, SwapFiles); !errors.Is(err, ErrNothing) {
		t.Errorf("%v, %v: swapped one file", d, err)
	}
	put(t, dir, "x", []byte("same"))
	put(t, dir, "y", []byte("same"))
	if d, err := Apply(rng, Target{Dir: dir}, []string{"x", "y"}, SwapFiles); !errors.Is(err, ErrNothing) {
		t.Errorf("%v, %v: swapped equal files", d, err)
	}
}

func TestARemovedFileIsGone(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", []byte("one"))
	put(t, dir, "b", []byte("two"))
	d, _, _ := apply(t, random(t), Target{Dir: dir}, []string{"a", "b"}, RemoveFile)
	if _, err := os.Stat(filepath.Join(dir, d.File)); !errors.Is(err, fs.ErrNotExist) || d.Length != 3 {
		t.Errorf("%v: %v", d, err)
	}
}

func TestAnOldVersionIsThatOfTheCopy(t *testing.T) {
	rng := random(t)
	dir, old := t.TempDir(), filepath.Join(t.TempDir(), "old")
	put(t, dir, "same", []byte("same"))
	put(t, dir, "grown", []byte("old"))
	if err := Save(dir, old); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "young", []byte("young"))
	put(t, dir, "grown", []byte("newer"))
	target, files := Target{Dir: dir, Old: old}, []string{"same", "young", "grown"}
	d, _, after := apply(t, rng, target, files, OldVersion)
	if after != "old" || d.Length != 5 {
		t.Errorf("%v: it is %q now", d, after)
	}
	if d, err := Apply(rng, target, files, OldVersion); !errors.Is(err, ErrNothing) {
		t.Errorf("%v, %v: all is old already", d, err)
	}
	if d, err := Apply(rng, Target{Dir: dir}, files, OldVersion); err == nil || errors.Is(err, ErrNothing) {
		t.Errorf("%v, %v: there is no copy", d, err)
	}
}

func TestTheSameSourceDoesTheSameDamage(t *testing.T) {
	rng := random(t)
	dir, saved := t.TempDir(), filepath.Join(t.TempDir(), "saved")
	for _, name := range []string{"a", "b", "c"} {
		put(t, dir, name, text(rng, 20000))
	}
	if err := Save(dir, saved); err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		if kind == OldVersion {
			continue
		}
		seed := rng.Uint64()
		var before map[string]string
		var first Done
		for n := range 2 {
			if err := Restore(saved, dir); err != nil {
				t.Fatal(err)
			}
			d, _, _ := apply(t, rand.New(rand.NewPCG(seed, 0)), Target{Dir: dir}, []string{"a", "b", "c"}, kind)
			now := tree(t, dir)
			if n == 1 && (d != first || !maps.Equal(now, before)) {
				t.Errorf("%v, and then %v", first, d)
			}
			first, before = d, now
		}
	}
}

// A file without anything to damage is passed over.
func TestAnotherFileIsTakenIfOneHasNothing(t *testing.T) {
	rng := random(t)
	for _, kind := range []Kind{FlipBit, ZeroSector, ZeroBlock, Truncate} {
		dir := t.TempDir()
		files := []string{"empty", "zeros", "text", "linked"}
		put(t, dir, "empty", nil)
		put(t, dir, "zeros", make([]byte, 10000))
		put(t, dir, "text", text(rng, 10000))
		put(t, dir, "linked", text(rng, 10000))
		if err := os.Link(filepath.Join(dir, "linked"), filepath.Join(t.TempDir(), "outside")); err != nil {
			t.Fatal(err)
		}
		if d, _, _ := apply(t, rng, Target{Dir: dir}, files, kind); d.File != "text" {
			t.Errorf("%v", d)
		}
		if d, err := Apply(rng, Target{Dir: dir}, []string{"empty", "zeros", "linked"}, kind); !errors.Is(err, ErrNothing) {
			t.Errorf("%v, %v", d, err)
		}
	}
}

func TestNothingOutsideOfTheDirectoryIsDamaged(t *testing.T) {
	rng := random(t)
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	put(t, base, "outside", text(rng, 5000))
	put(t, dir, "inside", text(rng, 5000))
	err := errors.Join(
		os.Symlink("../outside", filepath.Join(dir, "link")),
		os.Symlink("..", filepath.Join(dir, "up")),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range append(Kinds(), "unheard-of") {
		for _, name := range []string{"../outside", "link", "up/outside", filepath.Join(base, "outside"), "missing", "."} {
			d, err := Apply(rng, Target{Dir: dir, Old: base}, []string{name}, kind)
			if err == nil || errors.Is(err, ErrNothing) {
				t.Errorf("%s of %s: %v, %v", kind, name, d, err)
			}
		}
		if _, err := os.Lstat(filepath.Join(dir, "link")); err != nil {
			t.Error(err)
		}
	}
	if d, err := Apply(rng, Target{Dir: dir}, []string{"inside"}, "unheard-of"); err == nil {
		t.Errorf("%v", d)
	}
}
