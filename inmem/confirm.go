package inmem

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// A leader that was paused or cut off does not know that another one has taken its
// place. Before it answers a read it asks the voters which term they are in: if a
// majority, itself included, are in no later term at a moment after the read began, then
// no leader of a later term had been elected at the time when it began, because such an
// election leaves a majority in the later term, and two majorities have a member in
// common. (This is ReadIndex of Ongaro's thesis, 6.4.)
//
// Raft's own VerifyLeader is not enough. It counts any answer to a heartbeat that
// arrives after it was called, also to one that was sent before: after a pause such
// answers wait in the socket, and confirm a leader that has long been replaced. And it
// counts members without a vote.

// A ballot is one question to the voters.
type ballot struct {
	term  uint64
	votes chan bool // holds one for each voter that is asked
}

// confirmers ask the other voters. Each voter is asked one question at a time, so one
// that does not answer is not asked more and more. It belongs to verify, of which one
// call runs at a time.
type confirmers struct {
	byID map[string]chan question // each holds one: what to ask the voter next
}

// A question is what to ask one voter.
type question struct {
	to port.Target
	*ballot
}

// verify returns the term in which this node led at a moment after verify was called.
func (m *member) verify() (uint64, error) {
	term := m.raft.CurrentTerm()
	if m.raft.State() != raft.Leader {
		return 0, errNotLeading
	}
	servers := m.servers()
	b := &ballot{term: term, votes: make(chan bool, len(servers))}
	voters, asked, have := 0, 0, 0
	for _, s := range servers {
		switch {
		case s.Suffrage != raft.Voter:
			continue
		case string(s.ID) == m.identity().id():
			have++
		default:
			asked++
			m.askVoter(question{port.Target{Address: string(s.Address), ID: string(s.ID)}, b})
		}
		voters++
	}
	timeout := time.NewTimer(m.c.Election)
	defer timeout.Stop()
	for have <= voters/2 {
		if asked == 0 {
			return 0, fmt.Errorf("%w: a majority does not confirm it", errNotLeading)
		}
		select {
		case yes := <-b.votes:
			asked--
			if yes {
				have++
			}
		case <-timeout.C:
			return 0, fmt.Errorf("%w: a majority does not answer", errNotLeading)
		case <-m.life.Done():
			return 0, context.Cause(m.life)
		}
	}
	return term, nil
}

// askVoter puts a question to a voter, in the place of one that it has not been asked yet.
func (m *member) askVoter(q question) {
	c := &m.confirming
	next := c.byID[q.to.ID]
	if next == nil {
		if c.byID == nil {
			c.byID = map[string]chan question{}
		}
		next = make(chan question, 1)
		c.byID[q.to.ID] = next
		go m.confirm(next) // nobody waits for it: it holds nothing
	}
	select {
	case <-next:
	default:
	}
	next <- q
}

// confirm asks one voter, as long as the member lives. A voter that is gone is the port's
// to find out.
func (m *member) confirm(questions <-chan question) {
	for {
		select {
		case q := <-questions:
			answer, err := m.port.Call(m.life, q.to, methodConfirm, binary.LittleEndian.AppendUint64(nil, q.term))
			q.votes <- err == nil && len(answer) == 1 && answer[0] == 1
		case <-m.life.Done():
			return
		}
	}
}

// serveConfirm answers whether this node is in no later term. Raft makes a term durable
// before it votes in it.
func (m *member) serveConfirm(payload []byte) ([]byte, error) {
	if len(payload) != 8 {
		return nil, driver.Failed("confirm", driver.ErrInvalid, fmt.Errorf("a term of %d bytes", len(payload)))
	}
	return []byte{flag(max(m.raft.CurrentTerm(), m.files.state.Term()) <= binary.LittleEndian.Uint64(payload))}, nil
}
