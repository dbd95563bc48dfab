package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout is how long a target may take to be reached.
const dialTimeout = 10 * time.Second

// A conn is one connection of a client and the one to the target that belongs to
// it.
type conn struct {
	proxy  *Proxy
	number uint64
	client *net.TCPConn
	over   chan struct{}  // closed by reset
	lost   [2]atomic.Bool // whether Drop took something, for each direction

	mu     sync.Mutex // guards what follows
	target *net.TCPConn
	done   bool
}

// lossy reports whether something was lost in a direction.
func (c *conn) lossy(d direction) bool { return c.lost[d].Load() }

// reset ends the connection for both sides, if it has not ended.
func (c *conn) reset() { c.abort(false) }

// cut resets the connection as a toxic does, and reports whether it had not ended.
func (c *conn) cut() bool { return c.abort(true) }

func (c *conn) abort(count bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return false
	}
	c.done = true
	if count {
		c.proxy.tally.cut.Add(1) // before anyone can see it
	}
	close(c.over)
	abort(c.client)
	if c.target != nil {
		abort(c.target)
	}
	return true
}

// finish ends the connection after both sides have closed their half.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.done = true
	close(c.over)
	_ = c.client.Close()
	_ = c.target.Close()
}

// serve passes bytes in both directions until both have ended.
func (c *conn) serve() {
	if !c.connect() {
		return
	}
	pipes := [2]*pipe{newPipe(c, up, c.client, c.target), newPipe(c, down, c.target, c.client)}
	var wg sync.WaitGroup
	var ended [2]bool
	wg.Go(func() { ended[down] = pipes[down].run() })
	ended[up] = pipes[up].run()
	wg.Wait()
	if ended[up] && ended[down] {
		c.finish()
	}
}

// connect waits until nothing is in the way of a new connection, and makes that
// to the target.
func (c *conn) connect() bool {
	p := c.proxy
	kept := false
	for {
		s := p.state.Load()
		if !s.Up.blocked() && !s.Down.blocked() {
			break
		}
		if !kept {
			kept = true
			p.tally.kept.Add(1)
		}
		select {
		case <-s.over:
		case <-c.over:
			return false
		}
	}
	if kept && gaveUp(c.client) {
		return false
	}
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: -1}
	addr := p.targetAddr()
	t, err := d.DialContext(p.ctx, "tcp", addr)
	if err != nil {
		if p.ctx.Err() == nil {
			p.tally.unreachable.Add(1)
			p.log.Debug("proxy cannot reach its target", "proxy", p.Addr(), "target", addr, "error", err)
		}
		return false
	}
	target := t.(*net.TCPConn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		abort(target)
		return false
	}
	c.target = target
	return true
}
