// Package port is the one TCP port of a node in a cluster: Raft's streams and the
// calls between nodes, with or without TLS, behind one handshake.
//
// # The nouns
//
// A Port listens, dials, and knows every socket that is open. A Hello is what a
// node says of itself, and a Peer the node at the other end of a connection. A
// Purpose is what a connection is for, and a Target whom a call is for.
//
// A wire is a connection that has passed the handshake. Raft gets its wires from
// the layer. A wire for calls has a link on the side that dialed and a service on
// the other; both write through a sender, which gathers frames while a write is
// under way. The pool holds one link for each node that is called. A fault is an
// error on its way back to the caller.
//
// # The handshake
//
// The side that dials sends a greeting: what the connection is for, the ID of the
// node that it means, and its Hello. The other side answers with its own Hello, or
// says why it refuses. Each side refuses
//
//   - a node of another cluster, or of another epoch of this one: a recovery from
//     a lost quorum begins a new epoch, and whoever it left behind stays out;
//   - a node that is not the one meant, such as one whose directory was replaced;
//   - a program that cannot read the format that the cluster writes;
//   - under TLS, a certificate of another authority, or one without the node's
//     name as a DNS name;
//   - what Config.Admit refuses.
//
// Nothing of Raft and no call passes before that. An introduction, which is how a
// node finds a cluster and joins it, is exempt from the first rule, so a Handler
// must look at Peer.Purpose before it does anything for one. With TLS configured a
// connection without it is refused, and none is made.
//
// A refusal wraps driver.ErrInvalid if trying again is of no use, and
// driver.ErrUnavailable otherwise. The side that dialed gets it as an error; the
// other one logs it, the same one at most every ten seconds.
//
// # Calls
//
// Many calls share a connection, and are answered in any order. A call ends with
// its context; the handler's context ends then too. At most 1,024 calls, or 64 MiB
// of them, are under way on a connection; further ones wait for room.
//
// The error of a call is one of three things. ErrNotSent: the handler has not run
// and never will. ErrLost: it may have run, or may still. Anything else is what the
// handler returned: errors.Is finds the sentinels of package driver and those of
// package context in it, errors.As a *driver.Error and a *Redirect, and its text
// is the same. Other types, and ErrNotSent and ErrLost of calls that the handler
// itself has made, arrive as text.
//
// While calls wait, a node that says nothing is pinged, and given up after
// Config.Dead.
//
// # Caveats
//
// A call that wants to be told from its copies needs an ID in its payload: after
// ErrLost nobody knows whether it has been handled. Connections stay open when the
// answers of Config.Self and Config.Admit change; Drop closes those of one node.
// The checksums of frames find damage by faulty hardware, not forgery: for that
// there is TLS. Certificates are read once, at the start.
package port
