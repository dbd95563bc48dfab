package port

import (
	"net"
	"sync"
	"sync/atomic"
)

const (
	// keepBuffer is the largest buffer that is kept for the next frames.
	keepBuffer = 1 << 20
	// writePiece is how much is written at a time, so that slow progress shows.
	writePiece = 256 << 10
)

// A sender writes frames to a connection. What comes while a write is under way
// is gathered and goes out with the next one.
type sender struct {
	conn    net.Conn
	wake    chan struct{} // holds one: run has something to write
	writing atomic.Bool
	wrote   atomic.Uint64 // bytes

	mu      sync.Mutex
	busy    bool   // somebody writes, or run has been woken to
	pending []byte // the frames gathered
	spare   []byte // the buffer to gather the next ones in
	taken   uint64 // how many buffers were taken for writing
	err     error  // why nothing more is sent
}

func newSender(conn net.Conn) *sender {
	return &sender{conn: conn, wake: make(chan struct{}, 1)}
}

// send takes a frame. The ticket tells begun which one. With now, send may write
// by itself, which saves a switch of goroutines and can wait for the network.
func (s *sender) send(f frame, now bool) (ticket uint64, err error) {
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return 0, s.err
	}
	s.pending = f.append(s.pending)
	ticket = s.taken
	idle := !s.busy
	s.busy = true
	s.mu.Unlock()
	if idle && (!now || s.flush()) {
		s.wake <- struct{}{}
	}
	return ticket, nil
}

// begun reports whether writing the frame has begun. After fail the answer is
// final.
func (s *sender) begun(ticket uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ticket < s.taken
}

// run writes what send leaves to it until gone is closed.
func (s *sender) run(gone <-chan struct{}) {
	for {
		select {
		case <-s.wake:
			for s.flush() {
			}
		case <-gone:
			return
		}
	}
}

// flush writes what has been gathered, and reports whether more has come
// meanwhile. Only who has set busy may call it.
func (s *sender) flush() (more bool) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return false
	}
	b := s.pending
	s.pending, s.spare = s.spare, nil
	s.taken++
	s.mu.Unlock()

	err := s.write(b)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failLocked(err)
		return false
	}
	if cap(b) <= keepBuffer {
		s.spare = b[:0]
	}
	s.busy = len(s.pending) > 0
	return s.busy
}

func (s *sender) write(b []byte) error {
	s.writing.Store(true)
	defer s.writing.Store(false)
	for len(b) > 0 {
		n, err := s.conn.Write(b[:min(len(b), writePiece)])
		if err != nil {
			return err
		}
		s.wrote.Add(uint64(n))
		b = b[n:]
	}
	return nil
}

// fail closes the connection: nothing more is sent.
func (s *sender) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLocked(err)
}

func (s *sender) failLocked(err error) {
	if s.err == nil {
		s.err = err
		s.pending, s.spare = nil, nil
		s.conn.Close()
	}
}

// A watch sees whether a sequence of numbers stands still. It belongs to one
// goroutine, which asks it at every tick. Ticks do not gather while this process
// itself is stopped, so that waking up is not mistaken for a silent peer.
type watch struct {
	last  uint64
	still int
}

// see returns for how many ticks the number has not changed although it should.
func (w *watch) see(now uint64, should bool) int {
	if now != w.last || !should {
		w.last, w.still = now, 0
	} else {
		w.still++
	}
	return w.still
}

// Ticks of a watch: pings go out from pingTicks on, deadTicks are Config.Dead.
const (
	pingTicks = 2
	deadTicks = 6
)
