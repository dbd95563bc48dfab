package inmem

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"trihold/inmem/raftstore"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// An InspectedSnapshot is a snapshot file.
type InspectedSnapshot struct {
	File  string     `json:"file"`
	Bytes int64      `json:"bytes"`
	Rev   driver.Rev `json:"rev"`
	// Index and Term are those of the last log entry that it includes. A single node
	// has no terms.
	Index  uint64         `json:"index"`
	Term   uint64         `json:"term,omitempty"`
	Tables []SnapshotRows `json:"tables"`
	Whole  bool           `json:"whole"`
}

// SnapshotRows is how many rows of a table a snapshot has.
type SnapshotRows struct {
	Table string `json:"table"`
	Rows  uint64 `json:"rows"`
}

// snapshotsIn inspects the snapshot files of a directory.
func (in *Inspection) snapshotsIn(disk vfs.FS, dir string, inspect func(file string) error) error {
	names, err := disk.List(filepath.Join(in.Dir, dir))
	if errors.Is(err, fs.ErrNotExist) {
		in.find(dir, -1, errors.New("the directory is missing"), remedyNothing)
		return nil
	}
	for _, name := range names {
		if filepath.Ext(name) == snapSuffix {
			err = errors.Join(err, inspect(filepath.Join(dir, name)))
		}
	}
	return err
}

// singleSnapshot inspects a snapshot of a single node.
func (in *Inspection) singleSnapshot(disk vfs.FS, file string, m manifest, schema *driver.Schema) error {
	return in.snapshot(disk, file, schema, func(s *InspectedSnapshot, r io.Reader) (*blockReader, error) {
		br, err := surveyBody(r)
		if err != nil {
			return br, err
		}
		s.Index = br.header.index
		name, ok := parseSnapName(filepath.Base(file))
		if h := br.header; !ok || h.id != m.ID || !name.fits(&root{rev: h.rev, index: h.index}) {
			err = fmt.Errorf("it holds revision %d, entry %d of store %x: %w", h.rev, h.index, h.id, driver.ErrCorrupt)
		}
		return br, err
	})
}

// memberSnapshot inspects a snapshot of a member.
func (in *Inspection) memberSnapshot(disk vfs.FS, file string, m manifest, schema *driver.Schema) error {
	return in.snapshot(disk, file, schema, func(s *InspectedSnapshot, r io.Reader) (*blockReader, error) {
		p, size, err := raftstore.ReadPrelude(r)
		if err != nil {
			return nil, err
		}
		s.Index, s.Term = p.Index, p.Term
		br, err := surveyBody(r)
		var at *blockError
		if errors.As(err, &at) {
			at.offset += size // in the file
		}
		if err == nil && (p.Cluster != m.ID || br.header.id != m.ID || filepath.Base(file) != raftstore.SnapshotName(p.Index, p.Term)) {
			err = fmt.Errorf("it holds entry %d, term %d of cluster %x: %w", p.Index, p.Term, p.Cluster, driver.ErrCorrupt)
		}
		return br, err
	})
}

// snapshot inspects a snapshot file, of which survey verifies the content.
func (in *Inspection) snapshot(disk vfs.FS, file string, schema *driver.Schema, survey func(*InspectedSnapshot, io.Reader) (*blockReader, error)) error {
	f, err := disk.Open(filepath.Join(in.Dir, file))
	if err != nil {
		return err
	}
	s := InspectedSnapshot{File: file, Tables: []SnapshotRows{}}
	if s.Bytes, err = f.Size(); err != nil {
		return errors.Join(err, f.Close())
	}
	br, err := survey(&s, io.NewSectionReader(f, 0, s.Bytes))
	if br != nil {
		s.Rev = br.header.rev
	}
	if s.Whole = err == nil; s.Whole {
		for i, n := range br.rows {
			if tables := schema.Stored(); i < len(tables) {
				s.Tables = append(s.Tables, SnapshotRows{tables[i].Name, n})
			}
		}
	} else {
		err = in.refused(file, err, remedyNothing)
	}
	in.Snapshots = append(in.Snapshots, s)
	return errors.Join(err, f.Close())
}
