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

func reg(id int64, kind history.Kind, begin, end time.Duration, values ...int64) history.Op {
	o := history.Op{ID: id, Kind: kind, Begin: begin, End: end, Outcome: history.OK}
	switch kind {
	case history.Read:
		o.Saw = values
	case history.Write:
		o.Value = values[0]
	case history.CAS:
		o.Expect, o.Value, o.Saw = values[0], values[1], values[:1]
	}
	return o
}

func TestTheReasonThatARegisterIsNotLinearisableIsShown(t *testing.T) {
	const ms = time.Millisecond
	refused := reg(2, history.CAS, 20*ms, 30*ms, 5, 6)
	refused.Refused = true
	for _, c := range []struct {
		want string
		end  int64
		ops  []history.Op
	}{
		{"op 1 (read register 0) found 5 (from 0s to 10ms), which nobody wrote", 0, []history.Op{reg(1, history.Read, 0, 10*ms, 5)}},
		{"op 1 (read register 0) found 5 (from 0s to 10ms), which op 2 (write 5 to register 0) began to write at 20ms", 5, []history.Op{
			reg(1, history.Read, 0, 10*ms, 5), reg(2, history.Write, 20*ms, 30*ms, 5)}},
		{"op 3 (read register 0) found 5 (from 40ms to 50ms), though op 2 (write 6 to register 0) had been done from 20ms to 30ms, after op 1 (write 5 to register 0) had ended at 10ms", 6, []history.Op{
			reg(1, history.Write, 0, 10*ms, 5), reg(2, history.Write, 20*ms, 30*ms, 6), reg(3, history.Read, 40*ms, 50*ms, 5)}},
		{"op 2 (read register 0) found 0 (from 20ms to 30ms), though op 1 (write 5 to register 0) had been done from 0s to 10ms, since it was empty at first", 5, []history.Op{
			reg(1, history.Write, 0, 10*ms, 5), reg(2, history.Read, 20*ms, 30*ms, 0)}},
		{"the final content found 5 (from 30ms to 30ms), though op 2", 5, []history.Op{
			reg(1, history.Write, 0, 10*ms, 5), reg(2, history.Write, 20*ms, 30*ms, 6)}},
		{"op 3 (change register 0 from 5 to 7) found 5 (from 0s to 50ms), and so did op 2 (change register 0 from 5 to 6), after which", 7, []history.Op{
			reg(1, history.Write, 0, 50*ms, 5), reg(2, history.CAS, 0, 50*ms, 5, 6), reg(3, history.CAS, 0, 50*ms, 5, 7)}},
		{"op 2 (change register 0 from 5 to 6) found 5 (from 20ms to 30ms), and refused is true", 5, []history.Op{reg(1, history.Write, 0, 10*ms, 5), refused}},
		{"op 1 (change register 0 from 6 to 5) found 6 (from 0s to 50ms), which is written only by what comes after that", 0, []history.Op{
			reg(1, history.CAS, 0, 50*ms, 6, 5), reg(2, history.CAS, 0, 50*ms, 5, 6)}},
		{"op 4 (read register 0) found 5 (from 20ms to 30ms), and that value was over: op 3 (read register 0) found 6 (from 0s to 10ms)", 6, []history.Op{
			reg(1, history.Write, 0, 50*ms, 5), reg(2, history.CAS, 0, 50*ms, 5, 6), reg(3, history.Read, 0, 10*ms, 6), reg(4, history.Read, 20*ms, 30*ms, 5)}},
		{"op 5 (read register 0) found 6 (from 20ms to 30ms), though op 3 (read register 0) had ended at 10ms; and op 6 (read register 0) found 5 (from 20ms to 30ms), after op 4", 7, []history.Op{
			reg(1, history.Write, 0, 50*ms, 5), reg(2, history.Write, 0, 50*ms, 6), reg(3, history.Read, 0, 10*ms, 5), reg(4, history.Read, 0, 10*ms, 6),
			reg(5, history.Read, 20*ms, 30*ms, 6), reg(6, history.Read, 20*ms, 30*ms, 5), reg(7, history.Write, 60*ms, 70*ms, 7)}},
	} {
		e := evidenceOf(nil, c.ops...)
		e.Finals[0].Registers = map[int64]int64{0: c.end}
		if v := checkWith(t, "linear", e); v.Result != Illegal || !strings.Contains(v.Detail, c.want) {
			t.Errorf("%s: %s\nwant %s", v.Result, v.Detail, c.want)
		}
	}
}
