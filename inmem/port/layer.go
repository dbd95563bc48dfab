package port

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"trihold/repo/driver"
)

// A layer is Raft's part of the port.
type layer struct {
	port     *Port
	open     atomic.Bool // somebody has asked for the stream layer
	incoming chan net.Conn
	closing  sync.Once
	closed   chan struct{}
}

func newLayer(p *Port) *layer {
	return &layer{port: p, incoming: make(chan net.Conn), closed: make(chan struct{})}
}

// Stream returns the stream layer for a raft.NetworkTransport, always the same.
// Until it is called, streams of other nodes are refused. Dial takes addresses of
// RaftAddress only, which is what Provider makes.
func (p *Port) Stream() raft.StreamLayer {
	p.layer.open.Store(true)
	return p.layer
}

// Dial implements raft.StreamLayer.
func (l *layer) Dial(a raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, address := ParseRaftAddress(a)
	if id == "" {
		return nil, fmt.Errorf("connect to %s for Raft: the ID of the node is not known: %w", address, driver.ErrUnavailable)
	}
	ctx := context.Background()
	if timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		defer stop()
	}
	w, _, err := l.port.dial(ctx, Target{Address: address, ID: id}, Raft)
	if err != nil {
		return nil, err
	}
	return l.stream(w), nil
}

// stream returns a connection on which Raft reads what was written, or an error.
func (l *layer) stream(w *wire) net.Conn {
	if l.port.c.TLS != nil {
		return w
	}
	return &records{Conn: w}
}

// take hands a stream to Accept, or closes it if that does not want it in time.
func (l *layer) take(w *wire) {
	patience := time.NewTimer(l.port.c.Handshake)
	defer patience.Stop()
	select {
	case l.incoming <- l.stream(w):
		return
	case <-patience.C:
	case <-l.closed:
	case <-l.port.life.Done():
	}
	w.Close()
}

// Accept implements net.Listener.
func (l *layer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The port goes on without Raft.
func (l *layer) Close() error {
	l.closing.Do(func() {
		l.open.Store(false)
		close(l.closed)
	})
	return nil
}

// Addr implements net.Listener.
func (l *layer) Addr() net.Addr { return address(l.port.advertise) }

// An address is what other nodes dial, which may be a name.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
