package inmem

import (
	"slices"

	"trihold/repo/driver"
)

// A root is one state of the store. A published root is immutable.
type root struct {
	rev    driver.Rev
	index  uint64  // of the journal entry that it includes last
	tables []table // by Table.ID
}

func newRoot(s *driver.Schema) *root {
	r := &root{tables: make([]table, len(s.Tables))}
	for i, def := range s.Tables {
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
	return s.rev
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
