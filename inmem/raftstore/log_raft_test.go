package raftstore

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"trihold/internal/simdisk"
	"trihold/internal/wal"
)

// A peer is a node of a cluster in this process, with all its files on a disk of its own.
type peer struct {
	disk  *simdisk.Disk
	trans *raft.InmemTransport
	raft  *raft.Raft
	log   *Log
	state *State
	fsm   *lastIndex
}

// start opens a peer's files, or makes them, and lets it take part.
func (p *peer) start(t *testing.T, id string, bootstrap *raft.Configuration) {
	t.Helper()
	sc := StateConfig{FS: p.disk, Name: "/state", Dir: testDir}
	lc := logConfigOn(p.disk)
	lc.WAL.Dir, lc.WAL.StoreID = "/log", wal.StoreID{7}
	lc.After = nil
	var snapshots *Snapshots
	lc.Newest = func() (uint64, uint64) {
		all, err := snapshots.List()
		if err != nil || len(all) == 0 {
			return 0, 0
		}
		return all[0].Index, all[0].Term
	}
	var err error
	if bootstrap != nil {
		if p.log, err = CreateLog(lc); err == nil {
			p.state, err = CreateState(sc, 0)
		}
	} else if p.log, _, err = OpenLog(lc); err == nil {
		p.state, err = OpenState(sc)
	}
	if err == nil {
		snapshots, err = openTest(p.disk)
	}
	if err == nil {
		_, err = snapshots.Check(p.log.Range())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = raft.ServerID(id), hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	c.SnapshotThreshold, c.TrailingLogs = math.MaxUint64, 0
	if bootstrap != nil {
		if err := raft.BootstrapCluster(c, p.log, p.state, snapshots, p.trans, *bootstrap); err != nil {
			t.Fatal(err)
		}
	}
	p.fsm = &lastIndex{}
	if p.raft, err = raft.NewRaft(c, p.fsm, p.log, p.state, snapshots, p.trans); err != nil {
		t.Fatal(err)
	}
}

func (p *peer) shutDown(t *testing.T) {
	t.Helper()
	if err := p.raft.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.state.Close(); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// cluster starts three peers that know each other.
func cluster(t *testing.T) []*peer {
	t.Helper()
	var peers []*peer
	var conf raft.Configuration
	for i := range 3 {
		addr, trans := raft.NewInmemTransport("")
		peers = append(peers, &peer{disk: simdisk.New(simdisk.Config{Seed: uint64(i)}), trans: trans})
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(fmt.Sprint("n", i)), Address: addr})
	}
	connect(peers)
	for i, p := range peers {
		p.start(t, fmt.Sprint("n", i), &conf)
	}
	return peers
}

func connect(peers []*peer) {
	for _, p := range peers {
		for _, q := range peers {
			p.trans.Connect(q.trans.LocalAddr(), q.trans)
		}
	}
}

// leader waits until one of the peers leads, and knows that it does.
func leader(t *testing.T, peers []*peer) *peer {
	t.Helper()
	var found *peer
	eventually(t, "one leads", func() bool {
		for _, p := range peers {
			if p.raft.State() == raft.Leader && p.raft.VerifyLeader().Error() == nil {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// An old leader has entries that nobody else has. It must take them back, or all, if
// the others have only a snapshot of what is in their place.
func TestAnOldLeaderTakesBackWhatTheOthersNeverHad(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		peers := cluster(t)
		old := leader(t, peers)
		for range 20 {
			if err := old.raft.Apply([]byte("x"), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		old.trans.DisconnectAll()
		var others []*peer
		for _, p := range peers {
			if p != old {
				p.trans.Disconnect(old.trans.LocalAddr())
				others = append(others, p)
			}
		}
		for range 5 {
			old.raft.Apply([]byte("never committed"), 0)
		}
		next := leader(t, others)
		for range 20 {
			if err := next.raft.Apply([]byte("y"), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		if snapshot {
			for _, p := range others {
				if err := p.raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
			}
			if err := next.raft.Apply([]byte("z"), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		connect(peers)
		eventually(t, "the old leader has applied what the others have", func() bool {
			return old.raft.AppliedIndex() == next.raft.LastIndex() && next.raft.AppliedIndex() == next.raft.LastIndex()
		})
		if old.log.Failed() != nil || old.log.LastTerm() != next.log.LastTerm() {
			t.Errorf("the old leader's log: %v, last term %d", old.log.Failed(), old.log.LastTerm())
		}
		if first := old.log.First(); snapshot != (first > 20) {
			t.Errorf("with a snapshot %v, the old leader's log begins with entry %d", snapshot, first)
		}
		last := next.raft.LastIndex()
		for i, p := range peers {
			p.shutDown(t)
			addr, trans := raft.NewInmemTransport(p.trans.LocalAddr())
			if p.trans = trans; addr != trans.LocalAddr() {
				t.Fatal(addr)
			}
			p.start(t, fmt.Sprint("n", i), nil)
			if p.raft.LastIndex() != last {
				t.Errorf("after another start %s has entries up to %d, not %d", fmt.Sprint("n", i), p.raft.LastIndex(), last)
			}
		}
		connect(peers)
		if err := leader(t, peers).raft.Apply([]byte("w"), time.Second).Error(); err != nil {
			t.Error(err)
		}
		for _, p := range peers {
			p.shutDown(t)
		}
	}
}
