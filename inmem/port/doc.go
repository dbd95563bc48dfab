// Package port is the one TCP port of a node in a cluster: Raft's streams and the
// calls between nodes, behind one handshake.
package port
