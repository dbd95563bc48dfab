package port

import (
	"context"
	"fmt"
	"sync"

	"trihold/repo/driver"
)

// A pool holds one link for each node that is called.
type pool struct {
	mu    sync.Mutex
	slots map[Target]*slot
}

// A slot is a link, or the attempt to make one. link and err are set before ready
// is closed.
type slot struct {
	ready chan struct{}
	link  *link
	err   error
}

// get returns the link to a node. Whoever comes while it is being made waits for
// that.
func (p *Port) get(ctx context.Context, to Target) (*link, error) {
	p.pool.mu.Lock()
	s := p.pool.slots[to]
	if s == nil {
		s = &slot{ready: make(chan struct{})}
		p.pool.slots[to] = s
		p.running.Go(func() { p.fill(s, to) })
	}
	p.pool.mu.Unlock()
	select {
	case <-s.ready:
		return s.link, s.err
	default:
	}
	select {
	case <-s.ready:
		return s.link, s.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the connection: %w", ctx.Err())
	}
}

// fill makes the link of a slot.
func (p *Port) fill(s *slot, to Target) {
	defer close(s.ready)
	leave := func() { p.leave(s, to) }
	w, peer, err := p.dial(context.Background(), to, Member)
	if err != nil {
		leave()
		s.err = err
		return
	}
	s.link = newLink(w, peer, p.c.Dead, p.running.Go, leave)
}

// leave takes a slot out of the pool.
func (p *Port) leave(s *slot, to Target) {
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	if p.pool.slots[to] == s {
		delete(p.pool.slots, to)
	}
}

// Call asks another node and waits for its answer. The payload is not kept. The
// error is ErrNotSent or ErrLost, or else what the other node's handler returned.
// A call of a node without a cluster, or to an address without an ID, is an
// introduction and has a connection of its own.
func (p *Port) Call(ctx context.Context, to Target, method uint8, payload []byte) ([]byte, error) {
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("call %s: %w: %w: %d bytes, the limit is %d", to, ErrNotSent, driver.ErrTooLarge, len(payload), MaxPayload)
	}
	if err := p.begin(); err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", to, ErrNotSent, err)
	}
	defer p.running.Done()
	if to.ID == "" || !p.self().Member() {
		return p.callOnce(ctx, to, method, payload)
	}
	for range 2 { // the link may have broken since the last call
		l, err := p.get(ctx, to)
		if err != nil {
			return nil, fmt.Errorf("call %s: %w: %w", to, ErrNotSent, err)
		}
		answer, err := l.call(ctx, method, payload)
		if err != errGone {
			return answer, err
		}
	}
	return nil, fmt.Errorf("call %s: %w: %w", to, ErrNotSent, errGone)
}

// callOnce makes a connection for one call.
func (p *Port) callOnce(ctx context.Context, to Target, method uint8, payload []byte) ([]byte, error) {
	w, peer, err := p.dial(ctx, to, Introduction)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", to, ErrNotSent, err)
	}
	l := newLink(w, peer, p.c.Dead, p.running.Go, func() {})
	defer l.fail(errGone)
	answer, err := l.call(ctx, method, payload)
	if err == errGone {
		err = fmt.Errorf("call %s: %w: %w", to, ErrNotSent, err)
	}
	return answer, err
}
