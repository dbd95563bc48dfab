package driver

import (
	"context"
	"iter"
	"time"
)

// Rev is a revision: the number of a commit in its store. The first commit is
// 1, every accepted commit is one more than the one before it, and a Rev is
// never assigned twice. Zero is the state before any commit, and, as the
// revision of a row, means that the row is absent.
type Rev int64

// A Store is one opened backend. All methods may be called concurrently.
//
// Prepare is called once, before every other method but Close. After Close
// every method returns ErrClosed.
type Store interface {
	// Prepare makes the store ready for a schema: it creates what is missing in
	// an empty store, recovers what an existing one holds, and refuses with
	// ErrInvalid a store that was made with another schema. The store keeps s,
	// and every later argument points to tables of s. A nil s stands for the
	// schema that the store was made with, with Records for rows; Status tells it.
	// A store that is empty has none: ErrInvalid.
	Prepare(ctx context.Context, s *Schema) error

	// Begin returns a state to read from. With the zero Mode that state includes
	// every commit acknowledged before Begin was called. The caller closes it.
	// Begin, or the first read, fails with ErrMoved if a Fence has closed the store.
	Begin(ctx context.Context, m Mode) (Snapshot, error)

	// Commit validates c.Checks and applies c.Writes as one, or does nothing and
	// says why:
	//
	//   - ErrConflict: a check no longer holds. Checks are looked at first, so a
	//     commit whose reads are stale never gets another answer.
	//   - ErrExists: an inserted key is present, or a unique index would hold
	//     two rows. Judged on the result of all writes together.
	//   - ErrTooLarge, ErrInvalid, ErrReadOnly: refused as it is.
	//   - ErrMoved: there is a Fence. A commit that was accepted before the fence
	//     is still recognised by its ID.
	//   - ErrUnavailable: could not be tried; nothing was written.
	//   - ErrUncertain: sent, and ctx ended or the store failed before the
	//     outcome was known. Sending the same Commit again is the way to find
	//     out.
	//
	// A commit that has been accepted before, by its ID, is not applied again:
	// its first revision is returned. Backends remember IDs as long as changes.
	// On success the commit is as durable as the store's class promises, and
	// visible to every Begin that starts later. The caller must not modify c or
	// what it refers to afterwards.
	Commit(ctx context.Context, c *Commit) (Rev, error)

	// Changes yields every commit after the given revision, in order and exactly
	// once, and waits for more when it has caught up. It ends with ctx's error,
	// or with ErrCompacted if commits after that revision are no longer
	// retained, or when the caller breaks. An after beyond the store's own
	// revision is ErrInvalid: it comes from another store.
	Changes(ctx context.Context, after Rev) iter.Seq2[Change, error]

	// Status describes the store as it is now.
	Status(ctx context.Context) (Status, error)

	// Close waits for commits in flight, ends every Changes with ErrClosed, and
	// releases what the store holds. It is idempotent.
	Close() error
}

// A Snapshot is a consistent state of a store. It is used by one goroutine at a
// time and closed by the caller.
//
// A backend that reads over a network may find that it cannot extend a snapshot
// to one more read because rows it has already returned were changed meanwhile.
// The read then returns ErrConflict and the caller starts over with a new
// Snapshot.
type Snapshot interface {
	// Rev is the revision of the state. A backend may fix it at the first read,
	// and raise it at a later one after making sure that everything returned so
	// far is the same at the new revision.
	Rev() Rev

	// Get returns the row with the given key, or ErrNotFound.
	Get(ctx context.Context, t *Table, key Key) (Row, error)

	// Scan yields the rows of a span in its order. An error is yielded last.
	Scan(ctx context.Context, s Span) iter.Seq2[Row, error]

	// Confirm returns nil if the state includes every commit acknowledged before
	// Begin was called, as it always does with the zero Mode, and ErrConflict if
	// that is not known.
	Confirm(ctx context.Context) error

	// Close releases the snapshot. It is idempotent; reads after it fail with
	// ErrClosed.
	Close() error
}

// Mode says which states Begin may return. The zero Mode asks for one that
// includes every acknowledged commit.
type Mode struct {
	// MaxAge, if positive, allows a state that is up to so old.
	MaxAge time.Duration
	// MinRev, with MaxAge, is the lowest revision allowed.
	MinRev Rev
	// Tentative allows a state that is out of date, though it includes what this Store
	// has acknowledged or returned before, for a caller who finds out whether it still
	// holds: by a Commit with checks of what was read, or with Snapshot.Confirm.
	Tentative bool
	// Closed allows to read a store that a Fence has closed: what is there may be
	// out of date, or not complete.
	Closed bool
}

// A Row is one row as a backend returns it. Exactly one of Value and Data is
// set.
type Row struct {
	// Rev is the revision of the commit that wrote the row.
	Rev Rev
	// Value is the live object, as Table.Decode made it. It belongs to the store
	// and must not be modified: callers copy it before they hand it out.
	Value any
	// Data is the row in canonical form. It belongs to the caller.
	Data []byte
}

// Canonical returns the row in canonical form, appended to dst.
func (r Row) Canonical(dst []byte, t *Table) []byte {
	if r.Value != nil {
		return t.Encode(dst, r.Value)
	}
	return append(dst, r.Data...)
}

// Status describes a store at one moment.
type Status struct {
	Backend string  // the scheme of its URL: inmem, sqlite, rqlite
	Class   Class   // the durability class it was opened with
	Rev     Rev     // the latest revision
	Oldest  Rev     // Changes can resume from this revision or any later one
	Disk    int64   // bytes on disk, as far as the backend can see them
	Free    int64   // bytes free on that disk; -1 if the backend cannot see it
	Schema  *Schema // what the store was prepared with
	PIDs    []int   // processes besides the calling one that make up the store
	// Addresses are where the store's own processes can be reached, host:port.
	Addresses []string
}
