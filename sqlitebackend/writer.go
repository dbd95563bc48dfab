package sqlitebackend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// Bounds of a batch. They limit how long the first commit of a batch waits for
// the last one.
const (
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
)

// A writer is the goroutine through which all writes go. It takes what has
// queued up while it was busy with the batch before, without waiting for more,
// executes all of it in one transaction, and acknowledges it together: one fsync,
// and in class replica one wait for the replica, for all.
//
// Nobody else writes to the database, so what it knows about the latest commits
// is true without asking SQLite.
type writer struct {
	store   *Store
	layout  *sqlstmt.Layout
	session *session
	visible *visible
	replica *replica // nil if there is none

	queue chan *request
	quit  chan struct{} // closed by stop
	done  chan struct{} // closed when the goroutine has ended
	once  sync.Once

	oldest atomic.Int64 // Changes can resume from this revision on

	// Owned by the goroutine.
	rev     driver.Rev    // the latest commit, durable or not
	fence   *driver.Fence // as of that; nil if there is none
	recent  *recent
	history history
	batch   []*request
	unseen  int // writes since the last look at the length of the log
	// committed: the transaction of the batch at hand, or one of them, was.
	committed bool
	// broken is why nothing can be written any more.
	broken error
	// behind is why the replica has not got what was committed, in class replica.
	behind error
}

func newWriter(ctx context.Context, s *Store) (*writer, error) {
	session, err := newSession(ctx, s.pool)
	if err != nil {
		return nil, failed("open", err)
	}
	w := &writer{
		store: s, layout: s.layout, session: session, visible: &s.visible, replica: s.replica,
		queue: make(chan *request, maxBatch), quit: make(chan struct{}), done: make(chan struct{}),
	}
	if err := w.begin(); err != nil {
		return nil, errors.Join(failed("open", err), session.close())
	}
	return w, nil
}

// begin reads where the store stands.
func (w *writer) begin() error {
	rev, err := w.session.number(revText)
	if err != nil {
		return err
	}
	w.rev = driver.Rev(rev)
	if w.fence, err = w.readFence(); err != nil {
		return err
	}
	w.recent = newRecent(len(w.layout.Schema().Stored()), w.rev)
	if err := w.loadHistory(); err != nil {
		return err
	}
	w.show()
	return nil
}

// readFence reads the fence of the store.
func (w *writer) readFence() (*driver.Fence, error) {
	values, found, err := w.session.row(sqlstmt.Stmt{SQL: sqlstmt.FenceGet})
	if err != nil || !found {
		return nil, err
	}
	text, _ := values[0].(string)
	f := &driver.Fence{}
	if err := json.Unmarshal([]byte(text), f); err != nil {
		return nil, fmt.Errorf("read the fence: %w: %w", driver.ErrCorrupt, err)
	}
	return f, nil
}

// show lets others see where the store stands.
func (w *writer) show() {
	w.store.fence.Store(w.fence)
	w.visible.set(w.rev)
}

// submit queues a request and waits for its outcome.
func (w *writer) submit(ctx context.Context, r *request) (driver.Rev, error) {
	select {
	case w.queue <- r:
	case <-w.done:
		return 0, errClosed
	case <-ctx.Done():
		return 0, driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("the queue of the writer is full: %w", ctx.Err()))
	}
	select {
	case <-r.done:
		return r.rev, r.err
	case <-w.done:
		return w.afterEnd(r)
	case <-ctx.Done():
	}
	if r.state.CompareAndSwap(waiting, dropped) {
		return 0, driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("the commit was still queued: %w", ctx.Err()))
	}
	select {
	case <-r.done: // it was just decided
		return r.rev, r.err
	default:
		return 0, driver.Failed("commit", driver.ErrUncertain, ctx.Err())
	}
}

// afterEnd returns the outcome of a request that was queued when the writer
// ended: it has been decided, or was never looked at.
func (w *writer) afterEnd(r *request) (driver.Rev, error) {
	select {
	case <-r.done:
		return r.rev, r.err
	default:
		return 0, errClosed
	}
}

// stop lets the writer finish what is queued, and waits for it to end.
func (w *writer) stop() error {
	w.once.Do(func() { close(w.quit) })
	<-w.done
	return w.session.close()
}

func (w *writer) run() {
	defer close(w.done)
	var timer <-chan time.Time
	last := 0 // length of the last batch
	if w.replica != nil {
		tick := time.NewTicker(w.store.replicateInterval())
		defer tick.Stop()
		timer = tick.C
	}
	for {
		select {
		case r := <-w.queue:
			if last > 1 {
				// Those who have just been answered often have the next commit ready
				// in a moment, and an fsync that they share is worth more than that.
				runtime.Gosched()
			}
			w.gather(r)
			last = len(w.batch)
			w.commitBatch()
			w.tidy()
		case <-timer:
			w.followReplica()
		case <-w.quit:
			w.finishQueue()
			return
		}
	}
}

// finishQueue commits what is still queued.
func (w *writer) finishQueue() {
	for {
		select {
		case r := <-w.queue:
			w.gather(r)
			w.commitBatch()
		default:
			return
		}
	}
}

// gather makes a batch of a request and what is queued behind it.
func (w *writer) gather(r *request) {
	w.batch = w.batch[:0]
	size := 0
	for {
		if r.state.CompareAndSwap(waiting, taken) {
			w.batch = append(w.batch, r)
			size += r.size
		}
		if len(w.batch) >= maxBatch || size >= maxBatchBytes {
			return
		}
		select {
		case r = <-w.queue:
		default:
			return
		}
	}
}

// commitBatch decides every request of the batch.
func (w *writer) commitBatch() {
	w.committed = false
	if err := w.refusing(); err != nil {
		for _, r := range w.batch {
			r.err = err
		}
	} else {
		for rest := w.batch; len(rest) > 0; {
			n := together(rest)
			w.decide(rest[:n])
			rest = rest[n:]
		}
		w.awaitReplica()
		w.show()
	}
	for i, r := range w.batch {
		w.batch[i] = nil
		r.finish()
	}
}

// together returns how many of the first requests may share a transaction. A load
// has one for itself.
func together(requests []*request) int {
	n := slices.IndexFunc(requests, func(r *request) bool { return r.commit.Load != nil })
	if n < 0 {
		return len(requests)
	}
	return max(n, 1)
}

// decide sets the outcome of requests that share a transaction.
func (w *writer) decide(requests []*request) {
	if err := w.refusing(); err != nil { // because of those before them
		for _, r := range requests {
			r.err = err
		}
		return
	}
	if requests[0].commit.Load != nil {
		w.load(requests[0])
	} else if err := w.transact(requests, false); err != nil {
		w.separately(requests, err)
	}
}

// refusing returns why no commit is taken now, if so.
func (w *writer) refusing() error {
	switch {
	case w.broken != nil:
		return driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("an earlier write failed in a way that leaves the file in doubt: %w; close the store and open it again", w.broken))
	case w.behind != nil && w.store.config.Class == driver.Replica:
		return driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("%w; writes go on by themselves when it can be written again", w.behind))
	}
	return nil
}

// tidy does what can wait until a batch is answered.
func (w *writer) tidy() {
	if w.behind == nil { // else it is tried again by the clock
		w.followReplica()
	}
	w.tendLog()
	w.forgetOldest()
}
