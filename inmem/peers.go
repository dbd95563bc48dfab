package inmem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// A condition is how a member is, as it says itself when it is asked.
type condition struct {
	Applied uint64 `json:"applied"` // by its state machine
	LastLog uint64 `json:"last_log"`
	Reads   uint32 `json:"reads"` // the highest format that it reads
	Free    int64  `json:"free"`
	Votes   bool   `json:"votes"` // it wants to be a voter
}

// peers is what the leader knows of the other members.
type peers struct {
	mu   sync.Mutex
	byID map[string]*peer // guarded by mu
}

// A peer is another member.
type peer struct {
	condition
	heard  time.Time // when it was asked the question that it answered last
	steady time.Time // since when it has kept up; zero if it does not
	silent bool      // that it does not answer has been told
}

// serveCondition answers methodCondition.
func (m *member) serveCondition() ([]byte, error) {
	return json.Marshal(condition{
		Applied: m.raft.AppliedIndex(), LastLog: m.raft.LastIndex(), Reads: m.c.Reads, Free: m.free(), Votes: !m.c.NonVoter,
	})
}

// free returns the free bytes of the disk, -1 if they are not known.
func (m *member) free() int64 {
	n, err := m.store.c.FS.Free(m.store.c.Dir)
	if err != nil {
		return -1
	}
	return n
}

// peerLoop has the leader ask how its peers are, make voters of those that have kept up,
// and raise the cluster's format when all can read a later one.
func (m *member) peerLoop() {
	t := time.NewTicker(max(m.c.Election/4, 20*time.Millisecond))
	defer t.Stop()
	var led time.Time // when this node has last heard of a leader
	for {
		select {
		case <-t.C:
		case <-m.life.Done():
			return
		}
		led = m.watchLeader(led)
		if m.store.tenure.Load() == nil {
			m.peers.forget()
			continue
		}
		m.askPeers()
		m.handOver()
		m.promoteSteady()
		m.raiseFormat()
	}
}

// askPeers asks all other members, and returns when they have answered or the time is
// up.
func (m *member) askPeers() {
	ctx, cancel := context.WithTimeout(m.life, m.c.Election)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range m.servers() {
		if string(s.ID) == m.identity().id() {
			continue
		}
		wg.Go(func() {
			asked := time.Now()
			answer, err := m.port.Call(ctx, port.Target{Address: string(s.Address), ID: string(s.ID)}, methodCondition, nil)
			var c condition
			if err == nil {
				err = json.Unmarshal(answer, &c)
			}
			m.hear(string(s.ID), c, err, asked)
		})
	}
	wg.Wait()
}

// handOver makes a voter the leader whose disk has space, if this node's has none.
func (m *member) handOver() {
	if m.lowDisk.Load() == nil {
		return
	}
	for _, s := range m.servers() {
		id := string(s.ID)
		if s.Suffrage != raft.Voter || id == m.identity().id() || !m.alive(id) || m.peers.get(id).Free < 2*m.c.Reserve {
			continue
		}
		if err := within(m.changeTime(), m.raft.LeadershipTransferToServer(s.ID, s.Address)); err != nil {
			m.log.Warn("inmem: handing over to a member with a larger disk", "member", id, "err", err)
		}
		return
	}
}

// maxSteadyLag is how many entries a member may be behind and still keep up.
const maxSteadyLag = 100

// hear takes an answer in, or that there was none, and tells of members that come and go.
func (m *member) hear(id string, c condition, err error, asked time.Time) {
	silent := !m.alive(id) && err != nil
	told := m.peers.note(id, c, err == nil, silent, asked, m.raft.LastIndex())
	switch {
	case silent && !told:
		m.log.Warn("inmem: a member does not answer", "member", id, "err", err)
	case err == nil && told:
		m.log.Info("inmem: a member answers again", "member", id)
	}
}

// note takes an answer in, or that there was none, and reports whether it was told
// before that the member is silent.
func (p *peers) note(id string, c condition, answered, silent bool, asked time.Time, last uint64) (told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[string]*peer{}
	}
	known := p.byID[id]
	if known == nil {
		known = &peer{}
		p.byID[id] = known
	}
	told = known.silent
	if !answered {
		known.steady, known.silent = time.Time{}, told || silent
		return told
	}
	known.condition, known.heard, known.silent = c, asked, false
	switch {
	case c.Applied+maxSteadyLag < last:
		known.steady = time.Time{}
	case known.steady.IsZero():
		known.steady = asked
	}
	return told
}

// forget forgets everything: only the leader knows, and this node is not.
func (p *peers) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID = nil
}

// get returns what is known of a member; the zero peer is nothing.
func (p *peers) get(id string) peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byID[id]; known != nil {
		return *known
	}
	return peer{}
}

// alive reports whether a member has been heard of lately.
func (m *member) alive(id string) bool {
	return id == m.identity().id() || time.Since(m.peers.get(id).heard) < 2*m.c.Election
}

// promoteSteady makes voters of the non-voters that want it and have kept up for long
// enough, one at a time.
func (m *member) promoteSteady() {
	if !m.changes.TryLock() {
		return
	}
	defer m.changes.Unlock()
	for _, s := range m.servers() {
		p := m.peers.get(string(s.ID))
		if s.Suffrage == raft.Voter || !p.Votes || p.steady.IsZero() || time.Since(p.steady) < m.c.Stable {
			continue
		}
		if err := m.promote(s); err != nil {
			m.log.Warn("inmem: promoting a member", "member", s.ID, "err", err)
		}
		return
	}
}

func (m *member) promote(s raft.Server) error {
	m.log.Info("inmem: a member becomes a voter", "member", s.ID)
	return m.changing(m.raft.AddVoter(s.ID, s.Address, 0, m.changeTime()))
}

// changeTime is how long a change of the members may wait to begin.
func (m *member) changeTime() time.Duration { return 10 * m.c.Election }

// changing waits for a change of the members.
func (m *member) changing(f raft.Future) error {
	err := m.await(f)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return errNotLeading
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown):
		return driver.Failed("change members", driver.ErrUncertain, err)
	}
	return driver.Failed("change members", driver.ErrUnavailable, err)
}

// raiseFormat raises the cluster's format to the highest that all members read.
func (m *member) raiseFormat() {
	format := m.c.Reads
	for _, s := range m.servers() {
		if string(s.ID) == m.identity().id() {
			continue
		}
		p := m.peers.get(string(s.ID))
		if p.heard.IsZero() || !m.alive(string(s.ID)) {
			return
		}
		format = min(format, p.Reads)
	}
	if format <= m.store.published.Load().format {
		return
	}
	ctx, cancel := context.WithTimeout(m.life, m.changeTime())
	defer cancel()
	if _, err := m.store.decide(ctx, &prepared{commit: &driver.Commit{}, raise: format}, false); err != nil {
		m.log.Warn("inmem: raising the cluster's format", "format", format, "err", err)
	}
}

// ask has a node that is not a member yet taken in by the cluster.
func (m *member) ask(ctx context.Context) error {
	if len(m.c.Join) == 0 {
		return nil
	}
	ctx, done := m.patient(ctx)
	defer done()
	var last error
	for wait := m.backoff(); ; wait.next() {
		err := m.askAt(ctx)
		if err == nil {
			break
		}
		if errors.Is(err, driver.ErrInvalid) {
			return fmt.Errorf("join: %w", err)
		}
		last = err
		if err := wait.until(ctx); err != nil {
			return m.unavailable("join", ctx, last)
		}
	}
	m.c.Join = nil
	m.manifest.Lock()
	defer m.manifest.Unlock()
	found, err := readManifest(m.store.c.FS, m.store.c.Dir)
	if err != nil {
		return err
	}
	found.Member.Join = nil
	return found.write(m.store.c.FS, m.store.c.Dir)
}

// askAt asks at each of the addresses, and where it is sent from there.
func (m *member) askAt(ctx context.Context) error {
	payload, err := json.Marshal(joining{Name: m.c.Node, ID: m.identity().id(), Address: m.c.Advertise})
	if err != nil {
		return err
	}
	var errs error
	for _, address := range m.c.Join {
		_, err := m.port.Call(ctx, port.Target{Address: address}, methodJoin, payload)
		var elsewhere *port.Redirect
		if errors.As(err, &elsewhere) && elsewhere.Leader != "" {
			_, err = m.port.Call(ctx, port.Target{Address: elsewhere.Leader, ID: elsewhere.ID}, methodJoin, payload)
		}
		if err == nil || errors.Is(err, driver.ErrInvalid) {
			return err
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// A joining is a request to be taken in.
type joining struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Address string `json:"address"`
}

// serveJoin takes a node in that asks for it, without a vote.
func (m *member) serveJoin(from port.Peer, payload []byte) ([]byte, error) {
	if m.store.tenure.Load() == nil {
		return nil, m.redirect()
	}
	var j joining
	if err := json.Unmarshal(payload, &j); err != nil || j.ID != from.ID() {
		return nil, driver.Failed("join", driver.ErrInvalid, fmt.Errorf("%q asks for %q: %v", from.ID(), j.ID, err))
	}
	if id := m.identity(); from.Cluster != id.cluster || from.Epoch != id.epoch {
		return nil, driver.Failed("join", driver.ErrInvalid, fmt.Errorf("node %s belongs to cluster %x, epoch %d, and this is cluster %x, epoch %d; %s", from.Name, from.Cluster, from.Epoch, id.cluster, id.epoch, remedyRejoin))
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	if err := m.take(j); err != nil {
		if errors.Is(err, errNotLeading) {
			return nil, m.redirect()
		}
		return nil, err
	}
	return []byte{}, nil
}

// take adds a node, in the place of an earlier one of its name that is gone.
func (m *member) take(j joining) error {
	for _, s := range m.servers() {
		name, _ := port.SplitID(string(s.ID))
		switch {
		case string(s.ID) == j.ID:
			return nil
		case name != j.Name && string(s.Address) == j.Address:
			return driver.Failed("join", driver.ErrInvalid, fmt.Errorf("%s is the address of member %s", j.Address, name))
		case name != j.Name:
			continue
		}
		if !m.alive(string(s.ID)) {
			m.askPeers() // one that leads since a moment ago has not heard of it yet
		}
		if m.alive(string(s.ID)) {
			return driver.Failed("join", driver.ErrUnavailable, fmt.Errorf("there is a node %s already, and it answers; choose another name, or stop it", name))
		}
		if err := m.remove(s); err != nil {
			return err
		}
	}
	m.log.Info("inmem: a node joins", "member", j.ID, "address", j.Address)
	return m.changing(m.raft.AddNonvoter(raft.ServerID(j.ID), raft.ServerAddress(j.Address), 0, m.changeTime()))
}

// remove takes a member out, unless what remains could not go on.
func (m *member) remove(s raft.Server) error {
	voters, alive := m.without(s)
	if alive <= voters/2 {
		m.askPeers() // one that leads since a moment ago has not heard of them yet
		voters, alive = m.without(s)
	}
	if s.Suffrage == raft.Voter && alive <= voters/2 {
		return driver.Failed("remove "+string(s.ID), driver.ErrUnavailable, fmt.Errorf("of the %d voters that remain %d answer: the cluster would stop; bring one of them back first, or see: trihold cluster recover", voters, alive))
	}
	m.log.Info("inmem: a member is removed", "member", s.ID)
	return m.changing(m.raft.RemoveServer(s.ID, 0, m.changeTime()))
}

// without counts the voters that there are without a server, and those of them that answer.
func (m *member) without(s raft.Server) (voters, alive int) {
	for _, other := range m.servers() {
		if other.ID == s.ID || other.Suffrage != raft.Voter {
			continue
		}
		voters++
		if m.alive(string(other.ID)) {
			alive++
		}
	}
	return voters, alive
}
