package raftstore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

const (
	snapshotSuffix = ".snap"
	// keptSnapshots is how many snapshot files are kept: should the newest turn
	// out to be damaged, the one before it and the log behind that are as good.
	keptSnapshots = 2
)

// A SnapshotConfig says where snapshots are and what makes one whole.
type SnapshotConfig struct {
	FS      vfs.FS
	Dir     string
	Cluster wal.StoreID
	// Verify reads the body of a snapshot to its end and returns ErrCorrupt if it
	// is not whole.
	Verify func(io.Reader) error
}

// Snapshots is a raft.SnapshotStore. It is safe for concurrent use.
//
// It shows Raft only files that were read back and verified by this process: at
// the start by Check, which must be called before Raft begins, and later when they
// are written. Raft itself would go on with an older file, without a word, if it
// could not restore the newest.
type Snapshots struct {
	c SnapshotConfig

	mu      sync.Mutex
	files   []snapshotFile // oldest first; guarded by mu
	checked bool           // guarded by mu
}

var _ raft.SnapshotStore = (*Snapshots)(nil)

// A snapshotFile is a file under its final name.
type snapshotFile struct {
	index, term uint64
	proven      bool  // this process has verified it
	damage      error // what is wrong with it, if that is known
}

// name returns the name of the file without its suffix, which is its ID for Raft.
func (f snapshotFile) name() string { return fmt.Sprintf("%016x-%016x", f.index, f.term) }

func (f snapshotFile) compare(g snapshotFile) int {
	return cmp.Or(cmp.Compare(f.index, g.index), cmp.Compare(f.term, g.term))
}

// parseSnapshotName returns what the name of a snapshot file says, if it is one.
func parseSnapshotName(name string) (f snapshotFile, ok bool) {
	id, ok := strings.CutSuffix(name, snapshotSuffix)
	if !ok {
		return f, false
	}
	indexHex, termHex, _ := strings.Cut(id, "-")
	var err1, err2 error
	f.index, err1 = strconv.ParseUint(indexHex, 16, 64)
	f.term, err2 = strconv.ParseUint(termHex, 16, 64)
	return f, err1 == nil && err2 == nil && f.name() == id
}

func (s *Snapshots) path(id string) string { return filepath.Join(s.c.Dir, id+snapshotSuffix) }

// OpenSnapshots lists the snapshots of a directory, which it creates if it is
// missing, and removes what interrupted writes left there.
func OpenSnapshots(c SnapshotConfig) (*Snapshots, error) {
	s := &Snapshots{c: c}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open snapshots in %s: %w", c.Dir, err)
	}
	return s, nil
}

func (s *Snapshots) open() error {
	if err := s.c.FS.MkdirAll(s.c.Dir); err != nil {
		return err
	}
	names, err := s.c.FS.List(s.c.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") {
			if err := s.c.FS.Remove(filepath.Join(s.c.Dir, name)); err != nil {
				return err
			}
		} else if f, ok := parseSnapshotName(name); ok {
			s.files = append(s.files, f)
		}
	}
	slices.SortFunc(s.files, snapshotFile.compare)
	// The process before this one may have ended before the names were durable.
	return errors.Join(s.c.FS.SyncDir(s.c.Dir), vfs.SyncParents(s.c.FS, s.c.Dir))
}

// List implements raft.SnapshotStore: newest first, and verified ones only.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.checked {
		return nil, errors.New("list snapshots: they have not been checked")
	}
	var metas []*raft.SnapshotMeta
	for _, f := range slices.Backward(s.files) {
		if !f.proven {
			continue
		}
		meta, body, err := s.openFile(f)
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		if err := body.Close(); err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		metas = append(metas, meta)
	}
	return metas, nil
}

// Open implements raft.SnapshotStore. The reader is at the body.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	f, ok := parseSnapshotName(id + snapshotSuffix)
	if !ok {
		return nil, nil, fmt.Errorf("open snapshot: %q is none: %w", id, driver.ErrInvalid)
	}
	meta, body, err := s.openFile(f)
	if err != nil {
		return nil, nil, fmt.Errorf("open snapshot: %w", err)
	}
	return meta, body, nil
}

// A snapshotBody reads the body of a file.
type snapshotBody struct {
	*io.SectionReader
	file vfs.File
}

func (b snapshotBody) Close() error { return b.file.Close() }

// openFile opens a file whose prelude must be what the name says.
func (s *Snapshots) openFile(f snapshotFile) (*raft.SnapshotMeta, io.ReadCloser, error) {
	file, err := s.c.FS.Open(s.path(f.name()))
	if err != nil {
		return nil, nil, err
	}
	size, err := file.Size()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	p, bodyAt, err := ReadPrelude(io.NewSectionReader(file, 0, size))
	switch {
	case err != nil:
	case p.Cluster != s.c.Cluster:
		err = fmt.Errorf("it belongs to another cluster: %w", driver.ErrCorrupt)
	case p.Index != f.index || p.Term != f.term:
		err = fmt.Errorf("it is of entry %d and term %d: %w", p.Index, p.Term, driver.ErrCorrupt)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", s.path(f.name()), err), file.Close())
	}
	return p.meta(f.name(), size-bodyAt), snapshotBody{io.NewSectionReader(file, bodyAt, size-bodyAt), file}, nil
}

// OldestIndex returns the index from behind which the log must be kept, so that
// the oldest snapshot can take the place of the newest. It is 0 as long as there
// is only one: then all of the log takes its place.
func (s *Snapshots) OldestIndex() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := slices.DeleteFunc(slices.Clone(s.files), func(f snapshotFile) bool { return f.damage != nil })
	if len(whole) < keptSnapshots {
		return 0
	}
	return whole[0].index
}

// SnapshotName returns the name of the file of a snapshot.
func SnapshotName(index, term uint64) string {
	return snapshotFile{index: index, term: term}.name() + snapshotSuffix
}
