package check

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"trihold/bench/fault/history"
)

func oneRegister(ops, clients int) shape {
	s := large(ops)
	s.kinds, s.clients, s.setup.Registers = []history.Kind{history.Read, history.Write, history.CAS}, clients, 1
	return s
}

func TestOneHotRegisterIsCheckedInTime(t *testing.T) {
	e := simulate(rand.New(rand.NewPCG(2, 0)), oneRegister(10_000, 16))
	v := checkWith(t, "linear", e)
	if v.Result != OK || v.Took > linearTime {
		t.Errorf("%s in %v: %s", v.Result, v.Took, v.Detail)
	}
	m := &mutant{Evidence: e, rand: rand.New(rand.NewPCG(3, 0))}
	m.answered(history.Read).Saw[0] = 1
	if v := checkWith(t, "linear", e); v.Result != Illegal || !strings.Contains(v.Detail, "which nobody wrote") {
		t.Errorf("with one read changed: %s in %v: %s", v.Result, v.Took, v.Detail)
	}
}

// hopeless is many writes at one time, and an end that contradicts them: a search
// has to try all their subsets. Values are not unique, so that there is no other way.
func hopeless(writes int) *Evidence {
	h := &history.History{}
	f := &history.Final{Node: "node1", Registers: map[int64]int64{0: 7}}
	for i := range int64(writes) {
		o := history.Op{ID: i + 1, Kind: history.Write, Value: 100 + i/2, End: time.Second, Outcome: history.OK}
		h.Ops = append(h.Ops, o)
		f.Ledger = append(f.Ledger, history.LedgerRow{ID: o.ID})
	}
	return &Evidence{History: h, Finals: []*history.Final{f}}
}

func TestASearchEndsWhenItsMemoryIsUsedUp(t *testing.T) {
	e := hopeless(24)
	var all []access
	for i := range e.History.Ops {
		all = append(all, access{op: &e.History.Ops[i], end: time.Second})
	}
	if got := search(&budget{ctx: t.Context(), bytes: 1 << 20}, all); got != OK {
		t.Errorf("with little memory, and little to do: %s", got)
	}
	all = (&trial{evidence: e, facts: newFacts(e)}).withFinal(0, all)
	if got := search(&budget{ctx: t.Context(), bytes: 1 << 20}, all); got != Unknown {
		t.Errorf("with little memory: %s", got)
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, c := range All() {
		if c.Name != "linear" {
			continue
		}
		v := c.Check(ctx, hopeless(40))
		if v.Result != Unknown || v.Took > 10*time.Second || !strings.Contains(v.Detail, "no order of its 41 operations") {
			t.Errorf("%s after %v: %s", v.Result, v.Took, v.Detail)
		}
	}
}

// Each write without an answer could have happened at any later moment. That must
// not make the search longer.
func TestManyUnansweredWritesDoNotSlowTheSearchDown(t *testing.T) {
	s := oneRegister(3000, 16)
	s.unknown = 0.3
	e := simulate(rand.New(rand.NewPCG(4, 0)), s)
	v := checkWith(t, "linear", e)
	if v.Result != OK {
		t.Errorf("%s in %v: %s", v.Result, v.Took, v.Detail)
	}
	m := &mutant{Evidence: e, rand: rand.New(rand.NewPCG(3, 0))}
	last := m.pick(func(o *history.Op) bool { return o.Kind == history.Read && o.Outcome == history.OK && o.ID > 2000 })
	first := m.pick(func(o *history.Op) bool { return acked(o) && o.ID < 100 })
	last.Saw[0] = first.Value
	if v := checkWith(t, "linear", e); v.Result != Illegal {
		t.Errorf("with one stale read: %s in %v: %s", v.Result, v.Took, v.Detail)
	}
}
