package inmem

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"trihold/repo/driver"
)

// A request is a commit on its way to the committer and back.
type request struct {
	*prepared
	// again says that the commit may have been sent before, and that an earlier copy
	// of it may still be on its way.
	again bool
	// claimed is set by whoever comes first: the committer, which then answers,
	// or the caller, who withdraws the commit because its context has ended.
	claimed atomic.Bool
	done    chan reply // holds one
}

// Commit implements driver.Store.
func (s *Store) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if err := s.usable(ctx, "commit"); err != nil {
		return 0, err
	}
	p, err := s.prepare(c)
	if err != nil {
		return 0, err
	}
	if s.member != nil {
		return s.member.commit(ctx, p)
	}
	return s.decide(ctx, p, false)
}

// prepare works out everything about a commit that does not depend on the state, and
// refuses one that is not sound in itself.
func (s *Store) prepare(c *driver.Commit) (*prepared, error) {
	if size := c.Size(); size > driver.MaxCommit || len(c.Writes) > driver.MaxWrites {
		return nil, driver.Failed("commit", driver.ErrTooLarge, fmt.Errorf("%d writes of %d bytes, the limits are %d and %d", len(c.Writes), size, driver.MaxWrites, driver.MaxCommit))
	}
	if s.member != nil && int64(c.Size()+64*len(c.Writes)+segmentOverhead) > s.c.SegmentBytes {
		return nil, driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("it does not fit into a log file of %d bytes", s.c.SegmentBytes))
	}
	p, err := prepare(s.schema, c, false)
	if err == nil && p.load() {
		err = s.prepareLoad(p)
	}
	return p, err
}

// decide has the committer of this store decide about a commit.
func (s *Store) decide(ctx context.Context, p *prepared, again bool) (driver.Rev, error) {
	r := &request{prepared: p, again: again, done: make(chan reply, 1)}
	if err := s.enqueue(ctx, r); err != nil {
		return 0, err
	}
	var why error
	select {
	case a := <-r.done:
		return a.rev, a.err
	case <-ctx.Done():
		why = ctx.Err()
	case <-s.ended():
		why = context.Cause(s.member.life)
	}
	if r.claimed.CompareAndSwap(false, true) {
		return 0, driver.Failed("commit", nil, why)
	}
	select {
	case a := <-r.done: // it was answered at the same moment
		return a.rev, a.err
	default:
		return 0, driver.Failed("commit", driver.ErrUncertain, why)
	}
}

// ended is closed when a member takes no part in its cluster any more.
func (s *Store) ended() <-chan struct{} {
	if s.member == nil {
		return nil
	}
	return s.member.life.Done()
}

// enqueue hands a request to the committer.
func (s *Store) enqueue(ctx context.Context, r *request) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	select {
	case <-s.closed:
		return driver.Failed("commit", driver.ErrClosed, nil)
	default:
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return driver.Failed("commit", nil, ctx.Err())
	case <-s.ended(): // the committer may be stuck, and Close waits for whoever is here
		return driver.Failed("commit", nil, context.Cause(s.member.life))
	}
}

// commitLoop is the committer. It ends when the queue is closed.
func (s *Store) commitLoop() {
	defer close(s.batches)
	c := &committer{store: s}
	for r := range s.queue {
		if !c.start() {
			c.turnAway(r)
			continue
		}
		c.add(r)
		c.fill()
		c.finish()
	}
}

// A committer builds batches. It belongs to commitLoop.
type committer struct {
	store    *Store
	tenure   *tenure
	work     *state
	inFlight overlay
	batch    *batch
	n        uint64 // batches of this tenure
	accepted int
	taken    int
	closed   bool // the batch is a load or a raise, and takes nothing else
}

// errNotLeading is the answer of a store that may not decide at the moment. Nothing was
// written.
var errNotLeading = errors.New("another node leads")

// turnAway answers a request that this store cannot decide about.
func (c *committer) turnAway(r *request) {
	if r.claimed.CompareAndSwap(false, true) {
		r.done <- reply{r, 0, errNotLeading}
	}
}

// start begins a batch, if this store may decide. In a new tenure the working state may
// hold commits that did not happen, and is replaced.
func (c *committer) start() bool {
	t := c.store.tenure.Load()
	if t == nil {
		return false
	}
	if t != c.tenure {
		root := c.store.published.Load()
		c.tenure, c.work, c.inFlight, c.n = t, thaw(root), overlay{}, 0
	}
	c.inFlight.prune()
	c.batch = &batch{tenure: t, reserve: c.store.reserve, before: c.work.last, hash: c.work.hash}
	c.batch.entry = startEntry(c.store.buffers.get(), c.store.reserve, c.work.rev+1)
	c.accepted, c.taken, c.closed = 0, 0, false
	return true
}

// fill adds the commits that are waiting, and goes on until the batch can be handed
// on: who comes meanwhile shares its sync.
func (c *committer) fill() {
	for c.fits() {
		select {
		case r, ok := <-c.store.queue:
			if !ok {
				c.store.slots <- struct{}{}
				return
			}
			c.add(r)
			continue
		default:
		}
		select {
		case r, ok := <-c.store.queue:
			if !ok {
				c.store.slots <- struct{}{}
				return
			}
			c.add(r)
		case c.store.slots <- struct{}{}:
			return
		}
	}
	c.store.slots <- struct{}{}
}

// fits reports whether the batch takes one more commit.
func (c *committer) fits() bool {
	return !c.closed && c.taken < maxBatch && int64(len(c.batch.entry)) < min(maxBatchBytes, c.store.c.SegmentBytes/4)
}

// add decides about one commit.
func (c *committer) add(r *request) {
	if !r.claimed.CompareAndSwap(false, true) {
		return // withdrawn
	}
	if r.alone() && c.taken > 0 {
		c.store.slots <- struct{}{}
		c.finish()
		if !c.start() {
			r.done <- reply{r, 0, errNotLeading}
			return
		}
	}
	c.taken++
	rev, err := c.decide(r)
	c.batch.replies = append(c.batch.replies, reply{r, rev, err})
}

// decide validates a commit and applies it to the working state. Its answer, a
// refusal too, rests on the commits before it, and is given when those are
// durable.
func (c *committer) decide(r *request) (driver.Rev, error) {
	if err := c.store.readOnly(); err != nil {
		return 0, err
	}
	switch {
	case r.load():
		return c.decideLoad(r)
	case r.raise > 0:
		return c.decideRaise(r.raise)
	}
	if known, again := c.find(r.commit.ID); again {
		if known.Refused(r.commit) {
			return 0, driver.Failed("commit", driver.ErrConflict, driver.ErrRefusedBefore)
		}
		return known.Rev, nil
	}
	if f := c.work.fence; f != nil {
		return 0, f.Moved("commit")
	}
	if err := c.work.validate(r.prepared); err != nil {
		if r.again {
			c.refuse(r)
		}
		return 0, err
	}
	rev := c.work.apply(r.prepared)
	c.record(r.changed(rev))
	c.batch.entry = appendCommit(c.batch.entry, r.commit)
	c.accepted++
	return rev, nil
}

// decideRaise raises the cluster's format.
func (c *committer) decideRaise(format uint32) (driver.Rev, error) {
	if format <= c.work.format {
		return c.work.rev, nil
	}
	c.work.format = format
	c.batch.entry = raiseEntry(format)
	c.accepted++
	c.closed = true
	return c.work.rev, nil
}

// find returns what a commit touched that was accepted before.
func (c *committer) find(id driver.CommitID) (driver.Change, bool) {
	if known, ok := c.store.recent.find(id); ok {
		return known, true
	}
	known, ok := c.inFlight.ids[id]
	return known, ok
}

// refuse gives the ID of a refused commit away, as a commit that writes nothing: an
// earlier copy of it that is still on its way, and whose checks might hold when it
// arrives, must not be accepted after its caller was told that it was not.
func (c *committer) refuse(r *request) {
	c.work.rev++
	c.record(driver.Change{Rev: c.work.rev, ID: r.commit.ID})
	c.batch.entry = appendCommit(c.batch.entry, &driver.Commit{ID: r.commit.ID})
	c.accepted++
}

// record takes note of an accepted commit.
func (c *committer) record(change driver.Change) {
	c.batch.changes = append(c.batch.changes, change)
	if c.inFlight.ids == nil {
		c.inFlight.ids = map[driver.CommitID]driver.Change{}
	}
	c.inFlight.ids[change.ID] = change
}

// finish hands the batch to the flusher, for which the caller holds a slot.
func (c *committer) finish() {
	b := c.batch
	if c.accepted > 0 {
		if !c.closed {
			closeEntry(b.entry, b.reserve, c.accepted)
		}
		c.n++
		b.id = batchID{c.tenure.term, c.tenure.nonce, c.n}
		c.work.last = b.id
		b.root = c.work.freeze()
		c.inFlight.batches = append(c.inFlight.batches, b)
	}
	c.store.batches <- b
}

// An overlay is the commits in batches that have not been published, on top of those
// that recent holds.
type overlay struct {
	ids     map[driver.CommitID]driver.Change
	batches []*batch // in their order
}

// prune forgets the batches that have been published: recent holds their commits.
func (o *overlay) prune() {
	for len(o.batches) > 0 && o.batches[0].published.Load() {
		for _, change := range o.batches[0].changes {
			delete(o.ids, change.ID)
		}
		o.batches = o.batches[1:]
	}
}
