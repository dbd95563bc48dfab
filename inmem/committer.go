package inmem

import (
	"context"
	"fmt"
	"sync/atomic"

	"trihold/repo/driver"
)

// A request is a commit on its way to the committer and back.
type request struct {
	*prepared
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
	if size := c.Size(); size > driver.MaxCommit || len(c.Writes) > driver.MaxWrites {
		return 0, driver.Failed("commit", driver.ErrTooLarge, fmt.Errorf("%d writes of %d bytes, the limits are %d and %d", len(c.Writes), size, driver.MaxWrites, driver.MaxCommit))
	}
	p, err := prepare(s.schema, c)
	if err == nil && p.load() {
		err = s.prepareLoad(p)
	}
	if err != nil {
		return 0, err
	}
	r := &request{prepared: p, done: make(chan reply, 1)}
	if err := s.enqueue(ctx, r); err != nil {
		return 0, err
	}
	select {
	case a := <-r.done:
		return a.rev, a.err
	case <-ctx.Done():
	}
	if r.claimed.CompareAndSwap(false, true) {
		return 0, driver.Failed("commit", nil, ctx.Err())
	}
	select {
	case a := <-r.done: // it was answered at the same moment
		return a.rev, a.err
	default:
		return 0, driver.Failed("commit", driver.ErrUncertain, ctx.Err())
	}
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
	}
}

// commitLoop is the committer. It ends when the queue is closed.
func (s *Store) commitLoop(work *state) {
	defer close(s.batches)
	c := &committer{store: s, work: work}
	for r := range s.queue {
		c.start()
		c.add(r)
		for c.fits() {
			select {
			case r, ok := <-s.queue:
				if !ok {
					c.finish()
					return
				}
				c.add(r)
				continue
			default:
			}
			break
		}
		c.finish()
	}
}

// A committer builds batches. It belongs to commitLoop.
type committer struct {
	store    *Store
	work     *state
	epoch    int
	batch    *batch
	accepted int
	taken    int
	loaded   bool // the batch is a load, and takes nothing else
}

// start begins a batch. If a batch of this epoch could not be made durable, the
// working state holds commits that did not happen, and is replaced.
func (c *committer) start() {
	if c.store.failedEpoch.Load() >= int64(c.epoch) {
		root := c.store.published.Load()
		c.work = thaw(root)
		c.store.recent.cut(root.rev)
		c.epoch++
	}
	c.batch = &batch{epoch: c.epoch, entry: startEntry(c.store.buffers.get(), c.work.rev+1)}
	c.accepted, c.taken, c.loaded = 0, 0, false
}

// fits reports whether the batch takes one more commit.
func (c *committer) fits() bool {
	return !c.loaded && c.taken < maxBatch && int64(len(c.batch.entry)) < min(maxBatchBytes, c.store.c.SegmentBytes/4)
}

// add decides about one commit.
func (c *committer) add(r *request) {
	if !r.claimed.CompareAndSwap(false, true) {
		return // withdrawn
	}
	if r.load() && c.taken > 0 { // a load is a batch of its own
		c.finish()
		c.start()
	}
	c.taken++
	rev, err := c.decide(r)
	c.batch.replies = append(c.batch.replies, reply{r, rev, err})
}

// decide validates a commit and applies it to the working state. Its answer, a
// refusal too, rests on the commits before it, and is given when those are
// durable.
func (c *committer) decide(r *request) (driver.Rev, error) {
	if r.load() {
		return c.decideLoad(r)
	}
	if known, again := c.store.recent.find(r.commit.ID); again {
		if known.Refused(r.commit) {
			return 0, driver.Failed("commit", driver.ErrConflict, driver.ErrRefusedBefore)
		}
		return known.Rev, nil
	}
	if f := c.work.fence; f != nil {
		return 0, f.Moved("commit")
	}
	if err := c.work.validate(r.prepared); err != nil {
		return 0, err
	}
	rev := c.work.apply(r.prepared)
	c.store.recent.add(r.changed(rev))
	c.batch.entry = appendCommit(c.batch.entry, r.commit)
	c.accepted++
	return rev, nil
}

// finish hands the batch to the flusher. It waits while two are on their way.
func (c *committer) finish() {
	b := c.batch
	if c.accepted == 0 {
		b.entry = b.entry[:0]
	} else {
		if !c.loaded {
			closeEntry(b.entry, c.accepted)
		}
		b.root = c.work.freeze()
	}
	c.store.batches <- b
}
