// Package raftstore keeps on files what Raft must not forget: its log, its hard state
// and its snapshots. What is damaged is found, and never served.
//
// # The nouns
//
// A [Log] is a raft.LogStore on [trihold/internal/wal]: the index of an entry is its
// index there, and StoreLogs is one write and one sync. A [State] is a
// raft.StableStore: the term and the vote, in two copies. [Snapshots] is a
// raft.SnapshotStore that shows only files that were read back.
//
// # Basics
//
//	state, err := raftstore.OpenState(raftstore.StateConfig{FS: disk, Name: ..., Dir: id})
//	log, torn, err := raftstore.OpenLog(raftstore.LogConfig{WAL: ..., Newest: newest})
//	snapshots, err := raftstore.OpenSnapshots(raftstore.SnapshotConfig{...})
//	... log.LastTerm() must not be above state.Term() ...
//	passed, err := snapshots.Check(log.Range())
//	log.Retain(snapshots.OldestIndex() + 1)
//	r, err := raft.NewRaft(config, fsm, log, state, snapshots, transport)
//
// # Entries
//
// The payload of a log entry, in its format 1; numbers are little endian:
//
//	 0  format, 1 byte
//	 1  type of the Raft entry, 1 byte
//	 2  when the leader appended it, in microseconds since 1970, 8 bytes; the lowest
//	    number if that is not known
//	10  term, uvarint; length of the extensions, uvarint; the extensions
//	    the data, up to the end
//
// The hard state is described at its two copies, snapshots at the prelude.
//
// # What is checked together
//
// A log whose last term is above that of the state means that the state is an old copy:
// the node may have voted and forgotten it. A log that does not reach back to the
// snapshot, or ends before what a damaged one included, has lost entries. Terms in the
// log never fall.
//
// # What Raft makes of errors
//
// After a failed write or sync every later write fails, and LogConfig.OnFail is called:
// the node must leave. Where there is no space nothing was written and a later write
// may succeed, but not after entries were taken back: Raft has then forgotten where its
// log ends. Raft panics if it cannot read an entry, or store a term; so what was
// stored before a failure can still be read.
//
// # Caveats
//
// Raft removes all of a log in two cases that look the same. When it has taken a
// snapshot of the last entry, what is retained stays. When it has installed one of
// another history, nothing does; LogConfig.Newest tells them apart. After
// raft.RecoverCluster nothing must stay either: call Retain with the highest number
// before.
//
// A log and a state that go back to old copies together, with the snapshots, cannot be
// told from a node that was away. A copied directory must not be started as the node
// that it was copied from.
package raftstore
