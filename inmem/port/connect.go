package port

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"trihold/repo/driver"
)

// A wire is an open connection that the port knows of, with TLS or without.
type wire struct {
	net.Conn
	raw  net.Conn // what Conn writes to, or Conn itself
	port *Port
}

// Close closes the socket without a farewell of TLS, which could wait for the
// other side. Raft and the frames of calls notice a cut by themselves.
func (w *wire) Close() error {
	w.port.forget(w.raw)
	return w.raw.Close()
}

// dial connects to a node and passes the handshake.
func (p *Port) dial(ctx context.Context, to Target, purpose Purpose) (*wire, Peer, error) {
	ctx, stop := context.WithTimeout(ctx, p.c.Handshake)
	defer stop()
	defer context.AfterFunc(p.life, stop)()
	w, peer, err := p.greet(ctx, to, purpose)
	if err != nil {
		return nil, Peer{}, fmt.Errorf("connect to %s: %w", to, err)
	}
	return w, peer, nil
}

func (p *Port) greet(ctx context.Context, to Target, purpose Purpose) (*wire, Peer, error) {
	name, _ := SplitID(to.ID)
	address := to.Address
	if via, ok := p.c.Via[name]; ok && name != "" {
		address = via
	}
	raw, err := p.c.DialTCP(ctx, address)
	if err != nil {
		return nil, Peer{}, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	w := &wire{Conn: raw, raw: raw, port: p}
	if err := p.remember(raw); err != nil {
		return nil, Peer{}, err
	}
	// Once ctx has ended, reading and writing fail at once.
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	peer, err := p.introduce(ctx, w, to.ID, purpose)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err == nil {
		err = p.identify(raw, peer)
	}
	if err != nil {
		stop()
		w.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: no handshake in time: %w", driver.ErrUnavailable, err)
		}
		return nil, Peer{}, err
	}
	return w, peer, nil
}

// introduce is the handshake of the side that dials.
func (p *Port) introduce(ctx context.Context, w *wire, want string, purpose Purpose) (Peer, error) {
	if p.c.TLS != nil {
		secure := tls.Client(w.raw, p.c.TLS.client())
		if err := secure.HandshakeContext(ctx); err != nil {
			return Peer{}, explainTLS(err)
		}
		w.Conn = secure
	}
	self := p.self()
	if err := writeMessage(w, greeting{purpose: purpose, want: want, from: self}.encode()); err != nil {
		return Peer{}, fmt.Errorf("%w: send the greeting: %w", driver.ErrUnavailable, err)
	}
	body, err := readMessage(w)
	if err != nil {
		return Peer{}, explainSilence(err)
	}
	hello, err := decodeAnswer(body)
	if err != nil {
		return Peer{}, err
	}
	peer := Peer{Hello: hello, Purpose: purpose}
	return peer, p.judge(w, self, peer, want, hello)
}

// receive is the handshake of the side that was dialed. A refusal is sent to the
// other side and returned.
func (p *Port) receive(w *wire) (Peer, error) {
	deadline := time.Now().Add(p.c.Handshake)
	if err := w.raw.SetDeadline(deadline); err != nil {
		return Peer{}, err
	}
	body, refusal, err := p.listen(w)
	if err != nil {
		return Peer{}, err
	}
	self := p.self()
	var peer Peer
	if refusal == nil {
		var g greeting
		if g, refusal = decodeGreeting(body); refusal == nil {
			peer = Peer{Hello: g.from, Purpose: g.purpose}
			refusal = p.judge(w, self, peer, g.want, self)
		}
	}
	if refusal == nil && peer.Purpose == Raft && !p.layer.open.Load() {
		refusal = fmt.Errorf("%s has not started Raft yet: %w", self.ID(), driver.ErrUnavailable)
	}
	if err := writeMessage(w, encodeAnswer(self, refusal)); err != nil && refusal == nil {
		return Peer{}, fmt.Errorf("answer the greeting: %w", err)
	}
	if refusal != nil {
		p.linger(w.raw)
		return Peer{}, refusal
	}
	if _, plain := w.Conn.(*unread); plain {
		w.Conn = w.raw // all of it has been read
	}
	return peer, w.raw.SetDeadline(time.Time{})
}

// listen reads the greeting, through TLS if that is required. A refusal is to be
// told to the other side; after an error nothing can be.
func (p *Port) listen(w *wire) (body []byte, refusal, err error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(w.raw, first); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errNoGreeting, err)
	}
	w.Conn = &unread{Conn: w.raw, bytes: first}
	secure := first[0] == tlsRecord
	switch {
	case secure && p.c.TLS == nil:
		return nil, fmt.Errorf("the node that dials uses TLS and %s does not: give both a directory of certificates, or none: %w", p.self().ID(), driver.ErrInvalid), nil
	case secure:
		conn := tls.Server(w.Conn, p.c.TLS.server())
		if err := conn.Handshake(); err != nil {
			return nil, nil, explainTLS(err)
		}
		w.Conn = conn
	}
	body, err = readMessage(w)
	if errors.Is(err, driver.ErrInvalid) {
		return nil, err, nil
	}
	if err == nil && !secure && p.c.TLS != nil {
		return nil, fmt.Errorf("%s takes only connections with TLS: give the node that dials its directory of certificates: %w", p.self().ID(), driver.ErrInvalid), nil
	}
	return body, nil, err
}

// judge says why the connection is not to be. is is the one of the two nodes that
// was dialed.
func (p *Port) judge(w *wire, self Hello, peer Peer, want string, is Hello) error {
	if err := meant(want, is); err != nil {
		return err
	}
	if err := suits(self, peer); err != nil {
		return err
	}
	if secure, ok := w.Conn.(*tls.Conn); ok {
		if err := named(secure.ConnectionState().PeerCertificates[0], peer.Name); err != nil {
			return err
		}
	}
	return p.c.Admit(peer)
}

// linger lets a refusal reach the other side: closing at once, with bytes of it
// unread, would cut it off.
func (p *Port) linger(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_ = conn.SetDeadline(time.Now().Add(min(time.Second, p.c.Handshake)))
	_, _ = io.CopyN(io.Discard, conn, 64<<10)
}

// explainTLS names the remedy for a failed handshake of TLS.
func explainTLS(err error) error {
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) {
		return fmt.Errorf("TLS: the other side does not speak it: give its node a directory of certificates too: %w: %w", driver.ErrInvalid, err)
	}
	return fmt.Errorf("TLS: %w: %w", driver.ErrInvalid, err)
}

// explainSilence is for an answer that cannot be read. Under TLS 1.3 a refused
// certificate shows only here.
func explainSilence(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, driver.ErrInvalid):
		return err
	case errors.As(err, &op) && op.Op == "remote error":
		return fmt.Errorf("TLS: the other side refuses this node's certificate: %w: %w", driver.ErrInvalid, err)
	case errors.Is(err, errNoGreeting):
		return fmt.Errorf("%w: %w", driver.ErrInvalid, err)
	}
	return fmt.Errorf("%w: no answer to the greeting: %w", driver.ErrUnavailable, err)
}

// An unread connection gives back what was read of it already.
type unread struct {
	net.Conn
	bytes []byte
}

func (u *unread) Read(b []byte) (int, error) {
	if len(u.bytes) > 0 {
		n := copy(b, u.bytes)
		u.bytes = u.bytes[n:]
		return n, nil
	}
	return u.Conn.Read(b)
}
