package port

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxPayload is the size in bytes of the largest call and the largest answer.
const MaxPayload = 16 << 20

// A frame carries one message of a connection for calls:
//
//	CRC-32C of the rest of the head 4 | payload length 4 | ID of the call 8 | kind 1 | method 1 | zero 2 |
//	CRC-32C of the payload 4 | payload
//
// Numbers are little-endian. The head, all but the payload, has a checksum of its own: a
// length that was changed would swallow the frames that follow, and the pings with them.
type frame struct {
	id      uint64
	kind    kind
	method  uint8
	payload []byte
}

const headerSize = 24

type kind uint8

// What goes from the side that dialed to the other, and back.
const (
	request kind = iota + 1
	cancel       // nobody waits for the answer any more
	ping
	reply
	failure
	pong
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("damaged frame")
)

// append encodes the frame.
func (f frame) append(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.payload)))
	b = binary.LittleEndian.AppendUint64(b, f.id)
	b = append(b, byte(f.kind), f.method, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(f.payload, castagnoli))
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return append(b, f.payload...)
}

// readFrame returns the next frame, whose payload belongs to the caller. The
// buffer of r must hold a header.
func readFrame(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(headerSize)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	if crc32.Checksum(head[4:], castagnoli) != binary.LittleEndian.Uint32(head) {
		return frame{}, fmt.Errorf("%w: checksum of the head", errDamaged)
	}
	n, want := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[20:])
	f := frame{id: binary.LittleEndian.Uint64(head[8:]), kind: kind(head[16]), method: head[17]}
	if n > MaxPayload {
		return frame{}, fmt.Errorf("%w: %d bytes, the limit is %d", errDamaged, n, MaxPayload)
	}
	if _, err := r.Discard(headerSize); err != nil {
		return frame{}, err
	}
	if n > 0 {
		f.payload = make([]byte, n)
		if _, err := io.ReadFull(r, f.payload); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return frame{}, err
		}
	}
	if crc32.Checksum(f.payload, castagnoli) != want {
		return frame{}, fmt.Errorf("%w: checksum", errDamaged)
	}
	return f, nil
}
