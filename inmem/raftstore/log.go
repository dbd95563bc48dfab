package raftstore

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// idlePause is how long nothing is stored before the log is marked.
const idlePause = 10 * time.Millisecond

// LogConfig says where a log is and who is told about it.
type LogConfig struct {
	WAL wal.Config
	// Newest returns the index and the term of the newest snapshot that is whole, 0 if
	// there is none. Without it, a log never keeps what Raft removes as a whole, and
	// must be empty before Raft may leave indices out.
	Newest func() (index, term uint64)
	// OnFail is called once, when the log has failed for good.
	OnFail func(error)
	// Observe is told how long each StoreLogs took.
	Observe func(time.Duration)
	Now     func() time.Time                     // default time.Now
	After   func(time.Duration) <-chan time.Time // default time.After
}

// A Log is a raft.LogStore. It is safe for concurrent use.
//
// Once a write has failed it is not known what is on the disk: every later write
// fails, too. What was stored before can still be read, because Raft panics where an
// entry cannot be.
type Log struct {
	c    LogConfig
	wal  *wal.Log
	born time.Time

	writing   sync.Mutex // held while the log is written to; guards what follows
	truncated bool       // entries were taken back, and none stored since

	lastTerm atomic.Uint64 // of the last entry, 0 if there is none
	retained atomic.Uint64 // entries from here on are kept
	busy     atomic.Int64  // when the running write began, in ns since born; 0 if none is
	stores   atomic.Uint64 // how many writes there were
	failure  atomic.Pointer[error]
	report   sync.Once // calls OnFail
	closed   atomic.Bool

	stored  chan struct{} // something was: wakes markLoop
	stop    chan struct{} // ends markLoop
	stopped chan struct{} // markLoop has ended
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
)

// CreateLog makes an empty log, in a directory that it creates.
func CreateLog(c LogConfig) (*Log, error) {
	w, err := wal.Create(c.WAL)
	if err != nil {
		return nil, err
	}
	return newLog(c, w, 0), nil
}

// OpenLog opens a log and verifies all that it holds. It returns the number of bytes
// of a torn tail that it cut off.
func OpenLog(c LogConfig) (l *Log, torn int64, err error) {
	var last raft.Log
	w, torn, err := wal.Open(c.WAL, 0, func(index uint64, payload []byte) error {
		before := last.Term
		if err := decodeEntry(index, payload, &last); err != nil {
			return err
		}
		if last.Term < before {
			return fmt.Errorf("log entry %d of term %d follows one of term %d: %w", index, last.Term, before, driver.ErrCorrupt)
		}
		return nil
	})
	if errors.Is(err, driver.ErrCorrupt) {
		err = fmt.Errorf("%s: %w; %s", c.WAL.Dir, err, remedy)
	}
	if err != nil {
		return nil, 0, err
	}
	return newLog(c, w, last.Term), torn, nil
}

func newLog(c LogConfig, w *wal.Log, lastTerm uint64) *Log {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.After == nil {
		c.After = time.After
	}
	l := &Log{c: c, wal: w, born: c.Now(), stored: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	l.lastTerm.Store(lastTerm)
	l.retained.Store(math.MaxUint64)
	go l.markLoop()
	return l
}

// Fresh reports whether a log directory holds nothing, or is missing: at most what an
// interrupted CreateLog leaves behind.
func Fresh(fsys vfs.FS, dir string) (bool, error) {
	fresh, err := wal.Fresh(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return fresh, err
}

// IsMonotonic implements raft.MonotonicLogStore: there are no gaps.
func (*Log) IsMonotonic() bool { return true }

// FirstIndex implements raft.LogStore.
func (l *Log) FirstIndex() (uint64, error) { return l.wal.First(), nil }

// LastIndex implements raft.LogStore.
func (l *Log) LastIndex() (uint64, error) { return l.wal.Last(), nil }

// First returns the index of the oldest entry, 0 if there is none.
func (l *Log) First() uint64 { return l.wal.First() }

// Range returns the indices of the first and the last entry; for an empty log the one
// that its first entry will have unless Raft leaves some out, and the one before.
func (l *Log) Range() (first, last uint64) {
	if first = l.wal.First(); first == 0 {
		next := l.wal.Next()
		return next, next - 1
	}
	return first, l.wal.Last()
}

// LastTerm returns the term of the last entry, the highest in the log; 0 if it is empty.
// The hard state of the node is of that term or a later one, or is an old copy.
func (l *Log) LastTerm() uint64 { return l.lastTerm.Load() }

// Retain keeps the entries from an index on from being removed together with older
// ones: an older snapshot needs them. Without it, or with math.MaxUint64, none are kept.
func (l *Log) Retain(index uint64) { l.retained.Store(index) }

// Failed returns the error that ended all writing, if one did.
func (l *Log) Failed() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Busy returns how long the running write has taken so far, 0 if there is none.
func (l *Log) Busy() time.Duration {
	began := l.busy.Load()
	if began == 0 {
		return 0
	}
	return max(l.sinceBorn()-time.Duration(began), 1)
}

func (l *Log) sinceBorn() time.Duration { return l.c.Now().Sub(l.born) }

// GetLog implements raft.LogStore. It verifies the entry; damage that is found by
// reading ends all writing.
func (l *Log) GetLog(index uint64, log *raft.Log) error {
	found, err := l.entry(index)
	switch {
	case err == nil:
		*log = found
		return nil
	case errors.Is(err, wal.ErrNotHeld):
		return raft.ErrLogNotFound // Raft compares it as it is, and sends a snapshot
	case l.closed.Load():
		return fmt.Errorf("read log: %w", driver.ErrClosed)
	}
	l.fail(err)
	l.tell()
	return err
}

// entry reads an entry.
func (l *Log) entry(index uint64) (log raft.Log, err error) {
	payload, err := l.wal.Get(index)
	if err == nil {
		err = decodeEntry(index, payload, &log)
	}
	if errors.Is(err, driver.ErrCorrupt) {
		err = fmt.Errorf("%s: %w; %s", l.c.WAL.Dir, err, remedy)
	}
	return log, err
}

// fail ends all writing.
func (l *Log) fail(err error) { l.failure.CompareAndSwap(nil, &err) }

// tell calls OnFail if the log has failed and nobody was told. No lock is held.
func (l *Log) tell() {
	if err := l.Failed(); err != nil && l.c.OnFail != nil {
		l.report.Do(func() { l.c.OnFail(err) })
	}
}

// Close marks the end of the log and closes it. It returns the error that ended all
// writing, if one did.
func (l *Log) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	close(l.stop)
	<-l.stopped
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.wal.Close()
}
