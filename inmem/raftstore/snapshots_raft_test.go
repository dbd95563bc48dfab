package raftstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"trihold/internal/simdisk"
	"trihold/internal/vfs"
)

// lastIndex is a state machine that knows the index of the last entry. The body of
// its snapshots is testBody.
type lastIndex struct{ index, restored uint64 }

func (f *lastIndex) Apply(l *raft.Log) any { f.index = l.Index; return nil }

func (f *lastIndex) Snapshot() (raft.FSMSnapshot, error) { return lastSnapshot(f.index), nil }

func (f *lastIndex) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := verifyTestBody(bytes.NewReader(b)); err != nil {
		return err
	}
	_, err = fmt.Sscanf(string(b), "state %d", &f.restored)
	f.index = f.restored
	return errors.Join(err, r.Close())
}

type lastSnapshot uint64

func (s lastSnapshot) Persist(sink raft.SnapshotSink) error {
	_, err := sink.Write(testBody(uint64(s)))
	return errors.Join(err, sink.Close())
}

func (lastSnapshot) Release() {}

// raftOn starts a node whose log does not survive it, and waits until it leads.
func raftOn(t *testing.T, disk vfs.FS, log *raft.InmemStore, bootstrap bool) (*raft.Raft, *lastIndex, *Snapshots) {
	t.Helper()
	s, err := openTest(disk)
	if err != nil {
		t.Fatal(err)
	}
	first, err := log.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	last, err := log.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(first, last); err != nil {
		t.Fatal(err)
	}
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = "n1", hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	c.TrailingLogs = 1
	addr, trans := raft.NewInmemTransport("")
	if bootstrap {
		conf := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: addr}}}
		if err := raft.BootstrapCluster(c, log, log, s, trans, conf); err != nil {
			t.Fatal(err)
		}
	}
	fsm := &lastIndex{}
	r, err := raft.NewRaft(c, fsm, log, log, s, trans)
	if err != nil {
		t.Fatal(err)
	}
	if bootstrap {
		select {
		case <-r.LeaderCh():
		case <-time.After(10 * time.Second):
			t.Fatal("the node never led")
		}
	}
	return r, fsm, s
}

func TestRaftStartsFromItsNewestSnapshotAndFromAnOlderOneOnlyIfThatIsComplete(t *testing.T) {
	disk, log := simdisk.New(simdisk.Config{}), raft.NewInmemStore()
	r, fsm, s := raftOn(t, disk, log, true)
	for range keptSnapshots {
		for range 5 {
			if err := r.Apply([]byte("x"), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	newest := indices(t, s)[0]
	if newest != fsm.index {
		t.Fatalf("the newest snapshot is of entry %d, the state of %d", newest, fsm.index)
	}
	r, again, s := raftOn(t, disk, log, false)
	if again.restored != newest {
		t.Errorf("restored entry %d, want %d", again.restored, newest)
	}
	if err := r.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	// Raft by itself kept too little of the log for the older one.
	name := s.path(snapshotFile{index: newest, term: 2}.name())
	disk = ruin(t, disk, name, func(b []byte) []byte { return b[:len(b)-1] })
	first, err := log.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	last, err := log.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if _, passed, err := restarted(disk, first, last); err == nil {
		t.Errorf("passed over %v with the log from %d", passed, first)
	}
}
