package port

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"trihold/repo/driver"
)

// A handshake is a greeting of the side that dials and the answer of the other.
// Both have the same frame, which no later version may change:
//
//	magic 8 | version 2 | minimum version of a reader 2 | length 4 | body | CRC-32C of all before 4
const (
	magic          = "triholdP"
	version        = 1
	minVersion     = 1 // the least that a reader of our messages must know
	messageHead    = 16
	maxMessageBody = 4 << 10
	// tlsRecord is the first byte of every TLS connection.
	tlsRecord = 0x16
)

// errNoGreeting: the other side is no port of a node, or not in the clear.
var errNoGreeting = errors.New("no greeting of a trihold node")

// writeMessage sends one message of the handshake.
func writeMessage(w io.Writer, body []byte) error {
	b := append(make([]byte, 0, messageHead+len(body)+4), magic...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint16(b, minVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, body...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err := w.Write(b)
	return err
}

// readMessage returns the body of a message. It reads not a byte beyond it.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, messageHead)
	// Of a stranger only the magic is awaited: it may say less than a whole head.
	if _, err := io.ReadFull(r, head[:len(magic)]); err != nil {
		return nil, err
	}
	if string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it begins with %q", errNoGreeting, head[:len(magic)])
	}
	if _, err := io.ReadFull(r, head[len(magic):]); err != nil {
		return nil, err
	}
	theirs, least := binary.LittleEndian.Uint16(head[8:]), binary.LittleEndian.Uint16(head[10:])
	n := binary.LittleEndian.Uint32(head[12:])
	if n > maxMessageBody {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", errNoGreeting, n, maxMessageBody)
	}
	rest := make([]byte, n+4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, err
	}
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, rest[:n])
	if sum != binary.LittleEndian.Uint32(rest[n:]) {
		return nil, fmt.Errorf("%w: checksum", errNoGreeting)
	}
	if least > version {
		return nil, fmt.Errorf("one node speaks version %d of the port's protocol, which takes at least version %d to read, and the other knows version %d: upgrade its program: %w", theirs, least, version, driver.ErrInvalid)
	}
	return rest[:n], nil
}

// A greeting is what the side that dials says.
type greeting struct {
	purpose Purpose
	want    string // the ID of the node it means; empty: any
	from    Hello
}

func (g greeting) encode() []byte {
	return g.from.append(appendString([]byte{byte(g.purpose)}, g.want))
}

func decodeGreeting(body []byte) (greeting, error) {
	r := &reader{rest: body}
	g := greeting{purpose: Purpose(r.byte()), want: r.string()}
	g.from.decode(r)
	if r.err != nil {
		return g, fmt.Errorf("%w: %w", errNoGreeting, r.err)
	}
	return g, nil
}

// The verdicts of an answer.
const (
	accepted = iota
	refusedInvalid
	refusedUnavailable
)

// encodeAnswer encodes the answer to a greeting: the Hello of the node, or why it
// refuses.
func encodeAnswer(self Hello, refusal error) []byte {
	if refusal == nil {
		return self.append([]byte{accepted})
	}
	verdict := byte(refusedUnavailable)
	if errors.Is(refusal, driver.ErrInvalid) {
		verdict = refusedInvalid
	}
	text := refusal.Error()
	return appendString([]byte{verdict}, text[:min(len(text), maxMessageBody/2)])
}

func decodeAnswer(body []byte) (Hello, error) {
	r := &reader{rest: body}
	var h Hello
	verdict := r.byte()
	if verdict == accepted {
		h.decode(r)
		if r.err != nil {
			return h, fmt.Errorf("%w: %w", errNoGreeting, r.err)
		}
		return h, nil
	}
	refusal := &remoteError{text: r.string(), in: []error{driver.ErrUnavailable}}
	if r.err != nil {
		return h, fmt.Errorf("%w: %w", errNoGreeting, r.err)
	}
	if verdict == refusedInvalid {
		refusal.in[0] = driver.ErrInvalid
	}
	return h, fmt.Errorf("refused: %w", refusal)
}

// suits says why two nodes have nothing to say to each other.
func suits(self Hello, peer Peer) error {
	if err := CheckName(peer.Name); err != nil {
		return err
	}
	them := peer.ID()
	for _, side := range []struct{ writer, reader Hello }{{self, peer.Hello}, {peer.Hello, self}} {
		if side.writer.Writes > side.reader.Reads {
			return fmt.Errorf("the cluster of %s writes format %d, and the program of %s reads up to %d: upgrade that program: %w",
				side.writer.ID(), side.writer.Writes, side.reader.ID(), side.reader.Reads, driver.ErrInvalid)
		}
	}
	switch {
	case peer.Purpose == Introduction:
		return nil
	case peer.Purpose != Raft && peer.Purpose != Member:
		return fmt.Errorf("%v is unknown to %s: upgrade its program: %w", peer.Purpose, self.ID(), driver.ErrInvalid)
	case !self.Member() || !peer.Member():
		joining := self.ID()
		if self.Member() {
			joining = them
		}
		return fmt.Errorf("%s belongs to no cluster yet: wait until it has joined: %w", joining, driver.ErrUnavailable)
	case self.Cluster != peer.Cluster:
		return fmt.Errorf("%s belongs to cluster %s and %s to cluster %s: check the addresses, or let the node that is wrong here join with an empty directory: %w",
			self.ID(), clusterName(self), them, clusterName(peer.Hello), driver.ErrInvalid)
	case self.Epoch != peer.Epoch:
		old, recent := self, peer.Hello
		if old.Epoch > recent.Epoch {
			old, recent = recent, old
		}
		return fmt.Errorf("the cluster of %s was recovered without %s (epochs %d and %d): let that node join again with an empty directory: %w",
			recent.ID(), old.ID(), recent.Epoch, old.Epoch, driver.ErrInvalid)
	}
	return nil
}

// meant says why a node is not the one that was dialed.
func meant(want string, is Hello) error {
	if want == "" || want == is.ID() {
		return nil
	}
	name, _ := SplitID(want)
	if name == is.Name {
		return fmt.Errorf("node %s has another directory now (%s, not %s): remove %s from the cluster and let the node join: %w", name, is.ID(), want, want, driver.ErrInvalid)
	}
	return fmt.Errorf("node %s is at this address, not %s: correct the address: %w", is.ID(), want, driver.ErrInvalid)
}

func clusterName(h Hello) string { return hex.EncodeToString(h.Cluster[:]) }
