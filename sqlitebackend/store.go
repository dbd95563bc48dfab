package sqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sys/unix"

	"trihold/internal/lockfile"
	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

var errClosed = driver.Failed("use store", driver.ErrClosed, nil)

// revText reads the latest revision.
const revText = `SELECT coalesce(max("rev"), 0) FROM "_trihold_changes"`

// A Store is a driver.Store over one SQLite file. It has these goroutines: one
// writer, which alone writes to the database, and one janitor, which ends
// snapshots that are held for too long.
type Store struct {
	config Config
	lock   *lockfile.Lock

	// Set by Prepare, and then read-only.
	layout  *sqlstmt.Layout
	pool    *sqlx.DB // for writing; its one connection is the writer's session
	readers *readers
	writer  *writer
	replica *replica // nil if there is none

	visible visible
	fence   atomic.Pointer[driver.Fence] // nil if there is none; set by the writer

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	closeErr  error
	janitor   sync.WaitGroup

	mu       sync.Mutex // held by Prepare and Close
	prepared bool       // guarded by mu
}

var _ driver.Store = (*Store)(nil)

func newStore(c Config, lock *lockfile.Lock) *Store {
	return &Store{config: c, lock: lock, closing: make(chan struct{})}
}

// Begin returns a snapshot. Every Mode gets the latest state.
func (s *Store) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	if s.closed() {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f := s.fence.Load(); f != nil && f.Closed && !m.Closed {
		return nil, f.Moved("begin")
	}
	return &snapshot{store: s}, nil
}

// Commit hands a commit to the writer and waits for its outcome.
func (s *Store) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if s.closed() {
		return 0, errClosed
	}
	if err := ctx.Err(); err != nil { // otherwise it might be sent and be uncertain
		return 0, failed("commit", err)
	}
	r, err := newRequest(s.layout, c)
	if err != nil {
		return 0, err
	}
	return s.writer.submit(ctx, r)
}

// Status describes the store.
func (s *Store) Status(ctx context.Context) (driver.Status, error) {
	if s.closed() {
		return driver.Status{}, errClosed
	}
	if err := ctx.Err(); err != nil {
		return driver.Status{}, err
	}
	rev, _ := s.visible.load()
	st := driver.Status{Backend: scheme, Class: s.config.Class, Rev: rev, Oldest: driver.Rev(s.writer.oldest.Load()), Free: -1, Schema: s.layout.Schema()}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(s.config.Path + suffix); err == nil {
			st.Disk += info.Size()
		}
	}
	if s.replica != nil {
		st.Disk += s.replica.localSize()
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.config.Path, &disk); err == nil {
		st.Free = int64(disk.Bavail) * int64(disk.Bsize)
	}
	return st, nil
}

// Close waits for commits in flight and closes the database.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.visible.wake() // ends Changes
		s.janitor.Wait()
		if s.prepared {
			s.closeErr = s.shut()
		}
		if err := s.lock.Release(); err != nil {
			s.closeErr = errors.Join(s.closeErr, fmt.Errorf("release lock: %w", err))
		}
	})
	return s.closeErr
}

// shut closes what Prepare has opened. Pools go first: when Litestream closes its
// files, the process loses SQLite's locks on the database.
func (s *Store) shut() error {
	errs := []error{s.writer.stop(), s.readers.close(), s.pool.Close()}
	if s.replica != nil {
		errs = append(errs, s.replica.close())
	}
	return errors.Join(errs...)
}

func (s *Store) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// watchSnapshots ends snapshots that are held for too long, until Close.
func (s *Store) watchSnapshots() {
	limit := s.config.SnapshotLimit
	tick := time.NewTicker(max(limit/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case now := <-tick.C:
			s.readers.endOlder(now.Add(-limit), limitReached(limit))
		}
	}
}

// report logs a failure that has nobody to return it to.
func (s *Store) report(what string, err error) {
	if err != nil {
		s.config.Logger.Error("sqlite: "+what, "path", s.config.Path, "error", err)
	}
}
