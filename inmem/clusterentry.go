package inmem

import (
	"encoding/binary"
	"fmt"
	"time"

	"trihold/repo/driver"
)

// What the Raft log of a cluster holds is a frame around a journal entry:
//
//	clusterFormat, 1 byte
//	ID of the batch, 24 bytes; ID of the batch that it rests on, 24 bytes
//	hash of the state that it rests on, 8 bytes
//	time of the leader, microseconds since 1970, 8 bytes
//	the journal entry, or a raise of the format
//
// A raise of the format:
//
//	raiseFormat, 1 byte; the new format, 4 bytes
const (
	clusterFormat = 3
	raiseFormat   = 4

	// clusterReads is the highest cluster format that this program reads. A format
	// is raised by a raise entry, when all members can read it.
	clusterReads = 1

	clusterHeader = 1 + 2*batchIDSize + 8 + 8
)

// A frame is a decoded frame.
type frame struct {
	id, before batchID
	hash       uint64
	time       int64
	entry      []byte
}

// putFrame fills in the frame at the front of a batch's entry.
func putFrame(b *batch, now time.Time) {
	h := b.entry[:0:clusterHeader]
	h = append(h, clusterFormat)
	h = b.id.append(h)
	h = b.before.append(h)
	h = binary.LittleEndian.AppendUint64(h, b.hash)
	binary.LittleEndian.AppendUint64(h, uint64(now.UnixMicro()))
}

// decodeFrame reads what the Raft log holds.
func decodeFrame(data []byte) (f frame, err error) {
	d := decoder{b: data, ok: true}
	if format := d.byte(); d.ok && format != clusterFormat {
		return f, fmt.Errorf("log entry of format %d, this program reads %d; use a newer program: %w", format, clusterFormat, driver.ErrInvalid)
	}
	f.id, f.before, f.hash, f.time = d.batchID(), d.batchID(), d.fixed64(), int64(d.fixed64())
	if !d.ok {
		return f, fmt.Errorf("log entry is cut short: %w", driver.ErrCorrupt)
	}
	f.entry = d.b
	return f, nil
}

// decodeRaise returns the format of a raise, and false for another entry.
func decodeRaise(entry []byte) (format uint32, ok bool) {
	if len(entry) != 5 || entry[0] != raiseFormat {
		return 0, false
	}
	return binary.LittleEndian.Uint32(entry[1:]), true
}

// raiseEntry returns the entry that raises the cluster's format, behind a frame that is
// to be filled in.
func raiseEntry(format uint32) []byte {
	b := append(make([]byte, clusterHeader), raiseFormat)
	return binary.LittleEndian.AppendUint32(b, format)
}
