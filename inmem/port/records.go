package port

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
)

// Raft trusts what it reads from a stream: an entry whose bytes were changed on the way
// would get a valid checksum in the follower's log. TCP's own checksum misses one error
// in 65,536, and devices in between compute it anew. So what Raft writes travels in
// records, unless TLS does the same already:
//
//	length of the payload, 4 bytes; CRC-32C of the payload, 4 bytes; CRC-32C of these
//	eight bytes, 4 bytes; payload
//
// all little endian. The head has a checksum of its own, or a length that was changed
// would let the reader wait for bytes that are never sent, and take those for them that
// come after.
const (
	recordHead = 12
	maxRecord  = 256 << 10
)

// errRecord ends a stream on which something was changed.
var errRecord = errors.New("what arrived is not what was sent: a record does not match its checksum")

// records is a stream of records over a connection. As with Raft's streams, one goroutine
// reads and one writes.
type records struct {
	net.Conn
	head [recordHead]byte // of the record that is being read
	in   []byte           // the record that is being read
	rest []byte           // what of it has not been read
	out  []byte           // the record that is being written
	bad  error            // nothing is read after a bad record
}

// Write implements net.Conn.
func (r *records) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n := min(len(b), maxRecord)
		r.out = binary.LittleEndian.AppendUint32(r.out[:0], uint32(n))
		r.out = binary.LittleEndian.AppendUint32(r.out, crc32.Checksum(b[:n], castagnoli))
		r.out = binary.LittleEndian.AppendUint32(r.out, crc32.Checksum(r.out, castagnoli))
		r.out = append(r.out, b[:n]...)
		if _, err := r.Conn.Write(r.out); err != nil {
			return written, err
		}
		written += n
		b = b[n:]
	}
	return written, nil
}

// Read implements net.Conn.
func (r *records) Read(b []byte) (int, error) {
	for len(r.rest) == 0 && len(b) > 0 {
		if r.bad == nil {
			r.bad = r.next()
		}
		if r.bad != nil {
			return 0, r.bad
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next reads a record.
func (r *records) next() error {
	if _, err := io.ReadFull(r.Conn, r.head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(r.head[:])
	if n > maxRecord || crc32.Checksum(r.head[:8], castagnoli) != binary.LittleEndian.Uint32(r.head[8:]) {
		return errRecord
	}
	if cap(r.in) < int(n) {
		r.in = make([]byte, n)
	}
	r.in = r.in[:n]
	if _, err := io.ReadFull(r.Conn, r.in); err != nil {
		return err
	}
	if crc32.Checksum(r.in, castagnoli) != binary.LittleEndian.Uint32(r.head[4:]) {
		return errRecord
	}
	r.rest = r.in
	return nil
}
