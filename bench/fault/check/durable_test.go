package check

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"trihold/bench/fault/history"
)

// A store that comes back as it was some commits ago has lost those, and the time
// since the first of them.
func TestLostCommitsAreCountedInOperationsAndTime(t *testing.T) {
	s := small(200)
	e := simulate(rand.New(rand.NewPCG(7, 0)), s)
	f := newFacts(e)
	const back = 40
	then := newState(s.setup)
	lost := map[int64]bool{}
	for i, c := range f.order {
		for _, id := range ledgerKeys(c) {
			if i < len(f.order)-back {
				then.apply(f.ops[id])
			} else if acked(f.ops[id]) {
				lost[id] = true
			}
		}
	}
	for _, final := range e.Finals {
		was := then.content()
		final.Registers, final.Accounts, final.Lists = was.Registers, was.Accounts, was.Lists
		final.Claims, final.Items, final.Ledger = was.Claims, was.Items, was.Ledger
	}
	var first, last time.Duration = history.Never, 0
	for i := range e.History.Ops {
		o := &e.History.Ops[i]
		if acked(o) {
			last = max(last, o.End)
		}
		if lost[o.ID] {
			first = min(first, o.Begin)
		}
	}
	v := checkWith(t, "durable", e)
	if v.Result != Illegal || v.Lost != len(lost) || v.LostFor != last-first || v.LostFor <= 0 || len(lost) < back/2 {
		t.Errorf("%s, %d lost over %v, want %d over %v: %s", v.Result, v.Lost, v.LostFor, len(lost), last-first, v.Detail)
	}
}

// An operation may be in the ledger and only a part of its effect gone. It is lost
// as well, but only once, on however many nodes.
func TestHalfAnOperationIsLostOnce(t *testing.T) {
	e := simulate(rand.New(rand.NewPCG(8, 0)), small(100))
	o := (&mutant{Evidence: e, rand: rand.New(rand.NewPCG(1, 0))}).ackedOf(history.Claim)
	for _, f := range e.Finals {
		f.Claims = slices.DeleteFunc(f.Claims, func(r history.ClaimRow) bool { return r.ID == o.ID })
	}
	if v := checkWith(t, "durable", e); v.Result != Illegal || v.Lost != 1 {
		t.Errorf("%s, %d lost: %s", v.Result, v.Lost, v.Detail)
	}
}

// What was never acknowledged may be gone, and counts as nothing lost.
func TestWhatWasNotAcknowledgedIsNotLost(t *testing.T) {
	e := simulate(rand.New(rand.NewPCG(9, 0)), small(100))
	o := (&mutant{Evidence: e, rand: rand.New(rand.NewPCG(1, 0))}).ackedOf(history.Claim)
	o.Outcome, o.End = history.Unknown, history.Never
	for _, f := range e.Finals {
		f.Claims = slices.DeleteFunc(f.Claims, func(r history.ClaimRow) bool { return r.ID == o.ID })
	}
	if v := checkWith(t, "durable", e); v.Result != Illegal || v.Lost != 0 {
		t.Errorf("a half one: %s, %d lost: %s", v.Result, v.Lost, v.Detail)
	}
	for _, f := range e.Finals {
		forget(f, o.ID)
	}
	if v := checkWith(t, "durable", e); v.Result != OK || v.Lost != 0 {
		t.Errorf("a whole one: %s, %d lost: %s", v.Result, v.Lost, v.Detail)
	}
}
