package check

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"trihold/bench/fault/history"
)

const (
	linearTime   = 10 * time.Second
	linearMemory = 256 << 20 // of the states that one search remembers
)

// linear checks that each register is linearisable: that its operations have an
// order in which each could happen at one moment between its begin and its end.
// It uses no revision and no index. Registers are checked one after the other.
func linear(t *trial) {
	if len(t.finals()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, linearTime)
	defer cancel()
	parts := map[int64][]access{}
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		switch o.Kind {
		case history.Read, history.Write, history.CAS:
		default:
			continue
		}
		if o.Kind == history.Write && o.Refused {
			continue
		} else if o.Outcome == history.OK && o.Kind != history.Write && len(o.Saw) != 1 {
			t.illegal("%s saw %d values", describe(o), len(o.Saw))
		} else if o.Outcome == history.OK || t.facts.tookEffect(o) {
			parts[o.Key] = append(parts[o.Key], access{op: o, end: o.End})
		}
	}
	for key := range t.evidence.Finals[0].Registers {
		if parts[key] == nil {
			parts[key] = []access{} // what nobody wrote must not be there either
		}
	}
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		r := &register{key: key, all: t.withFinal(key, parts[key])}
		r.narrow()
		t.verdict.Ops += len(r.all)
		switch r.search(ctx, r.all) {
		case Illegal:
			t.illegal("register %d: %s", key, r.reason(ctx))
		case Unknown:
			t.unproved("register %d: no order of its %d operations was found in the time and memory there is", key, len(r.all))
		}
	}
}

// withFinal adds what the register holds in the end, as a read after everything
// that is in the ledger.
func (t *trial) withFinal(key int64, all []access) []access {
	var last time.Duration
	for _, a := range all {
		last = max(last, a.op.Begin)
		if a.end != history.Never {
			last = max(last, a.end)
		}
	}
	for i, a := range all {
		if a.op.Outcome == history.Unknown && t.facts.inFirst[a.op.ID] {
			all[i].end = last
		}
	}
	value := t.evidence.Finals[0].Registers[key] // digests compares the other nodes
	o := &history.Op{Kind: history.Read, Key: key, Begin: last + 1, End: last + 2, Outcome: history.OK, Saw: []int64{value}}
	return append(all, access{op: o, end: o.End})
}

// A register is the check of one register.
type register struct {
	key int64
	all []access
}

// An access is an operation on a register.
type access struct {
	op  *history.Op
	end time.Duration // the op's, or earlier if it must have taken effect by then
	// optional is set for one that may have had no effect.
	optional bool
}

// narrow makes the search shorter without changing its result. A write of unknown
// outcome must have taken effect by the time its value was first seen. One whose
// value was never seen can have had its moment just before any later write, or after
// everything if it is not in the final ledger; so if there is a later write, it is
// left out. Otherwise each of them would double the work.
func (r *register) narrow() {
	seen := map[int64]time.Duration{} // the value of a write, to the end of the first that saw it
	writes := map[int64]int{}
	saw := func(value int64, end time.Duration) {
		if first, ok := seen[value]; !ok || end < first {
			seen[value] = end
		}
	}
	for _, a := range r.all {
		switch {
		case a.op.Outcome == history.OK && a.op.Kind != history.Write:
			saw(a.op.Saw[0], a.end)
		case a.op.Kind == history.CAS:
			saw(a.op.Expect, a.end)
		}
		if a.op.Wrote() {
			writes[a.op.Value]++
		}
	}
	unseen := func(a access) bool {
		_, ok := seen[a.op.Value]
		return a.op.Outcome == history.Unknown && a.op.Kind == history.Write && !ok
	}
	lastWrite := time.Duration(-1) // the begin of the last write that is kept
	for _, a := range r.all {
		if a.op.Kind == history.Write && !unseen(a) {
			lastWrite = max(lastWrite, a.op.Begin)
		}
	}
	kept := r.all[:0]
	for _, a := range r.all {
		if unseen(a) && (a.op.Begin <= lastWrite || a.end == history.Never) {
			continue
		}
		if first, ok := seen[a.op.Value]; ok && a.op.Outcome == history.Unknown && writes[a.op.Value] == 1 {
			a.end = min(a.end, max(first, a.op.Begin))
		}
		kept = append(kept, a)
	}
	r.all = kept
}

// A budget bounds one search. Once it is used up, no step is possible any more, and
// the search ends soon.
type budget struct {
	ctx   context.Context
	bytes int // left
	step  int // memory of one step that is remembered
	steps int
	spent bool
}

func (b *budget) take(ok bool) bool {
	if b.steps++; b.steps%256 == 0 && b.ctx.Err() != nil {
		b.spent = true
	}
	if ok {
		b.bytes -= b.step
	}
	b.spent = b.spent || b.bytes < 0
	return ok && !b.spent
}

// search looks for an order of the operations.
func (r *register) search(ctx context.Context, all []access) Result {
	if ctx.Err() != nil {
		return Unknown
	}
	// A step is remembered as a set of operations, one bit each, and the value.
	b := &budget{ctx: ctx, bytes: linearMemory, step: len(all)/8 + 160}
	model := porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, _ any) (bool, any) {
			ok, next := input.(*access).step(state.(int64))
			return b.take(ok), next
		},
		Hash: func(state any) uint64 { return uint64(state.(int64)) * 0x9e3779b97f4a7c15 },
	}
	ops := make([]porcupine.Operation, len(all))
	for i := range all {
		ops[i] = porcupine.Operation{Input: &all[i], Call: int64(all[i].op.Begin), Return: int64(all[i].end)}
	}
	switch {
	case porcupine.CheckOperations(model, ops):
		return OK
	case b.spent:
		return Unknown
	}
	return Illegal
}

// step reports whether the operation can happen to a register that holds a value,
// and what it holds then.
func (a *access) step(held int64) (bool, int64) {
	o := a.op
	if o.Outcome == history.OK && o.Kind != history.Write && o.Saw[0] != held && !a.optional {
		return false, held
	}
	switch {
	case o.Kind == history.Read:
		return true, held
	case o.Kind == history.Write:
		return true, o.Value
	case a.optional && held != o.Expect:
		return true, held
	case o.Refused:
		return held != o.Expect, held
	}
	return held == o.Expect, o.Value
}

// reason says which answer is the first that no order explains.
func (r *register) reason(ctx context.Context) string {
	byEnd := slices.Clone(r.all)
	slices.SortStableFunc(byEnd, func(a, b access) int { return cmp.Compare(a.end, b.end) })
	// If a beginning of the history has no order, then no longer one has.
	first := sort.Search(len(byEnd), func(i int) bool { return r.search(ctx, beginning(byEnd, i)) == Illegal })
	if first == len(byEnd) {
		return "its operations have no order"
	}
	a := byEnd[first]
	who := describe(a.op)
	if a.op.ID == 0 {
		who = "the final content"
	}
	if a.op.Kind == history.Write {
		return fmt.Sprintf("%s cannot have happened before its end at %s, for what was seen until then", who, at(a.end))
	}
	value := a.op.Expect
	if a.op.Outcome == history.OK {
		value = a.op.Saw[0]
	}
	return fmt.Sprintf("%s found %d (from %s to %s), %s", who, value, at(a.op.Begin), at(a.end), r.why(a, value))
}

// beginning returns the history as it was known when an operation had ended. Those
// that were under way then may have had their effect or not.
func beginning(byEnd []access, last int) []access {
	all := slices.Clone(byEnd[:last+1])
	for _, a := range byEnd[last+1:] {
		if a.op.Begin <= byEnd[last].end && a.op.Wrote() {
			all = append(all, access{op: a.op, end: history.Never, optional: true})
		}
	}
	return all
}

// why says, if it is simple, why a register could not have held a value.
func (r *register) why(reader access, value int64) string {
	var writer *access
	for i, a := range r.all {
		if a.op.Wrote() && a.op.Value == value {
			writer = &r.all[i]
		}
	}
	switch {
	case writer == nil && value != 0:
		return "which nobody wrote"
	case writer != nil && writer.op.Begin > reader.end:
		return fmt.Sprintf("which %s began to write later", describe(writer.op))
	}
	for _, a := range r.all {
		if a.op.Wrote() && a.op.Value != value && a.end < reader.op.Begin && (writer == nil || writer.end < a.op.Begin) {
			return fmt.Sprintf("though %s had been done from %s to %s, after that", describe(a.op), at(a.op.Begin), at(a.end))
		}
	}
	for _, a := range r.all {
		if a.op.Kind == history.CAS && a.op.Wrote() && a.op.Expect == value && value != 0 && a.op != reader.op {
			if reader.op.Kind == history.CAS && reader.op.Wrote() {
				return fmt.Sprintf("and so did %s, after which it was another value", describe(a.op))
			} else if a.end < reader.op.Begin {
				return fmt.Sprintf("though %s had changed that from %s to %s", describe(a.op), at(a.op.Begin), at(a.end))
			}
		}
	}
	return "and no order of what was done by then explains that"
}
