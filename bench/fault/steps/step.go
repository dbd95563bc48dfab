package steps

import (
	"context"
	"errors"

	"trihold/repo/driver"
	"trihold/repo/migrate"
)

// A Step is something that a migration does to one of its stores.
type Step string

// The steps, in the order of a migration. Tail and Read happen again and again.
const (
	Start     Step = "start"     // the record of the source
	First     Step = "first"     // the first load into the target, with its record and its fence
	Chunk     Step = "chunk"     // a load of rows that are copied
	Tail      Step = "tail"      // a load of commits that are followed
	Read      Step = "read"      // a read that a fence would not keep out
	Verified  Step = "verified"  // the record of the follower
	Fence     Step = "fence"     // the last commit of the live store
	Undo      Step = "undo"      // the fence is taken away again
	Decide    Step = "decide"    // the live store is closed
	Open      Step = "open"      // the follower's fence is taken away
	Cut       Step = "cut"       // the record of the new live store, with the cutover
	Complete  Step = "complete"  // the record of the live store, at the end
	Completed Step = "completed" // the record of the follower, at the end
)

// stepOf returns which step a commit is; empty for one of the program.
func (s *Store) stepOf(ctx context.Context, c *driver.Commit) (Step, error) {
	var rec migrate.Record
	found := false
	for i := range c.Writes {
		if w := &c.Writes[i]; w.Table == s.schema.State && w.Key == recordKey && w.Kind != driver.Delete {
			if err := s.schema.DecodeState(w.Data, &rec); err != nil {
				return "", err
			}
			found = true
		}
	}
	if !found {
		return "", nil
	}
	fence, written, err := s.schema.FenceOf(c.Writes)
	if err != nil {
		return "", err
	}
	if c.Load == nil {
		return ofCommit(rec, fence), nil
	}
	if written && fence == nil {
		return s.ofOpening(ctx)
	}
	return ofLoad(rec, c, fence), nil
}

var recordKey = driver.StateKey(migrate.RecordRow)

func ofCommit(rec migrate.Record, fence *driver.Fence) Step {
	switch {
	case fence != nil:
		return Fence
	case rec.Phase == migrate.Copying:
		return Start
	case rec.Phase == migrate.Completed:
		return Complete
	}
	return Cut
}

func ofLoad(rec migrate.Record, c *driver.Commit, fence *driver.Fence) Step {
	changes := len(c.Load.Changes)
	switch {
	case rec.Phase == migrate.Completed:
		return Completed
	case fence != nil && changes == 0:
		return Decide
	case rec.Phase == migrate.Copying && changes == 1 && rec.Applied == rec.Base:
		return First
	case rec.Phase == migrate.Copying:
		return Chunk
	case rec.Phase == migrate.Verified && changes == 0 && len(c.Writes) == 1:
		return Verified
	}
	return Tail
}

// ofOpening tells whether the fence that is taken away was that of a follower.
func (s *Store) ofOpening(ctx context.Context) (Step, error) {
	f, err := FenceOf(ctx, s)
	switch {
	case err != nil:
		return "", err
	case f != nil && f.Closed:
		return Open, nil
	}
	return Undo, nil
}

// FenceOf returns the fence of a store that can be read while it is closed; nil if
// there is none.
func FenceOf(ctx context.Context, s *Store) (_ *driver.Fence, err error) {
	snap, err := s.Store.Begin(ctx, driver.Mode{Closed: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	var f driver.Fence
	rev, err := s.schema.ReadState(ctx, snap, driver.FenceRow, &f)
	if err != nil || rev == 0 {
		return nil, err
	}
	return &f, nil
}
