package check

import (
	"fmt"
	"strings"
	"time"

	"trihold/bench/fault/history"
)

// facts are what the evidence says directly.
type facts struct {
	ops     map[int64]*history.Op // by ID
	inFirst map[int64]bool        // the IDs in the first node's ledger
	inAny   map[int64]bool        // the IDs in any node's ledger or change stream

	stream *history.Final   // the node with the longest change stream, or nil
	revs   map[int64]int64  // the revision of each operation, by stream
	order  []history.Change // the changes of stream
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
		if f.stream == nil || len(final.Changes) > len(f.stream.Changes) {
			f.stream = final
		}
	}
	if f.stream != nil {
		f.order = f.stream.Changes
	}
	for _, c := range f.order {
		for _, id := range ledgerKeys(c) {
			f.revs[id] = c.Rev
		}
	}
	return f
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
