package corruption

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"trihold/internal/anatomy"
	"trihold/internal/simdisk"
	"trihold/internal/vfs"
)

// A Damage is what is done to one part of a file, or to a whole one.
type Damage string

// The damages. The first six hit a place in a file, the others hit whole files.
const (
	FlipBit    Damage = "flip a bit"
	ZeroSector Damage = "zero a sector" // 512 bytes
	ZeroBlock  Damage = "zero a block"  // 4 KiB
	Cut        Damage = "cut the file"
	SwapSector Damage = "swap sectors" // with one of the same file
	SwapBlock  Damage = "swap blocks"  // with one of any file
	SwapFiles  Damage = "swap files"
	Lose       Damage = "lose the file"
	Empty      Damage = "empty the file"
	OldCopy    Damage = "an old copy"
)

// Damages returns all damages.
func Damages() []Damage {
	return []Damage{FlipBit, ZeroSector, ZeroBlock, Cut, SwapSector, SwapBlock, SwapFiles, Lose, Empty, OldCopy}
}

const sector = 512

// inPart are the damages that hit a place.
var inPart = []Damage{FlipBit, ZeroSector, ZeroBlock, Cut, SwapSector, SwapBlock}

// wholeFile is the name of the part that damages to whole files hit.
const wholeFile = "the whole file"

// A target is a part of a file, or a whole one, and what is to happen there.
type target struct {
	file   string
	part   string
	damage Damage
	at     int // a byte of the part
}

// targets returns what can be done to an image: each damage to one byte of each kind
// of part of each file, and to each whole file.
func targets(rng *rand.Rand, disk *simdisk.Disk) ([]target, error) {
	var all []target
	for _, file := range disk.Files() {
		content, err := vfs.ReadFile(disk, file)
		if err != nil {
			return nil, err
		}
		byName := map[string][]anatomy.Part{}
		var names []string
		for _, p := range anatomy.Parts(file, content) {
			if byName[p.Name] == nil {
				names = append(names, p.Name)
			}
			byName[p.Name] = append(byName[p.Name], p)
		}
		for _, name := range names {
			for _, damage := range inPart {
				p := byName[name][rng.IntN(len(byName[name]))]
				all = append(all, target{file, name, damage, p.From + rng.IntN(p.To-p.From)})
			}
		}
		for _, damage := range []Damage{SwapFiles, Lose, Empty, OldCopy} {
			all = append(all, target{file: file, part: wholeFile, damage: damage})
		}
	}
	return all, nil
}

// A done is what has happened to a disk.
type done struct {
	files   []string
	what    string
	changed bool
}

// strike does the damage. It may change nothing, such as where all is zero already.
func (t target) strike(rng *rand.Rand, disk *simdisk.Disk) (done, error) {
	switch t.damage {
	case Lose, OldCopy:
		kind := simdisk.Lose
		if t.damage == OldCopy {
			kind = simdisk.Stale
		}
		d, err := disk.Damage(rng, kind, t.file)
		if errors.Is(err, simdisk.ErrNotPossible) {
			return done{}, nil
		}
		return done{d.Names, d.What, d.Changed}, err
	case SwapFiles, SwapBlock:
		return t.exchange(rng, disk)
	}
	before, err := vfs.ReadFile(disk, t.file)
	if err != nil {
		return done{}, err
	}
	after, what := t.change(rng, bytes.Clone(before))
	d := done{[]string{t.file}, fmt.Sprintf("%s: %s: %s", t.file, t.part, what), !bytes.Equal(before, after)}
	return d, disk.Overwrite(t.file, after)
}

// change returns the content of a damaged file.
func (t target) change(rng *rand.Rand, b []byte) (after []byte, what string) {
	switch t.damage {
	case FlipBit:
		bit := rng.IntN(8)
		b[t.at] ^= 1 << bit
		return b, fmt.Sprintf("bit %d of byte %d flipped", bit, t.at)
	case ZeroSector, ZeroBlock:
		size := sector
		if t.damage == ZeroBlock {
			size *= 8
		}
		from := t.at - t.at%size
		clear(b[from:min(from+size, len(b))])
		return b, fmt.Sprintf("%d bytes zeroed at %d", size, from)
	case Cut:
		return b[:t.at], fmt.Sprintf("cut from %d bytes to %d", len(b), t.at)
	case SwapSector:
		from, to := t.at-t.at%sector, rng.IntN(len(b))
		to -= to % sector
		swap(b[from:min(from+sector, len(b))], b[to:min(to+sector, len(b))])
		return b, fmt.Sprintf("sectors at %d and %d swapped", from, to)
	}
	return nil, "emptied"
}

// swap exchanges the content of two slices, as far as the shorter one goes.
func swap(a, b []byte) {
	n := min(len(a), len(b))
	kept := bytes.Clone(a[:n])
	copy(a[:n], b[:n])
	copy(b[:n], kept)
}

// exchange exchanges a block, or all, with another file, more often with one of the
// same kind.
func (t target) exchange(rng *rand.Rand, disk *simdisk.Disk) (done, error) {
	others := slices.DeleteFunc(disk.Files(), func(name string) bool { return name == t.file })
	if same := slices.DeleteFunc(slices.Clone(others), func(name string) bool { return anatomy.Kind(name) != anatomy.Kind(t.file) }); len(same) > 0 && rng.IntN(3) > 0 {
		others = same
	}
	if len(others) == 0 {
		return done{}, nil
	}
	other := others[rng.IntN(len(others))]
	a, err := vfs.ReadFile(disk, t.file)
	if err != nil {
		return done{}, err
	}
	b, err := vfs.ReadFile(disk, other)
	if err != nil {
		return done{}, err
	}
	d := done{files: []string{t.file, other}, what: fmt.Sprintf("%s and %s exchanged", t.file, other), changed: !bytes.Equal(a, b)}
	if t.damage == SwapBlock && len(b) > 0 {
		const size = 8 * sector
		from, to := t.at-t.at%size, rng.IntN(len(b))
		to -= to % size
		one, two := a[from:min(from+size, len(a))], b[to:min(to+size, len(b))]
		d.changed = !bytes.Equal(one[:min(len(one), len(two))], two[:min(len(one), len(two))])
		swap(one, two)
		d.what = fmt.Sprintf("%s: %s: block at %d exchanged with that at %d of %s", t.file, t.part, from, to, other)
		a, b = b, a // each is written back to where it was
	}
	return d, errors.Join(disk.Overwrite(t.file, b), disk.Overwrite(other, a))
}

// helpful reports whether an error names a file that was damaged, or the directory of
// a file that is missing, and says what to do.
func (d done) helpful(err error) bool {
	text := err.Error()
	names := slices.ContainsFunc(d.files, func(name string) bool {
		parts := strings.Split(name, "/")
		return strings.Contains(text, parts[len(parts)-1]) || strings.Contains(text, strings.Join(parts[:len(parts)-1], "/"))
	})
	return names && slices.ContainsFunc([]string{"restore", "rejoin", "join"}, func(remedy string) bool { return strings.Contains(text, remedy) })
}
