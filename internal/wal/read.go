package wal

import "fmt"

// First returns the index of the oldest entry that Get can read, 0 if there is
// none.
func (l *Log) First() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.first()
}

// first is First for who holds mu.
func (l *Log) first() uint64 {
	for _, s := range l.segments {
		if len(s.offsets) > 0 {
			return s.prev.index + 1
		}
	}
	return 0
}

// Last returns the index of the last entry, 0 if the log holds none.
func (l *Log) Last() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.first() == 0 {
		return 0
	}
	return l.end.index
}

// Next returns the index that the next entry will have.
func (l *Log) Next() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.end.index + 1
}

// Get reads an entry from the disk and returns its payload, which is the caller's.
// The error is ErrNotHeld or, if the entry is not what was written,
// driver.ErrCorrupt.
func (l *Log) Get(index uint64) ([]byte, error) {
	l.mu.RLock() // until it is read: its file stays open so long
	defer l.mu.RUnlock()
	s := l.find(index)
	if s == nil {
		return nil, fmt.Errorf("read log entry %d: %w", index, ErrNotHeld)
	}
	_, payload, err := s.read(index, l.c.SkipChecksums)
	return payload, err
}

// find returns the segment that holds an entry, or nil. The caller holds mu.
func (l *Log) find(index uint64) *segment {
	for i := len(l.segments) - 1; i >= 0; i-- { // new entries are read most
		if s := l.segments[i]; s.prev.index < index {
			if !s.holds(index) {
				return nil
			}
			return s
		}
	}
	return nil
}
