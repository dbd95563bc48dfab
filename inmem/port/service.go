package port

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"trihold/repo/driver"
)

// maxResting is how many goroutines of a connection wait for more to do.
const maxResting = 16

// A service is the answering side of a connection for calls. One goroutine reads;
// when it has read a call it passes the turn to another, and handles the call
// itself. So the call need not wait for a goroutine to be woken.
type service struct {
	peer    Peer
	handle  Handler
	in      *bufio.Reader // of the goroutine that reads
	out     *sender
	room    *semaphore.Weighted
	running *sync.WaitGroup
	ctx     context.Context
	ended   chan error    // holds one: why reading has ended
	turn    chan struct{} // passes the turn to read to a goroutine that rests
	resting atomic.Int32  // goroutines

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc // of the calls that are being handled
}

// serve answers calls until the connection ends.
func serve(conn net.Conn, peer Peer, handle Handler, dead time.Duration, running *sync.WaitGroup) error {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	s := &service{
		peer:    peer,
		handle:  handle,
		in:      bufio.NewReaderSize(conn, readBuffer),
		out:     newSender(conn),
		room:    semaphore.NewWeighted(window),
		running: running,
		ctx:     ctx,
		ended:   make(chan error, 1),
		turn:    make(chan struct{}),
		cancels: map[uint64]context.CancelFunc{},
	}
	running.Go(func() { s.out.run(ctx.Done()) })
	running.Go(func() { s.watch(dead) })
	s.running.Add(1)
	go s.work()
	err := <-s.ended
	s.out.fail(err)
	return err
}

// work reads a call, lets another goroutine read on, and handles the call; again
// and again, as long as it is needed.
func (s *service) work() {
	defer s.running.Done()
	for {
		f, err := s.read()
		var weight int64
		if err == nil {
			// Waits while more calls are being handled than the other side may ask
			// at a time.
			weight = max(minWeight, int64(len(f.payload)))
			err = s.room.Acquire(s.ctx, weight)
		}
		if err != nil {
			s.ended <- err
			return
		}
		ctx, end := context.WithCancel(s.ctx)
		s.mu.Lock()
		s.cancels[f.id] = end
		s.mu.Unlock()
		select {
		case s.turn <- struct{}{}:
		default:
			s.running.Add(1)
			go s.work()
		}
		s.answer(ctx, f, weight)
		if !s.rest() {
			return
		}
	}
}

// rest waits for the turn to read. It returns false if enough others wait.
func (s *service) rest() bool {
	if s.resting.Add(1) > maxResting {
		s.resting.Add(-1)
		return false
	}
	defer s.resting.Add(-1)
	select {
	case <-s.turn:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// read returns the next call.
func (s *service) read() (frame, error) {
	for {
		f, err := readFrame(s.in)
		if err != nil || f.kind == request {
			return f, err
		}
		if err := s.take(f); err != nil {
			return f, err
		}
	}
}

// take deals with a frame that is no call.
func (s *service) take(f frame) error {
	switch f.kind {
	case cancel:
		s.mu.Lock()
		end := s.cancels[f.id]
		s.mu.Unlock()
		if end != nil {
			end()
		}
		return nil
	case ping:
		_, err := s.out.send(frame{kind: pong}, false)
		return err
	}
	return fmt.Errorf("frame of kind %d: %w", f.kind, errDamaged)
}

// answer runs the handler.
func (s *service) answer(ctx context.Context, f frame, weight int64) {
	payload, err := s.handle(ctx, s.peer, f.method, f.payload)
	if err == nil && len(payload) > MaxPayload {
		err = driver.Failed("answer", driver.ErrTooLarge, fmt.Errorf("%d bytes, the limit is %d", len(payload), MaxPayload))
	}
	a := frame{id: f.id, kind: reply, payload: payload}
	if err != nil {
		a.kind, a.payload = failure, encodeFault(err)
	}
	s.mu.Lock()
	end := s.cancels[f.id]
	delete(s.cancels, f.id)
	s.mu.Unlock()
	end()
	// The room is given back first: the other side may use it as soon as it has
	// the answer.
	s.room.Release(weight)
	// If the connection is gone nobody waits for the answer.
	_, _ = s.out.send(a, true)
}

// watch ends the connection if the other side takes no answers.
func (s *service) watch(dead time.Duration) {
	tick := time.NewTicker(dead / deadTicks)
	defer tick.Stop()
	var hand watch
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		if hand.see(s.out.wrote.Load(), s.out.writing.Load()) >= deadTicks {
			s.out.fail(fmt.Errorf("no answer was taken for %v", dead))
			return
		}
	}
}
