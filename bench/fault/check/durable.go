package check

import (
	"maps"
	"slices"
	"time"

	"trihold/bench/fault/history"
)

// durable checks that on every node exactly those operations are there that should
// be, whole.
func durable(t *trial) {
	lost := map[int64]bool{}
	for _, f := range t.finals() {
		d := &durability{trial: t, final: f, there: map[int64]bool{}, lost: lost}
		d.ledger()
		d.registers()
		d.accounts()
		d.lists()
		d.claims()
		d.items()
	}
	first, last := history.Never, time.Duration(0)
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if o.Wrote() {
			t.verdict.Ops++
		}
		if acked(o) {
			last = max(last, o.End)
		}
		if lost[o.ID] {
			first = min(first, o.Begin)
		}
	}
	if t.verdict.Lost = len(lost); len(lost) > 0 {
		t.verdict.LostFor = last - first
	}
}

// A durability is the check of one node.
type durability struct {
	*trial
	final *history.Final
	there map[int64]bool // the operations in this node's ledger
	lost  map[int64]bool // the acknowledged operations that are missing, or a part of them, on any node
}

// missing notes an operation that is not there, or not whole.
func (d *durability) missing(o *history.Op, format string, args ...any) {
	if acked(o) {
		d.lost[o.ID] = true
	}
	d.illegal(format, args...)
}

func (d *durability) ledger() {
	node := d.final.Node
	for _, row := range d.final.Ledger {
		d.there[row.ID] = true
	}
	for i := range d.evidence.History.Ops {
		if o := &d.evidence.History.Ops[i]; acked(o) && !d.there[o.ID] {
			d.missing(o, "%s lost %s, acknowledged at %s", node, describe(o), at(o.End))
		}
	}
	seen := map[int64]bool{}
	for _, row := range d.final.Ledger {
		o := d.facts.ops[row.ID]
		switch {
		case seen[row.ID]:
			d.illegal("%s has op %d twice in its ledger", node, row.ID)
		case o == nil:
			d.illegal("%s has op %d in its ledger, which was never begun", node, row.ID)
		case o.Refused:
			d.illegal("%s has %s in its ledger, which was refused", node, describe(o))
		case o.Outcome == history.Failed:
			d.illegal("%s has %s in its ledger, which failed: %s", node, describe(o), o.Error)
		case !o.Wrote():
			d.illegal("%s has %s in its ledger, which writes nothing", node, describe(o))
		case o.Client != row.Client:
			d.illegal("%s has %s in its ledger as of client %d, it was client %d's", node, describe(o), row.Client, o.Client)
		}
		seen[row.ID] = true
	}
}

// writers returns the operations in the node's ledger that the filter lets pass.
func (d *durability) writers(kinds ...history.Kind) []*history.Op {
	var all []*history.Op
	for i := range d.evidence.History.Ops {
		if o := &d.evidence.History.Ops[i]; d.there[o.ID] && o.Wrote() && slices.Contains(kinds, o.Kind) {
			all = append(all, o)
		}
	}
	return all
}

// lastBegun returns, for each key, the writer that began last. What a writer that
// ended before then has written must be gone.
func lastBegun(writers []*history.Op) map[int64]*history.Op {
	last := map[int64]*history.Op{}
	for _, o := range writers {
		if l := last[o.Key]; l == nil || o.Begin > l.Begin {
			last[o.Key] = o
		}
	}
	return last
}

func (d *durability) registers() {
	node := d.final.Node
	writers := d.writers(history.Write, history.CAS)
	last := lastBegun(writers)
	type written struct{ key, value int64 }
	by := map[written]*history.Op{}
	for _, o := range writers {
		by[written{o.Key, o.Value}] = o
		if _, ok := d.final.Registers[o.Key]; !ok {
			d.missing(o, "%s has nothing in register %d, in spite of %s", node, o.Key, describe(o))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(d.final.Registers)) {
		value := d.final.Registers[key]
		o := by[written{key, value}]
		if o == nil {
			d.illegal("%s has %d in register %d, which no op in its ledger wrote", node, value, key)
		} else if l := last[key]; l.Begin > o.End {
			d.missing(l, "%s has %d in register %d, by %s, which ended before %s began", node, value, key, describe(o), describe(l))
		}
	}
}

// accounts adds up all transfers: the balances do not depend on their order.
func (d *durability) accounts() {
	node := d.final.Node
	if len(d.final.Accounts) != d.setup.Accounts {
		d.illegal("%s has %d accounts, there were %d", node, len(d.final.Accounts), d.setup.Accounts)
		return
	}
	want := make([]int64, d.setup.Accounts)
	for i := range want {
		want[i] = d.setup.Balance
	}
	for _, o := range d.writers(history.Transfer) {
		if n := int64(len(want)); o.Key < 0 || o.Key >= n || o.Other < 0 || o.Other >= n {
			d.illegal("%s has %s in its ledger, between accounts that do not exist", node, describe(o))
			continue
		}
		want[o.Key] -= o.Value
		want[o.Other] += o.Value
	}
	for i, balance := range d.final.Accounts {
		if balance != want[i] {
			d.illegal("%s has %d in account %d, the transfers in its ledger make it %d", node, balance, i, want[i])
		}
	}
}

func (d *durability) lists() {
	node := d.final.Node
	by := map[element]*history.Op{}
	writers := d.writers(history.Lists)
	for _, o := range writers {
		for _, s := range o.Steps {
			if s.Append != 0 {
				by[element{s.List, s.Append}] = o
			}
		}
	}
	seen := map[element]bool{}
	for _, list := range slices.Sorted(maps.Keys(d.final.Lists)) {
		for _, value := range d.final.Lists[list] {
			e := element{list, value}
			if by[e] == nil {
				d.illegal("%s has %d in list %d, which no op in its ledger appended", node, value, list)
			} else if seen[e] {
				d.illegal("%s has %d twice in list %d, by %s", node, value, list, describe(by[e]))
			}
			seen[e] = true
		}
	}
	for _, o := range writers {
		for _, s := range o.Steps {
			if e := (element{s.List, s.Append}); s.Append != 0 && !seen[e] {
				d.missing(o, "%s has %s in its ledger, and not %d in list %d", node, describe(o), s.Append, s.List)
			}
		}
	}
}

func (d *durability) claims() {
	node := d.final.Node
	seen := map[int64]bool{}
	for _, row := range d.final.Claims {
		o := d.facts.ops[row.ID]
		switch {
		case o == nil || o.Kind != history.Claim || !d.there[row.ID]:
			d.illegal("%s has the name %s claimed by op %d, and no such claim in its ledger", node, row.Name, row.ID)
		case seen[row.ID]:
			d.illegal("%s has the claim of op %d twice", node, row.ID)
		case o.Name != row.Name:
			d.illegal("%s has the name %s for %s", node, row.Name, describe(o))
		}
		seen[row.ID] = true
	}
	for _, o := range d.writers(history.Claim) {
		if !seen[o.ID] {
			d.missing(o, "%s has %s in its ledger, and not the claim", node, describe(o))
		}
	}
}

func (d *durability) items() {
	node := d.final.Node
	if len(d.final.Items) != d.setup.Items {
		d.illegal("%s has %d items, there were %d", node, len(d.final.Items), d.setup.Items)
		return
	}
	last := lastBegun(d.writers(history.Move))
	for i, row := range d.final.Items {
		l, o := last[row.ID], d.facts.ops[row.Op]
		switch {
		case row.ID != int64(i):
			d.illegal("%s has item %d where item %d should be", node, row.ID, i)
		case row.Op == 0 && l != nil:
			d.missing(l, "%s has item %d where it was at first, in spite of %s", node, row.ID, describe(l))
		case row.Op == 0 && row.Group != firstGroup(d.setup, row.ID):
			d.illegal("%s has item %d in group %d, where nobody put it", node, row.ID, row.Group)
		case row.Op == 0:
		case o == nil || o.Kind != history.Move || o.Key != row.ID || o.Value != row.Group || !d.there[row.Op] || l == nil:
			d.illegal("%s has item %d in group %d by op %d, and no such move in its ledger", node, row.ID, row.Group, row.Op)
		case l.Begin > o.End:
			d.missing(l, "%s has item %d in group %d by %s, which ended before %s began", node, row.ID, row.Group, describe(o), describe(l))
		}
	}
}

// firstGroup returns the group that an item is in before it is moved.
func firstGroup(s history.Setup, item int64) int64 { return item % int64(max(s.Groups, 1)) }
