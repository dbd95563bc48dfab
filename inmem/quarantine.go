package inmem

import (
	"errors"
	"fmt"
	"io/fs"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// quarantineDir is where the files of a state that was not to be believed are kept, for
// who wants to know what happened. There is one at most.
const quarantineDir = "quarantined"

// markQuarantined records in the manifest that the state is not to be believed, and who
// the others are.
func (m *member) markQuarantined(why error) error {
	fsys, dir := m.store.c.FS, m.store.c.Dir
	m.manifest.Lock()
	defer m.manifest.Unlock()
	found, err := readManifest(fsys, dir)
	if err != nil {
		return err
	}
	found.Member.Quarantined = why.Error()
	for _, s := range m.servers() {
		if string(s.ID) != m.identity().id() {
			found.Member.Join = append(found.Member.Join, string(s.Address))
		}
	}
	return found.write(fsys, dir)
}

// reseed begins anew in a quarantined directory: as another one, which joins the cluster
// and gets its state from the others. Until the new manifest is there the directory is
// in quarantine.
func (m *member) reseed(found manifest) error {
	if len(found.Member.Join) == 0 {
		return fmt.Errorf("the state in %s is not to be believed (%s), and it is the only one; restore a backup: %w", m.store.c.Dir, found.Member.Quarantined, driver.ErrCorrupt)
	}
	m.log.Warn("inmem: a quarantined node begins anew", "node", m.c.Node, "dir", m.store.c.Dir, "why", found.Member.Quarantined)
	id := found.identity()
	id.dir = newDirID()
	m.self.Store(&id)
	m.c.Join = found.Member.Join
	if err := m.setAside(); err != nil {
		return unavailable(err)
	}
	err := m.createFiles(0)
	if err = errors.Join(err, m.closeFiles()); err != nil {
		return unavailable(err)
	}
	return m.settleIn(manifest{ID: found.ID, Schema: found.Schema})
}

// setAside keeps the files of the quarantined state.
func (m *member) setAside() error {
	fsys := m.store.c.FS
	aside := m.path(quarantineDir)
	if _, err := fsys.List(m.path(raftDir)); errors.Is(err, fs.ErrNotExist) {
		return nil // an earlier start has got so far
	}
	if err := vfs.RemoveTree(fsys, aside); err != nil {
		return err
	}
	if err := fsys.Rename(m.path(raftDir), aside); err != nil {
		return err
	}
	return fsys.SyncDir(m.store.c.Dir)
}
