package inmem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

const (
	lockName    = "lock"
	logDir      = "log"
	snapshotDir = "snapshots"
)

// A Store is an open in-memory store. It is safe for concurrent use.
type Store struct {
	c      Config
	lock   io.Closer      // nil for class memory
	schema *driver.Schema // set by Prepare, or by what it finds

	published atomic.Pointer[root]
	recent    *recent

	// closing guards queue against being closed while a commit is sent.
	closing sync.RWMutex
	queue   chan *request
	closed  chan struct{} // closed by Close, before queue is

	// tenure is that of the committer; nil while it must not decide. It is set by
	// whoever makes batches durable.
	tenure atomic.Pointer[tenure]
	// slots holds a token for each batch between the committer and its answer.
	slots   chan struct{}
	batches chan *batch   // from the committer to the flusher
	flushed chan struct{} // closed when the flusher has ended
	buffers buffers
	reserve int // bytes at the front of each batch's entry

	// stopErr is set when writing has ended for good.
	stopErr atomic.Pointer[driver.Error]

	journal   journal // owned by the flusher
	snapshots snapshots

	member *member // nil for the store of a single node
}

var _ driver.Store = (*Store)(nil)

// Open opens a store, and takes the lock of its directory. Nothing else is
// written before Prepare.
func Open(c Config) (*Store, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Store{
		c:       c,
		recent:  newRecent(),
		queue:   make(chan *request, 4*maxBatch),
		closed:  make(chan struct{}),
		slots:   make(chan struct{}, inFlightBatches),
		batches: make(chan *batch, inFlightBatches),
		flushed: make(chan struct{}),
		buffers: newBuffers(),
		reserve: wal.EntryHeader,
	}
	s.snapshots.done = make(chan written, 1)
	if c.Cluster.Node != "" {
		s.member = newMember(s)
	}
	if c.Class == driver.Memory {
		return s, nil
	}
	if err := s.claim(); err != nil {
		return nil, opening(c.Dir, err)
	}
	return s, nil
}

// claim makes the directory, refuses one that is no place for a store, and takes
// its lock.
func (s *Store) claim() error {
	c := s.c
	_, err := c.FS.List(c.Dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is a file; inmem keeps its data in a directory: %w", c.Dir, driver.ErrInvalid)
	case errors.Is(err, fs.ErrNotExist):
		if err := c.FS.MkdirAll(c.Dir); err != nil {
			return fmt.Errorf("create directory: %w", err)
		}
	case err != nil:
		return err
	}
	if _, _, err := inspect(c.FS, c.Dir); err != nil { // refuse before leaving a lock behind
		return err
	}
	s.lock, err = c.FS.Lock(filepath.Join(c.Dir, lockName), "the directory "+c.Dir)
	return err
}

// opening is the error of a store that cannot be opened. What is neither damage
// nor misuse is the disk's, and may pass.
func opening(dir string, err error) error {
	for _, known := range []error{driver.ErrCorrupt, driver.ErrInvalid, driver.ErrUnavailable, driver.ErrReadOnly, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return driver.Failed("open "+dir, nil, err)
		}
	}
	return driver.Failed("open "+dir, driver.ErrUnavailable, err)
}

// Prepare implements driver.Store.
func (s *Store) Prepare(ctx context.Context, schema *driver.Schema) error {
	s.schema = schema
	if s.member != nil {
		if err := s.member.prepare(ctx); err != nil {
			return opening(s.c.Dir, err)
		}
		return nil
	}
	var r *root
	var err error
	switch {
	case s.c.Class != driver.Memory:
		r, err = s.openFiles(ctx)
	case schema == nil:
		err = errNoSchema
	default:
		s.journal, r = &noJournal{}, newRoot(schema)
	}
	if err != nil {
		return opening(s.c.Dir, err)
	}
	s.published.Store(r)
	s.tenure.Store(&tenure{})
	go s.commitLoop()
	go s.flushLoop()
	return nil
}

// usable returns why an operation cannot begin, if it cannot.
func (s *Store) usable(ctx context.Context, op string) error {
	select {
	case <-s.closed:
		return driver.Failed(op, driver.ErrClosed, nil)
	default:
	}
	if err := ctx.Err(); err != nil {
		return driver.Failed(op, nil, err)
	}
	return nil
}

// Status implements driver.Store. A member without a majority tells what it knows.
func (s *Store) Status(ctx context.Context) (driver.Status, error) {
	if err := s.usable(ctx, "status"); err != nil {
		return driver.Status{}, err
	}
	r := s.published.Load()
	if s.member != nil {
		r = s.member.latest(ctx)
	}
	st := driver.Status{
		Backend: Scheme,
		Class:   s.c.Class,
		Rev:     r.rev,
		Free:    -1,
		Schema:  s.schema,
	}
	st.Oldest = min(s.recent.oldest(), st.Rev) // the first load into an empty store may be under way
	if s.c.Class == driver.Memory {
		return st, nil
	}
	var err, errFree error
	st.Disk, err = s.c.FS.Usage(s.c.Dir)
	st.Free, errFree = s.c.FS.Free(s.c.Dir)
	return st, errors.Join(err, errFree)
}

// Close implements driver.Store. A member of a cluster stays one: it comes back when it
// is opened again.
func (s *Store) Close() error {
	s.closing.Lock()
	select {
	case <-s.closed:
		s.closing.Unlock()
		return nil
	default:
	}
	close(s.closed)
	s.closing.Unlock()
	var err error
	switch {
	case s.member != nil && s.member.running.Load():
		err = s.member.close()
	case s.member == nil && s.published.Load() != nil: // Prepare has succeeded
		s.closeQueue()
		<-s.flushed
		s.snapshots.running.Wait()
		select {
		case w := <-s.snapshots.done:
			s.finishSnapshot(w)
		default:
		}
		err = s.journal.close()
	}
	if s.lock != nil && (s.member == nil || !s.member.hangs) {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// closeQueue has the committer end when it has decided about what is waiting.
func (s *Store) closeQueue() {
	s.closing.Lock() // nobody is about to send
	defer s.closing.Unlock()
	close(s.queue)
}

// readOnly returns why no commit is taken at the moment, if none is.
func (s *Store) readOnly() error {
	if s.member == nil {
		return nil
	}
	return s.member.readOnly()
}
