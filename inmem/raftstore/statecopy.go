package raftstore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

const (
	stateMagic  = "TRIHHARD"
	stateFormat = 1
	stateBlock  = 4 << 10 // the size of a copy
	stateHeader = 40
)

var stateTable = crc32.MakeTable(crc32.Castagnoli)

// A stateCopy is what one of the copies of the hard state says. The zeros behind its
// values are part of what its checksum covers.
//
//	 0  magic "TRIHHARD"
//	 8  format version, 4 bytes; lowest version that can read it, 4 bytes
//	16  ID of the node's directory, 8 bytes
//	24  sequence number of the change, 8 bytes
//	32  number of values, 4 bytes
//	36  CRC-32C of the 36 bytes before and of all that follow in the block, 4 bytes
//	40  values by key: length of the key, 4 bytes; of the value, 4 bytes; both
//
// All numbers are little endian.
type stateCopy struct {
	sequence uint64
	values   map[string][]byte
}

// encode returns a whole block.
func (c stateCopy) encode(dir string) ([]byte, error) {
	id, err := hex.DecodeString(dir)
	if err != nil || len(id) != 8 {
		return nil, fmt.Errorf("%q is no ID of a directory: %w", dir, driver.ErrInvalid)
	}
	b := make([]byte, stateHeader, stateBlock)
	copy(b, stateMagic)
	binary.LittleEndian.PutUint32(b[8:], stateFormat)
	binary.LittleEndian.PutUint32(b[12:], stateFormat)
	copy(b[16:], id)
	binary.LittleEndian.PutUint64(b[24:], c.sequence)
	binary.LittleEndian.PutUint32(b[32:], uint32(len(c.values)))
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(c.values[key])))
		b = append(append(b, key...), c.values[key]...)
	}
	if len(b) > stateBlock {
		return nil, fmt.Errorf("%d bytes do not fit a block of %d: %w", len(b), stateBlock, driver.ErrTooLarge)
	}
	b = append(b, make([]byte, stateBlock-len(b))...)
	binary.LittleEndian.PutUint32(b[36:], stateSum(b))
	return b, nil
}

func stateSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:36], stateTable), stateTable, b[stateHeader:])
}

// decodeState reads what encode made. The error is ErrInvalid if a newer program did.
func decodeState(b []byte, dir string) (c stateCopy, err error) {
	corrupt := func(why string) (stateCopy, error) {
		return stateCopy{}, fmt.Errorf("%s: %w", why, driver.ErrCorrupt)
	}
	switch {
	case string(b[:8]) != stateMagic:
		return corrupt("no hard state")
	case stateSum(b) != binary.LittleEndian.Uint32(b[36:]):
		return corrupt("hard state does not match its checksum")
	}
	if v := binary.LittleEndian.Uint32(b[12:]); v > stateFormat {
		return c, fmt.Errorf("hard state of format %d, this program reads %d; use a newer program: %w", v, stateFormat, driver.ErrInvalid)
	}
	if id := hex.EncodeToString(b[16:24]); id != dir {
		return corrupt("hard state of the directory " + id)
	}
	c = stateCopy{sequence: binary.LittleEndian.Uint64(b[24:]), values: map[string][]byte{}}
	rest := b[stateHeader:]
	for range binary.LittleEndian.Uint32(b[32:]) {
		if len(rest) < 8 {
			return corrupt("hard state is cut short")
		}
		key, value := uint64(binary.LittleEndian.Uint32(rest)), uint64(binary.LittleEndian.Uint32(rest[4:]))
		if rest = rest[8:]; key+value > uint64(len(rest)) {
			return corrupt("hard state is cut short")
		}
		c.values[string(rest[:key])] = bytes.Clone(rest[key : key+value])
		rest = rest[key+value:]
	}
	return c, nil
}

// readFull reads the beginning of a file. What the file does not have is left as it is.
func readFull(f vfs.File, b []byte) error {
	_, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
