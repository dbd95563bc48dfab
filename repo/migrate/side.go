package migrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"trihold/repo/driver"
)

// A side is one of the two stores of a migration, as its runner sees it. It belongs
// to one goroutine.
type side struct {
	name   string
	store  driver.Store
	schema *driver.Schema
	record Record
	rev    driver.Rev // of the record's row
}

// errTakenOver is why a runner stops: the record is not as it left it.
var errTakenOver = fmt.Errorf("another program has taken the migration over: %w", driver.ErrConflict)

// reload reads the record as it is.
func (s *side) reload(ctx context.Context) error {
	snap, err := s.store.Begin(ctx, driver.Mode{Closed: true})
	if err != nil {
		return fmt.Errorf("read the migration's record in %s: %w", s.name, err)
	}
	s.record = Record{}
	s.rev, err = s.schema.ReadState(ctx, snap, RecordRow, &s.record)
	if err = errors.Join(err, snap.Close()); err != nil {
		return fmt.Errorf("read the migration's record in %s: %w", s.name, err)
	}
	return nil
}

// fence reads the fence, nil if there is none.
func (s *side) fence(ctx context.Context) (*driver.Fence, error) {
	snap, err := s.store.Begin(ctx, driver.Mode{Closed: true})
	if err != nil {
		return nil, fmt.Errorf("read the fence of %s: %w", s.name, err)
	}
	var f driver.Fence
	rev, err := s.schema.ReadState(ctx, snap, driver.FenceRow, &f)
	if err = errors.Join(err, snap.Close()); err != nil {
		return nil, fmt.Errorf("read the fence of %s: %w", s.name, err)
	}
	if rev == 0 {
		return nil, nil
	}
	return &f, nil
}

// unchanged is the check that the record is as it was read.
func (s *side) unchanged() driver.Checks {
	return driver.Checks{Rows: []driver.RowCheck{{Table: s.schema.State, Key: driver.StateKey(RecordRow), Rev: s.rev}}}
}

// commit writes the record of a live store, and with it the fence if there is one.
// It returns the revision and the ID of the commit.
func (s *side) commit(ctx context.Context, next Record, f *driver.Fence) (driver.Rev, driver.CommitID, error) {
	c := &driver.Commit{ID: newID(), Checks: s.unchanged()}
	w, err := s.schema.PutState(RecordRow, next, 0)
	if err != nil {
		return 0, c.ID, err
	}
	c.Writes = append(c.Writes, w)
	if f != nil {
		if w, err = s.schema.PutState(driver.FenceRow, f, 0); err != nil {
			return 0, c.ID, err
		}
		c.Writes = append(c.Writes, w)
	}
	rev, err := s.settle(ctx, c)
	switch {
	case errors.Is(err, driver.ErrConflict):
		return 0, c.ID, fmt.Errorf("write the migration's record in %s: %w", s.name, errTakenOver)
	case err != nil:
		return 0, c.ID, fmt.Errorf("write the migration's record in %s: %w", s.name, err)
	}
	s.record, s.rev = next, rev
	return rev, c.ID, nil
}

// settle sends an ordinary commit until its outcome is known or ctx ends.
func (s *side) settle(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		rev, err := s.store.Commit(ctx, c)
		if err == nil || !errors.Is(err, driver.ErrUncertain) && !errors.Is(err, driver.ErrUnavailable) || !sleep(ctx, pause) {
			return rev, err
		}
	}
}

// tell ends the migration in the record of the follower, as it has ended in that of
// the live store.
func (s *side) tell(ctx context.Context, follower *side) error {
	if follower.record.ID != s.record.ID || follower.record.Phase.Over() {
		return nil
	}
	next := follower.record
	next.Phase = s.record.Phase
	return follower.load(ctx, follower.record.Applied, nil, nil, next, fenceChange{})
}

// A fenceChange is what a load does to the fence besides moving it along.
type fenceChange struct {
	up   *driver.Fence // to be written
	down bool          // to be taken away
}

// load brings changes and rows, the record, and a change of the fence to a store
// that is behind a fence. at is the store's revision before, and the fence that is
// there is given along if it stays. What is too much for one commit goes ahead
// without the changes; they come with the last one.
func (s *side) load(ctx context.Context, at driver.Rev, changes []driver.Change, writes []driver.Write, next Record, f fenceChange) error {
	for len(changes) > driver.MaxWrites || tooMuch(writes) {
		if len(changes) > driver.MaxWrites {
			return fmt.Errorf("load %d commits at once: %w", len(changes), driver.ErrTooLarge)
		}
		n := fitting(writes)
		if err := s.loadOnce(ctx, at, nil, writes[:n], s.record, fenceChange{}); err != nil {
			return err
		}
		writes = writes[n:]
	}
	return s.loadOnce(ctx, at, changes, writes, next, f)
}

const (
	roomWrites = driver.MaxWrites - 2 // the record and the fence go along
	roomBytes  = driver.MaxCommit / 2 // so do the changes, whose keys may be as many bytes
)

func tooMuch(writes []driver.Write) bool { return fitting(writes) < len(writes) }

// fitting returns how many of the writes fit into one commit.
func fitting(writes []driver.Write) int {
	size := 0
	for i := range writes {
		if size += writes[i].Size(); size > roomBytes || i == roomWrites {
			return i
		}
	}
	return len(writes)
}

func (s *side) loadOnce(ctx context.Context, at driver.Rev, changes []driver.Change, writes []driver.Write, next Record, f fenceChange) error {
	if len(changes) > 0 {
		at = changes[len(changes)-1].Rev
	}
	c := &driver.Commit{Checks: s.unchanged(), Load: &driver.Load{Changes: changes}}
	// The revision of a record that came by a load is a time, far beyond every
	// revision of a commit: no two records of a store ever have the same one.
	rev := max(s.rev+1, driver.Rev(time.Now().UnixNano()))
	w, err := s.schema.PutState(RecordRow, next, rev)
	if err != nil {
		return err
	}
	c.Writes = append(append(make([]driver.Write, 0, len(writes)+2), writes...), w)
	switch {
	case f.down:
		c.Writes = append(c.Writes, s.schema.DeleteState(driver.FenceRow))
	case f.up != nil:
		if w, err = s.schema.PutState(driver.FenceRow, f.up, at); err != nil {
			return err
		}
		c.Writes = append(c.Writes, w)
	}
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, err := s.store.Commit(ctx, c)
		if err == nil {
			s.record, s.rev = next, rev
			return nil
		}
		again, err := s.landed(ctx, rev, err)
		if err == nil {
			s.record = next
			return nil
		}
		if !again || !sleep(ctx, pause) {
			return fmt.Errorf("load into %s: %w", s.name, err)
		}
	}
}

// landed finds out whether a load that failed was applied nevertheless: the record
// tells. It returns nil if it was, and whether to send it again if it was not.
func (s *side) landed(ctx context.Context, rev driver.Rev, failure error) (again bool, _ error) {
	uncertain := errors.Is(failure, driver.ErrUncertain)
	if !uncertain && !errors.Is(failure, driver.ErrConflict) {
		return errors.Is(failure, driver.ErrUnavailable), failure
	}
	before := s.rev
	if err := s.reload(ctx); err != nil {
		s.rev = before
		return true, fmt.Errorf("%w, and then: %w", failure, err)
	}
	switch s.rev {
	case rev:
		return false, nil
	case before:
		return true, failure
	}
	return false, errTakenOver
}

// newID returns an ID for a commit, like those of package repo: the time first.
func newID() driver.CommitID {
	var id driver.CommitID
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	_, _ = rand.Read(id[6:]) // never fails
	return id
}

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
