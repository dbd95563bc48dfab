package inmem

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/hashicorp/raft"

	"trihold/inmem/raftstore"
	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// A backup is a file of one state of a store: like a snapshot of a member, it is a
// prelude and a body of format 3. It does not depend on the directory or on the
// cluster that it came from.

// writeBackup writes a backup. It says nothing about the members of a cluster: a
// restored store has none.
func writeBackup(w io.Writer, id wal.StoreID, r *root, changes *recent) error {
	p := raftstore.Prelude{Cluster: id, Version: raft.SnapshotVersionMax, Index: r.index, Term: r.last.term}
	if _, err := w.Write(p.Encode()); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	if err := writeFormat(w, snapFormatMember, id, r, changes); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

// restoringName is a file that is in a directory from before anything else is made
// there until all is: such a directory is neither empty nor a store.
const restoringName = "restoring"

// RestoreBackup makes a new store of a single node from a backup, in a directory
// that is empty or missing. The store has the revisions, the changes and the fence of
// the backup, and an identity of its own. A damaged backup is ErrCorrupt and leaves
// the directory alone. If it is interrupted, the directory does not open, and
// RestoreBackup may be called again.
func RestoreBackup(ctx context.Context, fsys vfs.FS, backup io.Reader, dir string) error {
	if err := restoreBackup(ctx, fsys, backup, dir, wal.DefaultSegmentSize); err != nil {
		return fmt.Errorf("restore a backup into %s: %w", dir, err)
	}
	return nil
}

func restoreBackup(ctx context.Context, fsys vfs.FS, backup io.Reader, dir string, segmentSize int64) error {
	if err := fsys.MkdirAll(dir); err != nil {
		return unavailable(err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName), dir)
	if err != nil {
		return err
	}
	err = emptyForRestore(fsys, dir)
	var sr *snapReader
	if err == nil {
		if sr, err = readBackup(untilDone{ctx, backup}); err != nil {
			err = fmt.Errorf("read it: %w", err)
		}
	}
	if err == nil {
		err = writeRestored(fsys, dir, sr, segmentSize)
	}
	return errors.Join(err, lock.Close())
}

// emptyForRestore returns an error if there is anything in a directory, other than
// what an interrupted restore left there.
func emptyForRestore(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	other, restoring := "", false
	for _, name := range names {
		switch name {
		case restoringName:
			restoring = true
		case manifestName:
			return fmt.Errorf("there is a store already; use an empty directory: %w", driver.ErrInvalid)
		case lockName, restoringName + ".tmp":
		default:
			other = name
		}
	}
	if other != "" && !restoring {
		return fmt.Errorf("there is %q already; use an empty directory: %w", other, driver.ErrInvalid)
	}
	return nil
}

// untilDone is a reader that fails when the context has ended.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// readBackup reads and verifies all of a backup, with a prelude or without.
func readBackup(from io.Reader) (*snapReader, error) {
	buf := bufio.NewReaderSize(from, 64<<10)
	var cluster *wal.StoreID
	if b, err := buf.Peek(8); err == nil && raftstore.HasPrelude(b) {
		p, _, err := raftstore.ReadPrelude(buf)
		if err != nil {
			return nil, err
		}
		cluster = &p.Cluster
	}
	br, err := newBlockReader(buf, false)
	if err != nil {
		return nil, err
	}
	if cluster != nil && br.header.id != *cluster {
		return nil, fmt.Errorf("prelude and body are of different stores: %w", driver.ErrCorrupt)
	}
	sr, err := loadBody(br, nil)
	if err == nil {
		err = sr.complete()
	}
	return sr, err
}

// writeRestored makes the store. The manifest comes last but for the removal of
// what says that it is not there yet.
func writeRestored(fsys vfs.FS, dir string, sr *snapReader, segmentSize int64) error {
	marker := filepath.Join(dir, restoringName)
	if err := vfs.WriteFile(fsys, marker, nil); err != nil {
		return unavailable(err)
	}
	m := newManifest(sr.schema)
	text, err := m.encode()
	if err != nil {
		return err
	}
	// The journal of the new store begins with entry 1, behind this state.
	r := *sr.root
	r.index, r.last, r.hash, r.format, r.time = 0, batchID{}, 0, 0, 0
	logs, snaps := filepath.Join(dir, logDir), filepath.Join(dir, snapshotDir)
	for _, left := range []string{logs, snaps} {
		if err := vfs.RemoveTree(fsys, left); err != nil {
			return unavailable(err)
		}
	}
	if err := fsys.MkdirAll(snaps); err != nil {
		return unavailable(err)
	}
	file := nameOf(&r).path(dir)
	if _, err := writeSnapshot(fsys, file, m.ID, &r, sr.recent); err != nil {
		return unavailable(err)
	}
	if err := verifyFile(fsys, file); err != nil {
		return err
	}
	log, err := wal.Create(wal.Config{FS: fsys, Dir: logs, StoreID: m.ID, SegmentSize: segmentSize})
	if err != nil {
		return unavailable(err)
	}
	err = log.Close()
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err == nil {
		err = vfs.SyncParents(fsys, dir)
	}
	if err == nil {
		err = vfs.WriteFile(fsys, filepath.Join(dir, manifestName), text)
	}
	if err == nil {
		err = fsys.Remove(marker)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// verifyFile verifies a snapshot file that is nothing but a body.
func verifyFile(fsys vfs.FS, name string) error {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		err = verifyBody(io.NewSectionReader(f, 0, size))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
