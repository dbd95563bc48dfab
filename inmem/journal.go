package inmem

import (
	"errors"
	"fmt"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// A journal makes the entries of a store of one node durable, in the order in which they
// are appended. It decides what durable means: on the disk, with the operating system,
// or not at all. It belongs to the flusher. A member of a cluster has none: its batches
// go through Raft (see office.go).
type journal interface {
	// append makes an entry durable and returns its index. The first
	// wal.EntryHeader bytes are the journal's to use. The error is
	// ErrUnavailable if nothing was written and a later append may succeed, and
	// ErrUncertain if it is not known what was written; then no later append may
	// succeed.
	append(entry []byte) (uint64, error)
	// mark is called when nothing has been appended for a moment.
	mark() error
	// dropBefore allows the journal to forget the entries before an index.
	dropBefore(index uint64) error
	close() error
}

// fileJournal is a log on the local disk.
type fileJournal struct{ log *wal.Log }

var _ journal = fileJournal{}

func (j fileJournal) append(entry []byte) (uint64, error) {
	index, err := j.log.Append(entry)
	switch {
	case err == nil:
		return index, nil
	case errors.Is(err, wal.ErrNoSpace):
		return 0, driver.Failed("commit", driver.ErrUnavailable, fmt.Errorf("%w; nothing was written; free some space on the disk", err))
	case errors.Is(err, driver.ErrTooLarge):
		return 0, driver.Failed("commit", driver.ErrUnavailable, err)
	}
	return 0, driver.Failed("commit", driver.ErrUncertain, err)
}

func (j fileJournal) mark() error                   { return j.log.Mark() }
func (j fileJournal) dropBefore(index uint64) error { return j.log.DropBefore(index) }
func (j fileJournal) close() error                  { return j.log.Close() }

// noJournal keeps nothing: class memory.
type noJournal struct{ last uint64 }

var _ journal = (*noJournal)(nil)

func (j *noJournal) append([]byte) (uint64, error) {
	j.last++
	return j.last, nil
}

func (j *noJournal) mark() error             { return nil }
func (j *noJournal) dropBefore(uint64) error { return nil }
func (j *noJournal) close() error            { return nil }
