package inmem

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/internal/vfs"
	"trihold/internal/wal"
	"trihold/repo/driver"
)

// shortly returns a context that ends when a cluster without faults would long have
// answered.
func shortly(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), 3*election)
	tb.Cleanup(cancel)
	return ctx
}

func TestACommitThatIsInTheLogOfANodeThatFailedIsUncertain(t *testing.T) {
	s := newCluster(t, 1)[0]
	write(t, s, 1)
	leaderOf(t, []*Store{s})
	s.member.failure.Store(&failure{err: errors.New("its disk hangs")}) // and it has not been told to its callers yet
	_, err := s.Commit(shortly(t), &driver.Commit{ID: commitID(2), Writes: []driver.Write{noteWrite(2)}})
	if !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("a commit that a majority has, and its node could not apply: %v", err)
	}
}

func TestACommitThatMayHaveBeenSentIsNotUnavailable(t *testing.T) {
	s, err := openMember(Config{Dir: t.TempDir(), Cluster: ClusterConfig{Node: "n1", Listen: freeAddress(t), Election: election, Reserve: 1 << 62}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	leaderOf(t, []*Store{s})
	for s.member.readOnly() == nil {
		time.Sleep(time.Millisecond)
	}
	c := &driver.Commit{ID: commitID(2), Writes: []driver.Write{noteWrite(2)}}
	if _, err := s.Commit(shortly(t), c); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a first attempt at a store without space: %v", err)
	}
	s.member.unsettled.add(c.ID) // an earlier copy was lost on its way
	if _, err := s.Commit(shortly(t), c); !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("a further attempt at a store without space: %v", err)
	}
	if !s.member.unsettled.take(c.ID) {
		t.Error("it is forgotten that a copy may be on its way")
	}
}

func TestANewLeaderDoesNotTakeAMemberForGoneThatItHasNotHeardOf(t *testing.T) {
	stores := newCluster(t, 3)
	write(t, stores[0], 1)
	leader := leaderOf(t, stores)
	other := stores[0]
	if other == leader {
		other = stores[1]
	}
	leader.member.peers.forget() // as it is when a tenure begins
	id := identity{name: other.member.c.Node, dir: newDirID()}
	err := leader.member.take(joining{Name: id.name, ID: id.id(), Address: freeAddress(t)})
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a second node of the name of a member is taken in: %v", err)
	}
	if n := leader.member.voters(); n != 3 {
		t.Errorf("of 3 voters %d are left", n)
	}
}

func TestANodeOfAnotherClusterIsNotTakenIn(t *testing.T) {
	s := newCluster(t, 1)[0]
	write(t, s, 1)
	stranger := port.Peer{Hello: port.Hello{Cluster: wal.StoreID{1}, Epoch: 1, Name: "n9", Dir: newDirID()}, Purpose: port.Introduction}
	payload := []byte(`{"name":"n9","id":"` + stranger.ID() + `","address":"127.0.0.1:1"}`)
	if _, err := s.member.serveJoin(stranger, payload); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a node of another cluster asks to be taken in: %v", err)
	}
}

func TestAnEntryThatCannotBeReadEndsTheNodeAndNotTheProgram(t *testing.T) {
	s := newCluster(t, 1)[0]
	write(t, s, 1)
	e := &entries{Log: s.member.files.log, m: s.member}
	last, err := e.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.GetLog(last+1, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if err := s.member.files.log.Close(); err != nil { // nothing can be read any more
		t.Fatal(err)
	}
	go func() { _ = e.GetLog(last, new(raft.Log)) }()
	for deadline := time.Now().Add(5 * time.Second); s.member.stopped() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a node that cannot read its log goes on")
		}
	}
}

func TestEntriesInMemoryAreThoseOfTheLog(t *testing.T) {
	s := newCluster(t, 1)[0]
	e := &entries{m: s.member}
	for i := range uint64(3 * heldEntries) {
		e.keep([]*raft.Log{{Index: i + 1, Data: make([]byte, 10)}})
	}
	if n := len(e.held); n != heldEntries || e.bytes != 10*n || e.find(3*heldEntries) == nil || e.find(2*heldEntries) != nil {
		t.Errorf("%d entries of %d bytes are held", n, e.bytes)
	}
	e.keep([]*raft.Log{{Index: 3*heldEntries + 1, Data: make([]byte, heldBytes)}})
	if e.bytes > heldBytes || e.find(3*heldEntries) != nil {
		t.Errorf("%d entries of %d bytes are held after a large one", len(e.held), e.bytes)
	}
	e.keep([]*raft.Log{{Index: 5 * heldEntries}}) // behind a snapshot
	if len(e.held) != 1 || e.find(5*heldEntries) == nil {
		t.Errorf("%d entries are held after a gap", len(e.held))
	}
}

func TestAnOldLeaderDoesNotSayByItselfThatTheStoreHasMoved(t *testing.T) {
	stores := newCluster(t, 3)
	write(t, stores[0], 1)
	leader := leaderOf(t, stores)
	leader.member.port.Sever() // to its peers it is gone, and it does not know
	old := *leader.published.Load()
	old.fence = &driver.Fence{Closed: true} // which another leader may have taken down since
	leader.published.Store(&old)
	if _, err := leader.Begin(shortly(t), driver.Mode{Tentative: true}); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a store that was closed as far as an old leader knows: %v", err)
	}
}

func TestChangesOfANodeThatHasFailedEnd(t *testing.T) {
	s := newCluster(t, 1)[0]
	rev := write(t, s, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for change, err := range s.Changes(ctx, 0) {
		switch {
		case err == nil && change.Rev == rev:
			s.member.fail(errors.New("its disk hangs"))
		case !errors.Is(err, driver.ErrUnavailable):
			t.Errorf("changes end with %v", err)
		}
	}
}

// An unanswered future is one that was on its way to the state machine when Raft ended.
type unanswered struct{}

func (unanswered) Error() error { select {} }

func TestNobodyWaitsForRaftWhenTheNodeHasFailed(t *testing.T) {
	s := newCluster(t, 1)[0]
	done := make(chan error, 1)
	go func() { done <- s.member.changing(unanswered{}) }()
	s.member.fail(errors.New("its disk hangs"))
	select {
	case err := <-done:
		if !errors.Is(err, driver.ErrUncertain) {
			t.Errorf("a change of members under way when the node failed: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("somebody waits for Raft, and so would Close")
	}
}

func TestANodeThatFailsUnderLoadTellsTheTruthAndCanBeClosed(t *testing.T) {
	for round := range 2 {
		s := newCluster(t, 1)[0]
		leaderOf(t, []*Store{s})
		answers := make([]error, 400)
		var writers sync.WaitGroup
		for w := range 8 {
			writers.Go(func() {
				for i := w; i < len(answers); i += 8 {
					_, answers[i] = s.Commit(t.Context(), &driver.Commit{ID: commitID(int64(i)), Writes: []driver.Write{noteWrite(int64(i))}})
				}
			})
		}
		for s.published.Load().rev < driver.Rev(20+30*round) {
			time.Sleep(10 * time.Microsecond)
		}
		s.member.fail(errors.New("its disk hangs"))
		writers.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := openMember(s.c)
		if err != nil {
			t.Fatal(err)
		}
		mustHold(t, again, 0)
		for i, answer := range answers {
			rev, err := again.Outcome(t.Context(), commitID(int64(i)))
			switch {
			case err != nil:
				t.Fatal(err)
			case answer == nil && rev == 0:
				t.Errorf("commit %d was acknowledged, and is gone", i)
			case errors.Is(answer, driver.ErrUnavailable) && rev > 0:
				t.Errorf("commit %d was said not to be written, and has revision %d: %v", i, rev, answer)
			case answer != nil && !errors.Is(answer, driver.ErrUnavailable) && !errors.Is(answer, driver.ErrUncertain):
				t.Errorf("commit %d: %v", i, answer)
			}
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A hangingDisk is the disk, on which writes hang from when hang is called until the end
// of the test.
type hangingDisk struct {
	vfs.OS
	hangs atomic.Bool
	over  chan struct{}
}

func (d *hangingDisk) Open(name string) (vfs.File, error)   { return d.wrap(d.OS.Open(name)) }
func (d *hangingDisk) Create(name string) (vfs.File, error) { return d.wrap(d.OS.Create(name)) }

func (d *hangingDisk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hangingFile{f, d}, nil
}

type hangingFile struct {
	vfs.File
	disk *hangingDisk
}

func (f hangingFile) Sync() error {
	if f.disk.hangs.Load() {
		<-f.disk.over
	}
	return f.File.Sync()
}

func TestTheDirectoryOfANodeWhoseDiskHangsStaysLocked(t *testing.T) {
	if testing.Short() {
		t.Skip("Close waits for the disk for some seconds")
	}
	disk := &hangingDisk{over: make(chan struct{})}
	defer close(disk.over)
	s, err := openMember(Config{Dir: t.TempDir(), FS: disk, Cluster: ClusterConfig{Node: "n1", Listen: freeAddress(t), Election: election, Stall: election}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, 1)
	disk.hangs.Store(true)
	if _, err := s.Commit(t.Context(), &driver.Commit{ID: commitID(2), Writes: []driver.Write{noteWrite(2)}}); !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("a commit whose write hangs: %v", err)
	}
	if err := s.Close(); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("closing a node whose disk hangs: %v", err)
	}
	if again, err := Open(s.c); err == nil {
		t.Error("a directory is opened into which a write may still come")
		again.Close()
	}
}

// A heartbeat is answered beside Raft's main goroutine, where it must not change the term.
func TestAHeartbeatIsForAFollowerInItsTermOnly(t *testing.T) {
	stores := newCluster(t, 3)
	leader := leaderOf(t, stores)
	term := leader.member.raft.CurrentTerm()
	var follower *Store
	for _, s := range stores {
		if s != leader {
			follower = s
		}
	}
	mustHold(t, follower, write(t, leader, 1))
	for _, c := range []struct {
		to     *Store
		term   uint64
		passes bool
	}{{follower, term, true}, {follower, term + 1, false}, {follower, term - 1, false}, {leader, term, false}} {
		transport, err := raft.NewTCPTransport("127.0.0.1:0", nil, 1, time.Second, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var shown atomic.Bool
		heartbeats{transport, c.to.member}.SetHeartbeatHandler(func(rpc raft.RPC) {
			shown.Store(true)
			rpc.Respond(&raft.AppendEntriesResponse{}, nil)
		})
		var answer raft.AppendEntriesResponse
		beat := raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{Addr: []byte("n")}, Term: c.term}
		err = transport.AppendEntries("n", transport.LocalAddr(), &beat, &answer)
		if shown.Load() != c.passes || (err == nil) != c.passes {
			t.Errorf("a heartbeat of term %d for a %s in term %d: shown to Raft: %v, error %v", c.term, c.to.member.role(), term, shown.Load(), err)
		}
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	}
}
