package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"trihold/internal/vfs"
)

// tipName is the file that says how far the log reached. It is not part of a
// segment, so that a segment that goes back to an older content is noticed.
const tipName = "tip"

const (
	tipMagic = "TIP1"
	tipSize  = 40
)

// A tip is the open file of that name. It has two slots, written in turn.
type tip struct {
	file vfs.File
	slot int // the next to be written
}

// newTip makes the file, with room for both slots.
func newTip(c Config) (*tip, error) {
	f, err := c.FS.Create(filepath.Join(c.Dir, tipName))
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(make([]byte, 2*block), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &tip{file: f}, nil
}

// openTip opens the file and returns what it says. Without a readable tip that is
// nothing: the log may be whole all the same, and the next mark makes a new one.
func openTip(c Config) (t *tip, at position, err error) {
	name := filepath.Join(c.Dir, tipName)
	content, err := vfs.ReadFile(c.FS, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t, err = newTip(c)
		return t, at, err
	case err != nil:
		return nil, at, err
	}
	t = &tip{}
	for slot := range 2 {
		if p, ok := decodeTip(content, slot, c.StoreID); ok && p.index >= at.index {
			at, t.slot = p, 1-slot
		}
	}
	t.file, err = c.FS.Open(name)
	return t, at, err
}

// write records that the log reached a position durably.
func (t *tip) write(c Config, at position) error {
	b := make([]byte, tipSize)
	copy(b, tipMagic)
	copy(b[8:], c.StoreID[:])
	binary.LittleEndian.PutUint64(b[24:], at.index)
	binary.LittleEndian.PutUint32(b[32:], at.sum)
	binary.LittleEndian.PutUint32(b[36:], crc32.Checksum(b[:36], castagnoli))
	if _, err := t.file.WriteAt(b, int64(t.slot)*block); err != nil {
		return fmt.Errorf("mark the end of the log: %w", err)
	}
	t.slot = 1 - t.slot
	if c.NoSync {
		return nil
	}
	return t.file.Sync()
}

func decodeTip(content []byte, slot int, id StoreID) (position, bool) {
	if len(content) < slot*block+tipSize {
		return position{}, false
	}
	b := content[slot*block:][:tipSize]
	if string(b[:4]) != tipMagic || StoreID(b[8:24]) != id || crc32.Checksum(b[:36], castagnoli) != binary.LittleEndian.Uint32(b[36:]) {
		return position{}, false
	}
	return position{index: binary.LittleEndian.Uint64(b[24:]), sum: binary.LittleEndian.Uint32(b[32:])}, true
}
