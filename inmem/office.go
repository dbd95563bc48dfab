package inmem

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// officeLoop gives the committer its tenures: one begins when this node leads, and has
// applied everything that leaders before it may have acknowledged.
func (m *member) officeLoop() {
	for {
		select {
		case leads := <-m.notify:
			m.elections.Add(1)
			m.store.tenure.Store(nil)
			if leads {
				m.takeOffice()
			}
		case <-m.renew: // the tenure has ended, and the term perhaps not
			m.takeOffice()
		case <-m.life.Done():
			return
		}
	}
}

// takeOffice begins a tenure, unless this node does not lead.
func (m *member) takeOffice() {
	wait := m.backoff()
	for m.raft.State() == raft.Leader && m.life.Err() == nil {
		term, begun := m.raft.CurrentTerm(), time.Now()
		barrier := m.raft.Barrier(m.c.Election)
		err := m.await(barrier)
		if err != nil {
			m.log.Debug("inmem: taking office", "node", m.c.Node, "term", term, "err", err)
			if wait.until(m.life) != nil {
				return
			}
			wait.next()
			continue
		}
		if m.raft.CurrentTerm() != term {
			continue
		}
		t := &tenure{term: term}
		var nonce [8]byte
		if _, err := rand.Read(nonce[:]); err != nil {
			panic(err) // crypto/rand never returns an error
		}
		t.nonce = binary.LittleEndian.Uint64(nonce[:])
		// The barrier is not shown to the replica. From here to the end of the term it is
		// shown everything.
		m.progress.reached(barrier.(raft.IndexFuture).Index())
		m.freshen(begun)
		m.store.tenure.Store(t)
		if m.stopped() != nil { // meanwhile
			m.store.tenure.Store(nil)
			return
		}
		m.log.Info("inmem: this node leads", "node", m.c.Node, "term", term)
		return
	}
}

// endTenure ends a tenure, and begins another one if this node still leads.
func (m *member) endTenure(t *tenure) {
	t.submitting.Lock()
	ended := t.end()
	t.submitting.Unlock()
	if !ended {
		return
	}
	m.store.tenure.CompareAndSwap(t, nil)
	select {
	case m.renew <- struct{}{}:
	default: // it is about to look already
	}
}

// A submission is a batch on its way through Raft.
type submission struct {
	*batch
	future raft.ApplyFuture // nil if it was not submitted
}

// replicateLoop takes the flusher's place in a member: it submits batches to Raft in
// order, several at a time. They are answered by the replica when it has applied them,
// or here if they did not happen.
func (m *member) replicateLoop() {
	settling := make(chan submission, inFlightBatches)
	go m.settleLoop(settling)
	for b := range m.store.batches {
		sub := submission{batch: b}
		if b.root != nil {
			sub.future = m.submit(b)
		}
		settling <- sub
	}
	close(settling)
}

// submit hands a batch to Raft, unless its tenure is over. The tenure does not end
// meanwhile: the next one begins behind all that this one has submitted.
func (m *member) submit(b *batch) raft.ApplyFuture {
	b.tenure.submitting.Lock()
	defer b.tenure.submitting.Unlock()
	if b.tenure.over.Load() {
		return nil
	}
	b.submitted = time.Now()
	putFrame(b, b.submitted)
	m.replica.expect(b)
	return m.raft.ApplyLog(raft.Log{Data: b.entry}, 0)
}

func (m *member) settleLoop(settling <-chan submission) {
	defer close(m.store.flushed)
	for sub := range settling {
		err := m.settle(sub)
		if err != nil {
			m.endTenure(sub.tenure)
		}
		sub.answer(err)
		<-m.store.slots
	}
}

// settle waits until it is known what has become of a batch.
func (m *member) settle(sub submission) error {
	switch {
	case sub.tenure.over.Load() && sub.future == nil:
		return errNotLeading
	case sub.future == nil:
		return m.stillLeads(m.life, sub.tenure)
	}
	err := sub.future.Error()
	if err == nil {
		switch err, _ := sub.future.Response().(error); {
		case err == nil:
			return nil
		case errors.Is(err, errRejected): // everywhere
			return fmt.Errorf("%w: %w", errNotLeading, err)
		default: // it is committed, and this node has failed before it could apply it
			return driver.Failed("commit", driver.ErrUncertain, err)
		}
	}
	for _, harmless := range []error{raft.ErrNotLeader, raft.ErrLeadershipTransferInProgress, wal.ErrNoSpace, driver.ErrTooLarge} {
		if errors.Is(err, harmless) { // it was not appended to the log
			return fmt.Errorf("%w: %w", errNotLeading, err)
		}
	}
	return driver.Failed("commit", driver.ErrUncertain, err)
}

// stillLeads makes sure that what this node has answered is still true: nobody else has
// decided anything before stillLeads was called.
func (m *member) stillLeads(ctx context.Context, t *tenure) error {
	term, _, err := m.verifying.wait(ctx, m.verify)
	if err != nil || term != t.term {
		return errNotLeading
	}
	return nil
}
