package inmem

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// PrepareJoin makes an empty directory that of a node which is to be taken into the
// cluster at one of c.Cluster.Join, and does not start it: opening it does.
func PrepareJoin(ctx context.Context, c Config) error {
	s, err := Open(c)
	if err != nil {
		return err
	}
	m := s.member
	if m == nil || len(m.c.Join) == 0 {
		err = fmt.Errorf("to join a cluster takes a node's name and the address of a member: %w", driver.ErrInvalid)
	} else if _, isStore, inspected := inspect(s.c.FS, s.c.Dir); inspected != nil || isStore {
		err = errors.Join(inspected, fmt.Errorf("%s holds a store already; use an empty directory: %w", s.c.Dir, driver.ErrInvalid))
	} else {
		err = m.join(ctx)
	}
	if m != nil {
		err = errors.Join(err, m.release())
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return opening(c.Dir, err)
	}
	return nil
}

// A Standing is how far the log of a member goes. Of several survivors the one with the
// highest LastTerm, and among equals with the highest LastLog, has all that any of them
// has.
type Standing struct {
	Node     string `json:"node"`
	ID       string `json:"id"`
	Cluster  string `json:"cluster"`
	Epoch    uint64 `json:"epoch"`
	Term     uint64 `json:"term"`
	LastTerm uint64 `json:"last_term"` // of the last entry
	LastLog  uint64 `json:"last_log_index"`
	Snapshot uint64 `json:"snapshot_index"`
}

// StandingOf returns the standing of the member in a directory that nobody has open.
func StandingOf(c Config) (st Standing, err error) {
	err = offline(c, func(m *member) error {
		st, err = m.standing()
		return err
	})
	return st, err
}

// Recover makes the member in a directory that nobody has open the only one of its
// cluster, which has lost its majority for good. What only the lost members had is lost.
//
// The cluster's epoch is raised first: from then on members of earlier epochs are
// refused, so that those believed lost cannot come back and decide as if nothing had
// happened.
func Recover(c Config) (st Standing, err error) {
	err = offline(c, func(m *member) error {
		if err := m.beginEpoch(); err != nil {
			return err
		}
		_, transport := raft.NewInmemTransport("")
		defer func() { _ = transport.Close() }() // it holds nothing
		alone, err := m.alone(transport)
		if err != nil {
			return err
		}
		m.files.log.Retain(math.MaxUint64) // it must lose the entries that name the lost members
		if err := raft.RecoverCluster(m.raftConfig(), m.replica, m.files.log, m.files.state, m.files.snapshots, transport, alone); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		if err := m.stopped(); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		st, err = m.standing()
		return err
	})
	return st, err
}

// alone returns the configuration of a cluster that consists of this node, at the
// address that it had.
func (m *member) alone(transport raft.Transport) (raft.Configuration, error) {
	had, err := raft.GetConfiguration(m.raftConfig(), m.replica, m.files.log, m.files.state, m.files.snapshots, transport)
	if err != nil {
		return had, fmt.Errorf("read who the members were: %w", err)
	}
	id := raft.ServerID(m.identity().id())
	for _, s := range had.Servers {
		if s.ID == id {
			s.Suffrage = raft.Voter
			return raft.Configuration{Servers: []raft.Server{s}}, nil
		}
	}
	return had, fmt.Errorf("node %s was no member any more; recover with another one: %w", id, driver.ErrInvalid)
}

// offline calls f with the member in c.Dir, whose files are open and which takes no part
// in anything. Of c, only the directory and what is around it count.
func offline(c Config, f func(*member) error) error {
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	mf, err := readManifest(c.FS, c.Dir)
	if err == nil && mf.Member != nil {
		c.Cluster = ClusterConfig{Node: mf.Member.Node, Listen: "127.0.0.1:0"}
	}
	s, err := Open(c)
	if err != nil {
		return err
	}
	found, isStore, err := inspect(s.c.FS, s.c.Dir)
	switch {
	case err != nil:
	case s.member == nil || !isStore || found.Member == nil:
		err = fmt.Errorf("%s is not the directory of a cluster's member: %w", s.c.Dir, driver.ErrInvalid)
	default:
		m := s.member
		if err = s.adopt(found.Schema); err == nil {
			err = m.resume(found)
		}
		if err == nil {
			err = m.openFiles()
		}
		if err == nil {
			s.published.Store(m.empty())
			err = f(m)
		}
		err = errors.Join(err, m.closeFiles())
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return opening(c.Dir, err)
	}
	return nil
}

func (m *member) standing() (Standing, error) {
	id := m.identity()
	st := Standing{Node: id.name, ID: id.id(), Cluster: fmt.Sprintf("%x", id.cluster), Epoch: id.epoch, Term: m.files.state.Term(), LastTerm: m.files.log.LastTerm()}
	snapshots, err := m.files.snapshots.List()
	if err != nil {
		return st, err
	}
	if len(snapshots) > 0 {
		st.Snapshot, st.LastLog, st.LastTerm = snapshots[0].Index, snapshots[0].Index, max(st.LastTerm, snapshots[0].Term)
	}
	last, err := m.files.log.LastIndex()
	st.LastLog = max(st.LastLog, last)
	return st, err
}

// beginEpoch raises the epoch of the cluster as this directory knows it.
func (m *member) beginEpoch() error {
	found, err := readManifest(m.store.c.FS, m.store.c.Dir)
	if err != nil {
		return err
	}
	if why := found.Member.Quarantined; why != "" {
		return fmt.Errorf("the state in %s is not to be believed (%s); recover with another member: %w", m.store.c.Dir, why, driver.ErrCorrupt)
	}
	found.Member.Epoch++
	if err := found.write(m.store.c.FS, m.store.c.Dir); err != nil {
		return unavailable(err)
	}
	id := found.identity()
	m.self.Store(&id)
	return nil
}
