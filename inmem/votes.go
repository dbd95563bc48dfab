package inmem

import (
	"fmt"

	"github.com/hashicorp/raft"

	"trihold/inmem/raftstore"
)

// votes is the hard state of Raft, in a node that must survive the failure of its disk.
// Raft panics when it cannot store a term, which would take the whole program with it,
// so a failed write ends the node's part in the cluster and does not return: nothing
// may go on that believes in it. The goroutine that waits is Raft's own; there is one.
type votes struct {
	*raftstore.State
	m *member
}

var _ raft.StableStore = votes{}

// Set implements raft.StableStore.
func (v votes) Set(key, value []byte) error {
	v.must(v.State.Set(key, value))
	return nil
}

// SetUint64 implements raft.StableStore.
func (v votes) SetUint64(key []byte, value uint64) error {
	v.must(v.State.SetUint64(key, value))
	return nil
}

func (v votes) must(err error) {
	if err != nil {
		v.m.fail(fmt.Errorf("write the hard state: %w", err))
		select {}
	}
}
