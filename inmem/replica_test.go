package inmem

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
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
	leader = leaderOf(t, stores)
	rev := write(t, leader, 2)
	if f.id.term == entryOf(t, leader).Term {
		t.Fatal("the term is the same")
	}
	if got, _ := submit(t, leader, next.Data).(error); !errors.Is(got, errRejected) {
		t.Errorf("an entry of an earlier term came to %v", got)
	}
	for _, s := range stores {
		mustHold(t, s, rev)
	}
}
