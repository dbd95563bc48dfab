package inmem

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"trihold/internal/wal"
	"trihold/repo/driver"
)

// keptSnapshots is how many snapshot files are kept: should the newest turn out
// to be damaged, the one before it and the log behind that are as good.
const keptSnapshots = 2

// snapshots is what the flusher knows about snapshot files. Unless it says
// otherwise, a field belongs to the flusher.
type snapshots struct {
	id      wal.StoreID // set before the flusher starts
	logged  int64       // bytes of log since the newest snapshot
	size    int64       // of the newest snapshot
	kept    []written   // oldest first
	writing bool
	running sync.WaitGroup // anyone may wait
	done    chan written   // from the goroutine that writes one
}

// written is a snapshot file, or why there is none.
type written struct {
	name  snapName
	index uint64
	size  int64
	err   error
}

// considerSnapshot starts to write a snapshot in the background if enough has
// been logged since the last one.
func (s *Store) considerSnapshot(r *root, logged int) {
	sn := &s.snapshots
	sn.logged += int64(logged)
	if s.c.Class == driver.Memory || sn.writing || sn.logged < max(s.c.SnapshotBytes, sn.size) {
		return
	}
	sn.writing, sn.logged = true, 0
	sn.running.Go(func() {
		name := nameOf(r)
		size, err := writeSnapshot(s.c.FS, name.path(s.c.Dir), sn.id, r, s.recent)
		sn.done <- written{name, r.index, size, err}
	})
}

// finishSnapshot takes note of a snapshot, and lets go of what it replaces.
func (s *Store) finishSnapshot(w written) {
	sn := &s.snapshots
	sn.writing = false
	if w.err != nil {
		// Nothing is lost: the log goes on, and the next one is tried after as
		// many bytes again.
		s.c.Logger.Warn("inmem: no snapshot could be written", "dir", s.c.Dir, "snapshot", w.name, "err", w.err)
		return
	}
	sn.size = w.size
	sn.kept = append(sn.kept, w)
	var err error
	for len(sn.kept) > keptSnapshots {
		err = errors.Join(err, s.c.FS.Remove(sn.kept[0].name.path(s.c.Dir)))
		sn.kept = sn.kept[1:]
	}
	if len(sn.kept) == keptSnapshots {
		err = errors.Join(err, s.journal.dropBefore(sn.kept[0].index+1))
	}
	if err != nil { // it will be tried again after the next snapshot
		s.c.Logger.Warn("inmem: old snapshots or log could not be removed", "dir", s.c.Dir, "err", err)
	}
	s.c.Logger.Debug("inmem: snapshot written", "dir", s.c.Dir, "snapshot", w.name, "bytes", w.size)
}

// listSnapshots returns the names of the snapshot files of a directory,
// oldest first, and removes what an interrupted write left behind.
func (s *Store) listSnapshots() ([]snapName, error) {
	dir := filepath.Join(s.c.Dir, snapshotDir)
	names, err := s.c.FS.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var snaps []snapName
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") {
			if err := s.c.FS.Remove(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		} else if snap, ok := parseSnapName(name); ok {
			snaps = append(snaps, snap)
		}
	}
	slices.SortFunc(snaps, snapName.compare)
	return snaps, nil
}
