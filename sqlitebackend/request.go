package sqlitebackend

import (
	"fmt"
	"sync/atomic"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A request is a commit on its way through the writer. Whatever can be worked out
// without the writer is worked out before, by the goroutine that commits.
type request struct {
	commit     *driver.Commit
	statements []sqlstmt.Stmt // its writes, with a revision still to come
	keeps      []sqlstmt.Stmt // for each of them, what to try first; or empty
	touched    string
	size       int
	// fences: it writes the fence, which is then the one here, or none.
	fences bool
	fence  *driver.Fence
	// fragile: a statement may be refused after others have been executed.
	fragile bool

	// state decides who has the request when the context of its caller ends.
	state atomic.Int32

	// The outcome, set by the writer before it signals done.
	rev  driver.Rev
	err  error
	done chan struct{}
}

// States of a request.
const (
	waiting int32 = iota
	taken         // the writer works on it
	dropped       // the caller has given up before
)

func newRequest(l *sqlstmt.Layout, c *driver.Commit) (*request, error) {
	r := &request{commit: c, size: c.Size(), done: make(chan struct{}, 1)}
	if err := r.checkLimits(); err != nil {
		return nil, err
	}
	var err error
	if r.fence, r.fences, err = l.Schema().FenceOf(c.Writes); err != nil {
		return nil, driver.Failed("commit", driver.ErrInvalid, err)
	}
	if c.Load != nil {
		r.statements, err = l.Load(nil, c)
		return r, err
	}
	if r.statements, err = l.Writes(make([]sqlstmt.Stmt, 0, len(c.Writes)), c.Writes, 0); err != nil {
		return nil, driver.Failed("commit", driver.ErrInvalid, err)
	}
	touched, err := sqlstmt.AppendTouched(nil, c.Writes)
	if err != nil {
		return nil, driver.Failed("commit", driver.ErrInvalid, err)
	}
	r.touched = string(touched)
	read := newReading(c.Checks.Rows)
	r.fragile = r.isFragile(read)
	r.tryKeeping(l, read)
	return r, nil
}

// tryKeeping finds the puts that probably only change columns without index:
// those of rows that the commit has read.
func (r *request) tryKeeping(l *sqlstmt.Layout, read reading) {
	for i, st := range r.statements {
		if st.Write.Kind != driver.Put || !read.saw(st.Write, true) {
			continue
		}
		if keep, ok := l.Keep(st); ok {
			if r.keeps == nil {
				r.keeps = make([]sqlstmt.Stmt, len(r.statements))
			}
			r.keeps[i] = keep
		}
	}
}

// checkLimits repeats what package repo has made sure of, for those who work on
// the driver.
func (r *request) checkLimits() error {
	tooLarge := func(format string, args ...any) error {
		return driver.Failed("commit", driver.ErrTooLarge, fmt.Errorf(format, args...))
	}
	if n := len(r.commit.Writes); n > driver.MaxWrites {
		return tooLarge("%d writes, the limit is %d", n, driver.MaxWrites)
	}
	if load := r.commit.Load; load != nil && len(load.Changes) > driver.MaxWrites {
		return tooLarge("%d changes, the limit is %d", len(load.Changes), driver.MaxWrites)
	}
	if r.size > driver.MaxCommit {
		return tooLarge("%d bytes, the limit is %d", r.size, driver.MaxCommit)
	}
	for i := range r.commit.Writes {
		if n := len(r.commit.Writes[i].Data); n > driver.MaxRow {
			return tooLarge("a row of %d bytes, the limit is %d", n, driver.MaxRow)
		}
	}
	return nil
}

// isFragile reports whether a statement other than the first may be refused: an
// insert whose key the commit has not seen to be free, or a write to a table with
// a unique index.
func (r *request) isFragile(read reading) bool {
	if len(r.statements) < 2 {
		return false
	}
	for _, st := range r.statements[1:] {
		w := st.Write
		if w.Kind == driver.Insert && !read.saw(w, false) || w.Kind != driver.Delete && hasUnique(w.Table) {
			return true
		}
	}
	return false
}

// A reading says which rows a commit has read, and which of them were there.
type reading map[rowRef]bool

func newReading(checks []driver.RowCheck) reading {
	if len(checks) == 0 {
		return nil
	}
	m := make(reading, len(checks))
	for i := range checks {
		c := &checks[i]
		m[rowRef{c.Table.ID, c.Key}] = c.Rev != 0
	}
	return m
}

// saw reports whether the row of a write was read, and was there, or not there.
func (m reading) saw(w *driver.Write, there bool) bool {
	was, read := m[rowRef{w.Table.ID, w.Key}]
	return read && was == there
}

func hasUnique(t *driver.Table) bool {
	for _, x := range t.Indices {
		if x.Unique {
			return true
		}
	}
	return false
}

// finish hands the outcome to the caller.
func (r *request) finish() { r.done <- struct{}{} }
