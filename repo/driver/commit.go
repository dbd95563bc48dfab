package driver

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// A CommitID names one commit. It is chosen by the caller, so that sending a
// commit twice is harmless, and is unique across all callers.
type CommitID [16]byte

func (id CommitID) String() string { return hex.EncodeToString(id[:]) }

// A Commit is everything a transaction did.
type Commit struct {
	ID CommitID
	// Read is the revision of the snapshot at which Checks held. They did hold
	// there: a store that is still at Read need not look at them, nor at the check
	// of a row that has not been written since.
	Read   Rev
	Checks Checks
	// Writes holds at most one write per table and key.
	Writes []Write
	// Load, if not nil, makes this a copy of what has happened elsewhere.
	Load *Load
}

// A Load makes a store a copy of another one, its origin: of rows as they are
// there, and of commits under the revisions and IDs that they have there. It
// differs from an ordinary commit in this:
//
//   - It is accepted behind a Fence, and only there: the store has one, or the load
//     writes one. Otherwise it is ErrInvalid.
//   - It has no ID, and assigns no revision. Its Checks are always looked at, and
//     are what makes sending it twice harmless; ErrConflict if one does not hold.
//   - Each write that is not a Delete says in Rev which revision its row has; a row
//     that has this revision, or a later one, is left alone. The state is exempt:
//     its rows are written as told.
//   - A row displaces others that hold the values of one of its unique indices: they
//     are out of date, and their own writes are to follow.
//
// An origin's commits may be loaded without the rows that they wrote and the other
// way round, so a store that is being filled need not be consistent; it is the
// caller who knows when it is.
type Load struct {
	// Changes are commits of the origin that follow the store's latest one, in
	// order and without a gap. The first ones that an empty store gets may begin
	// anywhere; its changes are then retained from there. The store's revision
	// becomes that of the last one. At most MaxWrites.
	Changes []Change
}

// Size returns the bytes that count against MaxCommit.
func (c *Commit) Size() int {
	n := 0
	for i := range c.Writes {
		n += c.Writes[i].Size()
	}
	return n
}

// Checks are what a transaction read.
type Checks struct {
	Rows  []RowCheck
	Spans []SpanCheck
}

// A RowCheck holds if the row with Key still has revision Rev; Rev zero means
// that it is absent.
type RowCheck struct {
	Table *Table
	Key   Key
	Rev   Rev
}

// A SpanCheck holds if the rows between Lo and Hi are the ones that were read.
// Their number and the highest of their revisions identify them: an insert or
// an update brings a revision higher than any before it, and a delete alone
// lowers the number.
type SpanCheck struct {
	Table  *Table
	Order  int
	Lo, Hi Bound
	Rows   int64
	MaxRev Rev
}

// Span returns the span that the check is about.
func (c SpanCheck) Span() Span {
	return Span{Table: c.Table, Order: c.Order, Lo: c.Lo, Hi: c.Hi}
}

// A WriteKind says what a write does with its row.
type WriteKind uint8

// The numbers are part of the on-disk formats.
const (
	Insert WriteKind = 1 // the row must be absent
	Put    WriteKind = 2 // the row is written whether or not it is there
	Delete WriteKind = 3 // the row is removed if it is there
)

func (k WriteKind) String() string {
	switch k {
	case Insert:
		return "insert"
	case Put:
		return "put"
	case Delete:
		return "delete"
	}
	return fmt.Sprintf("WriteKind(%d)", uint8(k))
}

// A Write is one row that a commit writes.
type Write struct {
	Kind  WriteKind
	Table *Table
	Key   Key
	Data  []byte // the row in canonical form; nil for Delete
	// Rev is the revision that the row has, in a Load; otherwise it is zero, and
	// the row gets that of the commit.
	Rev Rev
}

// Size returns the bytes of the write that count against MaxCommit.
func (w *Write) Size() int { return len(w.Key) + len(w.Data) }

// A Change is what an accepted commit touched. One without keys under the ID of a
// commit with writes says that this commit was refused for good: a backend whose
// earlier attempts may still be on their way takes the ID, so that they fail.
type Change struct {
	Rev  Rev
	ID   CommitID
	Keys []ChangedKey
}

// Refused reports whether the change, which has the ID of c, says that c was refused.
func (ch Change) Refused(c *Commit) bool { return len(ch.Keys) == 0 && len(c.Writes) > 0 }

// ErrRefusedBefore is the cause of the ErrConflict of a commit that was refused when it
// was sent before.
var ErrRefusedBefore = errors.New("it was refused before")

// A ChangedKey is one write of a commit, to the state too, also if it was a delete
// that found no row. The order of the keys says nothing. The row's value is read from a
// snapshot at or after the revision of the change.
type ChangedKey struct {
	Table   *Table
	Key     Key
	Deleted bool
}
