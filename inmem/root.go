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
	touched []bool // tables written since the last freeze, by Table.ID
}

// thaw returns a state that begins as r.
func thaw(r *root) *state {
	s := &state{root: *r, touched: make([]bool, len(r.tables))}
	s.tables = slices.Clone(r.tables)
	for i := range s.tables {
		s.tables[i].copyTrees()
	}
	return s
}

// freeze returns the state as a root, which later changes of the state leave
// alone.
func (s *state) freeze() *root {
	r := s.root
	r.tables = slices.Clone(s.tables)
	for i := range s.tables {
		if s.touched[i] {
			s.tables[i].copyTrees()
			s.touched[i] = false
		}
	}
	return &r
}

// apply applies a validated commit as the next revision.
func (s *state) apply(p *prepared) driver.Rev {
	s.rev++
	for i := range p.rows {
		pr := &p.rows[i]
		t := &s.tables[pr.write.Table.ID]
		var next *row
		if pr.value != nil {
			next = &row{rev: s.rev, value: pr.value}
		}
		t.write(pr.write.Key, next)
		t.rev = s.rev
		s.touched[t.def.ID] = true
	}
	return s.rev
}
