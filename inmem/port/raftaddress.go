package port

import (
	"fmt"
	"strings"

	"github.com/hashicorp/raft"

	"trihold/repo/driver"
)

// RaftAddress returns ID@address: what the stream layer must know to reach a
// certain node, and no other that is at the address now.
func RaftAddress(id, address string) raft.ServerAddress {
	return raft.ServerAddress(id + "@" + address)
}

// ParseRaftAddress takes apart what RaftAddress has made. A plain address has no
// ID.
func ParseRaftAddress(a raft.ServerAddress) (id, address string) {
	id, address, ok := strings.Cut(string(a), "@")
	if !ok {
		return "", string(a)
	}
	return id, address
}

// Provider returns what raft.NetworkTransport looks addresses up in. Raft also
// announces a leader by what it says.
func (p *Port) Provider() raft.ServerAddressProvider { return provider{p} }

type provider struct{ *Port }

// ServerAddr implements raft.ServerAddressProvider.
func (p provider) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if string(id) == p.self().ID() {
		return RaftAddress(string(id), p.Addr()), nil
	}
	address, ok := p.c.AddressOf(string(id))
	if !ok {
		return "", fmt.Errorf("no address of %s is known: %w", id, driver.ErrUnavailable)
	}
	return RaftAddress(string(id), address), nil
}
