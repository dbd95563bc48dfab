package proxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

const (
	readSize = 32 << 10
	// maxDelayed is how many bytes of one direction of one connection are kept in
	// memory by a delay; the sender then has to wait.
	maxDelayed = 4 << 20
)

// A pipe is one direction of a connection. Its fields belong to the goroutine
// that runs it.
type pipe struct {
	conn     *conn
	dir      direction
	src, dst *net.TCPConn
	tally    *flowTally
	jitter   *rand.Rand
	buf      []byte

	delayed  []piece // in the order in which they are due
	size     int     // of all of them
	end      error   // how reading ended: io.EOF or a failure
	deadline bool    // whether src has a read deadline

	flips flipper
	cuts  cutter
}

// A piece is what a delay keeps.
type piece struct {
	due   time.Time
	bytes []byte
}

func newPipe(c *conn, d direction, src, dst *net.TCPConn) *pipe {
	stream := c.number<<2 | uint64(d)<<1
	return &pipe{
		conn: c, dir: d, src: src, dst: dst, tally: &c.proxy.tally.flows[d], buf: make([]byte, readSize),
		jitter: rand.New(rand.NewPCG(c.proxy.seed, stream)),
		flips:  flipper{rand: rand.New(rand.NewPCG(c.proxy.seed, stream|1))},
	}
}

// run passes bytes on until the sender has closed its half, which is passed on as
// well, and then reports true. Otherwise the connection has been reset.
func (p *pipe) run() bool {
	for {
		switch now := time.Now(); {
		case len(p.delayed) > 0 && !p.delayed[0].due.After(now):
			next := p.delayed[0]
			p.delayed[0] = piece{}
			p.delayed = p.delayed[1:]
			p.size -= len(next.bytes)
			if !p.deliver(next.bytes) {
				return false
			}
		case len(p.delayed) > 0 && (p.end != nil || p.size >= maxDelayed):
			if !p.sleep(p.delayed[0].due.Sub(now), nil) {
				return false
			}
		case p.end != nil:
			return p.pass()
		default:
			if !p.read() {
				return false
			}
		}
	}
}

// read reads once, at most until the first delayed piece is due. What has no
// delay, and nothing before it, is passed on without a copy.
func (p *pipe) read() bool {
	if len(p.delayed) > 0 || p.deadline {
		var due time.Time
		if len(p.delayed) > 0 {
			due = p.delayed[0].due
		}
		p.deadline = len(p.delayed) > 0
		if p.src.SetReadDeadline(due) != nil {
			return p.fail()
		}
	}
	n, err := p.src.Read(p.buf[:p.readLimit()])
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.end = err
	}
	if n == 0 {
		return true
	}
	got := p.buf[:n]
	if !p.pauseAfter(n) {
		return false
	}
	f := p.conn.proxy.state.Load().flow(p.dir)
	if f.Delay <= 0 && f.Jitter <= 0 && len(p.delayed) == 0 {
		return p.deliver(got)
	}
	due := time.Now().Add(max(f.Delay, 0))
	if f.Jitter > 0 {
		due = due.Add(time.Duration(p.jitter.Int64N(int64(f.Jitter))))
	}
	if last := len(p.delayed) - 1; last >= 0 && due.Before(p.delayed[last].due) {
		due = p.delayed[last].due
	}
	p.delayed = append(p.delayed, piece{due, append([]byte(nil), got...)})
	p.size += n
	p.tally.delayed.Add(int64(n))
	return true
}

// deliver passes bytes on, as the toxics of the moment have it.
func (p *pipe) deliver(b []byte) bool {
	held := false
	for len(b) > 0 {
		s := p.conn.proxy.state.Load()
		f := s.flow(p.dir)
		switch {
		case f.Drop:
			p.lose(s, p.dir)
			p.tally.dropped.Add(int64(len(b)))
			return true
		case f.Silence:
			if !held {
				held = true
				p.tally.held.Add(int64(len(b)))
			}
			if !p.wait(s) {
				return false
			}
		default:
			n, ok := p.write(s, f, b)
			if !ok {
				return false
			}
			b = b[n:]
		}
	}
	return true
}

// write passes on some of the bytes.
func (p *pipe) write(s *state, f *Flow, b []byte) (int, bool) {
	if f.Bandwidth > 0 {
		b = b[:min(int64(len(b)), shareOf(f.Bandwidth))]
		wait := p.conn.proxy.links[p.dir].reserve(len(b), f.Bandwidth)
		if wait > 0 && !p.sleep(wait, s.over) {
			return 0, false
		}
		if s != p.conn.proxy.state.Load() {
			return 0, true // look again at what is in force
		}
	}
	left := p.cuts.left(f.CutEvery)
	b = b[:min(int64(len(b)), left)]
	if len(b) > 0 {
		p.tally.flipped.Add(int64(p.flips.flip(b, f.FlipEvery)))
		p.tally.bytes.Add(int64(len(b))) // before anyone can have received them
		if n, err := p.dst.Write(b); err != nil {
			p.tally.bytes.Add(int64(n - len(b)))
			return 0, p.fail()
		}
		p.cuts.passed += int64(len(b))
	}
	if int64(len(b)) == left {
		p.conn.cut()
		return 0, false
	}
	return len(b), true
}

// pass passes on that the sender has closed its half, or has failed.
func (p *pipe) pass() bool {
	if !p.open(p.dir) {
		return false
	}
	if !errors.Is(p.end, io.EOF) || p.dst.CloseWrite() != nil {
		p.conn.reset()
		return false
	}
	return true
}

// fail ends the connection since the receiver is gone. The sender learns of it in
// the other direction, and so only if that is open.
func (p *pipe) fail() bool {
	if p.open(p.dir.other()) {
		p.conn.reset()
	}
	return false
}

// open waits until a direction is neither silent nor dropping.
func (p *pipe) open(d direction) bool {
	for {
		s := p.conn.proxy.state.Load()
		if f := s.flow(d); f.Drop {
			p.lose(s, d)
		} else if !f.Silence {
			return true
		}
		if !p.wait(s) {
			return false
		}
	}
}

// lose records that something was lost in a direction under some toxics, so that
// the connection is reset when these end: by Set, or here if Set has looked
// already.
func (p *pipe) lose(s *state, d direction) {
	p.conn.lost[d].Store(true)
	if now := p.conn.proxy.state.Load(); now != s && !now.flow(d).Drop {
		p.conn.cut()
	}
}

// wait waits until other toxics are in force, and reports false if the connection
// has ended.
func (p *pipe) wait(s *state) bool {
	select {
	case <-s.over:
		return true
	case <-p.conn.over:
		return false
	}
}

// sleep waits for some time, or until over is closed if it is not nil, and
// reports false if the connection has ended.
func (p *pipe) sleep(d time.Duration, over <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-over:
		return true
	case <-p.conn.over:
		return false
	}
}
