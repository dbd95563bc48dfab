package inmem

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// read returns a root that a snapshot may be taken of. The zero mode asks for one that
// includes all that anybody was told before read was called.
func (m *member) read(ctx context.Context, mode driver.Mode) (*root, error) {
	if mode.MaxAge > 0 {
		young := m.age() <= mode.MaxAge // looked at first: the root may be replaced meanwhile
		if r := m.store.published.Load(); young && r.rev >= mode.MinRev && m.stopped() == nil {
			return r, nil
		}
	}
	r, err := m.current(ctx) // mostly that is all, and then a context with a deadline would cost more
	if err == nil {
		return r, nil
	}
	ctx, done := m.patient(ctx)
	defer done()
	last := err
	for wait := m.backoff(); ; wait.next() {
		r, err := m.current(ctx)
		if err == nil {
			return r, nil
		}
		if stopped := m.stopped(); stopped != nil {
			return nil, m.refused("begin", stopped)
		}
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		if wait.until(ctx) != nil {
			return nil, m.unavailable("begin", ctx, last)
		}
	}
}

// current returns a root that includes all that anybody was told before it was called,
// or an error if that cannot be had at once.
func (m *member) current(ctx context.Context) (*root, error) {
	if t := m.store.tenure.Load(); t != nil {
		at := time.Now()
		err := m.confirmed(ctx, t)
		if err == nil {
			m.freshen(at)
			return m.store.published.Load(), nil
		}
		if m.store.tenure.Load() != nil {
			return nil, err
		}
	}
	index, at, err := m.asking.wait(ctx, m.askIndex)
	if err != nil {
		return nil, err
	}
	r, err := m.applied(ctx, index)
	if err != nil {
		return nil, err
	}
	m.freshen(at)
	return r, nil
}

// confirmed returns nil when the published root of this leader includes all that anybody
// was told before confirmed was called.
//
// What is committed is told by whoever has applied it first, which may be a follower,
// before this node has applied it itself. But no follower learns that an entry is
// committed before its leader knows. So the commit index is taken first; then a majority
// is asked whether this node still leads, so that no other one has committed anything
// meanwhile; and then the root is waited for that includes it. What earlier leaders
// committed was applied when the tenure began.
func (m *member) confirmed(ctx context.Context, t *tenure) error {
	index := m.raft.CommitIndex()
	term, _, err := m.verifying.wait(ctx, m.verify)
	if err == nil && term != t.term {
		err = errNotLeading
	}
	if err != nil {
		return err
	}
	return m.progress.await(ctx, m.life, index)
}

// caughtUp reports whether this node has published all that it knows to be committed.
func (m *member) caughtUp() bool { return m.progress.has(m.raft.CommitIndex()) }

// latest returns an up-to-date root if that can be had soon, and else what there is.
func (m *member) latest(ctx context.Context) *root {
	soon := 3 * m.c.Election // most elections are over by then
	if m.fresh.Load() == nil {
		soon = 5 * m.c.Election // what there is may be nothing: it has started, and heard of no leader yet
	}
	limited, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	for wait := m.backoff(); ; wait.next() {
		if r, err := m.current(limited); err == nil {
			return r
		}
		if m.stopped() != nil || wait.until(limited) != nil {
			return m.acknowledgedRoot(ctx)
		}
	}
}

// acknowledgedRoot returns a root that includes what was acknowledged at this node, if
// that can be had within the patience of the store, and else what there is.
func (m *member) acknowledgedRoot(ctx context.Context) *root {
	ctx, done := m.patient(ctx)
	defer done()
	for {
		wake := m.store.recent.waiting()
		r := m.store.published.Load()
		if int64(r.rev) >= m.acknowledged.Load() {
			return r
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return r
		}
	}
}

// applied returns a published root that includes the entry with an index, and waits for
// it.
func (m *member) applied(ctx context.Context, index uint64) (*root, error) {
	for {
		wake := m.store.recent.waiting()
		if r := m.store.published.Load(); r.index >= index {
			return r, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for entry %d: %w", index, context.Cause(ctx))
		case <-m.life.Done():
			return nil, context.Cause(m.life)
		}
	}
}

// askIndex asks the leader which entry a read must include.
func (m *member) askIndex() (uint64, error) {
	ctx, cancel := context.WithTimeout(m.life, 2*m.c.Election)
	defer cancel()
	answer, err := m.callLeader(ctx, methodReadIndex, nil)
	if err != nil {
		return 0, err
	}
	if len(answer) != 8 {
		return 0, fmt.Errorf("read index of %d bytes: %w", len(answer), driver.ErrCorrupt)
	}
	return binary.LittleEndian.Uint64(answer), nil
}

// serveIndex answers askIndex.
func (m *member) serveIndex(ctx context.Context) ([]byte, error) {
	t := m.store.tenure.Load()
	if t == nil {
		return nil, m.redirect()
	}
	if err := m.confirmed(ctx, t); err != nil {
		return nil, m.redirect()
	}
	return binary.LittleEndian.AppendUint64(nil, m.store.published.Load().index), nil
}

// callLeader asks whoever leads, as far as this node knows.
func (m *member) callLeader(ctx context.Context, method uint8, payload []byte) ([]byte, error) {
	to, err := m.leader()
	if err != nil {
		return nil, err
	}
	return m.port.Call(ctx, to, method, payload)
}

// errNoLeader: there is none at the moment, as far as this node knows.
var errNoLeader = fmt.Errorf("%w: no leader is known", port.ErrNotSent)

// leader returns where the leader is; an error if it is not known or is this node.
func (m *member) leader() (port.Target, error) {
	address, id := m.raft.LeaderWithID()
	if id == "" || string(id) == m.identity().id() {
		return port.Target{}, errNoLeader
	}
	_, plain := port.ParseRaftAddress(address)
	return port.Target{Address: plain, ID: string(id)}, nil
}

// redirect is the answer to a question that only the leader can answer.
func (m *member) redirect() error {
	to, err := m.leader()
	if err != nil {
		return &port.Redirect{}
	}
	return &port.Redirect{Leader: to.Address, ID: to.ID}
}

// freshen notes that the published root was up to date at a time.
func (m *member) freshen(at time.Time) {
	for {
		old := m.fresh.Load()
		if old != nil && !at.After(*old) || m.fresh.CompareAndSwap(old, &at) {
			return
		}
	}
}

// age returns how old the published root is at most.
func (m *member) age() time.Duration {
	at := m.fresh.Load()
	if at == nil {
		return 1<<63 - 1
	}
	return time.Since(*at)
}

// freshLoop keeps the published root's age known, so that stale reads need ask nobody.
func (m *member) freshLoop() {
	t := time.NewTicker(m.c.Election / 4)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-m.life.Done():
			return
		}
		ctx, cancel := context.WithTimeout(m.life, m.c.Election)
		_, _ = m.current(ctx) // without a leader the root ages
		cancel()
	}
}
