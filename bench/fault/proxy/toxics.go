package proxy

import "time"

// Toxics say how connections are broken. The zero value breaks nothing.
type Toxics struct {
	Up   Flow // from client to target
	Down Flow // from target to client
	// RefuseNew resets new connections.
	RefuseNew bool
}

// Both breaks both directions in the same way.
func Both(f Flow) Toxics { return Toxics{Up: f, Down: f} }

// A Flow says how one direction is broken. Numbers that are not positive do
// nothing.
type Flow struct {
	// Delay holds every byte back for this long, and Jitter for up to this long
	// in addition. The order inside a connection is kept.
	Delay  time.Duration
	Jitter time.Duration
	// Silence lets nothing through and closes nothing, not even what the other
	// side has closed. Bytes are held, in bounded memory: the sender comes to a
	// halt when the buffers on the way are full.
	Silence bool
	// Drop takes what is sent and throws it away. When it ends, connections that
	// lost something are reset.
	Drop bool
	// Bandwidth is in bytes per second, for all connections together.
	Bandwidth int64
	// SlowReader is the rate, in bytes per second, at which each connection's
	// sender is read from. The sender comes to a halt when the buffers of the
	// kernel are full.
	SlowReader int64
	// FlipEvery flips one bit, at a seeded place, in every so many bytes of each
	// connection.
	FlipEvery int64
	// CutEvery resets each connection after so many bytes. Proxy.Cut does it at
	// once.
	CutEvery int64
}

// blocked reports whether nothing gets through.
func (f Flow) blocked() bool { return f.Silence || f.Drop }

// direction is an index into what exists once for each direction.
type direction int

const (
	up direction = iota
	down
)

func (d direction) String() string { return [...]string{"up", "down"}[d] }

func (d direction) other() direction { return 1 - d }

// state is what is in force. It does not change; a new one replaces it.
type state struct {
	Toxics
	over chan struct{} // closed when it is replaced
}

func (s *state) flow(d direction) *Flow {
	if d == up {
		return &s.Up
	}
	return &s.Down
}
