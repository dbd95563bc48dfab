package rqlitebackend

import (
	"context"
	"sync"
)

// peers are the addresses at which rqlite answers. There are none while a
// managed node is down.
type peers struct {
	mu      sync.Mutex
	hosts   []string      // guarded by mu; host:port
	at      int           // guarded by mu; the host in use
	down    error         // guarded by mu; why there are no hosts
	changed chan struct{} // guarded by mu; closed by the next set
}

func newPeers(hosts ...string) *peers {
	return &peers{hosts: hosts, changed: make(chan struct{})}
}

// set replaces the addresses. If there are none, down says why.
func (p *peers) set(down error, hosts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts, p.at, p.down = hosts, 0, down
	close(p.changed)
	p.changed = make(chan struct{})
}

// current returns the address in use. While there is none it waits; if the context
// ends first, it returns no address and why there was none.
func (p *peers) current(ctx context.Context) (string, error) {
	for {
		p.mu.Lock()
		hosts, at, down, changed := p.hosts, p.at, p.down, p.changed
		p.mu.Unlock()
		if len(hosts) > 0 {
			return hosts[at], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", down
		}
	}
}

// failed moves on to the next address, if host is the one in use.
func (p *peers) failed(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hosts) > 1 && p.hosts[p.at] == host {
		p.at = (p.at + 1) % len(p.hosts)
	}
}

// now returns the address in use, if there is one.
func (p *peers) now() (host string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hosts) == 0 {
		return "", false
	}
	return p.hosts[p.at], true
}

// prefer makes host the address in use.
func (p *peers) prefer(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, h := range p.hosts {
		if h == host {
			p.at = i
		}
	}
}
