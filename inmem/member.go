package inmem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/inmem/raftstore"
	"trihold/repo/driver"
)

// A member is what makes a store a node of a cluster: Raft, the port through which nodes
// talk, and the goroutines between them and the committer.
type member struct {
	store *Store
	c     ClusterConfig // with its defaults
	log   *slog.Logger

	// life ends when the node takes no part in the cluster any more: because the store
	// is closed, or because it failed; the cause says why.
	life context.Context
	end  context.CancelCauseFunc

	self atomic.Pointer[identity]

	port      *port.Port
	listening chan struct{} // closed when port and its address are there
	transport *raft.NetworkTransport
	raft      *raft.Raft                // set before running
	engine    atomic.Pointer[raft.Raft] // the same, for who may come earlier
	running   atomic.Bool
	files     raftFiles
	replica   *replica
	progress  progress // of replica
	admin     *admin

	notify chan bool     // from Raft: this node leads now, or no longer
	renew  chan struct{} // holds one: a tenure has ended and its term perhaps not

	verifying  rounds // whether this node leads
	confirming confirmers
	asking     rounds // the leader, which entry a read must include
	fresh      atomic.Pointer[time.Time]

	failure  atomic.Pointer[failure]
	lowDisk  atomic.Pointer[driver.Error]
	hangs    bool        // set by release: a write may still come, so nobody else may have the directory
	departed atomic.Bool // this node has left, and gives nothing away when it closes

	unsettled unsettled
	peers     peers
	changes   sync.Mutex // held while this leader changes the members: what it has checked must still be so

	logged    atomic.Int64 // bytes applied since the last snapshot
	elections atomic.Int64
	forwarded atomic.Int64
	conflicts atomic.Int64
	// acknowledged is the highest revision that this node has told a caller of.
	acknowledged atomic.Int64
	syncs        syncTimes
	background   sync.WaitGroup

	manifest     sync.Mutex           // held while the manifest of a running member is changed
	snapshotting sync.Mutex           // held while a snapshot is written because the log has grown
	snapshotted  atomic.Int64         // bytes of the newest snapshot
	newest       atomic.Pointer[root] // of which is the newest snapshot; without its tables
}

// raftFiles are the files that Raft keeps in a member's directory.
type raftFiles struct {
	log       *raftstore.Log
	state     *raftstore.State
	snapshots *raftstore.Snapshots
}

// A failure is why a node takes no part in its cluster any more.
type failure struct {
	err         error
	quarantined bool // its state is not to be believed
}

// fail ends this node's part in the cluster at once: its peers hear nothing more from it,
// and it answers no reads and takes no commits until it is opened again. It may be called
// from Raft's own goroutines, and does not wait.
func (m *member) fail(err error) { m.depart(&failure{err: err}) }

// quarantine is fail for a node whose state is wrong. The directory remembers it, and
// begins anew when it is opened again.
func (m *member) quarantine(err error) {
	m.depart(&failure{err: err, quarantined: true})
	if marked := m.markQuarantined(err); marked != nil {
		m.log.Error("inmem: the quarantine could not be recorded; take the directory away before the node is opened again", "node", m.c.Node, "dir", m.store.c.Dir, "err", marked)
	}
}

func (m *member) depart(f *failure) {
	if !m.failure.CompareAndSwap(nil, f) {
		return
	}
	m.log.Error("inmem: this node takes no part in its cluster any more", "node", m.c.Node, "err", f.err)
	m.store.tenure.Store(nil)
	if m.port != nil {
		m.port.Sever()
	}
	m.end(f.err)
	m.background.Go(func() {
		if r := m.engine.Load(); r != nil {
			_ = within(closing, r.Shutdown()) // what is stuck in a write of the log stays there
		}
	})
}

// stopped returns why this node takes no part in its cluster, if it takes none.
func (m *member) stopped() error {
	if f := m.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// refused is the error of an operation on a node that has failed.
func (m *member) refused(op string, cause error) error {
	if errors.Is(cause, driver.ErrClosed) {
		return driver.Failed(op, driver.ErrClosed, nil)
	}
	for _, kind := range []error{driver.ErrCorrupt, driver.ErrInvalid} {
		if errors.Is(cause, kind) {
			return driver.Failed(op, kind, fmt.Errorf("this node takes no part in its cluster any more: %w", cause))
		}
	}
	return driver.Failed(op, driver.ErrUnavailable, fmt.Errorf("this node takes no part in its cluster until it is opened again: %w", cause))
}

// readOnly returns why no commit is taken at the moment, if none is.
func (m *member) readOnly() error {
	if err := m.lowDisk.Load(); err != nil { // not a nil *Error in an error
		return err
	}
	return nil
}

// reads refuses a format of the cluster that this program does not read.
func (m *member) reads(format uint32) error {
	if format > m.c.Reads {
		return fmt.Errorf("the cluster writes format %d, this program reads up to %d; use a newer program: %w", format, m.c.Reads, driver.ErrInvalid)
	}
	return nil
}

// identity returns who this node is.
func (m *member) identity() identity { return *m.self.Load() }

// patient returns a context that ends with the store's patience if the given one has no
// deadline, and when this node fails.
func (m *member) patient(ctx context.Context) (context.Context, func()) {
	limit := func() {}
	if _, limited := ctx.Deadline(); !limited {
		ctx, limit = context.WithTimeoutCause(ctx, m.c.Patience, errPatience)
	}
	inner, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.life, func() { cancel(context.Cause(m.life)) })
	return inner, func() {
		stop()
		cancel(context.Canceled)
		limit()
	}
}

// errPatience is the cause of a context that ended because the patience did.
var errPatience = fmt.Errorf("the patience of the store has ended: %w", context.DeadlineExceeded)

// unavailable is the error of an operation that found no majority in time; last is what
// the latest attempt met.
func (m *member) unavailable(op string, ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, driver.ErrClosed) {
		return driver.Failed(op, driver.ErrClosed, nil)
	}
	if errors.Is(cause, context.Canceled) && m.life.Err() == nil {
		return driver.Failed(op, nil, cause)
	}
	if last == nil {
		last = errNoLeader
	}
	return driver.Failed(op, driver.ErrUnavailable, fmt.Errorf("no leader answers (see: trihold cluster status %s): %w: %w", m.store.c.Dir, last, cause))
}

// A backoff is the pause between attempts: short at first, because elections are.
type backoff struct {
	pause, longest time.Duration
	jitter         func(time.Duration) time.Duration
}

func (m *member) backoff() *backoff {
	return &backoff{pause: time.Millisecond, longest: m.c.Election / 10, jitter: jitter}
}

// next makes the next pause longer.
func (b *backoff) next() { b.pause = min(2*b.pause, b.longest) }

// until pauses, or returns an error if ctx ends before that.
func (b *backoff) until(ctx context.Context) error {
	t := time.NewTimer(b.jitter(b.pause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
