package rqlitebackend

import (
	"context"
	"encoding/json"
	"errors"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// movedBy returns what an operation meets at a fence, which is given as the state
// holds it.
func movedBy(op, fence string) error {
	var f driver.Fence
	if err := json.Unmarshal([]byte(fence), &f); err != nil {
		return driver.Failed(op, driver.ErrCorrupt, err)
	}
	return f.Moved(op)
}

// atFence completes the outcomes of commits that met a fence. The trigger behind it
// is faster than the look at the IDs, so those that were accepted before are found
// only now. And it cannot say where the data moves to.
func (q *commits) atFence(ctx context.Context, batch []*pending, outcomes []outcome) []outcome {
	var met []*pending
	for i := range outcomes {
		if errors.Is(outcomes[i].err, driver.ErrMoved) {
			met = append(met, batch[i])
		}
	}
	if met == nil {
		return outcomes
	}
	recorded, err := q.recorded(ctx, met...)
	moved := q.store.moved(ctx)
	for i, p := range batch {
		if !errors.Is(outcomes[i].err, driver.ErrMoved) {
			continue
		}
		o, found := recorded[p.commit.ID]
		switch {
		case found:
			outcomes[i] = o
		case err != nil:
			outcomes[i].err = driver.Failed("commit", driver.ErrUncertain,
				errors.Join(errors.New("it met a fence, and whether it had been accepted before could not be read"), err))
		case moved != nil:
			outcomes[i].err = moved
		}
	}
	return outcomes
}

// moved returns what a commit meets at the fence; nil if that cannot be read, or is
// there no more.
func (s *Store) moved(ctx context.Context) error {
	rows, err := s.query(ctx, sqlstmt.Stmt{SQL: sqlstmt.FenceGet}, columnText)
	if err != nil || len(rows) != 1 {
		return nil
	}
	fence, _ := rows[0][0].(string)
	return movedBy("commit", fence)
}
