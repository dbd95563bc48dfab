package raftstore

import (
	"errors"
	"fmt"

	"trihold/repo/driver"
)

// remedy is what helps against damage that this node cannot mend by itself.
const remedy = "let the node join its cluster again from a new, empty directory, or restore a backup"

// Check decides which snapshot Raft starts from, given the first and the last
// index of the log. For an empty one they are the index that its first entry will
// have, and the one before. Check must be called once, before Raft begins.
//
// That is the newest snapshot that is whole. Newer ones that are damaged are passed
// over, and what is wrong with them is returned, if the log has all that they
// included and the older one does not. Otherwise something that was there is lost,
// and Check fails with ErrCorrupt: Raft must not begin.
func (s *Snapshots) Check(first, last uint64) (passed []error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var base uint64 // index of the snapshot to start from; 0 if there is none
	var lost uint64 // index of the newest damaged one
	for i := len(s.files) - 1; i >= 0 && base == 0; i-- {
		f := &s.files[i]
		switch err := s.verify(*f); {
		case err == nil:
			f.proven, base = true, f.index
		case !errors.Is(err, driver.ErrCorrupt):
			return nil, fmt.Errorf("check snapshots: %w", err)
		default:
			f.damage, lost = err, max(lost, f.index)
			passed = append(passed, err)
		}
	}
	damage := errors.Join(passed...)
	switch {
	case first > base+1 && damage != nil:
		return nil, fmt.Errorf("no snapshot is whole that the log, which begins with entry %d, reaches back to; %s: %w", first, remedy, damage)
	case first > base+1:
		return nil, fmt.Errorf("%s: the log begins with entry %d, and there is no snapshot of the entries before; %s: %w", s.c.Dir, first, remedy, driver.ErrCorrupt)
	case lost > last:
		return nil, fmt.Errorf("the log ends with entry %d and does not hold what the damaged snapshot of entry %d included; %s: %w", last, lost, remedy, damage)
	}
	s.checked = true
	return passed, nil
}

// verify reads a file to its end.
func (s *Snapshots) verify(f snapshotFile) error {
	_, body, err := s.openFile(f)
	if err != nil {
		return err
	}
	if err = s.c.Verify(body); err != nil {
		err = fmt.Errorf("%s: %w", s.path(f.name()), err)
	}
	return errors.Join(err, body.Close())
}

// Damaged returns what is wrong with the snapshot files that Check passed over and
// that no newer snapshot has replaced since, newest last.
func (s *Snapshots) Damaged() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for _, f := range s.files {
		if f.damage != nil {
			all = append(all, f.damage)
		}
	}
	return all
}
