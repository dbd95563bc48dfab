package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hashicorp/raft"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// A snapshot file is a prelude, which says what Raft needs to know about it, and
// a body, which is the state machine's own matter. Numbers are little endian
// unless they are uvarints. The prelude:
//
//	 0  magic "TRIHRSN1"
//	 8  format version, 4 bytes; lowest version that can read it, 4 bytes
//	16  cluster ID, 16 bytes
//	32  index and term of the last entry that it includes, 8 bytes each
//	48  index of the entry with the configuration, 8 bytes
//	56  Raft's version of snapshots, 4 bytes
//	60  size of the configuration, 4 bytes
//	64  the configuration: number of servers, uvarint; for each: suffrage, 1 byte;
//	    length, uvarint, and ID; length, uvarint, and address
//	    CRC-32C of all before, 4 bytes
//
// It says nothing about the node that wrote it, so that a file can be read
// anywhere.
const (
	snapshotMagic    = "TRIHRSN1"
	snapshotFormat   = 1
	preludeFixed     = 64
	maxConfiguration = 1 << 20 // far more than any cluster needs
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Prelude is what a snapshot file says before its body.
type Prelude struct {
	Cluster            wal.StoreID
	Version            raft.SnapshotVersion
	Index, Term        uint64
	Configuration      raft.Configuration
	ConfigurationIndex uint64
}

// Encode returns the prelude as it is in a file.
func (p Prelude) Encode() []byte {
	b := make([]byte, preludeFixed)
	copy(b, snapshotMagic)
	binary.LittleEndian.PutUint32(b[8:], snapshotFormat)
	binary.LittleEndian.PutUint32(b[12:], snapshotFormat)
	copy(b[16:], p.Cluster[:])
	binary.LittleEndian.PutUint64(b[32:], p.Index)
	binary.LittleEndian.PutUint64(b[40:], p.Term)
	binary.LittleEndian.PutUint64(b[48:], p.ConfigurationIndex)
	binary.LittleEndian.PutUint32(b[56:], uint32(p.Version))
	b = appendConfiguration(b, p.Configuration)
	binary.LittleEndian.PutUint32(b[60:], uint32(len(b)-preludeFixed))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func appendConfiguration(b []byte, c raft.Configuration) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.Servers)))
	for _, s := range c.Servers {
		b = append(b, byte(s.Suffrage))
		b = binary.AppendUvarint(b, uint64(len(s.ID)))
		b = append(b, s.ID...)
		b = binary.AppendUvarint(b, uint64(len(s.Address)))
		b = append(b, s.Address...)
	}
	return b
}

// HasPrelude reports whether a file that begins with these bytes begins with a
// prelude, whole or damaged.
func HasPrelude(b []byte) bool { return len(b) >= 8 && string(b[:8]) == snapshotMagic }

// ReadPrelude reads a prelude, and returns its size too. One that is not whole is
// ErrCorrupt, one of a newer format ErrInvalid.
func ReadPrelude(r io.Reader) (p Prelude, size int64, err error) {
	b := make([]byte, preludeFixed)
	if err := fill(r, b); err != nil {
		return p, 0, err
	}
	if !HasPrelude(b) {
		return p, 0, fmt.Errorf("it does not begin with %s: %w", snapshotMagic, driver.ErrCorrupt)
	}
	n := binary.LittleEndian.Uint32(b[60:])
	if n > maxConfiguration {
		return p, 0, fmt.Errorf("its prelude is damaged: %w", driver.ErrCorrupt)
	}
	b = append(b, make([]byte, n+4)...)
	if err := fill(r, b[preludeFixed:]); err != nil {
		return p, 0, err
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return p, 0, fmt.Errorf("its prelude does not match its checksum: %w", driver.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[12:]); v > snapshotFormat {
		return p, 0, fmt.Errorf("snapshot format %d is newer than this program, which reads %d; use a newer program: %w", v, snapshotFormat, driver.ErrInvalid)
	}
	p = Prelude{
		Cluster:            wal.StoreID(b[16:32]),
		Index:              binary.LittleEndian.Uint64(b[32:]),
		Term:               binary.LittleEndian.Uint64(b[40:]),
		ConfigurationIndex: binary.LittleEndian.Uint64(b[48:]),
		Version:            raft.SnapshotVersion(binary.LittleEndian.Uint32(b[56:])),
	}
	var ok bool
	if p.Configuration, ok = parseConfiguration(b[preludeFixed:end]); !ok {
		return p, 0, fmt.Errorf("its configuration is not readable: %w", driver.ErrCorrupt)
	}
	return p, int64(len(b)), nil
}

func fill(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut short: %w", driver.ErrCorrupt)
	}
	return err
}

func parseConfiguration(b []byte) (c raft.Configuration, ok bool) {
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			ok = false
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	ok = true
	for range number() {
		if len(b) == 0 {
			return c, false
		}
		s := raft.Server{Suffrage: raft.ServerSuffrage(b[0])}
		b = b[1:]
		s.ID, s.Address = raft.ServerID(text()), raft.ServerAddress(text())
		if !ok {
			return c, false
		}
		c.Servers = append(c.Servers, s)
	}
	return c, ok && len(b) == 0
}

// meta returns what Raft wants to know about a file.
func (p Prelude) meta(id string, bodySize int64) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version:            p.Version,
		ID:                 id,
		Index:              p.Index,
		Term:               p.Term,
		Configuration:      p.Configuration.Clone(),
		ConfigurationIndex: p.ConfigurationIndex,
		Size:               bodySize,
	}
}
