package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/bench/fault/history"
)

// facts are what the evidence says directly.
type facts struct {
	ops     map[int64]*history.Op // by ID
	inFirst map[int64]bool        // the IDs in the first node's ledger
	inAny   map[int64]bool        // the IDs in any node's ledger or change stream

	order []history.Change // the longest change stream
	revs  map[int64]int64  // the revision of each operation in it
}

func newFacts(e *Evidence) *facts {
	f := &facts{ops: make(map[int64]*history.Op, len(e.History.Ops)), inFirst: map[int64]bool{}, inAny: map[int64]bool{}, revs: map[int64]int64{}}
	for i := range e.History.Ops {
		o := &e.History.Ops[i]
		f.ops[o.ID] = o
	}
	for i, final := range e.Finals {
		for _, row := range final.Ledger {
			f.inAny[row.ID] = true
			f.inFirst[row.ID] = f.inFirst[row.ID] || i == 0
		}
		for _, c := range final.Changes {
			for _, id := range ledgerKeys(c) {
				f.inAny[id] = true
			}
		}
	}
	f.order = e.longestStream()
	for _, c := range f.order {
		for _, id := range ledgerKeys(c) {
			f.revs[id] = c.Rev
		}
	}
	return f
}

// longestStream returns the change stream of the node that tells the most, and then
// what others tell that were read later.
func (e *Evidence) longestStream() []history.Change {
	var all []history.Change
	for _, f := range e.Finals {
		if len(f.Changes) > len(all) {
			all = slices.Clip(f.Changes)
		}
	}
	for _, f := range e.Finals {
		for _, c := range f.Changes {
			if len(all) > 0 && c.Rev > all[len(all)-1].Rev {
				all = append(all, c)
			}
		}
	}
	return all
}

// tookEffect reports whether an operation changed something: it was acknowledged,
// or it is one of unknown outcome that is on record.
func (f *facts) tookEffect(o *history.Op) bool {
	return acked(o) || o.Outcome == history.Unknown && o.Wrote() && f.inAny[o.ID]
}

// acked reports whether an operation was acknowledged as written.
func acked(o *history.Op) bool { return o.Outcome == history.OK && o.Wrote() }

// ledgerKeys returns the operations that a change says it belongs to.
func ledgerKeys(c history.Change) []int64 {
	var ids []int64
	for _, k := range c.Keys {
		if k.Table == history.TableLedger {
			ids = append(ids, k.Key)
		}
	}
	return ids
}

// describe names an operation in a finding.
func describe(o *history.Op) string {
	what := ""
	switch o.Kind {
	case history.Read:
		what = fmt.Sprintf("read register %d", o.Key)
	case history.Write:
		what = fmt.Sprintf("write %d to register %d", o.Value, o.Key)
	case history.CAS:
		what = fmt.Sprintf("change register %d from %d to %d", o.Key, o.Expect, o.Value)
	case history.Transfer:
		what = fmt.Sprintf("transfer %d from account %d to %d", o.Value, o.Key, o.Other)
	case history.Audit:
		what = "audit"
	case history.Lists:
		var steps []string
		for _, s := range o.Steps {
			if s.Append != 0 {
				steps = append(steps, fmt.Sprintf("append %d to list %d", s.Append, s.List))
			} else {
				steps = append(steps, fmt.Sprintf("read list %d", s.List))
			}
		}
		what = strings.Join(steps, ", ")
	case history.Claim:
		what = "claim " + o.Name
	case history.Move:
		what = fmt.Sprintf("move item %d to group %d", o.Key, o.Value)
	case history.Group:
		what = fmt.Sprintf("read group %d", o.Value)
	default:
		what = string(o.Kind)
	}
	return fmt.Sprintf("op %d (%s)", o.ID, what)
}

// at writes a time of the run.
func at(d time.Duration) string {
	if d == history.Never {
		return "never"
	}
	return d.Round(time.Microsecond).String()
}
