package inmem

import (
	"errors"

	"github.com/hashicorp/raft"
)

// heartbeats is Raft's transport, which shows heartbeats to Raft only where they change
// nothing.
//
// Raft answers heartbeats beside its main goroutine, so that a slow disk does not look
// like a dead node. There a heartbeat can also make a candidate a follower of the
// heartbeat's term, and if the main goroutine is just voting in the next one, the term
// goes back behind a vote (as of v1.8.0). This happens when a process goes on after a
// pause. So a heartbeat is for a follower of its own term; to any other node the leader
// sends what it sends a few milliseconds later, which comes to the main goroutine.
type heartbeats struct {
	*raft.NetworkTransport
	m *member
}

// errHeartbeat is what a leader hears of a heartbeat that is for nobody.
var errHeartbeat = errors.New("no follower in the term of the heartbeat")

// SetHeartbeatHandler implements raft.Transport.
func (h heartbeats) SetHeartbeatHandler(handle func(raft.RPC)) {
	h.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		r := h.m.engine.Load() // nil while Raft starts
		beat, ok := rpc.Command.(*raft.AppendEntriesRequest)
		if r == nil || !ok || r.State() != raft.Follower || beat.Term != r.CurrentTerm() {
			rpc.Respond(&raft.AppendEntriesResponse{}, errHeartbeat)
			return
		}
		handle(rpc)
	})
}
