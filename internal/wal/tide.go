package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"trihold/repo/driver"
)

// tideName is a file of one floor that is written after every entry and synced by
// Mark only. It costs a write into the page cache, and is exact as long as the machine
// does not lose power: after a mere end of the process, damage to the last entry is
// then no torn tail. After a loss of power it may be behind, which says nothing, and
// never ahead, because the entry was synced before.
const tideName = "tide"

// openTide opens the file, or makes it, and returns what it says: a zero position if
// that is nothing. A loss of power may leave zeros in it, or one floor mixed with
// another, and each of them says nothing. Anything else was not written as a tide.
func (l *Log) openTide() (position, error) {
	name := filepath.Join(l.c.Dir, tideName)
	f, err := l.c.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = l.c.FS.Create(name)
	}
	if err != nil {
		return position{}, err
	}
	l.tide = f
	b := make([]byte, floorSize)
	if n, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return position{}, err
	} else if n < len(b) {
		return position{}, nil
	}
	if !mayBeTorn(b) {
		return position{}, fmt.Errorf("%s: another file's content, which may be what that file is missing: %w", name, driver.ErrCorrupt)
	}
	found, _ := decodeFloor(b)
	return found.position, nil
}

// mayBeTorn reports whether there is the magic, or as much of it as a loss of power left
// of the first write of a file, with nothing behind it.
func mayBeTorn(b []byte) bool {
	for i := range floorMagic {
		if b[i] != floorMagic[i] {
			return isZero(b[i:])
		}
	}
	return true
}

// writeTide notes that everything up to the end was synced. With NoSync it was not.
func (l *Log) writeTide() error {
	if l.c.NoSync {
		return nil
	}
	if _, err := l.tide.WriteAt(floor{position: l.end}.encode(), 0); err != nil {
		return l.fail(err)
	}
	return nil
}

// lowerTide makes the tide say less, durably: that everything up to an earlier
// position was synced or, if fresh, nothing.
func (l *Log) lowerTide(to position, fresh bool) error {
	if fresh {
		to = position{}
	}
	if _, err := l.tide.WriteAt(floor{position: to}.encode(), 0); err != nil {
		return err
	}
	return l.tide.Sync()
}

// syncTide makes the tide durable. A segment that goes back to an older content,
// floors and all, is then noticed even after a loss of power.
func (l *Log) syncTide() error {
	if l.c.NoSync {
		return nil
	}
	if err := l.tide.Sync(); err != nil {
		return l.fail(err)
	}
	return nil
}
