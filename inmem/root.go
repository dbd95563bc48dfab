package inmem

import (
	"slices"

	"trihold/repo/driver"
)

// A root is one state of the store. A published root is immutable.
type root struct {
	rev    driver.Rev
	index  uint64        // of the journal entry that it includes last
	tables []table       // by Table.ID
	fence  *driver.Fence // what the fence row of the state says; nil if there is none
	// loaded is the revision after the last load. A load may change what there is
	// without raising the revision, so what was read at this one or before may
	// have been read before the load, whatever the revisions of the tables say.
	loaded driver.Rev

	// What the members of a cluster agree on besides the rows; zero in the store
	// of a single node.
	last   batchID // of the batch that it includes last
	hash   uint64  // of the state; see hash.go
	format uint32  // of the entries that the leader may write
	time   int64   // of the leader at the last batch, in microseconds since 1970
}

func newRoot(s *driver.Schema) *root {
	stored := s.Stored()
	r := &root{tables: make([]table, len(stored))}
	for i, def := range stored {
		r.tables[i] = newTable(def)
	}
	return r
}

// A state is what the committer works on: the published root and everything
// that was accepted since. It is owned by the committer.
type state struct {
	root
	// touched are the tables, by Table.ID, whose trees are the state's own. The
	// others share theirs with the last root that was frozen.
	touched []bool
}

// thaw returns a state that begins as r.
func thaw(r *root) *state {
	s := &state{root: *r, touched: make([]bool, len(r.tables))}
	s.tables = slices.Clone(r.tables)
	return s
}

// freeze returns the state as a root, which later changes of the state leave
// alone.
func (s *state) freeze() *root {
	s.hash = s.stateHash()
	r := s.root
	r.tables = slices.Clone(s.tables)
	clear(s.touched)
	return &r
}

// apply applies a validated commit as the next revision.
func (s *state) apply(p *prepared) driver.Rev {
	s.rev++
	for i := range p.rows {
		pr := &p.rows[i]
		t := s.touch(pr.write.Table.ID)
		var next *row
		if pr.value != nil {
			next = &row{rev: s.rev, value: pr.value}
		}
		t.write(pr.write.Key, next)
		t.rev = s.rev
	}
	s.setFence(p)
	return s.rev
}

// setFence does to the fence what a commit does to its row.
func (s *state) setFence(p *prepared) {
	if p.fences {
		s.fence = p.fence
	}
}

// closed reports whether a fence has closed the store.
func (r *root) closed() bool { return r.fence != nil && r.fence.Closed }

// findFence sets the fence from its row.
func (r *root) findFence(s *driver.Schema) error {
	found := r.tables[s.State.ID].get(driver.StateKey(driver.FenceRow))
	if found == nil {
		return nil
	}
	r.fence = &driver.Fence{}
	return s.DecodeState(s.State.Encode(nil, found.value), r.fence)
}

// touch returns a table to write to, with trees that no root shares.
func (s *state) touch(id int) *table {
	t := &s.tables[id]
	if !s.touched[id] {
		t.copyTrees()
		s.touched[id] = true
	}
	return t
}
