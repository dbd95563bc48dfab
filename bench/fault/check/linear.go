package check

import (
	"context"
	"maps"
	"slices"
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
//
// As no two operations write the same value, what was seen says who wrote it, and
// an order is found or excluded without a search, see chains. Neither is believed:
// an order is run, and where there is none, package porcupine gets the few
// operations that exclude it, to look for one by itself.
func linear(t *trial) {
	if len(t.finals()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, linearTime)
	defer cancel()
	parts := map[int64][]access{}
	for key := range t.evidence.Finals[0].Registers {
		parts[key] = []access{} // what nobody wrote must not be there either
	}
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		switch {
		case o.Kind != history.Read && o.Kind != history.Write && o.Kind != history.CAS:
		case o.Kind == history.Write && o.Refused:
		case o.Outcome == history.OK && o.Kind != history.Write && len(o.Saw) != 1:
			t.illegal("%s saw %d values", describe(o), len(o.Saw))
		case o.Outcome == history.OK || t.facts.tookEffect(o):
			parts[o.Key] = append(parts[o.Key], access{op: o, end: o.End})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		all := t.withFinal(key, parts[key])
		t.verdict.Ops += len(all)
		t.register(ctx, key, all)
	}
}

// register checks one register.
func (t *trial) register(ctx context.Context, key int64, all []access) {
	order, c, unique := chains(all)
	switch {
	case ctx.Err() != nil:
		t.unproved("register %d: %v", key, ctx.Err())
	case !unique:
		// Someone else than the suite wrote this history.
		switch search(&budget{ctx: ctx, bytes: linearMemory}, all) {
		case Illegal:
			t.illegal("register %d: its %d operations have no order", key, len(all))
		case Unknown:
			t.unproved("register %d: no order of its %d operations was found in the time and memory there is", key, len(all))
		}
	case c == nil && !possible(order):
		t.unproved("register %d: the order that was found is not one: this is a bug of the checker", key)
	case c != nil && search(&budget{ctx: ctx, bytes: linearMemory}, c.ops) == OK:
		t.unproved("register %d: %s, and porcupine disagrees: this is a bug of the checker", key, c.reason)
	case c != nil:
		t.illegal("register %d: %s", key, c.reason)
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

// An access is an operation on a register.
type access struct {
	op  *history.Op
	end time.Duration // the op's, or earlier if it must have taken effect by then
}

// step reports whether the operation can happen to a register that holds a value,
// and what it holds then.
func (a access) step(held int64) (bool, int64) {
	o := a.op
	if o.Outcome == history.OK && o.Kind != history.Write && o.Saw[0] != held {
		return false, held
	}
	switch {
	case o.Kind == history.Read:
		return true, held
	case o.Kind == history.Write:
		return true, o.Value
	case o.Refused:
		return held != o.Expect, held
	}
	return held == o.Expect, o.Value
}

// possible reports whether operations can happen in the order given, each between
// its begin and its end.
func possible(order []access) bool {
	var held int64
	var now time.Duration
	for _, a := range order {
		now = max(now, a.op.Begin)
		ok, next := a.step(held)
		if held = next; !ok || now > a.end {
			return false
		}
	}
	return true
}

// A budget bounds one search. Once it is used up, no step is possible any more, and
// the search ends soon.
type budget struct {
	ctx   context.Context
	bytes int // left
	steps int
	spent bool
}

func (b *budget) take(bytes int) bool {
	if b.steps++; b.steps%256 == 0 && b.ctx.Err() != nil {
		b.spent = true
	}
	b.bytes -= bytes
	b.spent = b.spent || b.bytes < 0
	return !b.spent
}

// search lets porcupine look for an order of operations.
func search(b *budget, all []access) Result {
	// A step is remembered as a set of operations, one bit each, and the value.
	size := len(all)/8 + 160
	model := porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, _ any) (bool, any) {
			ok, next := input.(access).step(state.(int64))
			if ok {
				return b.take(size), next
			}
			return b.take(0) && ok, next
		},
		Hash: func(state any) uint64 { return uint64(state.(int64)) * 0x9e3779b97f4a7c15 },
	}
	ops := make([]porcupine.Operation, len(all))
	for i, a := range all {
		ops[i] = porcupine.Operation{Input: a, Call: int64(a.op.Begin), Return: int64(a.end)}
	}
	switch {
	case porcupine.CheckOperations(model, ops):
		return OK
	case b.spent:
		return Unknown
	}
	return Illegal
}
