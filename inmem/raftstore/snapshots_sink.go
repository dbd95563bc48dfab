package raftstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
)

// Create implements raft.SnapshotStore.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	p := Prelude{
		Cluster:            s.c.Cluster,
		Version:            version,
		Index:              index,
		Term:               term,
		Configuration:      configuration,
		ConfigurationIndex: configurationIndex,
	}
	k := &sink{store: s, is: snapshotFile{index: index, term: term}}
	k.tmp = s.path(k.ID()) + ".tmp"
	var err error
	if k.file, err = s.c.FS.Create(k.tmp); err != nil {
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	k.to = io.NewOffsetWriter(k.file, 0)
	prelude := p.Encode()
	k.body = int64(len(prelude))
	if _, err := k.Write(prelude); err != nil {
		return nil, errors.Join(err, k.Cancel())
	}
	return k, nil
}

// A sink is a snapshot that is being written. It belongs to one goroutine.
type sink struct {
	store *Snapshots
	is    snapshotFile
	tmp   string
	file  vfs.File // nil after Close or Cancel
	to    *io.OffsetWriter
	body  int64 // offset of the body
	err   error // of the first failed write
}

// ID implements raft.SnapshotSink.
func (k *sink) ID() string { return k.is.name() }

// Write implements raft.SnapshotSink.
func (k *sink) Write(b []byte) (int, error) {
	if k.file == nil {
		return 0, fmt.Errorf("write snapshot: %w", fs.ErrClosed)
	}
	n, err := k.to.Write(b)
	if err != nil {
		err = fmt.Errorf("write snapshot: %w", err)
		k.err = errors.Join(k.err, err)
	}
	return n, err
}

// Cancel implements raft.SnapshotSink: there never was such a file.
func (k *sink) Cancel() error {
	if k.file == nil {
		return nil
	}
	err := errors.Join(k.file.Close(), k.store.c.FS.Remove(k.tmp))
	if k.file = nil; err != nil {
		return fmt.Errorf("cancel snapshot: %w", err)
	}
	return nil
}

// Close implements raft.SnapshotSink. The snapshot counts from when it was synced,
// read back and verified, and has its name; only then does it take the place of
// older ones. If that fails, those stay as they are.
func (k *sink) Close() error {
	if k.file == nil {
		return nil
	}
	if err := k.prove(); err != nil {
		return errors.Join(fmt.Errorf("finish snapshot %s: %w", k.ID(), err), k.Cancel())
	}
	err := k.file.Close()
	k.file = nil
	if err == nil {
		err = k.store.c.FS.Rename(k.tmp, k.store.path(k.ID()))
	}
	if err == nil {
		err = k.store.c.FS.SyncDir(k.store.c.Dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("finish snapshot %s: %w", k.ID(), err), k.discard())
	}
	k.store.add(k.is)
	return nil
}

// discard removes what a failure left of a file that was closed.
func (k *sink) discard() error {
	err := k.store.c.FS.Remove(k.tmp)
	if errors.Is(err, fs.ErrNotExist) { // it has its name, and is as good as the others
		return nil
	}
	return err
}

// prove makes the file durable and verifies it.
func (k *sink) prove() error {
	if k.err != nil {
		return k.err
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	size, err := k.file.Size()
	if err != nil {
		return err
	}
	if _, _, err := ReadPrelude(io.NewSectionReader(k.file, 0, size)); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if err := k.store.c.Verify(io.NewSectionReader(k.file, k.body, size-k.body)); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	return nil
}

// add takes note of a new file, and removes those that it makes superfluous: the
// damaged ones, and the oldest. One that cannot be removed is tried again when the
// next snapshot is there, or is noticed at the next start.
func (s *Snapshots) add(f snapshotFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.proven = true
	s.files = slices.DeleteFunc(s.files, func(g snapshotFile) bool { return g.compare(f) == 0 })
	s.files = append(s.files, f)
	slices.SortFunc(s.files, snapshotFile.compare)
	whole := 0
	for _, g := range s.files {
		if g.damage == nil {
			whole++
		}
	}
	s.files = slices.DeleteFunc(s.files, func(g snapshotFile) bool {
		if g.damage == nil && whole <= keptSnapshots {
			return false
		}
		if g.damage == nil {
			whole--
		}
		err := s.c.FS.Remove(s.path(g.name()))
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
}
