package inmem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

var _ administered = (*Store)(nil)

// errSingle is the error of asking the store of a single node about its cluster.
var errSingle = fmt.Errorf("the store is that of a single node; open it with node=NAME&listen=ADDRESS to begin a cluster: %w", driver.ErrInvalid)

// clustered returns the member part of a store, if it takes part in a cluster.
func (s *Store) clustered(ctx context.Context, op string) (*member, error) {
	if err := s.usable(ctx, op); err != nil {
		return nil, err
	}
	if s.member == nil {
		return nil, driver.Failed(op, nil, errSingle)
	}
	if err := s.member.stopped(); err != nil {
		return nil, s.member.refused(op, err)
	}
	return s.member, nil
}

// Promote makes a non-voter a voter at once. Left alone, one that wants to vote becomes
// a voter when it has kept up for Config.Cluster.Stable.
func (s *Store) Promote(ctx context.Context, name string) error {
	return s.command(ctx, Command{Do: DoPromote, Name: name})
}

// Remove takes a member out of the cluster, for good: its directory cannot come back.
func (s *Store) Remove(ctx context.Context, name string) error {
	return s.command(ctx, Command{Do: DoRemove, Name: name})
}

// Transfer makes another voter the leader: the one with a name, or any if it is empty.
func (s *Store) Transfer(ctx context.Context, to string) error {
	return s.command(ctx, Command{Do: DoTransfer, Name: to})
}

// Leave takes this node out of the cluster for good. Close is not leaving: a node that is
// closed stays a member, and comes back.
func (s *Store) Leave(ctx context.Context) error {
	m, err := s.clustered(ctx, "leave")
	if err != nil {
		return err
	}
	if s.tenure.Load() != nil && m.voters() > 1 {
		if err := s.Transfer(ctx, ""); err != nil {
			return err
		}
	}
	if err := s.Remove(ctx, m.c.Node); err != nil {
		return err
	}
	m.departed.Store(true)
	m.fail(fmt.Errorf("it has left the cluster: %w", driver.ErrUnavailable))
	return nil
}

// SnapshotNow writes a snapshot of this node's state.
func (s *Store) SnapshotNow(ctx context.Context) error {
	m, err := s.clustered(ctx, "snapshot")
	if err != nil {
		return err
	}
	return m.snapshot()
}

// snapshot writes a snapshot; it is no error if there is nothing new.
func (m *member) snapshot() error {
	err := m.raft.Snapshot().Error()
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return driver.Failed("snapshot", driver.ErrUnavailable, err)
	}
	return m.retain()
}

// Backup writes the state of the cluster to w: everything that was acknowledged when
// Backup was called. RestoreBackup makes a store of it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	m, err := s.clustered(ctx, "backup")
	if err != nil {
		return err
	}
	r, err := m.read(ctx, driver.Mode{})
	if err != nil {
		return err
	}
	return writeBackup(w, m.identity().cluster, r, s.recent)
}

// command has the leader do what changes the cluster.
func (s *Store) command(ctx context.Context, c Command) error {
	op := string(c.Do) + " " + c.Name
	m, err := s.clustered(ctx, op)
	if err != nil {
		return err
	}
	ctx, done := m.patient(ctx)
	defer done()
	payload, err := json.Marshal(c)
	if err != nil {
		return err
	}
	for wait := m.backoff(); ; wait.next() {
		if s.tenure.Load() != nil {
			err = m.do(c)
		} else {
			_, err = m.callLeader(ctx, methodCommand, payload)
		}
		if outcomeOf(err, false) != untried {
			return err
		}
		if stop := wait.until(ctx); stop != nil {
			return m.unavailable(op, ctx, err)
		}
	}
}

// serveCommand does what another node's operator asks of the leader.
func (m *member) serveCommand(payload []byte) ([]byte, error) {
	var c Command
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, driver.Failed("command", driver.ErrInvalid, err)
	}
	if m.store.tenure.Load() == nil {
		return nil, m.redirect()
	}
	if err := m.do(c); errors.Is(err, errNotLeading) {
		return nil, m.redirect()
	} else if err != nil {
		return nil, err
	}
	return []byte{}, nil
}

// do does at the leader what changes the cluster.
func (m *member) do(c Command) error {
	if c.Do == DoTransfer {
		return m.transfer(c.Name)
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	s, err := m.server(c.Name)
	if err != nil {
		return driver.Failed(string(c.Do)+" "+c.Name, nil, err)
	}
	switch c.Do {
	case DoPromote:
		return m.promote(s)
	case DoRemove:
		return m.remove(s)
	}
	return driver.Failed(string(c.Do), driver.ErrInvalid, errors.New("not something that the leader does"))
}

// transfer hands the leadership on.
func (m *member) transfer(to string) error {
	var f raft.Future
	if to == "" {
		f = m.raft.LeadershipTransfer()
	} else {
		s, err := m.server(to)
		if err != nil {
			return driver.Failed("transfer "+to, nil, err)
		}
		if s.Suffrage != raft.Voter {
			return driver.Failed("transfer "+to, driver.ErrInvalid, fmt.Errorf("it has no vote; see: trihold cluster promote"))
		}
		if string(s.ID) == m.identity().id() {
			return nil
		}
		f = m.raft.LeadershipTransferToServer(s.ID, s.Address)
	}
	if err := m.await(f); err != nil {
		return driver.Failed("transfer "+to, driver.ErrUnavailable, err)
	}
	return nil
}

// ClusterStatus returns what this node knows of itself and of its cluster.
func (s *Store) ClusterStatus(ctx context.Context) (ClusterStatus, error) {
	if err := s.usable(ctx, "status"); err != nil {
		return ClusterStatus{}, err
	}
	if s.member == nil {
		return ClusterStatus{}, driver.Failed("status", nil, errSingle)
	}
	return s.member.status(), nil
}

// status describes the member as it is now.
func (m *member) status() ClusterStatus {
	s, id, r := m.store, m.identity(), m.store.published.Load()
	_, leader := m.raft.LeaderWithID()
	st := ClusterStatus{
		Name: id.name, ID: id.id(), Cluster: fmt.Sprintf("%x", id.cluster), Epoch: id.epoch, Address: m.c.Advertise,
		Role: m.role(), Term: m.raft.CurrentTerm(), Elections: m.elections.Load(),
		Rev: int64(r.rev), Commit: m.raft.CommitIndex(), Applied: m.raft.AppliedIndex(), FirstLog: m.firstLog(), LastLog: m.raft.LastIndex(),
		Queue: len(s.queue), InFlight: len(s.slots), Conflicts: m.conflicts.Load(), Forwarded: m.forwarded.Load(),
		Fsync: m.syncs.status(), Snapshot: m.snapshotStatus(), Tables: r.tableStatus(s.schema),
		StateHash: fmt.Sprintf("%016x", r.hash), StateHashIndex: r.index, FreshS: -1,
		Free: m.free(), Format: int(r.format), Readable: int(m.c.Reads),
	}
	st.Leader, _ = port.SplitID(string(leader))
	if st.Leader != "" {
		st.LeaderAddress, _ = m.addressOf(string(leader))
	}
	if m.fresh.Load() != nil {
		st.FreshS = m.age().Seconds()
	}
	if err := m.lowDisk.Load(); err != nil {
		st.ReadOnly = err.Error()
	}
	st.Left = m.departed.Load()
	if f := m.failure.Load(); f != nil && f.quarantined {
		st.Quarantined = f.err.Error()
	} else if f != nil && !st.Left {
		st.Failed = f.err.Error()
	}
	st.Members = m.memberStatus(string(leader))
	return st
}

// firstLog returns the index of the first entry that the log holds, or will hold.
func (m *member) firstLog() uint64 {
	if first := m.files.log.First(); first > 0 {
		return first
	}
	return m.raft.LastIndex() + 1
}

// role returns what this node is.
func (m *member) role() Role {
	if m.failure.Load() != nil {
		return RoleStopped
	}
	switch m.raft.State() {
	case raft.Leader:
		return RoleLeader
	case raft.Candidate:
		return RoleCandidate
	case raft.Shutdown:
		return RoleStopped
	}
	for _, s := range m.servers() {
		if string(s.ID) == m.identity().id() && s.Suffrage == raft.Voter {
			return RoleFollower
		}
	}
	return RoleNonvoter
}

func (m *member) memberStatus(leader string) []MemberStatus {
	var all []MemberStatus
	last := int64(m.raft.LastIndex())
	for _, s := range m.servers() {
		id := string(s.ID)
		name, _ := port.SplitID(id)
		st := MemberStatus{Name: name, ID: id, Address: string(s.Address), Voter: s.Suffrage == raft.Voter,
			Self: id == m.identity().id(), Leader: id == leader, ContactMs: -1, Lag: -1}
		if p := m.peers.get(id); !p.heard.IsZero() {
			st.ContactMs, st.Lag = float64(time.Since(p.heard).Microseconds())/1000, max(0, last-int64(p.Applied))
		} else if st.Self && st.Leader {
			st.ContactMs, st.Lag = 0, 0
		}
		all = append(all, st)
	}
	return all
}

// sampledRows is how many rows of a table are looked at to estimate its size.
const sampledRows = 200

// tableStatus says how much the tables hold.
func (r *root) tableStatus(schema *driver.Schema) []TableStatus {
	all := make([]TableStatus, len(schema.Tables))
	for i, def := range schema.Tables {
		t := &r.tables[def.ID]
		var bytes, n int64
		var data []byte
		t.orders[0].Scan(func(row *row) bool {
			data = def.Encode(data[:0], row.value)
			bytes += int64(len(data))
			n++
			return n < sampledRows
		})
		all[i] = TableStatus{Name: def.Name, Rows: int64(t.len())}
		if n > 0 {
			all[i].Bytes = bytes * all[i].Rows / n
		}
	}
	return all
}
