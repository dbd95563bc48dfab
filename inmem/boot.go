package inmem

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// raftDir is where a member keeps what Raft needs.
const raftDir = "raft"

// An identity says which node of which cluster a directory is.
type identity struct {
	cluster wal.StoreID
	epoch   uint64
	name    string
	dir     string
}

// id returns the ID of the node as a Raft server. A directory that was lost and made
// again has another one: what it promised before it does not know any more.
func (i identity) id() string { return i.name + "/" + i.dir }

func (m manifest) identity() identity {
	return identity{cluster: m.ID, epoch: m.Member.Epoch, name: m.Member.Node, dir: m.Member.Dir}
}

// newDirID returns an ID for a directory.
func newDirID() string {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	return hex.EncodeToString(b[:])
}

// boot makes the directory that of a member, whatever it is now: nothing, the store of a
// single node, or a member already.
func (m *member) boot(ctx context.Context) error {
	s := m.store
	found, isStore, err := inspect(s.c.FS, s.c.Dir)
	if err != nil {
		return err
	}
	if isStore {
		if err := s.adopt(found.Schema); err != nil {
			return err
		}
	}
	switch {
	case isStore && found.Member != nil && found.Member.Quarantined != "":
		err = m.reseed(found)
	case isStore && found.Member != nil:
		err = m.resume(found)
	case isStore:
		err = m.grow(ctx, found)
	case len(m.c.Join) > 0:
		err = m.join(ctx)
	case len(m.c.Peers) > 0:
		err = m.gather(ctx)
	case s.schema == nil:
		err = errNoSchema
	default:
		err = m.found(newRoot(s.schema), newManifest(s.schema), nil)
	}
	return err
}

// resume goes on with a directory that is a member's.
func (m *member) resume(found manifest) error {
	if found.Member.Node != m.c.Node {
		return fmt.Errorf("%s is the directory of node %s, not of %s: %w", m.store.c.Dir, found.Member.Node, m.c.Node, driver.ErrInvalid)
	}
	id := found.identity()
	m.self.Store(&id)
	m.c.Join = found.Member.Join
	if err := m.store.c.FS.SyncDir(m.store.c.Dir); err != nil { // see Store.recover
		return unavailable(err)
	}
	// What is left of the single node that this was goes when the manifest says so.
	return errors.Join(vfs.RemoveTree(m.store.c.FS, filepath.Join(m.store.c.Dir, logDir)), vfs.RemoveTree(m.store.c.FS, filepath.Join(m.store.c.Dir, snapshotDir)))
}

// grow makes the store of a single node the first member of a cluster. Until the new
// manifest is there the directory is what it was.
func (m *member) grow(ctx context.Context, found manifest) error {
	s := m.store
	r, err := s.recover(ctx, found)
	if err != nil {
		return err
	}
	if err := s.journal.close(); err != nil {
		return unavailable(err)
	}
	m.log.Info("inmem: the store of a single node becomes a member of a cluster", "dir", s.c.Dir, "node", m.c.Node, "rev", r.rev)
	if err := m.found(r, found, nil); err != nil {
		return err
	}
	return m.resume(manifest{ID: found.ID, Schema: found.Schema, Member: m.membership()})
}

// membership returns what the manifest says of this node.
func (m *member) membership() *membership {
	id := m.identity()
	return &membership{Epoch: id.epoch, Node: id.name, Dir: id.dir, Join: m.c.Join}
}

// found makes a new cluster, of this node and others, which begins with a root. The
// root is a snapshot that the others get from the first leader, so they need nothing
// to begin with.
func (m *member) found(r *root, mf manifest, others []raft.Server) error {
	id := identity{cluster: mf.ID, epoch: 1, name: m.c.Node, dir: newDirID()}
	if old := m.self.Load(); old != nil {
		id.dir = old.dir // the others have been told
	}
	m.self.Store(&id)
	first := *r
	first.format, first.index = 1, max(r.index, 1)
	first.hash = first.stateHash()
	servers := append([]raft.Server{{ID: raft.ServerID(id.id()), Address: raft.ServerAddress(m.c.Advertise)}}, others...)
	if err := m.createFiles(1); err != nil {
		return err
	}
	err := m.writeFirst(&first, raft.Configuration{Servers: servers})
	if err := errors.Join(err, m.closeFiles()); err != nil {
		return unavailable(err)
	}
	return m.settleIn(mf)
}

// settleIn writes the manifest, by which the directory is a member's from now on.
func (m *member) settleIn(mf manifest) error {
	fsys, dir := m.store.c.FS, m.store.c.Dir
	mf.Member = m.membership()
	err := fsys.SyncDir(dir) // the manifest must not outlive what it stands for
	if err == nil {
		err = vfs.SyncParents(fsys, dir)
	}
	if err == nil {
		err = mf.write(fsys, dir)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// writeFirst writes the snapshot that a cluster begins with.
func (m *member) writeFirst(r *root, c raft.Configuration) error {
	sink, err := m.files.snapshots.Create(raft.SnapshotVersionMax, r.index, 1, c, r.index, nil)
	if err != nil {
		return err
	}
	return frozen{m.replica, r}.Persist(sink)
}

// adopt takes the schema that is stored, or refuses another one.
func (s *Store) adopt(stored string) error {
	if s.schema != nil {
		return s.schema.MustMatch(stored)
	}
	var err error
	s.schema, err = driver.ParseSchema(stored)
	return err
}

// join makes an empty directory that of a node which is to be taken into the cluster
// that answers at one of the addresses.
func (m *member) join(ctx context.Context) error {
	id := identity{name: m.c.Node, dir: newDirID()}
	m.self.Store(&id)
	if err := m.listen(); err != nil {
		return err
	}
	in, err := m.introduce(ctx, m.c.Join)
	if err != nil {
		return err
	}
	if err := m.store.adopt(in.Schema); err != nil {
		return fmt.Errorf("join the cluster at %v: %w", m.c.Join, err)
	}
	return m.enter(in)
}

// enter makes the directory that of a member that knows nothing yet.
func (m *member) enter(in introduction) error {
	cluster, err := parseStoreID(in.Cluster)
	if err != nil {
		return err
	}
	id := m.identity()
	id.cluster, id.epoch = cluster, in.Epoch
	m.self.Store(&id)
	if err := m.reads(in.Format); err != nil {
		return err
	}
	err = m.createFiles(0)
	if err = errors.Join(err, m.closeFiles()); err != nil {
		return unavailable(err)
	}
	return m.settleIn(manifest{ID: cluster, Schema: in.Schema})
}

// gather makes the first cluster of several empty directories, when all of the peers
// are there: the first of them by name founds it, and the others enter it.
func (m *member) gather(ctx context.Context) error {
	if m.store.schema == nil {
		return errNoSchema
	}
	m.self.Store(&identity{name: m.c.Node, dir: newDirID()})
	if err := m.listen(); err != nil {
		return err
	}
	first := slices.MinFunc(m.c.Peers, func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
	for wait := m.backoff(); ; wait.next() {
		var done bool
		var err error
		if first.Name == m.c.Node {
			done, err = m.gatherOthers(ctx)
		} else {
			done, err = m.gatherAt(ctx, first)
		}
		if done || err != nil {
			return err
		}
		if err := wait.until(ctx); err != nil {
			return fmt.Errorf("wait for all of %v: %w: %w", m.c.Peers, driver.ErrUnavailable, err)
		}
	}
}

// gatherOthers founds the cluster if all others are there and as empty as this node.
func (m *member) gatherOthers(ctx context.Context) (done bool, err error) {
	var servers []raft.Server
	for _, p := range m.c.Peers {
		if p.Name == m.c.Node {
			continue
		}
		in, err := m.askWho(ctx, p.Address)
		if err != nil {
			return false, m.fatal(err)
		}
		switch {
		case in.Cluster != "":
			return false, m.hasBegun(p, in)
		case in.Name != p.Name:
			return false, fmt.Errorf("at %s there is node %s, and the list of peers says %s: %w", p.Address, in.Name, p.Name, driver.ErrInvalid)
		case in.Schema != m.store.schema.Describe():
			return false, fmt.Errorf("node %s was started with another schema: %w", p.Name, driver.ErrInvalid)
		}
		servers = append(servers, raft.Server{ID: raft.ServerID(in.ID), Address: raft.ServerAddress(in.Address)})
	}
	return true, m.found(newRoot(m.store.schema), newManifest(m.store.schema), servers)
}

// gatherAt enters the cluster if its founder has made it with this node.
func (m *member) gatherAt(ctx context.Context, first Peer) (done bool, err error) {
	in, err := m.askWho(ctx, first.Address)
	switch {
	case err != nil:
		return false, m.fatal(err)
	case in.Cluster == "":
		return false, nil // it gathers, too
	case !slices.Contains(in.Members, m.identity().id()):
		return false, m.hasBegun(first, in)
	}
	return true, m.enter(in)
}

// hasBegun is the error of an empty node whose peers are members already.
func (m *member) hasBegun(p Peer, in introduction) error {
	return fmt.Errorf("%s is empty, but node %s is a member of cluster %s already; let this node join it: join=%s in the place of peers: %w",
		m.store.c.Dir, p.Name, in.Cluster, p.Address, driver.ErrInvalid)
}

// fatal returns an error that will not pass by waiting.
func (m *member) fatal(err error) error {
	if errors.Is(err, driver.ErrInvalid) && !errors.Is(err, port.ErrNotSent) {
		return err
	}
	return nil
}
