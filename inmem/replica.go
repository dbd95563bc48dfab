package inmem

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"trihold/repo/driver"
)

// A replica applies the committed entries of the Raft log: it is the state machine of a
// member. Every replica decides alike whether an entry takes effect, from the entry and
// from the state before it alone.
//
// Raft calls Apply, Snapshot and Restore from one goroutine, which alone publishes roots
// of a member.
type replica struct {
	store *Store
	m     *member

	mu   sync.Mutex
	ours []*batch // guarded by mu: submitted by this node, oldest first

	// unrestored is why the last snapshot could not be restored. Raft does not pass it on.
	unrestored error
}

var (
	_ raft.FSM         = (*replica)(nil)
	_ raft.BatchingFSM = (*replica)(nil)
	// That it is one too makes Raft show it the entries about members, which count for its
	// progress.
	_ raft.ConfigurationStore = (*replica)(nil)
)

// StoreConfiguration implements raft.ConfigurationStore. Raft knows the members itself.
func (r *replica) StoreConfiguration(uint64, raft.Configuration) {}

// errRejected is what an entry comes to that rests on another state than the one it
// met: it was made by a leader that had been replaced. It has no effect anywhere.
var errRejected = errors.New("the batch rests on one that did not happen")

// expect tells that a batch of this node is about to be submitted.
func (r *replica) expect(b *batch) {
	r.mu.Lock()
	r.ours = append(r.ours, b)
	r.mu.Unlock()
}

// own returns the batch with an ID if it was made here. Batches before it, and all of
// them if it was not, did not happen: they do not rest on what is being applied.
func (r *replica) own(id batchID) *batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.ours) > 0 {
		b := r.ours[0]
		r.ours = r.ours[1:]
		if b.id == id {
			return b
		}
	}
	return nil
}

// Apply implements raft.FSM.
func (r *replica) Apply(l *raft.Log) any { return r.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. What it returns for an entry is nil, or an
// error if the entry had no effect.
func (r *replica) ApplyBatch(logs []*raft.Log) []any {
	results := make([]any, len(logs))
	a := applying{r: r}
	for i, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		// Once a node does not know what an entry means, it must not go on to the next.
		err := r.m.stopped()
		if err == nil {
			err = a.apply(l)
		}
		if err != nil {
			results[i] = err
		}
	}
	a.publish()
	if r.m.stopped() == nil {
		r.m.progress.reached(logs[len(logs)-1].Index)
	}
	return results
}

// An applying is a run of entries that are published together.
type applying struct {
	r       *replica
	work    *state // nil if there is nothing to publish
	changes []driver.Change
}

// apply applies one entry.
func (a *applying) apply(l *raft.Log) error {
	f, err := decodeFrame(l.Data)
	if err != nil {
		return a.halt(l, err)
	}
	before := a.before()
	if f.id.term != l.Term || f.before != before.last {
		return errRejected
	}
	if f.hash != before.hash {
		return a.quarantine(l, fmt.Errorf("its hash is %016x, the leader's is %016x", before.hash, f.hash))
	}
	a.r.m.logged.Add(int64(len(l.Data)))
	if b := a.r.own(f.id); b != nil {
		a.publish()
		b.root.index, b.root.time = l.Index, f.time
		a.r.store.publish(b)
		a.r.m.freshen(b.submitted) // its place in the log proves that this node led then
		b.answer(nil)
		return nil
	}
	if a.work == nil {
		a.work = thaw(a.r.store.published.Load())
	}
	if format, raised := decodeRaise(f.entry); raised {
		a.work.format, err = format, a.r.m.reads(format)
	} else {
		err = replay(a.r.store.schema, a.work, f.entry, func(c driver.Change) { a.changes = append(a.changes, c) })
	}
	if err != nil {
		return a.halt(l, err)
	}
	a.work.last, a.work.index, a.work.time, a.work.hash = f.id, l.Index, f.time, a.work.stateHash()
	return nil
}

// before returns the state that the next entry meets.
func (a *applying) before() *root {
	if a.work != nil {
		return &a.work.root
	}
	return a.r.store.published.Load()
}

// publish shows what was applied.
func (a *applying) publish() {
	if a.work == nil {
		return
	}
	s := a.r.store
	s.publish(&batch{root: a.work.freeze(), changes: a.changes})
	a.work, a.changes = nil, nil
}

// halt ends this node's part in the cluster at an entry that it cannot apply: to skip it
// would make its state another one than that of its peers.
func (a *applying) halt(l *raft.Log, err error) error {
	err = fmt.Errorf("apply entry %d: %w", l.Index, err)
	a.r.m.fail(err)
	return err
}

// quarantine ends this node's part in the cluster because its state is not that of the
// leader.
func (a *applying) quarantine(l *raft.Log, err error) error {
	err = fmt.Errorf("before entry %d the state of this node differs from its leader's: %w: %w; open it again, and it joins anew, empty", l.Index, driver.ErrCorrupt, err)
	a.r.m.quarantine(err)
	return err
}

// remedyRejoin is what to do about a member whose files or state are not to be believed.
const remedyRejoin = "take its directory away and let the node join again, empty, with join=ADDRESS of another member"

// Snapshot implements raft.FSM.
func (r *replica) Snapshot() (raft.FSMSnapshot, error) {
	if err := r.m.stopped(); err != nil {
		return nil, err
	}
	r.m.logged.Store(0)
	return frozen{r, r.store.published.Load()}, nil
}

// Restore implements raft.FSM.
func (r *replica) Restore(from io.ReadCloser) error {
	restored, changes, err := readBody(from, r.m.identity().cluster, r.store.schema, r.store.c.Unsafe.SkipChecksums)
	if err == nil {
		err = r.m.reads(restored.format)
	}
	if r.unrestored = err; err != nil {
		err = fmt.Errorf("restore snapshot: %w", err)
		if errors.Is(err, driver.ErrInvalid) && r.m.engine.Load() != nil {
			r.m.fail(err) // the leader would send it again and again, and it would be no better
		}
		return err
	}
	r.own(batchID{}) // none of this node's batches can happen any more
	r.m.logged.Store(0)
	r.m.newest.Store(&root{rev: restored.rev, index: restored.index, time: restored.time})
	r.store.recent.replace(changes)
	r.store.published.Store(restored)
	r.store.recent.published()
	r.m.progress.reached(restored.index)
	return nil
}

// A frozen is a root that is being written to a snapshot.
type frozen struct {
	r    *replica
	root *root
}

// Persist implements raft.FSMSnapshot.
func (f frozen) Persist(sink raft.SnapshotSink) error {
	if err := writeBody(sink, f.r.m.identity().cluster, f.root, f.r.store.recent); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	f.r.m.newest.Store(&root{rev: f.root.rev, index: f.root.index, time: f.root.time})
	return nil
}

// Release implements raft.FSMSnapshot.
func (f frozen) Release() {}
