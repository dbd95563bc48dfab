package port

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"trihold/repo/driver"
)

const (
	// window is how many bytes of calls may be unanswered on a connection, and
	// minWeight what a small call counts: 1,024 of them, at most.
	window    = 64 << 20
	minWeight = window / 1024
	// quickBytes is how much may be unanswered for a caller to write by itself:
	// so little fits into the socket's buffers even if the other side takes
	// nothing, and the caller is not held up.
	quickBytes = 16 << 10
	readBuffer = 64 << 10
)

var (
	errGone   = errors.New("the connection was closed")
	errSilent = errors.New("the other node is silent")
)

// A link is the calling side of a connection for calls.
type link struct {
	peer  Peer
	out   *sender
	heard *meter
	room  *semaphore.Weighted
	gone  chan struct{} // closed when the link is broken
	leave func()        // takes the link out of the pool

	mu         sync.Mutex
	calls      map[uint64]*call // by ID; those abandoned stay until they are answered
	last       uint64
	unanswered int // bytes
	broken     error
}

// A call waits for its answer. The fields are set before done is closed.
type call struct {
	size   int
	weight int64
	done   chan struct{}
	reply  frame
	broken error
}

// newLink starts a link. run starts a goroutine, and leave is called when the
// link breaks.
func newLink(conn net.Conn, peer Peer, dead time.Duration, run func(func()), leave func()) *link {
	l := &link{
		peer:  peer,
		out:   newSender(conn),
		heard: &meter{from: conn},
		room:  semaphore.NewWeighted(window),
		gone:  make(chan struct{}),
		leave: leave,
		calls: map[uint64]*call{},
	}
	run(l.read)
	run(func() { l.out.run(l.gone) })
	run(func() { l.watch(dead) })
	return l
}

// call sends a request and waits. errGone itself means that the link was broken
// before, and another may do.
func (l *link) call(ctx context.Context, method uint8, payload []byte) ([]byte, error) {
	c := &call{size: headerSize + len(payload), weight: max(minWeight, int64(len(payload))), done: make(chan struct{})}
	if err := l.room.Acquire(ctx, c.weight); err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", l.peer.ID(), ErrNotSent, err)
	}
	id, quick, err := l.enter(c)
	if err != nil {
		l.room.Release(c.weight)
		return nil, err
	}
	ticket, err := l.out.send(frame{id: id, kind: request, method: method, payload: payload}, quick)
	if err != nil {
		l.fail(err)
		return nil, errGone
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if l.abandon(id) {
			return nil, fmt.Errorf("call %s: %w: %w", l.peer.ID(), ErrLost, ctx.Err())
		}
		<-c.done
	}
	switch {
	case c.broken != nil && l.out.begun(ticket):
		return nil, fmt.Errorf("call %s: %w: %w", l.peer.ID(), ErrLost, c.broken)
	case c.broken != nil:
		return nil, fmt.Errorf("call %s: %w: %w", l.peer.ID(), ErrNotSent, c.broken)
	case c.reply.kind == failure:
		return nil, decodeFault(c.reply.payload)
	}
	return c.reply.payload, nil
}

// enter gives a call its ID.
func (l *link) enter(c *call) (id uint64, quick bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return 0, false, errGone
	}
	l.last++
	l.calls[l.last] = c
	l.unanswered += c.size
	return l.last, l.unanswered <= quickBytes, nil
}

// abandon tells the other side that nobody waits, unless the answer is there.
func (l *link) abandon(id uint64) bool {
	l.mu.Lock()
	_, waits := l.calls[id]
	l.mu.Unlock()
	if waits {
		// If the link is broken there is nobody to tell.
		_, _ = l.out.send(frame{id: id, kind: cancel}, false)
	}
	return waits
}

// answered takes a call off the list, or returns nil.
func (l *link) answered(id uint64) *call {
	l.mu.Lock()
	c := l.calls[id]
	if c != nil {
		delete(l.calls, id)
		l.unanswered -= c.size
	}
	l.mu.Unlock()
	if c != nil {
		l.room.Release(c.weight)
	}
	return c
}

// read hands out answers until the connection ends.
func (l *link) read() {
	r := bufio.NewReaderSize(l.heard, readBuffer)
	for {
		f, err := readFrame(r)
		if err == io.EOF {
			err = errGone
		}
		if err != nil {
			l.fail(err)
			return
		}
		switch f.kind {
		case reply, failure:
			c := l.answered(f.id)
			if c == nil {
				l.fail(fmt.Errorf("answer to call %d, which was not asked: %w", f.id, errDamaged))
				return
			}
			c.reply = f
			close(c.done)
		case pong:
		default:
			l.fail(fmt.Errorf("frame of kind %d: %w", f.kind, errDamaged))
			return
		}
	}
}

// fail breaks the link: every call ends, and the next one takes another.
func (l *link) fail(err error) {
	l.leave()
	l.out.fail(err)
	l.mu.Lock()
	if l.broken != nil {
		l.mu.Unlock()
		return
	}
	l.broken = err
	calls := l.calls
	l.calls = map[uint64]*call{}
	l.unanswered = 0
	l.mu.Unlock()
	close(l.gone)
	for _, c := range calls {
		c.broken = err
		close(c.done)
		l.room.Release(c.weight)
	}
}

// watch gives the link up when the other node is silent or takes nothing.
func (l *link) watch(dead time.Duration) {
	tick := time.NewTicker(dead / deadTicks)
	defer tick.Stop()
	var ear, hand watch
	for {
		select {
		case <-l.gone:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		waiting := len(l.calls) > 0
		l.mu.Unlock()
		quiet := ear.see(l.heard.bytes.Load(), waiting)
		stuck := hand.see(l.out.wrote.Load(), l.out.writing.Load())
		if quiet >= deadTicks || stuck >= deadTicks {
			l.fail(fmt.Errorf("%w for %v: %w", errSilent, dead, driver.ErrUnavailable))
			return
		}
		if quiet >= pingTicks {
			// If it cannot be sent, read ends the link.
			_, _ = l.out.send(frame{kind: ping}, false)
		}
	}
}

// A meter counts the bytes that are read through it.
type meter struct {
	from  io.Reader
	bytes atomic.Uint64
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	m.bytes.Add(uint64(n))
	return n, err
}
