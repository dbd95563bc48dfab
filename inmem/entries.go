package inmem

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"trihold/inmem/raftstore"
)

const (
	// heldEntries and heldBytes bound the latest entries of the log that are kept in
	// memory, for followers that are a little behind. One commit may have 8 MiB.
	heldEntries = 512
	heldBytes   = 32 << 20
)

// entries is the log as Raft sees it, with the latest entries in memory. (raft.LogCache
// knows no bound in bytes, and hides what an error is.)
//
// Raft panics when it cannot read an entry that is committed, which would take the whole
// program with it, so an entry that cannot be read ends the node's part in the cluster,
// and who asked for it is not answered: see votes.
type entries struct {
	*raftstore.Log
	m *member

	mu    sync.RWMutex
	held  []*raft.Log // guarded by mu: without gaps, up to the last one
	bytes int         // guarded by mu: of their data
}

var (
	_ raft.LogStore          = (*entries)(nil)
	_ raft.MonotonicLogStore = (*entries)(nil)
)

// GetLog implements raft.LogStore.
func (e *entries) GetLog(index uint64, l *raft.Log) error {
	if found := e.find(index); found != nil {
		*l = *found
		return nil
	}
	err := e.Log.GetLog(index, l)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || e.m.engine.Load() == nil { // Raft starts, and says why it does not
		return err
	}
	e.m.fail(fmt.Errorf("read the log: %w", err))
	select {}
}

// find returns an entry that is in memory.
func (e *entries) find(index uint64) *raft.Log {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.held) == 0 || index < e.held[0].Index || index-e.held[0].Index >= uint64(len(e.held)) {
		return nil
	}
	return e.held[index-e.held[0].Index]
}

// StoreLog implements raft.LogStore.
func (e *entries) StoreLog(l *raft.Log) error { return e.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (e *entries) StoreLogs(logs []*raft.Log) error {
	if err := e.Log.StoreLogs(logs); err != nil {
		return err
	}
	e.keep(logs)
	return nil
}

// keep holds entries that were stored, and lets go of the oldest.
func (e *entries) keep(logs []*raft.Log) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range logs {
		if n := len(e.held); n > 0 && e.held[n-1].Index+1 != l.Index {
			e.forget()
		}
		e.held = append(e.held, l)
		e.bytes += len(l.Data)
	}
	for len(e.held) > heldEntries || e.bytes > heldBytes {
		e.bytes -= len(e.held[0].Data)
		e.held[0] = nil
		e.held = e.held[1:]
	}
}

// DeleteRange implements raft.LogStore.
func (e *entries) DeleteRange(from, to uint64) error {
	e.mu.Lock()
	e.forget()
	e.mu.Unlock()
	return e.Log.DeleteRange(from, to)
}

// forget lets go of what is in memory. The caller holds mu.
func (e *entries) forget() { e.held, e.bytes = nil, 0 }
