package inmem

import (
	"errors"
	"fmt"
	"path/filepath"

	"trihold/inmem/raftstore"
	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// Below a member's raftDir.
const (
	raftLogDir      = "log"
	raftStateFile   = "state"
	raftSnapshotDir = "snapshots"
)

// logStoreID ties the files of a log to the directory: those of another node of the
// same cluster are not its own.
func (i identity) logStoreID() wal.StoreID {
	id := i.cluster
	for k := range i.dir {
		id[k%len(id)] ^= i.dir[k]
	}
	return id
}

// path returns a path in the member's directory.
func (m *member) path(name string) string { return filepath.Join(m.store.c.Dir, name) }

func (m *member) raftPath(name string) string { return filepath.Join(m.path(raftDir), name) }

func (m *member) logConfig() raftstore.LogConfig {
	return raftstore.LogConfig{
		WAL: wal.Config{FS: m.store.c.FS, Dir: m.raftPath(raftLogDir), StoreID: m.identity().logStoreID(), SegmentSize: m.store.c.SegmentBytes,
			SkipChecksums: m.store.c.Unsafe.SkipChecksums},
		Newest:  m.newestSnapshot,
		OnFail:  func(err error) { m.fail(fmt.Errorf("write the log: %w", err)) },
		Observe: m.syncs.observe,
	}
}

// newestSnapshot returns the index and the term of the newest snapshot, 0 if there is none.
func (m *member) newestSnapshot() (index, term uint64) {
	if m.files.snapshots == nil { // while the files are made
		return 0, 0
	}
	all, err := m.files.snapshots.List()
	if err != nil || len(all) == 0 {
		return 0, 0
	}
	return all[0].Index, all[0].Term
}

func (m *member) stateConfig() raftstore.StateConfig {
	return raftstore.StateConfig{FS: m.store.c.FS, Name: m.raftPath(raftStateFile), Dir: m.identity().dir}
}

func (m *member) snapshotConfig() raftstore.SnapshotConfig {
	return raftstore.SnapshotConfig{FS: m.store.c.FS, Dir: m.raftPath(raftSnapshotDir), Cluster: m.identity().cluster, Verify: verifyBody}
}

// createFiles makes what Raft needs, with a term that has begun.
func (m *member) createFiles(term uint64) error {
	fsys := m.store.c.FS
	if err := vfs.RemoveTree(fsys, m.path(raftDir)); err != nil { // of an interrupted start
		return unavailable(err)
	}
	err := fsys.MkdirAll(m.raftPath(raftSnapshotDir))
	if err == nil {
		m.files.log, err = raftstore.CreateLog(m.logConfig())
	}
	if err == nil {
		m.files.state, err = raftstore.CreateState(m.stateConfig(), term)
	}
	if err == nil {
		m.files.snapshots, err = raftstore.OpenSnapshots(m.snapshotConfig())
	}
	if err == nil {
		err = fsys.SyncDir(m.path(raftDir))
	}
	if err != nil {
		return errors.Join(unavailable(err), m.closeFiles())
	}
	return nil
}

// openFiles opens what Raft needs, and refuses what is damaged: Raft would not notice.
func (m *member) openFiles() error {
	var err error
	if m.files.state, err = raftstore.OpenState(m.stateConfig()); err != nil {
		return err
	}
	var torn int64
	if m.files.log, torn, err = raftstore.OpenLog(m.logConfig()); err != nil {
		return err
	}
	if torn > 0 {
		m.log.Warn("inmem: cut off an entry of the log that a crash interrupted", "node", m.c.Node, "bytes", torn)
	}
	if m.files.snapshots, err = raftstore.OpenSnapshots(m.snapshotConfig()); err != nil {
		return err
	}
	if term := m.files.log.LastTerm(); term > m.files.state.Term() {
		return fmt.Errorf("%s is of term %d, the log of term %d: an old copy; %s: %w", m.raftPath(raftStateFile), m.files.state.Term(), term, remedyRejoin, driver.ErrCorrupt)
	}
	passed, err := m.files.snapshots.Check(m.files.log.Range())
	if err != nil {
		return fmt.Errorf("%s and %s do not go together: %w", m.raftPath(raftLogDir), m.raftPath(raftSnapshotDir), err)
	}
	for _, damage := range passed {
		m.log.Warn("inmem: passing over a damaged snapshot", "node", m.c.Node, "err", damage)
	}
	return m.retain()
}

// closeFiles closes what is open.
func (m *member) closeFiles() error {
	var err error
	if m.files.log != nil {
		err = m.files.log.Close()
	}
	if m.files.state != nil {
		err = errors.Join(err, m.files.state.Close())
	}
	m.files = raftFiles{}
	return err
}

// freshRaft reports whether a member's directory holds nothing that a member ever had:
// what was left by an interrupted start.
func freshRaft(fsys vfs.FS, dir string) (bool, error) {
	return raftstore.Fresh(fsys, filepath.Join(dir, raftDir, raftLogDir))
}
