package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"
)

// ErrNothing is returned if no file can be damaged in the way that was asked for,
// so that it would make a difference.
var ErrNothing = errors.New("nothing to damage")

// A Target is where damage happens.
type Target struct {
	Dir string
	// Old is an earlier copy of Dir, made by Save. Only OldVersion needs it.
	Old string
	// MaxCut is how many bytes Truncate takes at most; 0 is 1024.
	MaxCut int64
	// Everywhere lets FlipBit and Truncate hit bytes that are not in use.
	Everywhere bool
}

const defaultMaxCut = 1024

// Done is what has been changed.
type Done struct {
	Kind Kind   `json:"kind"`
	File string `json:"file"` // below the directory
	// Other is the file that SwapFiles exchanged it with.
	Other string `json:"other,omitempty"`
	// Offset and Length are the bytes that were hit. RemoveFile, SwapFiles and
	// OldVersion hit the whole of what was there.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	// Bit is the one that FlipBit inverted, from 0, the lowest.
	Bit int `json:"bit"`
	// Differ is how many of the bytes differ from before, or are gone; never 0, but
	// when a file without content was removed.
	Differ int64 `json:"differ"`
}

// String says what happened, for a report.
func (d Done) String() string {
	switch d.Kind {
	case FlipBit:
		return fmt.Sprintf("%s: %s: bit %d of byte %d", d.Kind, d.File, d.Bit, d.Offset)
	case SwapFiles:
		return fmt.Sprintf("%s: %s and %s", d.Kind, d.File, d.Other)
	case RemoveFile, OldVersion:
		return fmt.Sprintf("%s: %s, %d bytes", d.Kind, d.File, d.Length)
	}
	return fmt.Sprintf("%s: %s: %d bytes at %d", d.Kind, d.File, d.Length, d.Offset)
}

// Apply damages one of the files, chosen by rng as the place in it is. The files
// are named by their paths below the directory, as Find returns them.
func Apply(rng *rand.Rand, t Target, files []string, kind Kind) (Done, error) {
	root, err := os.OpenRoot(t.Dir)
	if err != nil {
		return Done{}, fmt.Errorf("damage directory: %w", err)
	}
	defer root.Close()
	a := &applier{Target: t, root: root, rng: rng, files: files}
	for _, i := range rng.Perm(len(files)) {
		done, err := a.apply(i, kind)
		switch {
		case errors.Is(err, ErrNothing):
			continue
		case err != nil:
			return Done{}, fmt.Errorf("damage (%s) file %s: %w", kind, files[i], err)
		}
		done.Kind, done.File = kind, files[i]
		return done, nil
	}
	return Done{}, fmt.Errorf("damage (%s) one of %d files: %w", kind, len(files), ErrNothing)
}

// An applier damages one directory.
type applier struct {
	Target
	root  *os.Root
	rng   *rand.Rand
	files []string
}

func (a *applier) apply(i int, kind Kind) (Done, error) {
	info, err := a.root.Lstat(a.files[i])
	if err != nil {
		return Done{}, err
	}
	if !info.Mode().IsRegular() {
		return Done{}, fmt.Errorf("it is no regular file but %v", info.Mode().Type())
	}
	switch kind {
	case FlipBit, ZeroSector, ZeroBlock, Truncate:
		return a.inPlace(a.files[i], info, kind)
	case SwapFiles:
		return a.swap(i, info)
	case RemoveFile:
		return Done{Length: info.Size(), Differ: info.Size()}, a.root.Remove(a.files[i])
	case OldVersion:
		return a.replace(a.files[i], info)
	}
	return Done{}, fmt.Errorf("there is no such damage")
}

// inPlace changes the content of a file.
func (a *applier) inPlace(name string, info fs.FileInfo, kind Kind) (Done, error) {
	if links(info) > 1 {
		return Done{}, ErrNothing // its other name may be outside of the directory
	}
	f, err := openForDamage(a.root, name, info)
	if err != nil {
		return Done{}, err
	}
	c := &content{File: f, size: info.Size()}
	var done Done
	switch kind {
	case FlipBit:
		done, err = a.flip(c)
	case ZeroSector:
		done, err = a.zero(c, sectorSize)
	case ZeroBlock:
		done, err = a.zero(c, blockSize)
	default:
		done, err = a.truncate(c)
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return Done{}, err
	}
	return done, keep(a.root, name, info)
}

// openForDamage opens a file for writing, whatever its mode allows.
func openForDamage(root *os.Root, name string, info fs.FileInfo) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR, 0)
	if !errors.Is(err, fs.ErrPermission) {
		return f, err
	}
	if err := root.Chmod(name, info.Mode().Perm()|0o600); err != nil {
		return nil, err
	}
	return root.OpenFile(name, os.O_RDWR, 0) // keep gives the mode back
}

// keep gives a file the mode, the owner and the time that info has.
func keep(root *os.Root, name string, info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := root.Lchown(name, int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
	}
	// A change of the owner takes setuid away, so the mode comes after it.
	if err := root.Chmod(name, info.Mode()); err != nil {
		return err
	}
	return root.Chtimes(name, info.ModTime(), info.ModTime())
}

// links returns how many names a file has.
func links(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}
