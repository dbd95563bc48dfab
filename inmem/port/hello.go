package port

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"trihold/repo/driver"
)

// A Hello is what a node says of itself when a connection begins.
type Hello struct {
	Cluster [16]byte // zero: the node belongs to no cluster yet
	Epoch   uint64   // of the cluster; every recovery from a lost quorum raises it
	Name    string   // of the node
	Dir     string   // the ID of its directory, in hexadecimal digits
	Address string   // where others dial the node; Port fills it in
	Reads   uint32   // the highest cluster format that this program reads
	Writes  uint32   // the cluster format now; 0: not known yet
}

// ID returns name/dir, the ID of the node as a Raft server.
func (h Hello) ID() string { return h.Name + "/" + h.Dir }

// Member reports whether the node belongs to a cluster.
func (h Hello) Member() bool { return h.Cluster != [16]byte{} }

// SplitID returns the two parts of a node's ID.
func SplitID(id string) (name, dir string) {
	name, dir, _ = strings.Cut(id, "/")
	return name, dir
}

// CheckName says why a node cannot have this name.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a node needs a name: %w", driver.ErrInvalid)
	case len(name) > maxName:
		return fmt.Errorf("the node's name is longer than %d bytes: %w", maxName, driver.ErrInvalid)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || strings.IndexByte(`/@,"\`, c) >= 0 {
			return fmt.Errorf("a node's name holds letters, digits, dots and hyphens, and %q has %q: %w", name, c, driver.ErrInvalid)
		}
	}
	return nil
}

// Lengths in bytes that a greeting may have.
const (
	maxName    = 64
	maxAddress = 255
)

// append encodes the Hello. What later versions append to it is ignored by this
// one.
func (h Hello) append(b []byte) []byte {
	b = append(b, h.Cluster[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.Epoch)
	b = binary.LittleEndian.AppendUint32(b, h.Reads)
	b = binary.LittleEndian.AppendUint32(b, h.Writes)
	b = appendString(b, h.Name)
	b = appendString(b, h.Dir)
	return appendString(b, h.Address)
}

func (h *Hello) decode(r *reader) {
	copy(h.Cluster[:], r.bytes(len(h.Cluster)))
	h.Epoch = r.uint64()
	h.Reads = r.uint32()
	h.Writes = r.uint32()
	h.Name = r.string()
	h.Dir = r.string()
	h.Address = r.string()
}

// A reader takes apart an encoded message. After the first field that is missing
// every further one is zero, and err tells.
type reader struct {
	rest []byte
	err  error
}

var errShort = errors.New("message is cut short")

func (r *reader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.err = nil, errShort
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) string() string {
	n := r.uint32()
	if uint64(n) > uint64(len(r.rest)) {
		r.rest, r.err = nil, errShort
		return ""
	}
	return string(r.bytes(int(n)))
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
