package port

import (
	"context"

	"github.com/hashicorp/raft"
)

// A Port is the one TCP port of a node.
type Port struct {
	c Config
}

// A Target is the node that a call is for.
type Target struct {
	Address string
	ID      string // empty: whoever is at the address
}

// Open listens.
func Open(c Config) (*Port, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	return &Port{c: c}, nil
}

// Addr returns what others dial.
func (p *Port) Addr() string { return p.c.Advertise }

func (p *Port) self() Hello { return p.c.Self() }

// Stream returns the stream layer for a raft.NetworkTransport.
func (p *Port) Stream() raft.StreamLayer { return nil }

// Call asks another node and waits for its answer.
func (p *Port) Call(ctx context.Context, to Target, method uint8, payload []byte) ([]byte, error) {
	return nil, ErrNotSent
}

// Drop closes all connections with a node. New ones are up to Config.Admit.
func (p *Port) Drop(id string) {}

// Sever drops all connections and takes and makes none from now on: for a node
// that must stop taking part at once. It does not wait for anything.
func (p *Port) Sever() {}

// Close severs the port and waits until no handler runs any more.
func (p *Port) Close() error { return nil }
