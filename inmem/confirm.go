package inmem

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

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
// that does not answer is not asked more and more.
type confirmers struct {
	mu   sync.Mutex
	byID map[string]*confirmer // guarded by mu
}

// A confirmer asks one voter.
type confirmer struct {
	next *ballot // guarded by confirmers.mu: what to ask next
	busy bool    // guarded by confirmers.mu: a goroutine asks
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
			m.confirming.ask(m, port.Target{Address: string(s.Address), ID: string(s.ID)}, b)
		}
		voters++
	}
	ctx, cancel := context.WithTimeout(m.life, m.c.Election)
	defer cancel()
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
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: a majority does not answer: %w", errNotLeading, context.Cause(ctx))
		}
	}
	return term, nil
}

// ask puts a question to a voter, in the place of one that it has not been asked yet.
func (c *confirmers) ask(m *member, to port.Target, b *ballot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[string]*confirmer{}
	}
	k := c.byID[to.ID]
	if k == nil {
		k = &confirmer{}
		c.byID[to.ID] = k
	}
	k.next = b
	if !k.busy {
		k.busy = true
		go c.run(m, to, k)
	}
}

// run asks one voter until there is nothing to ask.
func (c *confirmers) run(m *member, to port.Target, k *confirmer) {
	for {
		c.mu.Lock()
		b := k.next
		k.next = nil
		k.busy = b != nil
		c.mu.Unlock()
		if b == nil {
			return
		}
		ctx, cancel := context.WithTimeout(m.life, m.c.Election)
		answer, err := m.port.Call(ctx, to, methodConfirm, binary.LittleEndian.AppendUint64(nil, b.term))
		cancel()
		b.votes <- err == nil && len(answer) == 1 && answer[0] == 1
	}
}

// serveConfirm answers whether this node is in no later term. Raft makes a term durable and
// known before it votes in it.
func (m *member) serveConfirm(payload []byte) ([]byte, error) {
	if len(payload) != 8 {
		return nil, driver.Failed("confirm", driver.ErrInvalid, fmt.Errorf("a term of %d bytes", len(payload)))
	}
	return []byte{flag(m.raft.CurrentTerm() <= binary.LittleEndian.Uint64(payload))}, nil
}
