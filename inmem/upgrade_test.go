package inmem

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"trihold/repo/driver"
)

// awaitFormat waits until all members write a format.
func awaitFormat(t *testing.T, stores []*Store, format uint32) {
	t.Helper()
	for _, s := range stores {
		for begun := time.Now(); s.published.Load().format != format; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("node %s writes format %d, not %d", s.member.c.Node, s.published.Load().format, format)
			}
		}
	}
}

// reopen closes a member and opens it again with a program that reads up to a format.
func reopen(t *testing.T, s *Store, reads uint32) (*Store, error) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c := s.c
	c.Cluster.Reads = reads
	return openMember(c)
}

func TestTheFormatIsRaisedWhenTheLastMemberCanReadIt(t *testing.T) {
	stores := newCluster(t, 3)
	write(t, stores[0], 1)
	const next = clusterReads + 1
	var err error
	for i := range stores {
		if stores[i].published.Load().format != clusterReads {
			t.Fatal("the format was raised before all members could read it")
		}
		if stores[i], err = reopen(t, stores[i], next); err != nil {
			t.Fatal(err)
		}
		write(t, stores[i], int64(10+i))
		time.Sleep(2 * election) // a leader that raised it too early would have done so now
	}
	awaitFormat(t, stores, next)

	// There is no way back: a program that does not read the format takes no part.
	for i := range stores {
		if err := stores[i].SnapshotNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		old, err := reopen(t, stores[i], clusterReads)
		if !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("a program that reads format %d opens a member that writes %d: %v, %v", clusterReads, next, old, err)
		}
		if stores[i], err = openMember(stores[i].c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMemberHaltsAtAnEntryThatItDoesNotKnow(t *testing.T) {
	stores := newCluster(t, 3)
	rev := write(t, stores[0], 1)
	leader := leaderOf(t, stores)
	unknown := append(make([]byte, clusterHeader), 99, 1, 2, 3)
	r := leader.published.Load()
	putFrame(&batch{id: batchID{leader.member.raft.CurrentTerm(), 1, 1}, before: r.last, hash: r.hash, entry: unknown}, time.Now())
	if err := leader.member.raft.ApplyLog(raft.Log{Data: unknown}, 0).Error(); err != nil {
		t.Fatal(err)
	}
	// Those who have not heard that it is committed have no majority to hear it from.
	for leader.member.stopped() == nil {
		time.Sleep(time.Millisecond)
	}
	if _, err := leader.Begin(t.Context(), driver.Mode{}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a member that has halted reads: %v", err)
	}
	status, err := leader.ClusterStatus(t.Context())
	if err != nil || status.Role != RoleStopped || status.Failed == "" || driver.Rev(status.Rev) != rev {
		t.Errorf("status of a member that has halted: %+v, %v", status, err)
	}
}
