package simdisk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// A Damage is a way in which a file at rest is ruined.
type Damage int

const (
	FlipBit    Damage = iota
	ZeroSector        // 512 bytes
	ZeroBlock         // 4 KiB
	Cut               // bytes at the end are gone
	Swap              // two files have each other's content
	Lose              // the file is gone
	Stale             // the file has an older content
	numDamages
)

// Damages returns all kinds of damage.
func Damages() []Damage {
	all := make([]Damage, numDamages)
	for i := range all {
		all[i] = Damage(i)
	}
	return all
}

func (k Damage) String() string {
	names := [numDamages]string{"flipped bit", "zeroed sector", "zeroed block", "cut", "swap", "loss", "stale content"}
	if k < 0 || k >= numDamages {
		return fmt.Sprintf("Damage(%d)", int(k))
	}
	return names[k]
}

// ErrNotPossible is returned by Disk.Damage for a file that cannot be damaged in
// that way: it is empty, it is the only one, or no older content is known.
var ErrNotPossible = errors.New("simulated disk: this file cannot be damaged in this way")

// A Damaged is a damage that was done.
type Damaged struct {
	Kind  Damage
	Names []string // of the files that it ruined
	What  string   // for people
	// Changed: some byte, or the size, of a file is another one than before.
	Changed bool
}

// Damage ruins a file. Most damage hits the part of it that is in use: what
// comes before the zeros at its end.
func (d *Disk) Damage(rng *rand.Rand, kind Damage, name string) (Damaged, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("damage", name)
	if err != nil {
		return Damaged{}, err
	}
	done := Damaged{Kind: kind, Names: []string{name}, Changed: true}
	switch kind {
	case Lose:
		dir, base, err := d.findDir("damage", name)
		if err != nil {
			return Damaged{}, err
		}
		delete(dir.entries, base)
		delete(dir.durableEntries, base)
		d.used -= int64(len(n.cur))
		done.What = name + " is gone"
		return done, nil
	case Swap:
		return d.swap(rng, done, n)
	case Stale:
		older := slices.DeleteFunc(slices.Clone(n.versions), func(b []byte) bool { return bytes.Equal(b, n.cur) })
		if len(older) == 0 {
			return Damaged{}, ErrNotPossible
		}
		d.replace(n, older[rng.IntN(len(older))])
		done.What = name + " has an older content"
		return done, nil
	}
	if len(n.cur) == 0 {
		return Damaged{}, ErrNotPossible
	}
	before := n.cur
	b := slices.Clone(before)
	at := rng.IntN(len(b))
	if used := len(bytes.TrimRight(b, "\x00")); used > 0 && rng.IntN(10) > 0 {
		at = rng.IntN(used)
	}
	switch kind {
	case FlipBit:
		bit := rng.IntN(8)
		b[at] ^= 1 << bit
		done.What = fmt.Sprintf("%s: bit %d of byte %d flipped", name, bit, at)
	case ZeroSector, ZeroBlock:
		size := sector
		if kind == ZeroBlock {
			size = 8 * sector
		}
		at -= at % size
		clear(b[at:min(at+size, len(b))])
		done.What = fmt.Sprintf("%s: %d bytes zeroed at %d", name, size, at)
	case Cut:
		b = b[:at]
		if rng.IntN(2) == 0 {
			b = before[:len(before)-1-rng.IntN(min(len(before), 1024))]
		}
		done.What = fmt.Sprintf("%s: cut from %d bytes to %d", name, len(before), len(b))
	default:
		return Damaged{}, fmt.Errorf("%v: %w", kind, ErrNotPossible)
	}
	done.Changed = !bytes.Equal(before, b)
	d.replace(n, b)
	return done, nil
}

// Overwrite gives a file that exists another content, durably: damage that the
// caller has thought of.
func (d *Disk) Overwrite(name string, content []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("overwrite", name)
	if err != nil {
		return err
	}
	d.replace(n, content)
	return nil
}

// replace gives a file another content, durably.
func (d *Disk) replace(n *node, b []byte) {
	d.used += int64(len(b)) - int64(len(n.cur))
	n.cur, n.durable, n.writes = slices.Clone(b), slices.Clone(b), nil
}

func (d *Disk) swap(rng *rand.Rand, done Damaged, n *node) (Damaged, error) {
	others := slices.DeleteFunc(d.root.files("/"), func(name string) bool { return name == done.Names[0] })
	if len(others) == 0 {
		return Damaged{}, ErrNotPossible
	}
	other := others[rng.IntN(len(others))]
	m, err := d.find("damage", other)
	if err != nil {
		return Damaged{}, err
	}
	a, b := n.cur, m.cur
	d.replace(n, b)
	d.replace(m, a)
	done.What = fmt.Sprintf("%s and %s swapped", done.Names[0], other)
	done.Names = append(done.Names, other)
	done.Changed = !bytes.Equal(a, b)
	return done, nil
}

// Restore gives files back the content, durably, that another disk has under
// their names.
func (d *Disk) Restore(from *Disk, names ...string) error {
	from = from.Clone() // its nodes are nobody else's
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		n, err := from.find("restore", name)
		if err != nil {
			return err
		}
		dir, base, err := d.findDir("restore", name)
		if err != nil {
			return err
		}
		dir.entries[base], dir.durableEntries[base] = n, n
	}
	d.used = d.root.size()
	return nil
}
