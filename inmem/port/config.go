package port

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"trihold/repo/driver"
)

// A Purpose is what a connection is for.
type Purpose uint8

const (
	// Raft: a stream of hashicorp/raft between two members.
	Raft Purpose = iota + 1
	// Member: calls between two members of one cluster.
	Member
	// Introduction: calls of a node that has no cluster yet, or to an address
	// without knowing which node is there.
	Introduction
)

func (p Purpose) String() string {
	switch p {
	case Raft:
		return "raft"
	case Member:
		return "member"
	case Introduction:
		return "introduction"
	}
	return fmt.Sprintf("purpose %d", uint8(p))
}

// A Peer is the node at the other end of a connection, after the handshake.
type Peer struct {
	Hello
	Purpose Purpose
}

// A Handler answers the calls of other nodes; many run at a time. The payload is
// the handler's to keep. ctx ends when the caller no longer waits or the
// connection is gone. The error reaches the caller; see the package comment.
type Handler func(ctx context.Context, from Peer, method uint8, payload []byte) ([]byte, error)

// A Config says where a port listens and whom it lets in. Its functions are
// called by many goroutines.
type Config struct {
	Listen    string // host:port
	Advertise string // what others dial; the default is the address listened on
	// TLS is required of both sides of every connection if it is not nil.
	TLS *TLS
	// Self says who this node is. The answer may change: a node that joins learns
	// its cluster.
	Self func() Hello
	// Admit says why a node is refused, on both sides of a handshake, after the
	// port's own checks have passed. An error that is not driver.ErrInvalid
	// reaches the other side as driver.ErrUnavailable. The default admits.
	Admit func(Peer) error
	// AddressOf knows the addresses of the members, for Provider.
	AddressOf func(id string) (string, bool)
	// Via holds, by name of a node, the address to dial instead of the node's own.
	Via map[string]string
	// Handle answers calls. Without it they fail with driver.ErrUnavailable.
	Handle Handler
	// Dead is how long a node may be silent while a call waits for it, or take
	// nothing that is sent to it, before the connection is given up. The default
	// is 3 s.
	Dead time.Duration
	// Handshake is how long connecting and the handshake may take; the default is
	// 5 s.
	Handshake time.Duration
	// Logger hears of the connections that were refused; the default is
	// slog.Default.
	Logger *slog.Logger
	// DialTCP and ListenTCP are the network; the default is the operating
	// system's.
	DialTCP   func(ctx context.Context, address string) (net.Conn, error)
	ListenTCP func(address string) (net.Listener, error)
}

func (c *Config) complete() error {
	if c.Self == nil {
		return fmt.Errorf("a port needs to know whose it is: %w", driver.ErrInvalid)
	}
	name := c.Self().Name
	if err := CheckName(name); err != nil {
		return err
	}
	if len(c.Advertise) > maxAddress {
		return fmt.Errorf("the advertised address is longer than %d bytes: %w", maxAddress, driver.ErrInvalid)
	}
	if c.TLS != nil {
		if err := c.TLS.check(name); err != nil {
			return err
		}
	}
	if c.Admit == nil {
		c.Admit = func(Peer) error { return nil }
	}
	if c.AddressOf == nil {
		c.AddressOf = func(string) (string, bool) { return "", false }
	}
	if c.Handle == nil {
		c.Handle = func(context.Context, Peer, uint8, []byte) ([]byte, error) {
			return nil, driver.Failed("call", driver.ErrUnavailable, errors.New("the node answers no calls"))
		}
	}
	if c.Dead <= 0 {
		c.Dead = 3 * time.Second
	}
	if c.Handshake <= 0 {
		c.Handshake = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	keepAlive := net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}
	if c.DialTCP == nil {
		dialer := net.Dialer{KeepAliveConfig: keepAlive}
		c.DialTCP = func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	if c.ListenTCP == nil {
		listener := net.ListenConfig{KeepAliveConfig: keepAlive}
		c.ListenTCP = func(address string) (net.Listener, error) {
			return listener.Listen(context.Background(), "tcp", address)
		}
	}
	return nil
}
