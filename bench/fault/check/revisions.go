package check

import (
	"cmp"
	"fmt"
	"slices"

	"trihold/bench/fault/history"
)

// revisions checks that the revisions which the store tells are an order of all
// operations that agrees with time, and that every answer is the one that
// running them in this order gives.
func revisions(t *trial) {
	if len(t.finals()) == 0 {
		return
	}
	for _, f := range t.evidence.Finals {
		s := &stream{trial: t, final: f}
		s.revisions()
		t.sameRevisions(f)
	}
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if _, _, ok := t.revOf(o); !ok && acked(o) {
			t.illegal("%s was acknowledged and has no revision", describe(o))
		} else if ok {
			t.verdict.Ops++
		}
	}
	t.replay()
	t.realTime()
}

// sameRevisions checks that a node gives each operation one revision, and the same
// as other nodes do.
func (t *trial) sameRevisions(f *history.Final) {
	given := map[int64]bool{}
	for _, c := range f.Changes {
		for _, id := range ledgerKeys(c) {
			rev, ok := t.facts.revs[id]
			switch {
			case given[id]:
				t.illegal("op %d has revision %d on %s, and another one besides", id, c.Rev, f.Node)
			case ok && rev != c.Rev:
				t.illegal("op %d has revision %d on %s, and %d elsewhere", id, c.Rev, f.Node, rev)
			case !ok && c.Rev >= t.facts.order[0].Rev:
				t.illegal("op %d has revision %d on %s, and none elsewhere", id, c.Rev, f.Node)
			}
			given[id] = true
		}
	}
}

// revOf returns the revision of the commit of an operation, or of the state that
// it read; wrote tells which.
func (t *trial) revOf(o *history.Op) (rev int64, wrote, ok bool) {
	switch {
	case t.facts.tookEffect(o):
		rev, ok = t.facts.revs[o.ID]
		return rev, true, ok
	case o.Outcome == history.OK && (o.Rev != 0 || o.Kind != history.Claim):
		return o.Rev, false, true
	}
	return 0, false, false
}

// realTime checks that what ended before something else began has the lower
// revision. Reads may share one with each other and with the write before them.
func (t *trial) realTime() {
	var begins, ends []*history.Op
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if _, _, ok := t.revOf(o); ok {
			begins = append(begins, o)
			if o.Outcome == history.OK {
				ends = append(ends, o)
			}
		}
	}
	slices.SortStableFunc(begins, func(a, b *history.Op) int { return cmp.Compare(a.Begin, b.Begin) })
	slices.SortStableFunc(ends, func(a, b *history.Op) int { return cmp.Compare(a.End, b.End) })
	var highest *history.Op // of those that have ended
	var high int64
	for _, o := range begins {
		for len(ends) > 0 && ends[0].End < o.Begin {
			if rev, _, _ := t.revOf(ends[0]); highest == nil || rev > high {
				highest, high = ends[0], rev
			}
			ends = ends[1:]
		}
		rev, wrote, _ := t.revOf(o)
		if highest != nil && (rev < high || wrote && rev == high) {
			t.illegal("%s has revision %d, and began after %s ended, which has revision %d", describe(o), rev, describe(highest), high)
		}
	}
}

// A look is something that was seen at a revision: by an operation that wrote
// nothing, or as the final content of a node.
type look struct {
	rev   int64
	op    *history.Op
	final *history.Final
}

// replay runs all operations in the order of their revisions, and compares what was
// seen with the states in between.
func (t *trial) replay() {
	looks := t.looks()
	s := newState(t.setup)
	ready := t.ready()
	last := ready
	see := func(before int64) {
		for ; len(looks) > 0 && looks[0].rev < before; looks = looks[1:] {
			if l := looks[0]; l.rev < ready {
				t.illegal("%s is of revision %d, before the setup was done", l, l.rev)
			} else if diff := s.look(l); diff != "" {
				t.illegal("%s is of revision %d: %s", l, l.rev, diff)
			}
		}
	}
	for _, c := range t.facts.order {
		see(c.Rev)
		last = max(last, c.Rev)
		for _, id := range ledgerKeys(c) {
			o := t.facts.ops[id]
			if o == nil || !o.Wrote() || o.Outcome == history.Failed || t.facts.revs[id] != c.Rev {
				t.illegal("revision %d is said to be of op %d, which cannot have it", c.Rev, id)
				continue
			}
			if o.Outcome == history.OK {
				if diff := s.compare(o); diff != "" {
					t.illegal("%s has revision %d: %s", describe(o), c.Rev, diff)
				}
			}
			if impossible := s.apply(o); impossible != "" {
				t.illegal("%s has revision %d, and could not have taken effect: %s", describe(o), c.Rev, impossible)
			}
		}
	}
	see(last + 1)
	for _, l := range looks {
		if t.evidence.GapsAllowed {
			see(l.rev + 1)
		} else {
			t.illegal("%s is of revision %d, the last one is %d", l, l.rev, last)
		}
	}
	t.refusedClaims()
}

// ready returns the first revision at which the setup was done. If a stream begins
// later, then all that it tells is later.
func (t *trial) ready() int64 {
	ready := t.evidence.Finals[0].ChangesAfter
	for _, f := range t.evidence.Finals {
		ready = min(ready, f.ChangesAfter)
	}
	for _, c := range t.facts.order {
		if len(ledgerKeys(c)) > 0 {
			break
		}
		if len(c.Keys) > 0 {
			ready = max(ready, c.Rev)
		}
	}
	return ready
}

// looks returns what was seen, by revision.
func (t *trial) looks() []look {
	var looks []look
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if rev, wrote, ok := t.revOf(o); ok && !wrote {
			looks = append(looks, look{rev: rev, op: o})
		}
	}
	for _, f := range t.evidence.Finals {
		looks = append(looks, look{rev: f.Rev, final: f})
	}
	slices.SortStableFunc(looks, func(a, b look) int { return cmp.Compare(a.rev, b.rev) })
	return looks
}

func (l look) String() string {
	if l.final != nil {
		return fmt.Sprintf("the final content of %s", l.final.Node)
	}
	return describe(l.op)
}

// look returns how what was seen differs from the state, or "".
func (s *state) look(l look) string {
	if l.op != nil {
		return s.compare(l.op)
	}
	// The indices are the business of the checker of that name.
	rows := *l.final
	rows.ClaimsByName, rows.ItemsByGroup, rows.LedgerByClient = nil, nil, nil
	if diff := contentDiff(s.content(), &rows); diff != "" {
		return "by the changes and as it reads, " + diff
	}
	return ""
}

// refusedClaims checks the claims that the store itself refused, because the name
// was taken, and that read nothing. The holder must have begun before they ended.
func (t *trial) refusedClaims() {
	holders := map[string]*history.Op{}
	for i := range t.evidence.History.Ops {
		if o := &t.evidence.History.Ops[i]; o.Kind == history.Claim && t.facts.tookEffect(o) {
			holders[o.Name] = o
		}
	}
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if o.Kind != history.Claim || !o.Refused || o.Rev != 0 || o.Outcome != history.OK {
			continue
		}
		t.verdict.Ops++
		if h := holders[o.Name]; h == nil || h.Begin > o.End {
			t.illegal("%s was refused, and nobody had the name", describe(o))
		}
	}
}
