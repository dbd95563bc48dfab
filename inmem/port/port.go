package port

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"trihold/repo/driver"
)

// maxStrangers is how many incoming connections may be in their handshake.
const maxStrangers = 256

// A Port is the one TCP port of a node.
type Port struct {
	c         Config
	advertise string
	listener  net.Listener
	layer     *layer
	pool      pool
	refusals  refusals
	strangers chan struct{}   // one for each handshake under way
	life      context.Context // ended by Sever
	end       context.CancelFunc
	running   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]string // every open socket, and the peer's ID once it is known
	over  error               // why there are no connections any more
}

// A Target is the node that a call is for.
type Target struct {
	Address string
	ID      string // empty: whoever is at the address
}

func (t Target) String() string {
	if t.ID == "" {
		return t.Address
	}
	return t.ID + " at " + t.Address
}

// Open listens. Calls are answered from now on, perhaps before Open has returned.
func Open(c Config) (*Port, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("open the port: %w", err)
	}
	listener, err := c.ListenTCP(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the port: %w", err)
	}
	p := &Port{
		c:         c,
		advertise: c.Advertise,
		listener:  listener,
		pool:      pool{slots: map[Target]*slot{}},
		refusals:  refusals{log: c.Logger, last: map[string]time.Time{}},
		strangers: make(chan struct{}, maxStrangers),
		conns:     map[net.Conn]string{},
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.layer = newLayer(p)
	if p.advertise == "" {
		p.advertise = listener.Addr().String()
		if tcp, ok := listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			listener.Close()
			return nil, fmt.Errorf("open the port: others cannot dial %s: say which address they should (advertise): %w", p.advertise, driver.ErrInvalid)
		}
	}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns what others dial.
func (p *Port) Addr() string { return p.advertise }

// self returns what this node says of itself.
func (p *Port) self() Hello {
	h := p.c.Self()
	h.Address = p.advertise
	return h
}

// accept takes connections until the port is severed.
func (p *Port) accept() {
	var pause time.Duration
	for {
		conn, err := p.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no file descriptors, for example: later there may be some
			p.refusals.add("", fmt.Errorf("accept: %w", err))
			pause = min(max(5*time.Millisecond, 2*pause), time.Second)
			select {
			case <-time.After(pause):
				continue
			case <-p.life.Done():
				return
			}
		}
		pause = 0
		select {
		case p.strangers <- struct{}{}:
			p.running.Go(func() { p.admit(conn) })
		default:
			p.refusals.add(conn.RemoteAddr().String(), fmt.Errorf("%d connections are in their handshake already", maxStrangers))
			conn.Close()
		}
	}
}

// admit passes the handshake with a node that has dialed, and serves it.
func (p *Port) admit(raw net.Conn) {
	remote := raw.RemoteAddr().String()
	w := &wire{Conn: raw, raw: raw, port: p}
	err := p.remember(raw)
	var peer Peer
	if err == nil {
		peer, err = p.receive(w)
	}
	<-p.strangers
	if err == nil {
		err = p.identify(raw, peer)
	}
	if err != nil {
		w.Close()
		p.refusals.add(remote, err)
		return
	}
	if peer.Purpose == Raft {
		p.layer.take(w)
		return
	}
	err = serve(w, peer, p.c.Handle, p.c.Dead, &p.running)
	w.Close()
	if errors.Is(err, errDamaged) || errors.Is(err, io.ErrUnexpectedEOF) {
		p.refusals.add(remote, fmt.Errorf("calls of %s: %w", peer.ID(), err))
	}
}

// begin counts a call as running, so that Close waits for it.
func (p *Port) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over == nil {
		p.running.Add(1)
	}
	return p.over
}

// remember takes note of a socket, or closes it if there are to be none.
func (p *Port) remember(raw net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over != nil {
		raw.Close()
		return p.over
	}
	p.conns[raw] = ""
	return nil
}

// identify notes who is at the other end.
func (p *Port) identify(raw net.Conn, peer Peer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over != nil {
		return p.over
	}
	p.conns[raw] = peer.ID()
	return nil
}

func (p *Port) forget(raw net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, raw)
}

// Sever drops all connections and takes and makes none from now on: for a node
// that must stop taking part at once. It waits for nothing, and handlers may call
// it. The stream layer's Accept returns only once that is closed.
func (p *Port) Sever() {
	p.sever(fmt.Errorf("the node takes no part in the cluster any more: %w", driver.ErrUnavailable))
}

func (p *Port) sever(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over != nil {
		return
	}
	p.over = why
	p.end()
	p.listener.Close()
	for raw := range p.conns {
		raw.Close()
	}
}

// Close severs the port and waits for calls and handlers to end, whose context
// does. A handler must not call it.
func (p *Port) Close() error {
	p.sever(fmt.Errorf("the port was closed: %w", driver.ErrClosed))
	_ = p.layer.Close()
	p.running.Wait()
	return nil
}
