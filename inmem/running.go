package inmem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// newMember returns the member part of a store, before anything is opened.
func newMember(s *Store) *member {
	m := &member{store: s, c: s.c.Cluster, log: s.c.Logger, notify: make(chan bool, 16), renew: make(chan struct{}, 1), listening: make(chan struct{})}
	m.life, m.end = context.WithCancelCause(context.Background())
	m.replica = &replica{store: s, m: m}
	return m
}

// prepare makes the store a running member.
func (m *member) prepare(ctx context.Context) error {
	s := m.store
	s.reserve = clusterHeader
	err := m.boot(ctx)
	if err == nil {
		err = m.openFiles()
	}
	if err == nil {
		s.published.Store(m.empty())
		err = m.listen()
	}
	if err == nil {
		err = m.startRaft()
	}
	if _, real := s.c.FS.(vfs.OS); real && err == nil { // elsewhere there are no sockets
		m.admin, err = serveAdmin(s.c.Dir, s)
	}
	if err != nil {
		return errors.Join(err, m.release())
	}
	m.running.Store(true)
	go s.commitLoop()
	go m.replicateLoop()
	m.background.Go(m.officeLoop)
	m.background.Go(m.watchLoop)
	m.background.Go(m.peerLoop)
	m.background.Go(m.freshLoop)
	if err := m.ask(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	m.catchUp(ctx)
	return nil
}

// catchUp waits for a moment until this node has all that was committed, so that who
// opens it finds it there. Without a majority that would take for ever, and the node
// must run to become part of one.
func (m *member) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*m.c.Election)
	defer cancel()
	for wait := m.backoff(); ; wait.next() {
		if _, err := m.current(ctx); err == nil {
			return
		}
		if wait.until(ctx) != nil {
			return
		}
	}
}

// empty returns the root of a member that has heard nothing yet.
func (m *member) empty() *root {
	r := newRoot(m.store.schema)
	r.hash = r.stateHash()
	return r
}

// listen opens the port, unless it is open.
func (m *member) listen() error {
	if m.port != nil {
		return nil
	}
	var tls *port.TLS
	var err error
	if m.c.TLS != "" {
		if tls, err = port.LoadTLS(m.c.TLS); err != nil {
			return err
		}
	}
	m.port, err = port.Open(port.Config{
		Listen: m.c.Listen, Advertise: m.c.Advertise, TLS: tls, Via: m.c.Via, Logger: m.log,
		Self: m.hello, Admit: m.admit, AddressOf: m.addressOf, Handle: m.handle,
		Dead: max(3*m.c.Election, time.Second),
	})
	if err != nil {
		return err
	}
	m.c.Advertise = m.port.Addr()
	close(m.listening)
	return nil
}

// hello says who this node is.
func (m *member) hello() port.Hello {
	id := m.identity()
	h := port.Hello{Cluster: id.cluster, Epoch: id.epoch, Name: id.name, Dir: id.dir, Reads: m.c.Reads}
	if r := m.store.published.Load(); r != nil {
		h.Writes = r.format
	}
	return h
}

// admit refuses nodes that do not belong here.
func (m *member) admit(p port.Peer) error {
	if p.Purpose == port.Introduction {
		return nil
	}
	id := m.identity()
	switch {
	case p.Cluster != id.cluster:
		return fmt.Errorf("node %s belongs to cluster %x, and %s to %x: %w", p.Name, p.Cluster, id.name, id.cluster, driver.ErrInvalid)
	case p.Epoch < id.epoch:
		return fmt.Errorf("node %s is of epoch %d, but the cluster was recovered without it and is in epoch %d; %s: %w", p.Name, p.Epoch, id.epoch, remedyRejoin, driver.ErrInvalid)
	case p.Epoch > id.epoch:
		return fmt.Errorf("node %s is of epoch %d, but the cluster was recovered without it and is in epoch %d; %s: %w", id.name, id.epoch, p.Epoch, remedyRejoin, driver.ErrInvalid)
	case p.Writes > m.c.Reads:
		return fmt.Errorf("node %s writes format %d, and %s reads up to %d; use a newer program there: %w", p.Name, p.Writes, id.name, m.c.Reads, driver.ErrInvalid)
	}
	return nil
}

// addressOf returns where a member is dialed.
func (m *member) addressOf(id string) (string, bool) {
	for _, s := range m.servers() {
		if string(s.ID) == id {
			return string(s.Address), true
		}
	}
	return "", false
}

// servers returns the members as this node knows them; none before Raft runs.
func (m *member) servers() []raft.Server {
	r := m.engine.Load()
	if r == nil {
		return nil
	}
	return r.GetConfiguration().Configuration().Servers
}

// handle answers another node.
func (m *member) handle(ctx context.Context, from port.Peer, method uint8, payload []byte) ([]byte, error) {
	select {
	case <-m.listening:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case method == methodIntroduce:
		return m.introduceSelf()
	case from.Purpose == port.Introduction && method != methodJoin:
		return nil, fmt.Errorf("node %s answers only members of its cluster: %w", m.c.Node, driver.ErrInvalid)
	}
	if !m.running.Load() {
		return nil, &port.Redirect{}
	}
	if err := m.stopped(); err != nil {
		return nil, &port.Redirect{}
	}
	switch method {
	case methodCommit:
		return m.serveCommit(ctx, payload)
	case methodReadIndex:
		return m.serveIndex(ctx)
	case methodConfirm:
		return m.serveConfirm(payload)
	case methodCondition:
		return m.serveCondition()
	case methodJoin:
		return m.serveJoin(from, payload)
	case methodCommand:
		return m.serveCommand(payload)
	}
	return nil, fmt.Errorf("node %s does not know how to answer question %d; use a newer program there: %w", m.c.Node, method, driver.ErrInvalid)
}

// startRaft starts Raft on the member's files.
func (m *member) startRaft() error {
	m.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: m.port.Stream(), ServerAddressProvider: m.port.Provider(), MaxPool: 3,
		Timeout: max(2*m.c.Election, time.Second), Logger: newRaftLogger(m.log, m.c.Node),
	})
	r, err := raft.NewRaft(m.raftConfig(), m.replica, &entries{Log: m.files.log, m: m}, votes{m.files.state, m}, m.files.snapshots, heartbeats{m.transport, m})
	if err != nil {
		return fmt.Errorf("start raft: %w", errors.Join(err, m.replica.unrestored))
	}
	m.raft = r
	m.engine.Store(r)
	return m.stopped() // who failed before that could not stop Raft
}

// raftConfig returns how Raft runs here.
func (m *member) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(m.identity().id())
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = m.c.Election, m.c.Election, m.c.Election/2
	// How long followers wait to hear that the last entries are committed, if no more
	// come: a read at a follower waits for it.
	c.CommitTimeout = followerDelay
	// This store decides when a snapshot is due, by bytes; see watchLoop. The log behind
	// the older of the snapshots that are kept is kept, too.
	c.SnapshotThreshold, c.SnapshotInterval, c.TrailingLogs = math.MaxUint64, time.Hour, 0
	c.MaxAppendEntries = 16 // of up to 1 MiB, or one commit, each
	c.NotifyCh = m.notify
	c.ShutdownOnRemove = false // this node reads that it was removed, and says so
	c.NoLegacyTelemetry = true
	c.Logger = newRaftLogger(m.log, m.c.Node)
	return c
}

// followerDelay trades how fast an idle follower learns of a commit against messages
// that an idle leader sends: about 150 a second to each.
const followerDelay = 5 * time.Millisecond

// closing is how long a part of closing may take before it is given up.
const closing = 5 * time.Second

// close ends the member's part in the cluster. A leader gives its office to another node
// first, so that the cluster need not notice.
func (m *member) close() error {
	if m.failure.Load() == nil && !m.departed.Load() && m.raft.State() == raft.Leader && m.voters() > 1 {
		if err := within(closing, m.raft.LeadershipTransfer()); err != nil {
			m.log.Warn("inmem: no other node took over", "node", m.c.Node, "err", err)
		}
	}
	m.store.closeQueue()
	var err error
	if m.failure.Load() == nil {
		select {
		case <-m.store.flushed:
		case <-time.After(closing):
			err = fmt.Errorf("commits in flight have not ended: %w", driver.ErrUncertain)
		}
	}
	m.end(driver.ErrClosed)
	return errors.Join(err, m.release())
}

// release closes what is open.
func (m *member) release() error {
	m.end(driver.ErrClosed)
	var err error
	if m.admin != nil {
		err = m.admin.close()
	}
	if m.raft != nil {
		err = errors.Join(err, within(closing, m.raft.Shutdown()))
	}
	if m.transport != nil {
		err = errors.Join(err, m.transport.Close())
	}
	if m.port != nil {
		err = errors.Join(err, m.port.Close())
	}
	m.background.Wait()
	closed := make(chan error, 1)
	go func() { closed <- m.closeFiles() }()
	select {
	case failed := <-closed:
		return errors.Join(err, failed)
	case <-time.After(closing):
		m.hangs = true
		return errors.Join(err, fmt.Errorf("a write in %s hangs, and it stays locked while this process lives: %w", m.path(raftDir), driver.ErrUnavailable))
	}
}

// within waits for a future, but not for ever.
func within(d time.Duration, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d):
		return fmt.Errorf("not done after %v: %w", d, context.DeadlineExceeded)
	}
}

// await waits for a future of Raft as long as this node takes part: what is on its way to
// the state machine when Raft ends is never answered (as of v1.8.0).
func (m *member) await(f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-m.life.Done():
		return raft.ErrRaftShutdown
	}
}

// voters returns the number of members that vote.
func (m *member) voters() int {
	n := 0
	for _, s := range m.servers() {
		if s.Suffrage == raft.Voter {
			n++
		}
	}
	return n
}

// server returns the member with a name.
func (m *member) server(name string) (raft.Server, error) {
	servers := m.servers()
	i := slices.IndexFunc(servers, func(s raft.Server) bool { n, _ := port.SplitID(string(s.ID)); return n == name })
	if i < 0 {
		return raft.Server{}, fmt.Errorf("no member is called %s (see: trihold cluster status %s): %w", name, m.store.c.Dir, driver.ErrInvalid)
	}
	return servers[i], nil
}
