package sqlitebackend

import (
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// load executes a load in a transaction of its own, and sets its outcome.
func (w *writer) load(r *request) {
	r.rev, r.err = 0, nil
	refusal, err := w.transactLoad(r)
	switch {
	case err != nil:
		w.failAll([]*request{r}, err)
	case refusal != nil:
		r.err = refusal
	default:
		w.loaded(r)
		r.rev = w.rev
	}
}

// transactLoad executes the statements of a load, all or none. A refusal is what
// the contract says about them.
func (w *writer) transactLoad(r *request) (refusal, err error) {
	if err := w.session.exec(beginWrite); err != nil {
		return nil, err
	}
	for i := range r.statements {
		st := &r.statements[i]
		if err := w.session.exec(st.SQL, st.Args...); err != nil {
			_ = w.session.exec(rollback) // SQLite may have done so by itself
			if refusal := w.refusedLoad(err); refusal != nil {
				return refusal, nil
			}
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	w.visible.begin()
	if err := w.session.exec(commitText); err != nil {
		_ = w.session.exec(rollback)
		return nil, &commitError{err}
	}
	return nil, nil
}

// refusedLoad returns what the contract says about a failed statement of a load,
// or nil.
func (w *writer) refusedLoad(err error) error {
	if code(err)&0xFF != sqlite3.SQLITE_CONSTRAINT {
		return nil
	}
	refusal := w.layout.Refusal(err.Error())
	if errors.Is(refusal, sqlstmt.ErrCommitted) {
		return driver.Failed("load", driver.ErrInvalid, errors.New("the store has a commit with the ID of one of its changes"))
	}
	return refusal
}

// loaded takes note of a load that is committed. It may have written rows without
// a new revision, so no check of what was read before may pass unseen.
func (w *writer) loaded(r *request) {
	w.committed = true
	changes := r.commit.Load.Changes
	w.unseen += len(r.commit.Writes) + len(changes)
	if r.fences {
		w.fence = r.fence
	}
	if n := len(changes); n > 0 {
		if w.rev == 0 {
			w.oldest.Store(int64(changes[0].Rev) - 1)
		}
		w.rev = changes[n-1].Rev
		w.history.add(n)
	}
	w.recent.distrust(w.rev + 1)
}
