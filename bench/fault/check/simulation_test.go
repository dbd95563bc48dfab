package check

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"trihold/bench/fault/history"
)

// A shape says what a simulated history is made of.
type shape struct {
	ops, clients int
	setup        history.Setup
	kinds        []history.Kind
	unknown      float64 // the share of operations without an answer
	failed       float64
	nodes        int
	loose        bool // real time is not kept: operations take effect at any moment
}

var everyKind = []history.Kind{
	history.Read, history.Write, history.CAS, history.Transfer, history.Audit, history.Lists, history.Claim, history.Move, history.Group, history.Note,
}

func small(ops int) shape {
	return shape{
		ops: ops, clients: 4, kinds: everyKind, unknown: 0.1, failed: 0.05, nodes: 3,
		setup: history.Setup{Registers: 2, Accounts: 3, Balance: 20, Lists: 3, Items: 6, Groups: 3, Names: 4},
	}
}

func large(ops int) shape {
	return shape{
		ops: ops, clients: 16, kinds: everyKind, unknown: 0.02, failed: 0.01, nodes: 3,
		setup: history.Setup{Registers: 10, Accounts: 10, Balance: 100, Lists: 100, Items: 200, Groups: 10, Names: 300},
	}
}

// simulate runs operations of several clients on a store that is right: each takes
// effect at one moment between its begin and its end. Those of unknown outcome do
// so long after, or never.
func simulate(r *rand.Rand, s shape) *Evidence {
	m := &simulation{rand: r, shape: s, state: newState(s.setup)}
	h := &history.History{Setup: s.setup, Ops: m.plan()}
	m.commit(m.setupKeys(history.TableAccounts, s.setup.Accounts))
	m.commit(m.setupKeys(history.TableItems, s.setup.Items))
	order := make([]int, len(h.Ops))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.moments[a], m.moments[b]) })
	for _, i := range order {
		if m.moments[i] != history.Never {
			m.run(&h.Ops[i])
		}
	}
	e := &Evidence{History: h}
	for n := range s.nodes {
		e.Finals = append(e.Finals, m.final(fmt.Sprintf("node%d", n+1)))
	}
	return e
}

type simulation struct {
	rand    *rand.Rand
	shape   shape
	state   *state
	moments []time.Duration // of each operation, Never if it takes no effect
	rev     int64
	changes []history.Change
}

// tick is the unit of simulated time. It is coarse, so that many moments are equal.
const tick = time.Millisecond

// plan decides what the clients ask, and when.
func (m *simulation) plan() []history.Op {
	free := make([]time.Duration, m.shape.clients)
	var ops []history.Op
	type timed struct {
		op     history.Op
		moment time.Duration
	}
	var all []timed
	for range m.shape.ops {
		c := m.rand.IntN(m.shape.clients)
		o := history.Op{Client: c, Outcome: history.OK, Begin: free[c] + time.Duration(m.rand.IntN(5))}
		span := time.Duration(1 + m.rand.IntN(12))
		o.End = o.Begin + span
		free[c] = o.End
		moment := o.Begin + time.Duration(m.rand.Int64N(int64(span)+1))
		switch f := m.rand.Float64(); {
		case f < m.shape.failed:
			o.Outcome, o.Error, moment = history.Failed, "unavailable", history.Never
		case f < m.shape.failed+m.shape.unknown:
			o.Outcome, o.Error, o.End = history.Unknown, "timeout", history.Never
			moment += time.Duration(m.rand.IntN(30))
			if m.rand.IntN(2) == 0 {
				moment = history.Never
			}
		case m.shape.loose && m.rand.IntN(3) == 0:
			moment = time.Duration(m.rand.IntN(4 * m.shape.ops))
		}
		all = append(all, timed{o, moment})
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.op.Begin, b.op.Begin) })
	for i, t := range all {
		t.op.Begin *= tick
		if t.op.End != history.Never {
			t.op.End *= tick
		}
		t.op.ID = int64(i + 1)
		m.ask(&t.op)
		ops = append(ops, t.op)
		m.moments = append(m.moments, t.moment)
	}
	return ops
}

// ask decides what an operation is.
func (m *simulation) ask(o *history.Op) {
	s, r := m.shape.setup, m.rand
	o.Kind = m.shape.kinds[r.IntN(len(m.shape.kinds))]
	switch o.Kind {
	case history.Read, history.Write, history.CAS:
		o.Key = r.Int64N(int64(s.Registers))
		if o.Kind != history.Read {
			o.Value = o.ID * 10
		}
	case history.Transfer:
		o.Key = r.Int64N(int64(s.Accounts))
		o.Other = (o.Key + 1 + r.Int64N(int64(s.Accounts-1))) % int64(s.Accounts)
		o.Value = 1 + r.Int64N(s.Balance)
	case history.Lists:
		for n := range 1 + r.IntN(4) {
			step := history.Step{List: r.Int64N(int64(s.Lists))}
			if r.IntN(2) == 0 {
				step.Append = o.ID*10 + int64(n)
			}
			o.Steps = append(o.Steps, step)
		}
	case history.Claim:
		o.Name = fmt.Sprintf("name%d", r.IntN(s.Names))
	case history.Move:
		o.Key, o.Value = r.Int64N(int64(s.Items)), r.Int64N(int64(s.Groups))
	case history.Group:
		o.Value = r.Int64N(int64(s.Groups))
	}
}

// run lets an operation take effect.
func (m *simulation) run(o *history.Op) {
	s := m.state
	refused := false
	var saw []int64
	switch o.Kind {
	case history.Read:
		saw = []int64{s.registers[o.Key]}
	case history.CAS:
		// Clients would know what to expect; here it is decided only now.
		had := s.registers[o.Key]
		if o.Expect = had; m.rand.IntN(3) == 0 {
			o.Expect, refused = had+1, true
		}
		saw = []int64{had}
	case history.Transfer:
		saw = []int64{s.accounts[o.Key], s.accounts[o.Other]}
		refused = saw[0] < o.Value
	case history.Audit:
		saw = slices.Clone(s.accounts)
	case history.Claim:
		_, refused = s.claims[o.Name]
	case history.Group:
		saw = slices.Clone(s.groups[o.Value])
	case history.Lists:
		m.readLists(o)
	}
	answered := o.Outcome == history.OK
	if answered {
		o.Saw, o.Refused = saw, refused
	}
	if refused || !o.Wrote() {
		if answered && !(o.Kind == history.Claim && m.rand.IntN(2) == 0) {
			o.Rev = m.rev
		}
		return
	}
	must := map[history.ChangedKey]bool{}
	touches(o, must, must)
	var c history.Change
	for k := range must {
		c.Keys = append(c.Keys, k)
	}
	m.commit(history.Change{Keys: sortedKeys(c)})
	if impossible := s.apply(o); impossible != "" {
		panic(impossible)
	}
}

func (m *simulation) readLists(o *history.Op) {
	own := map[int64][]int64{}
	for i := range o.Steps {
		step := &o.Steps[i]
		if step.Append != 0 {
			own[step.List] = append(own[step.List], step.Append)
		} else if o.Outcome == history.OK {
			step.Saw = slices.Concat(m.state.lists[step.List], own[step.List])
		}
	}
}

func (m *simulation) setupKeys(table string, n int) history.Change {
	var c history.Change
	for i := range n {
		c.Keys = append(c.Keys, history.ChangedKey{Table: table, Key: int64(i)})
	}
	return c
}

func (m *simulation) commit(c history.Change) {
	m.rev++
	c.Rev = m.rev
	m.changes = append(m.changes, c)
}

// final returns the content of a node, that shares nothing with another one's.
func (m *simulation) final(node string) *history.Final {
	f := m.state.content()
	f.Node, f.Rev, f.Digest = node, m.rev, "d0"
	f.Accounts, f.Items = slices.Clone(f.Accounts), slices.Clone(f.Items)
	registers, lists := map[int64]int64{}, map[int64][]int64{}
	for k, v := range f.Registers {
		registers[k] = v
	}
	for k, v := range f.Lists {
		lists[k] = slices.Clone(v)
	}
	f.Registers, f.Lists = registers, lists
	f.ClaimsByName = slices.SortedFunc(slices.Values(f.Claims), func(a, b history.ClaimRow) int { return cmp.Compare(a.Name, b.Name) })
	f.ItemsByGroup = slices.SortedFunc(slices.Values(f.Items), func(a, b history.ItemRow) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID))
	})
	f.LedgerByClient = slices.SortedFunc(slices.Values(f.Ledger), func(a, b history.LedgerRow) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.ID, b.ID))
	})
	for _, c := range m.changes {
		f.Changes = append(f.Changes, history.Change{Rev: c.Rev, Keys: slices.Clone(c.Keys)})
	}
	return f
}
