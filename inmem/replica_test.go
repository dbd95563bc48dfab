package inmem

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// entryOf returns the Raft entry at the end of a member's log, which holds a batch.
func entryOf(t *testing.T, s *Store) *raft.Log {
	t.Helper()
	l := &raft.Log{}
	if err := s.member.files.log.GetLog(s.published.Load().index, l); err != nil {
		t.Fatal(err)
	}
	return l
}

// submit brings an entry into the Raft log once more, and returns what it came to.
func submit(t *testing.T, s *Store, data []byte) any {
	t.Helper()
	f := s.member.raft.ApplyLog(raft.Log{Data: data}, time.Second)
	if err := f.Error(); err != nil {
		t.Fatal(err)
	}
	return f.Response()
}

func TestAnEntryThatRestsOnAnotherStateHasNoEffectOnAnyReplica(t *testing.T) {
	stores := newCluster(t, 3)
	leader := leaderOf(t, stores)
	write(t, leader, 1)
	first := entryOf(t, leader)
	write(t, leader, 2)
	second := entryOf(t, leader)
	before := *leader.published.Load()
	for _, l := range []*raft.Log{second, first} {
		// It has the term of now, so nothing but what it rests on is wrong about it.
		if got, _ := submit(t, leader, l.Data).(error); !errors.Is(got, errRejected) {
			t.Errorf("the entry of index %d, once more, came to %v", l.Index, got)
		}
	}
	if now := leader.published.Load(); now.rev != before.rev || now.hash != before.hash {
		t.Errorf("the state was revision %d, hash %x, and is revision %d, hash %x", before.rev, before.hash, now.rev, now.hash)
	}
	// The cluster goes on, and its members agree.
	rev := write(t, leader, 3)
	for _, s := range stores {
		mustHold(t, s, rev)
	}
}

func TestAnEntryOfAnEarlierTermHasNoEffect(t *testing.T) {
	stores := newCluster(t, 3)
	leader := leaderOf(t, stores)
	write(t, leader, 1)
	next := *entryOf(t, leader)
	f, err := decodeFrame(next.Data)
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Transfer(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a leader of a later term", func() bool {
		leader = leaderOf(t, stores)
		tenure := leader.tenure.Load()
		return tenure != nil && tenure.term > f.id.term
	})
	rev := write(t, leader, 2)
	if got, _ := submit(t, leader, next.Data).(error); !errors.Is(got, errRejected) {
		t.Errorf("an entry of an earlier term came to %v", got)
	}
	for _, s := range stores {
		mustHold(t, s, rev)
	}
}

// A slowDisk takes its time for each sync, if asked to.
type slowDisk struct {
	vfs.OS
	slow atomic.Bool
}

type slowFile struct {
	vfs.File
	disk *slowDisk
}

const slowSync = 200 * time.Millisecond

func (f slowFile) Sync() error {
	if f.disk.slow.Load() {
		time.Sleep(slowSync)
	}
	return f.File.Sync()
}

func (d *slowDisk) Open(name string) (vfs.File, error) {
	f, err := d.OS.Open(name)
	return slowFile{f, d}, err
}

func (d *slowDisk) Create(name string) (vfs.File, error) {
	f, err := d.OS.Create(name)
	return slowFile{f, d}, err
}

func TestALeaderShowsNoLessThanAFollowerThatHasAppliedAnEntrySooner(t *testing.T) {
	disks := []vfs.FS{&slowDisk{}, &slowDisk{}, &slowDisk{}}
	stores := newClusterOn(t, disks, 10*slowSync) // a slow disk makes no election
	leader := leaderOf(t, stores)
	rev := write(t, leader, 1)
	var follower *Store
	for i, s := range stores {
		if s != leader {
			follower = s
			disks[i].(*slowDisk).slow.Store(true)
		}
	}
	mustHold(t, follower, rev)

	// While the followers write the next entry, the leader is kept from applying it.
	last := leader.member.raft.LastIndex()
	committed := make(chan error, 1)
	go func() {
		_, err := leader.Commit(context.Background(), &driver.Commit{ID: commitID(2), Writes: []driver.Write{noteWrite(2)}})
		committed <- err
	}()
	eventually(t, "the entry is in the leader's log", func() bool { return leader.member.raft.LastIndex() > last })
	leader.recent.mu.Lock()
	eventually(t, "a follower has applied it", func() bool { return follower.published.Load().rev > rev })
	if leader.published.Load().rev > rev {
		t.Error("the leader has applied it first: this test shows nothing")
	}

	shown := make(chan driver.Rev, 1)
	go func() {
		snap, err := leader.Begin(context.Background(), driver.Mode{})
		if err != nil {
			t.Error(err)
			shown <- 0
			return
		}
		shown <- snap.Rev()
		_ = snap.Close()
	}()
	select {
	case got := <-shown:
		t.Errorf("the leader shows revision %d, a follower has shown %d", got, rev+1)
		leader.recent.mu.Unlock()
	case <-time.After(2 * slowSync):
		leader.recent.mu.Unlock()
		if got := <-shown; got != rev+1 {
			t.Errorf("the leader shows revision %d, a follower has shown %d", got, rev+1)
		}
	}
	if err := <-committed; err != nil {
		t.Error(err)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
