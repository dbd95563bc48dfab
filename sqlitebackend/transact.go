package sqlitebackend

import (
	"bytes"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

const (
	savepoint   = `SAVEPOINT "one"`
	keepOne     = `RELEASE "one"`
	rollbackOne = `ROLLBACK TO "one"`
)

// transact executes requests in one transaction and sets the outcome of each, as
// it is once transact returns nil. A request that is refused leaves no trace. An
// error means that the transaction failed as a whole and nothing is decided.
//
// The IDs are looked up beforehand only if the caller expects to find one;
// otherwise the unique index over them finds it, and the transaction fails.
func (w *writer) transact(requests []*request, lookUp bool) error {
	before, fence := w.rev, w.fence
	if err := w.session.exec(beginWrite); err != nil {
		return err
	}
	accepted := make([]*request, 0, len(requests))
	for _, r := range requests {
		done, err := w.apply(r, accepted, lookUp)
		if err != nil {
			return w.abandon(before, fence, err)
		}
		if done {
			w.rev++
			r.rev = w.rev
			w.recent.add(r.commit.Writes, r.rev)
			if r.fences {
				w.fence = r.fence
			}
			accepted = append(accepted, r)
		}
	}
	if len(accepted) == 0 {
		return w.session.exec(rollback)
	}
	if err := w.recordChanges(accepted); err != nil {
		return w.abandon(before, fence, err)
	}
	w.visible.begin()
	if err := w.session.exec(commitText); err != nil {
		return w.abandon(before, fence, &commitError{err})
	}
	w.committed = true
	w.unseen += len(accepted) // of change rows
	for _, r := range accepted {
		w.unseen += len(r.statements)
	}
	w.history.add(len(accepted))
	return nil
}

// A commitError is a COMMIT that failed.
type commitError struct{ error }

func (e *commitError) Unwrap() error { return e.error }

// abandon rolls back after a failure. SQLite may have done so by itself.
func (w *writer) abandon(to driver.Rev, fence *driver.Fence, err error) error {
	_ = w.session.exec(rollback)
	w.rev, w.fence = to, fence
	w.recent.reset(to)
	return err
}

// apply decides a request and executes its writes. It reports whether the request
// is accepted. An error is one that the request is not to blame for.
func (w *writer) apply(r *request, accepted []*request, lookUp bool) (done bool, err error) {
	r.rev, r.err = 0, nil
	if lookUp || w.fence != nil {
		if found, err := w.lookUp(r, accepted); found || err != nil {
			return false, err
		}
	}
	if w.fence != nil {
		r.err = w.fence.Moved("commit")
		return false, nil
	}
	holds, err := w.holds(r.commit)
	if err != nil {
		return false, err
	}
	if !holds {
		return false, w.refuse(r, accepted, driver.Failed("commit", driver.ErrConflict, nil))
	}
	refusal, err := w.execute(r)
	if err != nil {
		return false, err
	}
	if refusal != nil {
		return false, w.refuse(r, accepted, refusal)
	}
	return true, nil
}

// execute executes the writes of a request, all or none. A refusal is what the
// contract says about them.
func (w *writer) execute(r *request) (refusal, err error) {
	sqlstmt.SetRev(r.statements, w.rev+1)
	sqlstmt.SetRev(r.keeps, w.rev+1)
	if !r.fragile {
		return w.write(r)
	}
	if err := w.session.exec(savepoint); err != nil {
		return nil, err
	}
	refusal, err = w.write(r)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		if err := w.session.exec(rollbackOne); err != nil {
			return nil, err
		}
	}
	return refusal, w.session.exec(keepOne)
}

func (w *writer) write(r *request) (refusal, err error) {
	for i := range r.statements {
		st := &r.statements[i]
		if r.keeps != nil && r.keeps[i].SQL != "" {
			rows, err := w.session.change(r.keeps[i].SQL, r.keeps[i].Args...)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", st.Write.Kind, err)
			}
			if rows == 1 {
				continue
			}
		}
		err := w.session.exec(st.SQL, st.Args...)
		if err == nil {
			continue
		}
		if code(err)&0xFF == sqlite3.SQLITE_CONSTRAINT {
			if refusal := w.layout.Refusal(err.Error()); refusal != nil {
				return describe(refusal, st.Write), nil
			}
		}
		return nil, fmt.Errorf("%s: %w", st.Write.Kind, err)
	}
	return nil, nil
}

// describe adds to a refusal which write it was.
func describe(refusal error, write *driver.Write) error {
	var detail *driver.Error
	if errors.As(refusal, &detail) {
		detail.Op = write.Kind.String()
		detail.Key = write.Table.FormatKey(write.Key)
	}
	return refusal
}

// refuse sets a refusal as the outcome, unless the commit was accepted before:
// then it is refused only because it is there.
func (w *writer) refuse(r *request, accepted []*request, refusal error) error {
	found, err := w.lookUp(r, accepted)
	if !found && err == nil {
		r.err = refusal
	}
	return err
}

// lookUp finds the commit by its ID, and sets its first revision as the outcome.
func (w *writer) lookUp(r *request, accepted []*request) (found bool, err error) {
	for _, other := range accepted {
		if other.commit.ID == r.commit.ID {
			r.rev = other.rev
			return true, nil
		}
	}
	rev, err := w.session.number(sqlstmt.ChangeByID, bytes.Clone(r.commit.ID[:]))
	if rev < 0 {
		if rev = -rev; (driver.Change{}).Refused(r.commit) {
			r.err = driver.Failed("commit", driver.ErrConflict, driver.ErrRefusedBefore)
			return true, err
		}
	}
	r.rev = driver.Rev(rev)
	return rev != 0, err
}

// holds reports whether the checks of a commit hold.
func (w *writer) holds(c *driver.Commit) (bool, error) {
	if c.Read == w.rev && w.recent.reaches(c.Read) {
		return true, nil
	}
	for i := range c.Checks.Rows {
		check := &c.Checks.Rows[i]
		holds, known := w.recent.rowHolds(c.Read, check)
		if !known || c.Read > w.rev {
			rev, err := w.rowRev(check)
			if err != nil {
				return false, err
			}
			holds = rev == check.Rev
		}
		if !holds {
			return false, nil
		}
	}
	for i := range c.Checks.Spans {
		check := &c.Checks.Spans[i]
		if c.Read <= w.rev && w.recent.spanHolds(c.Read, check) {
			continue
		}
		if holds, err := w.spanHolds(check); err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

// rowRev reads the revision of a row, zero if it is absent.
func (w *writer) rowRev(check *driver.RowCheck) (driver.Rev, error) {
	st, err := w.layout.KeyRev(nil, check.Table, check.Key)
	if err != nil {
		return 0, err
	}
	rev, err := w.session.number(st.SQL, st.Args...)
	return driver.Rev(rev), err
}

// spanHolds decides a check of a span by reading it.
func (w *writer) spanHolds(check *driver.SpanCheck) (bool, error) {
	st, some, err := w.layout.Sum(nil, check.Span())
	if err != nil || !some {
		return check.Rows == 0, err
	}
	values, _, err := w.session.row(st)
	if err != nil {
		return false, err
	}
	return values[0] == check.Rows && values[1] == int64(check.MaxRev), nil
}

// separately executes the requests of a batch that has failed, each in its own
// transaction, so that the one that is to blame fails alone. A COMMIT that failed
// is not tried again.
func (w *writer) separately(requests []*request, err error) {
	if !w.retryable(err) {
		w.failAll(requests, err)
		return
	}
	for i, r := range requests {
		err := w.transact(requests[i:i+1], true)
		if err == nil {
			continue
		}
		if !w.retryable(err) {
			w.failAll(requests[i:], err)
			return
		}
		r.rev, r.err = 0, failed("commit", err)
	}
}

// retryable reports whether it makes sense to go on after a failure.
func (w *writer) retryable(err error) bool {
	var commit *commitError
	if errors.As(err, &commit) {
		return false
	}
	switch code(err) & 0xFF {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY:
		return false
	}
	return true
}

// failAll sets the outcome of requests whose transaction failed.
//
// Before COMMIT nothing of it can have become durable. A COMMIT that meets a full
// disk has not written its last frame, and one that meets a lock none. After any
// other failure of a COMMIT the
// frames may all be in the log: SQLite has forgotten them, but a process that
// opens the file after a crash would find them. So the outcome is uncertain, and
// nothing is written any more: it could be written over by a commit with the same
// revision.
func (w *writer) failAll(requests []*request, err error) {
	outcome := failed("commit", err)
	var commit *commitError
	definite := code(err)&0xFF == sqlite3.SQLITE_FULL || code(err)&0xFF == sqlite3.SQLITE_BUSY
	if errors.As(err, &commit) && !definite {
		w.broken = err
		outcome = driver.Failed("commit", driver.ErrUncertain, oneLine(err))
	}
	for _, r := range requests {
		r.rev, r.err = 0, outcome
	}
}
