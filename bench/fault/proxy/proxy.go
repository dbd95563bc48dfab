package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a proxy stands in front of.
type Config struct {
	Listen string // default 127.0.0.1:0, a free port
	Target string // may be set later, with SetTarget
	Seed   uint64 // decides about jitter and flipped bits
	Logger *slog.Logger
}

// A Proxy passes connections on to its target. Its methods may be called
// concurrently.
type Proxy struct {
	log      *slog.Logger
	seed     uint64
	listener *net.TCPListener
	links    [2]link
	tally    tally
	state    atomic.Pointer[state]

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // every goroutine

	mu     sync.Mutex // guards what follows, and is held by Set
	target string
	conns  map[*conn]struct{}
	closed bool
}

// Listen starts a proxy without toxics. The caller closes it.
func Listen(c Config) (*Proxy, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{log: c.Logger, seed: c.Seed, listener: l.(*net.TCPListener), target: c.Target, conns: map[*conn]struct{}{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.state.Store(&state{over: make(chan struct{})})
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the address to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget says where new connections are passed on to. Those that exist stay.
func (p *Proxy) SetTarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Set replaces all toxics.
func (p *Proxy) Set(t Toxics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.state.Swap(&state{Toxics: t, over: make(chan struct{})})
	for c := range p.conns {
		if c.lossy(up) && !t.Up.Drop || c.lossy(down) && !t.Down.Drop {
			c.cut()
		}
	}
	close(old.over)
	p.log.Debug("toxics set", "proxy", p.Addr(), "toxics", t)
}

// Cut resets every connection there is and returns how many.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c := range p.conns {
		if c.cut() {
			n++
		}
	}
	return n
}

// Close resets all connections, and returns when nothing of the proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.reset()
	}
	p.mu.Unlock()
	p.stop()
	err := p.listener.Close()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// acceptPause is how long to wait when there is no file descriptor for a new
// connection.
const acceptPause = 10 * time.Millisecond

func (p *Proxy) accept() {
	for number := uint64(0); ; number++ {
		client, err := p.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.log.Warn("proxy cannot accept", "proxy", p.Addr(), "error", err)
			select {
			case <-time.After(acceptPause):
			case <-p.ctx.Done():
			}
			continue
		}
		p.tally.connections.Add(1)
		if p.state.Load().RefuseNew {
			p.tally.refused.Add(1)
			abort(client)
			continue
		}
		p.begin(client, number)
	}
}

// begin starts to serve a connection, unless the proxy is being closed.
func (p *Proxy) begin(client *net.TCPConn, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		abort(client)
		return
	}
	c := &conn{proxy: p, number: number, client: client, over: make(chan struct{})}
	p.conns[c] = struct{}{}
	p.tally.open.Add(1)
	p.wg.Go(func() {
		c.serve()
		c.reset() // whatever is still open; after an orderly end, nothing is
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
		p.tally.open.Add(-1)
	})
}

// targetAddr returns where a new connection goes.
func (p *Proxy) targetAddr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// abort closes a connection so that the other side sees a reset.
func abort(c *net.TCPConn) {
	_ = c.SetLinger(0) // it fails if the connection is gone, which is as good
	_ = c.Close()
}
