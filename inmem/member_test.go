package inmem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"trihold/internal/vfs"
	"trihold/repo/driver"
)

// These tests look at what the contract leaves to a cluster: who leads, what a node that
// is alone does, and how members come and go. What a store promises is tested on three
// processes by the conformance suite.

// election is the election timeout of tests.
const election = 200 * time.Millisecond

// newCluster returns n members that began a cluster together, in this process.
func newCluster(tb testing.TB, n int) []*Store {
	tb.Helper()
	return newClusterOn(tb, make([]vfs.FS, n), election)
}

// newClusterOn is newCluster with a member on each of some disks; nil is the operating
// system's.
func newClusterOn(tb testing.TB, disks []vfs.FS, timeout time.Duration) []*Store {
	tb.Helper()
	n := len(disks)
	var peers []Peer
	for i := range n {
		peers = append(peers, Peer{fmt.Sprintf("n%d", i+1), freeAddress(tb)})
	}
	dir := tb.TempDir()
	stores := make([]*Store, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() {
			c := Config{Dir: filepath.Join(dir, p.Name), FS: disks[i], Cluster: ClusterConfig{Node: p.Name, Listen: p.Address, Peers: peers, Election: timeout, Stable: timeout}}
			stores[i], errs[i] = openMember(c)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, s := range stores {
			if err := s.Close(); err != nil {
				tb.Error(err)
			}
		}
	})
	return stores
}

func openMember(c Config) (*Store, error) {
	s, err := Open(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Prepare(ctx, noteSchema.Driver()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func freeAddress(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// leaderOf waits until one of the members leads.
func leaderOf(tb testing.TB, stores []*Store) *Store {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		for _, s := range stores {
			if s.tenure.Load() != nil && s.member.stopped() == nil {
				return s
			}
		}
		time.Sleep(time.Millisecond)
	}
	tb.Fatal("nobody leads")
	return nil
}

// write commits a note, and returns its revision.
func write(tb testing.TB, s *Store, id int64) driver.Rev {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rev, err := s.Commit(ctx, &driver.Commit{ID: commitID(id), Writes: []driver.Write{noteWrite(id)}})
	if err != nil {
		tb.Fatal(err)
	}
	return rev
}

func commitID(id int64) driver.CommitID {
	return driver.CommitID{1, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
}

// mustHold fails unless a read at s includes the revision.
func mustHold(tb testing.TB, s *Store, rev driver.Rev) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	snap, err := s.Begin(ctx, driver.Mode{})
	if err != nil {
		tb.Fatal(err)
	}
	defer snap.Close()
	if snap.Rev() < rev {
		tb.Errorf("node %s shows revision %d after %d was acknowledged", s.member.c.Node, snap.Rev(), rev)
	}
}

func TestEveryMemberReadsWhatAnyMemberWrote(t *testing.T) {
	stores := newCluster(t, 3)
	for i := range int64(30) {
		rev := write(t, stores[i%3], i)
		if rev != driver.Rev(i+1) {
			t.Fatalf("commit %d has revision %d", i, rev)
		}
		mustHold(t, stores[(i+1)%3], rev)
	}
}

func TestAClusterGoesOnWithoutItsLeader(t *testing.T) {
	stores := newCluster(t, 3)
	for i := range int64(3) {
		write(t, stores[0], i)
	}
	leader := leaderOf(t, stores)
	leader.member.port.Sever() // to its peers it is gone, and it does not know
	var rest []*Store
	for _, s := range stores {
		if s != leader {
			rest = append(rest, s)
		}
	}
	rev := write(t, rest[0], 100)
	mustHold(t, rest[1], rev)
	ctx, cancel := context.WithTimeout(t.Context(), 3*election)
	defer cancel()
	if snap, err := leader.Begin(ctx, driver.Mode{}); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a leader that was replaced shows revision %v, error %v", snap, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 3*election)
	defer cancel()
	if _, err := leader.Commit(ctx, &driver.Commit{ID: commitID(101), Writes: []driver.Write{noteWrite(101)}}); !errors.Is(err, driver.ErrUnavailable) && !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("a leader that was replaced commits: %v", err)
	}
	if snap, err := leader.Begin(t.Context(), driver.Mode{MaxAge: time.Hour}); err != nil || snap.Rev() < 3 {
		t.Errorf("a stale read at a node that is alone: %v", err)
	}
}

func TestACommitThatIsSentAgainAfterAChangeOfLeaderIsNotDoubled(t *testing.T) {
	stores := newCluster(t, 3)
	rev := write(t, stores[0], 7)
	old := leaderOf(t, stores)
	if err := old.Transfer(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	for _, s := range stores {
		if again := write(t, s, 7); again != rev {
			t.Errorf("node %s says revision %d, it was %d", s.member.c.Node, again, rev)
		}
		if known, err := s.Outcome(t.Context(), commitID(7)); err != nil || known != rev {
			t.Errorf("node %s says outcome %d, %v", s.member.c.Node, known, err)
		}
	}
}

func TestAMemberWhoseStateDiffersIsQuarantinedAndBeginsAnew(t *testing.T) {
	stores := newCluster(t, 3)
	for i := range int64(20) {
		write(t, stores[0], i)
	}
	leader := leaderOf(t, stores)
	k := 0
	if stores[k] == leader {
		k = 1
	}
	bad := stores[k]
	mustHold(t, bad, 20)
	other := *bad.published.Load() // a bit of its memory flips
	other.tables = append([]table(nil), other.tables...)
	other.tables[0].hash ^= 1
	other.hash = other.stateHash()
	bad.published.Store(&other)
	rev := write(t, leader, 100)
	for bad.member.stopped() == nil {
		time.Sleep(time.Millisecond)
	}
	if _, err := bad.Begin(t.Context(), driver.Mode{}); !errors.Is(err, driver.ErrCorrupt) {
		t.Errorf("a member in quarantine reads: %v", err)
	}
	status, err := bad.ClusterStatus(t.Context())
	if err != nil || status.Quarantined == "" {
		t.Errorf("status of a member in quarantine: %+v, %v", status, err)
	}
	c := bad.c
	if err := bad.Close(); err != nil {
		t.Log(err)
	}
	if stores[k], err = openMember(c); err != nil {
		t.Fatal(err)
	}
	mustHold(t, stores[k], rev)
	if a, b := stores[k].published.Load(), leader.published.Load(); a.hash != b.hash || a.rev != b.rev {
		t.Errorf("the member that began anew has hash %016x at %d, the leader %016x at %d", a.hash, a.rev, b.hash, b.rev)
	}
}
