package inmem

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// jitter spreads those who wait for the same thing.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// commit has the leader decide about a commit, whoever leads. It tries until it knows
// the outcome or ctx ends. The same commit is sent again each time, with its ID, so a
// leader that has accepted it before says so.
func (m *member) commit(outer context.Context, p *prepared) (driver.Rev, error) {
	id := p.commit.ID
	sent := m.unsettled.take(id)
	rev, err := m.attempt(outer, p, sent)
	out := outcomeOf(err, sent)
	if out == settled { // as it mostly is, and then a context with a deadline would cost more
		return rev, m.counted(rev, err)
	}
	ctx, done := m.patient(outer)
	defer done()
	for wait := m.backoff(); ; wait.next() {
		sent = sent || out == open
		last := err
		if wait.until(ctx) == nil {
			rev, err = m.attempt(ctx, p, sent)
			if out = outcomeOf(err, sent); out == settled {
				return rev, m.counted(rev, err)
			}
			continue
		}
		if sent {
			m.unsettled.add(id)
			return 0, driver.Failed("commit", driver.ErrUncertain, fmt.Errorf("no leader has said what became of it: %w: %w", last, context.Cause(ctx)))
		}
		if stopped := m.stopped(); stopped != nil {
			return 0, m.refused("commit", stopped)
		}
		return 0, m.unavailable("commit", ctx, last)
	}
}

// counted takes note of what a commit was answered.
func (m *member) counted(rev driver.Rev, err error) error {
	for known := m.acknowledged.Load(); int64(rev) > known && !m.acknowledged.CompareAndSwap(known, int64(rev)); {
		known = m.acknowledged.Load()
	}
	if err != nil && errors.Is(err, driver.ErrConflict) {
		m.conflicts.Add(1)
	}
	return err
}

// An outcome is what is known after an attempt.
type outcome int

const (
	settled outcome = iota // it was answered
	untried                // nothing was written, and nothing of it is on its way
	open                   // it was sent
)

// outcomeOf judges the error of an attempt. If the same was sent before, then only a
// decision settles what has become of it: that nothing was written this time says nothing
// of an earlier copy.
func outcomeOf(err error, sent bool) outcome {
	if err == nil {
		return settled
	}
	var elsewhere *port.Redirect
	switch {
	case errors.Is(err, errNotLeading), errors.Is(err, port.ErrNotSent), errors.As(err, &elsewhere):
		return untried
	case errors.Is(err, driver.ErrUncertain), errors.Is(err, port.ErrLost):
		return open
	case sent && !decided(err):
		return untried
	}
	return settled
}

// decided reports whether an error is a leader's decision about a commit.
func decided(err error) bool {
	for _, decision := range []error{driver.ErrConflict, driver.ErrExists, driver.ErrMoved, driver.ErrTooLarge, driver.ErrInvalid, driver.ErrReadOnly} {
		if errors.Is(err, decision) {
			return true
		}
	}
	return false
}

// attempt sends a commit once, to this node's committer or to the leader. The context's
// end is no answer.
func (m *member) attempt(ctx context.Context, p *prepared, again bool) (driver.Rev, error) {
	if m.store.tenure.Load() != nil {
		rev, err := m.store.decide(ctx, p, again)
		if err == nil {
			return rev, nil
		}
		var f *driver.Error
		if errors.As(err, &f) && f.Kind == nil { // it was withdrawn, which is no answer
			err = fmt.Errorf("%w: %w", errNotLeading, err)
		}
		return rev, err
	}
	payload := appendCommitRequest([]byte{flag(again)}, p.commit)
	answer, err := m.callLeader(ctx, methodCommit, payload)
	if err != nil {
		return 0, err
	}
	m.forwarded.Add(1)
	if len(answer) != 8 {
		return 0, fmt.Errorf("answer of %d bytes to a commit: %w: %w", len(answer), port.ErrLost, driver.ErrCorrupt)
	}
	return driver.Rev(binary.LittleEndian.Uint64(answer)), nil
}

// serveCommit decides about a commit that another node sends.
func (m *member) serveCommit(ctx context.Context, payload []byte) ([]byte, error) {
	if m.store.tenure.Load() == nil {
		return nil, m.redirect()
	}
	if len(payload) == 0 {
		return nil, driver.Failed("commit", driver.ErrInvalid, errors.New("empty request"))
	}
	c, err := decodeCommitRequest(m.store.schema, payload[1:])
	if err != nil {
		return nil, driver.Failed("commit", driver.ErrInvalid, err)
	}
	p, err := m.store.prepare(c)
	if err != nil {
		return nil, err
	}
	rev, err := m.store.decide(ctx, p, payload[0] == 1)
	switch {
	case errors.Is(err, errNotLeading), errors.Is(err, driver.ErrClosed): // this store's end is not the caller's
		return nil, m.redirect()
	case err != nil:
		return nil, err
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(rev)), nil
}

// unsettled remembers the commits that this store has told its callers to be uncertain:
// copies of them may still be on their way when they are sent again.
type unsettled struct {
	mu   sync.Mutex
	ids  map[driver.CommitID]struct{} // guarded by mu
	full bool                         // guarded by mu: there were more than ids holds
}

// maxUnsettled bounds them. Beyond it all are taken to be unsettled, which costs a
// revision for each that is then refused.
const maxUnsettled = 1 << 16

func (u *unsettled) add(id driver.CommitID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[driver.CommitID]struct{}{}
	}
	if u.full = u.full || len(u.ids) >= maxUnsettled; !u.full {
		u.ids[id] = struct{}{}
	}
}

// take forgets a commit, and reports whether it was there.
func (u *unsettled) take(id driver.CommitID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, there := u.ids[id]
	delete(u.ids, id)
	return there || u.full
}

// Outcome returns what became of a commit whose outcome was uncertain: its revision, or
// 0 if it was not accepted. It is as certain as a View: a commit that was not accepted
// when Outcome was called may be on its way still, and is ruled out for good by sending
// it again, which Commit does.
func (s *Store) Outcome(ctx context.Context, id driver.CommitID) (driver.Rev, error) {
	if err := s.usable(ctx, "outcome"); err != nil {
		return 0, err
	}
	if s.member != nil {
		if _, err := s.member.read(ctx, driver.Mode{}); err != nil {
			return 0, err
		}
	}
	known, ok := s.recent.find(id)
	if !ok || len(known.Keys) == 0 {
		return 0, nil
	}
	return known.Rev, nil
}
