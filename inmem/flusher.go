package inmem

import (
	"errors"
	"fmt"
	"time"

	"trihold/repo/driver"
)

// idleMark is how long the journal rests before its end is marked.
const idleMark = 10 * time.Millisecond

// inFlightBatches is how many batches may be on their way to becoming durable: while
// one is being synced the next one fills, and is ready when the first is done.
const inFlightBatches = 2

// flushLoop is the flusher of a single node: it makes batches durable in order,
// publishes their roots, and answers. It owns the journal.
func (s *Store) flushLoop() {
	defer close(s.flushed)
	idle := time.NewTimer(idleMark)
	defer idle.Stop()
	for {
		select {
		case b, ok := <-s.batches:
			if !ok {
				return
			}
			s.flush(b)
			<-s.slots
			idle.Reset(idleMark)
		case w := <-s.snapshots.done:
			s.finishSnapshot(w)
		case <-idle.C:
			if err := s.journal.mark(); err != nil {
				s.stop(err)
			}
		}
	}
}

// flush makes one batch durable and answers its requests.
func (s *Store) flush(b *batch) {
	err := s.persist(b)
	if err == nil && b.root != nil {
		s.publish(b)
		s.considerSnapshot(b.root, len(b.entry))
	}
	if err != nil && b.tenure.end() {
		s.tenure.Store(&tenure{})
	}
	b.answer(err)
	s.buffers.put(b.entry)
}

// publish shows a batch that has become durable to everybody.
func (s *Store) publish(b *batch) {
	s.recent.addAll(b.changes)
	s.published.Store(b.root)
	b.published.Store(true)
	s.recent.published()
}

// answer answers the requests of a batch, unless that has been done; err is why it did
// not become durable, if it did not.
func (b *batch) answer(err error) {
	if !b.answered.CompareAndSwap(false, true) {
		return
	}
	for _, a := range b.replies {
		if err != nil {
			a.rev, a.err = 0, answerFailed(a.err != nil, err)
		}
		a.to.done <- a
	}
}

// answerFailed is the answer to a request of a batch that could not be made
// durable. One that would have been refused has written nothing in any case.
func answerFailed(refused bool, err error) error {
	if refused && errors.Is(err, driver.ErrUncertain) {
		return driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("a commit that it met could not be written: %v", err))
	}
	return err
}

// persist appends a batch to the journal.
func (s *Store) persist(b *batch) error {
	if err := s.stopped(); err != nil {
		return err
	}
	if b.tenure.over.Load() {
		return driver.Failed("commit", driver.ErrUnavailable, errors.New("a commit before it could not be written"))
	}
	if b.root == nil {
		return nil
	}
	index, err := s.journal.append(b.entry)
	if err != nil {
		if errors.Is(err, driver.ErrUncertain) {
			s.stop(err)
		}
		return err
	}
	b.root.index = index
	return nil
}

// stop ends writing for good: it is not known what the journal holds.
func (s *Store) stop(cause error) {
	s.c.Logger.Error("inmem: writing has stopped", "dir", s.c.Dir, "err", cause)
	err := driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("writing has stopped until the store is opened again: %v", cause))
	s.stopErr.CompareAndSwap(nil, err)
}

// stopped returns why writing has ended, if it has.
func (s *Store) stopped() error {
	if err := s.stopErr.Load(); err != nil { // not a nil *Error in an error
		return err
	}
	return nil
}

// buffers keeps entries for reuse: two are in flight and one is being filled.
type buffers chan []byte

func newBuffers() buffers { return make(buffers, 4) }

func (b buffers) get() []byte {
	select {
	case buf := <-b:
		return buf
	default:
		return nil
	}
}

func (b buffers) put(buf []byte) {
	if cap(buf) > 2*maxBatchBytes { // a rare, large commit
		return
	}
	select {
	case b <- buf:
	default:
	}
}
