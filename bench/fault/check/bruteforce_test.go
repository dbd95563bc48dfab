package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"trihold/bench/fault/history"
	"trihold/repo/repotest"
)

// orderExists tries all orders of the operations that agree with time, and reports
// whether one explains every answer and the end.
func orderExists(s *state, left []*history.Op, end func(s *state) bool) bool {
	if len(left) == 0 {
		return end(s)
	}
	for i, o := range left {
		if slices.ContainsFunc(left, func(p *history.Op) bool { return p.End < o.Begin }) {
			continue
		}
		if o.Outcome == history.OK && s.compare(o) != "" {
			continue
		}
		next := s.clone()
		if o.Wrote() && next.apply(o) != "" {
			continue
		}
		if orderExists(next, slices.Delete(slices.Clone(left), i, i+1), end) {
			return true
		}
	}
	return false
}

// clone copies what linear and serial look at.
func (s *state) clone() *state {
	c := newState(history.Setup{})
	for k, v := range s.registers {
		c.registers[k] = v
	}
	for k, v := range s.lists {
		c.lists[k] = slices.Clone(v)
	}
	return c
}

// relevant returns the operations that must have a place in an order.
func relevant(e *Evidence, kinds ...history.Kind) []*history.Op {
	f := newFacts(e)
	var all []*history.Op
	for i := range e.History.Ops {
		if o := &e.History.Ops[i]; slices.Contains(kinds, o.Kind) && (o.Outcome == history.OK || f.tookEffect(o)) {
			all = append(all, o)
		}
	}
	return all
}

// compareWithBruteForce checks that a checker and the trial of all orders agree on
// small histories, about as many good as bad ones.
func compareWithBruteForce(t *testing.T, checker string, spoil func(r *rand.Rand, e *Evidence), s shape, end func(e *Evidence) func(*state) bool) {
	seed := repotest.Seed(t)
	i := slices.IndexFunc(All(), func(c Checker) bool { return c.Name == checker })
	c := All()[i]
	var good, bad int
	for i := range uint64(6000) {
		r := rand.New(rand.NewPCG(seed, i))
		s.ops, s.clients, s.loose = 1+r.IntN(7), 1+r.IntN(4), r.IntN(2) == 0
		e := simulate(r, s)
		if r.IntN(2) == 0 {
			spoil(r, e)
		}
		want := Illegal
		if orderExists(newState(history.Setup{}), relevant(e, s.kinds...), end(e)) {
			want = OK
			good++
		} else {
			bad++
		}
		if v := c.Check(t.Context(), e); v.Result != want {
			text := ""
			for _, o := range e.History.Ops {
				text += fmt.Sprintf("  %+v\n", o)
			}
			t.Fatalf("history %d of seed %d is %s by trial of all orders, and %s by %s: %s\n%sregisters %v, lists %v, ledger %v",
				i, seed, want, v.Result, checker, v.Detail, text, e.Finals[0].Registers, e.Finals[0].Lists, e.Finals[0].Ledger)
		}
	}
	t.Logf("%d good histories, %d bad ones", good, bad)
	if good < 1000 || bad < 1000 {
		t.Errorf("%d good histories and %d bad ones: too few to prove anything", good, bad)
	}
}

func TestLinearAgreesWithTheTrialOfAllOrders(t *testing.T) {
	s := small(0)
	s.kinds, s.setup.Registers, s.unknown, s.nodes = []history.Kind{history.Read, history.Write, history.CAS}, 1, 0.25, 1
	spoil := func(r *rand.Rand, e *Evidence) {
		ops := e.History.Ops
		values := []int64{0}
		for _, o := range ops {
			values = append(values, o.Value)
		}
		o := &ops[r.IntN(len(ops))]
		value := values[r.IntN(len(values))]
		switch {
		case r.IntN(4) == 0:
			e.Finals[0].Registers[0] = value
		case len(o.Saw) == 1 && r.IntN(2) == 0:
			o.Saw[0] = value
		case o.Kind == history.CAS:
			o.Expect = value
		}
	}
	compareWithBruteForce(t, "linear", spoil, s, func(e *Evidence) func(*state) bool {
		return func(s *state) bool { return s.registers[0] == e.Finals[0].Registers[0] }
	})
}

func TestSerialAgreesWithTheTrialOfAllOrders(t *testing.T) {
	s := small(0)
	s.kinds, s.setup.Lists, s.unknown, s.nodes = []history.Kind{history.Lists}, 2, 0.2, 1
	spoil := func(r *rand.Rand, e *Evidence) {
		ops := e.History.Ops
		for range 1 + r.IntN(2) {
			o := &ops[r.IntN(len(ops))]
			step := &o.Steps[r.IntN(len(o.Steps))]
			list := e.Finals[0].Lists[step.List]
			switch n := len(step.Saw); {
			case step.Append != 0 && r.IntN(3) == 0:
				step.Append++
			case n > 0 && r.IntN(3) == 0:
				step.Saw = step.Saw[:n-1]
			case step.Append == 0 && o.Outcome == history.OK && r.IntN(3) == 0:
				step.Saw = slices.Clone(list[:r.IntN(len(list)+1)])
			case len(list) > 1 && r.IntN(2) == 0:
				i := r.IntN(len(list) - 1)
				list[i], list[i+1] = list[i+1], list[i]
			case len(list) > 0:
				e.Finals[0].Lists[step.List] = list[:len(list)-1]
			}
		}
	}
	compareWithBruteForce(t, "serial", spoil, s, func(e *Evidence) func(*state) bool {
		return func(s *state) bool {
			for list := range int64(2) {
				if !slices.Equal(s.lists[list], e.Finals[0].Lists[list]) {
					return false
				}
			}
			return true
		}
	})
}
