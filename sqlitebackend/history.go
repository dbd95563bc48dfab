package sqlitebackend

import (
	"fmt"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// history is what the writer knows about _trihold_changes.
type history struct {
	rows int64 // how many there are
}

func (h *history) add(n int) { h.rows += int64(n) }

const (
	// pruneSlack is how many more commits than driver.Retained are kept before
	// any are forgotten, and pruneRows how many are forgotten at a time.
	pruneSlack = driver.Retained / 10
	pruneRows  = 1024
)

// recordSizes are how many commits one statement may record.
var recordSizes = [...]int{256, 32, 4, 1}

var recordTexts = func() (texts [len(recordSizes)]string) {
	for i, n := range recordSizes {
		texts[i] = sqlstmt.ChangeInsert(n)
	}
	return texts
}()

// recordChanges writes the rows of _trihold_changes. If there is a fence, the last
// of the commits has just put it up.
func (w *writer) recordChanges(accepted []*request) error {
	if w.fence == nil {
		return w.recordRows(accepted)
	}
	if err := w.session.exec(sqlstmt.FenceLift); err != nil {
		return fmt.Errorf("record commits: %w", err)
	}
	if err := w.recordRows(accepted); err != nil {
		return err
	}
	return w.session.exec(sqlstmt.FenceLower)
}

func (w *writer) recordRows(accepted []*request) error {
	for i, n := range recordSizes {
		for len(accepted) >= n {
			args := make([]driver.Value, 0, 3*n)
			for _, r := range accepted[:n] {
				args = append(args, int64(r.rev), r.commit.ID[:], r.touched)
			}
			if err := w.session.exec(recordTexts[i], args...); err != nil {
				return fmt.Errorf("record commits: %w", err)
			}
			accepted = accepted[n:]
		}
	}
	return nil
}

// loadHistory reads how much history there is.
func (w *writer) loadHistory() error {
	rows, err := w.session.number(`SELECT count(*) FROM "_trihold_changes"`)
	if err != nil {
		return err
	}
	first, err := w.session.number(`SELECT coalesce(min("rev"), 1) FROM "_trihold_changes"`)
	if err != nil {
		return err
	}
	w.history.rows = rows
	w.oldest.Store(first - 1)
	return nil
}

// forgetOldest forgets the oldest commits when there are too many, while nobody
// waits.
func (w *writer) forgetOldest() {
	for w.history.rows > driver.Retained+pruneSlack && w.broken == nil {
		busy := len(w.queue) > 0
		if busy && w.history.rows < 2*driver.Retained {
			return
		}
		if err := w.prune(); err != nil {
			w.store.report("forget old commits", err)
			return
		}
	}
}

// prune forgets the oldest commits. Changes is told before they are gone.
func (w *writer) prune() error {
	upTo, err := w.session.number(sqlstmt.ChangesOldest, int64(pruneRows))
	if err != nil {
		return err
	}
	w.oldest.Store(upTo)
	if err := w.session.exec(sqlstmt.ChangesPrune, upTo); err != nil {
		return err
	}
	w.history.rows -= pruneRows
	return nil
}
