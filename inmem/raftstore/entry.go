package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

const (
	entryFormat = 1
	// entryFixed is the size of what comes before the term.
	entryFixed = 10
	// noTime stands for the zero time, which has no number of microseconds.
	noTime = math.MinInt64
)

// encodeEntry returns a Raft entry as the payload of a log entry, behind the bytes
// that the log fills in.
func encodeEntry(l *raft.Log) []byte {
	b := make([]byte, wal.EntryHeader, wal.EntryHeader+entryFixed+2*binary.MaxVarintLen64+len(l.Extensions)+len(l.Data))
	b = append(b, entryFormat, byte(l.Type))
	at := int64(noTime)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixMicro()
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	b = binary.AppendUvarint(b, l.Term)
	b = binary.AppendUvarint(b, uint64(len(l.Extensions)))
	b = append(b, l.Extensions...)
	return append(b, l.Data...)
}

var errShortEntry = errors.New("it is cut short")

// decodeEntry reads what encodeEntry made. The entry's data is part of b.
func decodeEntry(index uint64, b []byte, l *raft.Log) error {
	corrupt := func(err error) error {
		return fmt.Errorf("log entry %d: %w: %w", index, err, driver.ErrCorrupt)
	}
	if len(b) < entryFixed {
		return corrupt(errShortEntry)
	}
	if b[0] > entryFormat {
		return fmt.Errorf("log entry %d has format %d, this program reads %d; use a newer program: %w", index, b[0], entryFormat, driver.ErrInvalid)
	}
	if b[0] == 0 {
		return corrupt(errors.New("it has no format"))
	}
	*l = raft.Log{Index: index, Type: raft.LogType(b[1])}
	if at := int64(binary.LittleEndian.Uint64(b[2:])); at != noTime {
		l.AppendedAt = time.UnixMicro(at).UTC()
	}
	term, rest, err := takeUvarint(b[entryFixed:])
	if err != nil {
		return corrupt(err)
	}
	size, rest, err := takeUvarint(rest)
	if err != nil {
		return corrupt(err)
	}
	if size > uint64(len(rest)) {
		return corrupt(errShortEntry)
	}
	l.Term = term
	if size > 0 {
		l.Extensions = rest[:size:size]
	}
	if rest = rest[size:]; len(rest) > 0 {
		l.Data = rest
	}
	return nil
}

// takeUvarint reads a number from the front of b. There is one way to write it.
func takeUvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n <= 0:
		return 0, nil, errShortEntry
	case n > 1 && b[n-1] == 0:
		return 0, nil, errors.New("a number in it is longer than it needs to be")
	}
	return v, b[n:], nil
}
