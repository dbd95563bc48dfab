package inmem

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// openFiles creates the store in the directory, or recovers the one that is
// there, and returns its state.
func (s *Store) openFiles(ctx context.Context) (*root, error) {
	m, isStore, err := inspect(s.c.FS, s.c.Dir)
	if err != nil {
		return nil, err
	}
	switch {
	case !isStore && s.schema == nil:
		return nil, errNoSchema
	case !isStore:
		return s.create()
	case s.schema == nil:
		s.schema, err = driver.ParseSchema(m.Schema)
	default:
		err = s.schema.MustMatch(m.Schema)
	}
	if err != nil {
		return nil, err
	}
	return s.recover(ctx, m)
}

// errNoSchema is for an empty store that is asked which schema it has.
var errNoSchema = fmt.Errorf("nothing is stored there yet: %w", driver.ErrInvalid)

func (s *Store) logConfig(id wal.StoreID) wal.Config {
	return wal.Config{
		FS:          s.c.FS,
		Dir:         filepath.Join(s.c.Dir, logDir),
		StoreID:     id,
		SegmentSize: s.c.SegmentBytes,
		NoSync:      s.c.Class == driver.Process,

		SkipChecksums: s.c.Unsafe.SkipChecksums,
	}
}

// create makes a new store. The manifest comes last: until it is there, nothing
// is.
func (s *Store) create() (*root, error) {
	m := newManifest(s.schema)
	text, err := m.encode()
	if err != nil {
		return nil, err
	}
	lc := s.logConfig(m.ID)
	if err := vfs.RemoveTree(s.c.FS, lc.Dir); err != nil { // of an interrupted create
		return nil, err
	}
	log, err := wal.Create(lc)
	if err != nil {
		return nil, unavailable(err)
	}
	dir := filepath.Join(s.c.Dir, snapshotDir)
	err = s.c.FS.MkdirAll(dir)
	if err == nil { // the manifest must not outlive what it stands for
		err = s.c.FS.SyncDir(s.c.Dir)
	}
	if err == nil { // the directory itself may be new, and those above it
		err = vfs.SyncParents(s.c.FS, s.c.Dir)
	}
	if err == nil {
		err = vfs.WriteFile(s.c.FS, filepath.Join(s.c.Dir, manifestName), text)
	}
	if err != nil {
		return nil, errors.Join(unavailable(err), log.Close())
	}
	s.journal, s.snapshots.id = fileJournal{log}, m.ID
	return newRoot(s.schema), nil
}

// unavailable is for a disk that cannot be written to.
func unavailable(err error) error {
	return fmt.Errorf("%w: the directory cannot be written to; free some space or choose another disk: %w", driver.ErrUnavailable, err)
}

// recover reads the newest good snapshot and the log behind it.
func (s *Store) recover(ctx context.Context, m manifest) (*root, error) {
	s.snapshots.id = m.ID
	// The process that made the manifest may have ended before it was durable.
	if err := s.c.FS.SyncDir(s.c.Dir); err != nil {
		return nil, unavailable(err)
	}
	r, damaged, err := s.loadSnapshot()
	if err != nil {
		return nil, err
	}
	work := thaw(r)
	log, torn, err := wal.Open(s.logConfig(m.ID), r.index+1, func(index uint64, payload []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		work.index = index
		s.snapshots.logged += int64(len(payload))
		return replay(s.schema, work, payload, s.recent.add)
	})
	if errors.Is(err, driver.ErrCorrupt) && damaged != nil {
		return nil, fmt.Errorf("no snapshot is whole, and the log does not reach back: %w; %w; restore a backup of the directory", damaged, err)
	}
	if errors.Is(err, driver.ErrCorrupt) {
		err = fmt.Errorf("%w; restore a backup of the directory", err)
	}
	if err != nil {
		return nil, err
	}
	if log.Next() <= r.index {
		return nil, errors.Join(fmt.Errorf("the log ends with entry %d, but the snapshot of revision %d includes entry %d: %w", log.Next()-1, r.rev, r.index, driver.ErrCorrupt), log.Close())
	}
	if torn > 0 {
		s.c.Logger.Warn("inmem: cut off a commit that a crash interrupted", "dir", s.c.Dir, "bytes", torn, "rev", work.rev)
	}
	s.journal = fileJournal{log}
	work.complete()
	return work.freeze(), nil
}

// replay applies a journal entry to a state, and calls record for each commit in it.
func replay(schema *driver.Schema, work *state, entry []byte, record func(driver.Change)) error {
	return decodeEntry(schema, entry, func(rev driver.Rev, c *driver.Commit) error {
		p, err := prepare(schema, c, true)
		if err != nil {
			return err
		}
		if p.load() || revalidate {
			work.complete() // these look at indices
		}
		if p.load() {
			if err := work.follows(c.Load); err != nil {
				return fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
			}
			work.applyLoad(p, schema.State)
			for _, change := range c.Load.Changes {
				record(change)
			}
			return nil
		}
		if rev != work.rev+1 {
			return fmt.Errorf("revision %d follows %d in the log: %w", rev, work.rev, driver.ErrCorrupt)
		}
		if revalidate {
			if err := work.check(c); err != nil {
				return fmt.Errorf("revision %d does not hold here, and did at the leader: %w: %w", rev, driver.ErrCorrupt, err)
			}
		}
		work.apply(p)
		record(p.changed(rev))
		return nil
	})
}

// loadSnapshot returns the root, with bare tables, of the newest snapshot file that is
// whole, or an empty one: then the log must reach back to its beginning. It also
// returns what was wrong with the files that it passed over.
func (s *Store) loadSnapshot() (r *root, damaged, err error) {
	names, err := s.listSnapshots()
	if err != nil {
		return nil, nil, err
	}
	for i := len(names) - 1; i >= 0; i-- {
		r, changes, size, err := readSnapshot(s.c, names[i], s.snapshots.id, s.schema)
		switch {
		case err == nil && names[i].fits(r):
			s.recent = changes
			s.keep(names[:i+1], r, size)
			return r, damaged, nil
		case err == nil:
			err = fmt.Errorf("%s holds revision %d, entry %d: %w", names[i], r.rev, r.index, driver.ErrCorrupt)
		case !errors.Is(err, driver.ErrCorrupt):
			return nil, nil, err
		}
		s.c.Logger.Warn("inmem: passing over a damaged snapshot", "dir", s.c.Dir, "snapshot", names[i], "err", err)
		damaged = errors.Join(damaged, err)
	}
	s.recent = newRecent()
	r = newRoot(s.schema)
	r.strip()
	return r, damaged, nil
}

// keep takes note of the snapshot files that exist. Of the older ones only the
// name is known; their log index is that of the newest at most.
func (s *Store) keep(names []snapName, newest *root, size int64) {
	for _, name := range names {
		s.snapshots.kept = append(s.snapshots.kept, written{name: name})
	}
	last := &s.snapshots.kept[len(names)-1]
	last.index, last.size = newest.index, size
	s.snapshots.size = size
}
