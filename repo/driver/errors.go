package driver

import (
	"errors"
	"strings"
)

// Sentinels, always tested through errors.Is.

// Met when reading and writing rows.
var (
	ErrNotFound = errors.New("not found")
	// ErrExists: the key, or the values of a unique index, are taken.
	ErrExists = errors.New("already exists")
	// ErrInvalid: the request can never succeed as it is.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: beyond MaxKey, MaxRow, MaxCommit or MaxWrites.
	ErrTooLarge = errors.New("too large")
)

// Met when committing.
var (
	// ErrConflict: something that the transaction read has changed. Nothing was
	// written.
	ErrConflict = errors.New("conflict with another transaction")
	// ErrUncertain: the commit was sent and its outcome is not known.
	ErrUncertain = errors.New("outcome unknown")
	// ErrReadOnly: the store was opened, or has become, read-only.
	ErrReadOnly = errors.New("read-only")
	// ErrMoved: the data now lives in another store.
	ErrMoved = errors.New("moved to another store")
)

// Met at any time.
var (
	// ErrUnavailable: the store cannot answer now. Nothing was written.
	ErrUnavailable = errors.New("unavailable")
	// ErrCompacted: the changes asked for are no longer retained.
	ErrCompacted = errors.New("compacted")
	// ErrCorrupt: stored data is damaged, and the store refuses to serve it.
	ErrCorrupt = errors.New("corrupt")
	// ErrClosed: the store, snapshot or transaction is over.
	ErrClosed = errors.New("closed")
)

// An Error is the detail of a failed operation. Kind is one of the sentinels
// and Cause, if there is one, what led to it; errors.Is finds both.
type Error struct {
	Op    string // what was being done: get, insert, commit, open, ...
	Table string
	Index string // the columns of the unique index that collided
	Key   string // the key, printable
	Kind  error
	Cause error
}

// Error returns one line: operation, subject, kind, cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Table != "" {
		b.WriteString(" " + e.Table)
	}
	if e.Key != "" {
		b.WriteString("[" + e.Key + "]")
	}
	if e.Kind != nil {
		b.WriteString(": " + e.Kind.Error())
	}
	if e.Index != "" {
		b.WriteString(" in unique index " + e.Index)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() []error {
	switch {
	case e.Cause == nil:
		return []error{e.Kind}
	case e.Kind == nil:
		return []error{e.Cause}
	}
	return []error{e.Kind, e.Cause}
}

// Failed returns an Error of the given kind for an operation on the whole
// store.
func Failed(op string, kind, cause error) *Error {
	return &Error{Op: op, Kind: kind, Cause: cause}
}
