package raftstore

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// StoreLog implements raft.LogStore.
func (l *Log) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements raft.LogStore, with one write and one sync. With
// driver.ErrUnavailable nothing was stored, and a later call may succeed, unless
// entries were taken back before: Raft then believes in a last entry that is gone.
func (l *Log) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return l.Failed()
	}
	return l.write(func() error {
		began := l.sinceBorn()
		err := l.store(logs)
		if err != nil && l.truncated {
			l.fail(err)
		}
		if err != nil {
			return err
		}
		l.truncated = false
		l.lastTerm.Store(logs[len(logs)-1].Term)
		if l.c.Observe != nil {
			l.c.Observe(l.sinceBorn() - began)
		}
		return nil
	})
}

// store appends entries. The caller holds writing.
func (l *Log) store(logs []*raft.Log) error {
	entries := make([][]byte, len(logs))
	first := logs[0].Index
	for i, log := range logs {
		if log.Index != first+uint64(i) {
			return fmt.Errorf("store log: entry %d follows entry %d: %w", log.Index, first+uint64(i)-1, driver.ErrInvalid)
		}
		entries[i] = encodeEntry(log)
	}
	if next := l.wal.Next(); first != next {
		if err := l.skip(next, first); err != nil {
			return err
		}
	}
	_, err := l.wal.AppendAll(entries)
	return err
}

// skip lets the log begin anew with a later entry: a snapshot holds all that is left
// out. That is so after a snapshot was installed, and whether the entries before had
// been removed when the node stopped does not matter.
func (l *Log) skip(next, first uint64) error {
	covered := l.wal.Last() == 0
	if l.c.Newest != nil {
		index, _ := l.c.Newest()
		covered = index >= first-1
	}
	if first < next || !covered {
		return fmt.Errorf("store log: entry %d where entry %d is the next, and no snapshot holds what is between: %w", first, next, driver.ErrInvalid)
	}
	return l.wal.Reset(first)
}

// DeleteRange implements raft.LogStore. Of old entries those stay that share a file
// with newer ones, or that are retained.
func (l *Log) DeleteRange(from, to uint64) error {
	whole, err := l.takeBack(from, to)
	if whole || err != nil {
		return err
	}
	if err := l.Failed(); err != nil {
		return err
	}
	// Not in the way of writing: Raft does this beside it.
	return l.wal.DropBefore(min(to+1, l.retained.Load()))
}

// takeBack removes a range of entries if that leaves none after it, and reports whether
// that was so. Otherwise it is old entries that are to be removed.
func (l *Log) takeBack(from, to uint64) (done bool, err error) {
	err = l.write(func() error {
		first, last := l.wal.First(), l.wal.Last()
		switch {
		case first == 0 || to < first || from > last || from > to:
			done = true
			return nil
		case from > first && to < last:
			return fmt.Errorf("delete entries %d to %d of a log from %d to %d: %w", from, to, first, last, driver.ErrInvalid)
		case to < last || from <= first && l.keeps(last):
			return nil
		}
		done = true
		if err := l.wal.Truncate(max(from, first) - 1); err != nil {
			return err
		}
		l.truncated = true
		return l.readLastTerm()
	})
	return done, err
}

// keeps reports whether entries of a log that Raft removes as a whole must stay: some
// are retained, and the newest snapshot was taken of this very log. Then Raft only
// wants to be rid of what the snapshot includes, and what is behind that is no
// conflict. Otherwise the log may be of another history than the snapshot.
func (l *Log) keeps(last uint64) bool {
	if l.c.Newest == nil || l.retained.Load() > last {
		return false
	}
	index, term := l.c.Newest()
	held, err := l.entry(index)
	return err == nil && held.Term == term
}

// readLastTerm takes the term of the last entry from the log.
func (l *Log) readLastTerm() error {
	last := l.wal.Last()
	if last == 0 {
		l.lastTerm.Store(0)
		return nil
	}
	entry, err := l.entry(last)
	if err == nil {
		l.lastTerm.Store(entry.Term)
	}
	return err
}

// write runs f, which writes to the log, and judges what came of it.
func (l *Log) write(f func() error) error {
	err := l.guarded(f)
	l.tell()
	return err
}

func (l *Log) guarded(f func() error) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed.Load() {
		return fmt.Errorf("write log: %w", driver.ErrClosed)
	}
	if err := l.Failed(); err != nil {
		return err
	}
	l.busy.Store(max(int64(l.sinceBorn()), 1))
	defer l.busy.Store(0)
	err := f()
	l.stores.Add(1)
	select {
	case l.stored <- struct{}{}:
	default:
	}
	switch {
	case err == nil, errors.Is(err, driver.ErrTooLarge), errors.Is(err, driver.ErrInvalid):
	case errors.Is(err, wal.ErrNoSpace):
		err = fmt.Errorf("%w; nothing was written; free some space on the disk: %w", err, driver.ErrUnavailable)
	default:
		l.fail(err)
	}
	return err
}

// markLoop marks the log when nothing has been stored for a moment, so that damage to
// the last entries is noticed even after a loss of power.
func (l *Log) markLoop() {
	defer close(l.stopped)
	for {
		select {
		case <-l.stored:
		case <-l.stop:
			return
		}
		for before := uint64(0); before != l.stores.Load(); {
			before = l.stores.Load()
			select {
			case <-l.c.After(idlePause):
			case <-l.stop:
				return
			}
		}
		l.mark()
	}
}

// mark is a write that nobody waits for.
func (l *Log) mark() {
	l.writing.Lock()
	if l.Failed() == nil {
		l.busy.Store(max(int64(l.sinceBorn()), 1))
		if err := l.wal.Mark(); err != nil {
			l.fail(err)
		}
		l.busy.Store(0)
	}
	l.writing.Unlock()
	l.tell()
}
