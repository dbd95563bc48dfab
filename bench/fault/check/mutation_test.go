package check

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"trihold/bench/fault/history"
	"trihold/repo/repotest"
)

// A mutation breaks evidence that was good.
type mutation struct {
	name    string
	checker string // that must find it
	says    string // in its detail
	// mutate reports whether this history could be broken this way.
	mutate func(m *mutant) bool
}

// A mutant is a history about to be broken.
type mutant struct {
	*Evidence
	rand *rand.Rand
}

// pick returns a random operation that the filter lets pass, or nil.
func (m *mutant) pick(ok func(o *history.Op) bool) *history.Op {
	var all []*history.Op
	for i := range m.History.Ops {
		if o := &m.History.Ops[i]; ok(o) {
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[m.rand.IntN(len(all))]
}

func (m *mutant) ackedOf(kinds ...history.Kind) *history.Op {
	return m.pick(func(o *history.Op) bool { return acked(o) && slices.Contains(kinds, o.Kind) })
}

func (m *mutant) answered(kinds ...history.Kind) *history.Op {
	return m.pick(func(o *history.Op) bool { return o.Outcome == history.OK && slices.Contains(kinds, o.Kind) })
}

func (m *mutant) anyFinal() *history.Final { return m.Finals[m.rand.IntN(len(m.Finals))] }

// change returns the change of an operation on a node.
func change(f *history.Final, op int64) *history.Change {
	for i, c := range f.Changes {
		if slices.Contains(ledgerKeys(c), op) {
			return &f.Changes[i]
		}
	}
	return nil
}

// forget removes an operation from the ledger of a node.
func forget(f *history.Final, op int64) {
	is := func(r history.LedgerRow) bool { return r.ID == op }
	f.Ledger, f.LedgerByClient = slices.DeleteFunc(f.Ledger, is), slices.DeleteFunc(f.LedgerByClient, is)
}

// remember adds an operation to the ledger of a node, where it belongs.
func remember(f *history.Final, row history.LedgerRow) {
	f.Ledger, f.LedgerByClient = append(f.Ledger, row), append(f.LedgerByClient, row)
}

var mutations = []mutation{
	{"an acknowledged operation is gone from one node", "durable", "lost op", func(m *mutant) bool {
		o := m.pick(acked)
		if o == nil {
			return false
		}
		forget(m.anyFinal(), o.ID)
		return true
	}},
	{"an operation is there that was never begun", "durable", "never begun", func(m *mutant) bool {
		remember(m.anyFinal(), history.LedgerRow{ID: 1_000_000})
		return true
	}},
	{"an operation is there that failed", "durable", "which failed", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Outcome == history.Failed && o.Wrote() })
		if o == nil {
			return false
		}
		remember(m.anyFinal(), history.LedgerRow{ID: o.ID, Client: o.Client})
		return true
	}},
	{"an operation is there that was refused", "durable", "which was refused", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Refused })
		if o == nil {
			return false
		}
		remember(m.anyFinal(), history.LedgerRow{ID: o.ID, Client: o.Client})
		return true
	}},
	{"an operation is there that only reads", "durable", "writes nothing", func(m *mutant) bool {
		o := m.answered(history.Read, history.Audit, history.Group)
		if o == nil {
			return false
		}
		remember(m.anyFinal(), history.LedgerRow{ID: o.ID, Client: o.Client})
		return true
	}},
	{"an operation is there twice", "durable", "twice in its ledger", func(m *mutant) bool {
		f := m.anyFinal()
		if len(f.Ledger) == 0 {
			return false
		}
		remember(f, f.Ledger[m.rand.IntN(len(f.Ledger))])
		return true
	}},
	{"an operation is there as another client's", "durable", "as of client", func(m *mutant) bool {
		f := m.anyFinal()
		if len(f.Ledger) == 0 {
			return false
		}
		f.Ledger[m.rand.IntN(len(f.Ledger))].Client += 7
		return true
	}},
	{"a register lost what was written", "durable", "has nothing in register", func(m *mutant) bool {
		f := m.anyFinal()
		for key := range f.Registers {
			delete(f.Registers, key)
			return true
		}
		return false
	}},
	{"a register holds what nobody wrote", "durable", "no op in its ledger wrote", func(m *mutant) bool {
		f := m.anyFinal()
		for key := range f.Registers {
			f.Registers[key]++
			return true
		}
		return false
	}},
	{"a register holds what was overwritten", "durable", "which ended before", func(m *mutant) bool {
		f := m.anyFinal()
		o := m.pick(func(o *history.Op) bool {
			return acked(o) && o.Kind == history.Write && m.pick(func(p *history.Op) bool {
				return acked(p) && p.Kind == history.Write && p.Key == o.Key && p.Begin > o.End
			}) != nil
		})
		if o == nil {
			return false
		}
		f.Registers[o.Key] = o.Value
		return true
	}},
	{"a transfer was made by half", "durable", "the transfers in its ledger make it", func(m *mutant) bool {
		f := m.anyFinal()
		f.Accounts[0]++
		return true
	}},
	{"money was moved by nobody", "durable", "the transfers in its ledger make it", func(m *mutant) bool {
		f := m.anyFinal()
		f.Accounts[0]++
		f.Accounts[1]--
		return true
	}},
	{"an append of an operation is missing", "durable", "and not", func(m *mutant) bool {
		f := m.anyFinal()
		for key, list := range f.Lists {
			f.Lists[key] = list[:len(list)-1]
			return true
		}
		return false
	}},
	{"an append is there twice", "durable", "twice in list", func(m *mutant) bool {
		f := m.anyFinal()
		for key, list := range f.Lists {
			f.Lists[key] = append(list, list[0])
			return true
		}
		return false
	}},
	{"a list has what nobody appended", "durable", "no op in its ledger appended", func(m *mutant) bool {
		m.anyFinal().Lists[0] = []int64{77}
		return true
	}},
	{"a claim is gone", "durable", "and not the claim", func(m *mutant) bool {
		f := m.anyFinal()
		if len(f.Claims) == 0 {
			return false
		}
		f.Claims, f.ClaimsByName = f.Claims[1:], f.ClaimsByName[1:]
		return true
	}},
	{"a claim has no operation", "durable", "no such claim", func(m *mutant) bool {
		f := m.anyFinal()
		f.Claims = append(f.Claims, history.ClaimRow{ID: 1_000_000, Name: "name"})
		return true
	}},
	{"a claim has another name", "durable", "has the name", func(m *mutant) bool {
		f := m.anyFinal()
		if len(f.Claims) == 0 {
			return false
		}
		f.Claims[0].Name += "x"
		return true
	}},
	{"an item is where nobody put it", "durable", "item", func(m *mutant) bool {
		f := m.anyFinal()
		f.Items[m.rand.IntN(len(f.Items))].Group += 3
		return true
	}},
	{"an item never moved", "durable", "where it was at first", func(m *mutant) bool {
		f := m.anyFinal()
		i := slices.IndexFunc(f.Items, func(r history.ItemRow) bool { return r.Op != 0 })
		if i < 0 {
			return false
		}
		f.Items[i].Op, f.Items[i].Group = 0, firstGroup(m.History.Setup, f.Items[i].ID)
		return true
	}},

	{"an audit sees money in transit", "bank", "in all accounts together", func(m *mutant) bool {
		o := m.answered(history.Audit)
		if o == nil {
			return false
		}
		o.Saw[m.rand.IntN(len(o.Saw))]++
		return true
	}},
	{"an audit sees too few accounts", "bank", "accounts", func(m *mutant) bool {
		o := m.answered(history.Audit)
		if o == nil {
			return false
		}
		o.Saw = o.Saw[1:]
		return true
	}},
	{"a balance is negative", "bank", "in account 0", func(m *mutant) bool {
		f := m.anyFinal()
		f.Accounts[1], f.Accounts[0] = f.Accounts[1]+f.Accounts[0]+1, -1
		return true
	}},
	{"money is gone in the end", "bank", "in all accounts together", func(m *mutant) bool {
		f := m.anyFinal()
		i := slices.IndexFunc(f.Accounts, func(b int64) bool { return b > 0 })
		f.Accounts[i]--
		return true
	}},
	{"a transfer was accepted without the money", "bank", "was accepted", func(m *mutant) bool {
		o := m.ackedOf(history.Transfer)
		if o == nil {
			return false
		}
		o.Saw[0] = o.Value - 1
		return true
	}},
	{"a transfer was refused in spite of the money", "bank", "was refused", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.Transfer && o.Refused })
		if o == nil {
			return false
		}
		o.Saw[0] = o.Value
		return true
	}},

	{"an index lacks a row", "indices", "not in its index", func(m *mutant) bool {
		f := m.anyFinal()
		f.ItemsByGroup = slices.Delete(f.ItemsByGroup, 2, 3)
		return true
	}},
	{"an index has a row too many", "indices", "not in the table", func(m *mutant) bool {
		f := m.anyFinal()
		f.LedgerByClient = append(f.LedgerByClient, history.LedgerRow{ID: 1_000_000, Client: 1_000})
		return true
	}},
	{"an index shows a row as it was", "indices", "item", func(m *mutant) bool {
		f := m.anyFinal()
		f.ItemsByGroup[m.rand.IntN(len(f.ItemsByGroup))].Op += 1
		return true
	}},
	{"an index is out of order", "indices", "before row", func(m *mutant) bool {
		f := m.anyFinal()
		f.ItemsByGroup[0], f.ItemsByGroup[1] = f.ItemsByGroup[1], f.ItemsByGroup[0]
		return true
	}},
	{"a table is out of order", "indices", "before row", func(m *mutant) bool {
		f := m.anyFinal()
		f.Items[0], f.Items[1] = f.Items[1], f.Items[0]
		return true
	}},
	{"a unique name is there twice", "indices", "in one place", func(m *mutant) bool {
		f := m.anyFinal()
		if len(f.Claims) == 0 {
			return false
		}
		row := f.ClaimsByName[0]
		row.ID += 1_000_000
		f.Claims = append(f.Claims, row)
		f.ClaimsByName = slices.Insert(f.ClaimsByName, 1, row)
		return true
	}},
	{"a walk of a group goes backwards", "indices", "after item", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.Group && len(o.Saw) > 1 })
		if o == nil {
			return false
		}
		slices.Reverse(o.Saw)
		return true
	}},

	{"the digest of a node differs", "digests", "the digest of", func(m *mutant) bool {
		m.Finals[1].Digest = "d1"
		return true
	}},
	{"the content of a node differs and its digest does not", "digests", "differ", func(m *mutant) bool {
		m.Finals[2].Items[0].Group++
		return true
	}},
	{"a node has a row less", "digests", "ledger", func(m *mutant) bool {
		o := m.pick(acked)
		if o == nil {
			return false
		}
		forget(m.Finals[2], o.ID)
		return true
	}},
	{"a node tells other changes", "digests", "change streams", func(m *mutant) bool {
		c := &m.Finals[1].Changes[m.rand.IntN(len(m.Finals[1].Changes))]
		c.Keys = c.Keys[:len(c.Keys)-1]
		return true
	}},

	{"a revision is left out", "changes", "nothing in between", func(m *mutant) bool {
		f := m.anyFinal()
		i := 1 + m.rand.IntN(len(f.Changes)-2)
		f.Changes = slices.Delete(f.Changes, i, i+1)
		return true
	}},
	{"the last change is left out", "changes", "up to revision", func(m *mutant) bool {
		f := m.anyFinal()
		f.Changes = f.Changes[:len(f.Changes)-1]
		return true
	}},
	{"a change is told twice", "changes", "twice", func(m *mutant) bool {
		f := m.anyFinal()
		i := m.rand.IntN(len(f.Changes))
		f.Changes = slices.Insert(f.Changes, i, f.Changes[i])
		return true
	}},
	{"changes are told out of order", "changes", "after revision", func(m *mutant) bool {
		f := m.anyFinal()
		i := m.rand.IntN(len(f.Changes) - 1)
		f.Changes[i], f.Changes[i+1] = f.Changes[i+1], f.Changes[i]
		return true
	}},
	{"a resumed stream begins too late", "changes", "nothing in between", func(m *mutant) bool {
		f := m.anyFinal()
		f.Changes = f.Changes[1:]
		return true
	}},
	{"a key is missing from a change", "changes", "does not tell that op", func(m *mutant) bool {
		o := m.ackedOf(history.Write, history.CAS, history.Transfer, history.Lists, history.Move, history.Claim)
		if o == nil {
			return false
		}
		c := change(m.anyFinal(), o.ID)
		i := slices.IndexFunc(c.Keys, func(k history.ChangedKey) bool { return k.Table != history.TableLedger })
		c.Keys = slices.Delete(c.Keys, i, i+1)
		return true
	}},
	{"a change has a key too many", "changes", "it should not", func(m *mutant) bool {
		o := m.ackedOf(history.Write, history.Note)
		if o == nil {
			return false
		}
		c := change(m.anyFinal(), o.ID)
		c.Keys = append(c.Keys, history.ChangedKey{Table: history.TableItems, Key: 1})
		return true
	}},
	{"a change says that a row was deleted", "changes", "deleted", func(m *mutant) bool {
		c := m.anyFinal().Changes
		c[m.rand.IntN(len(c))].Keys[0].Deleted = true
		return true
	}},
	{"an operation's ledger row is missing from its change", "changes", "by no operation", func(m *mutant) bool {
		o := m.ackedOf(history.Write)
		if o == nil {
			return false
		}
		c := change(m.anyFinal(), o.ID)
		c.Keys = slices.DeleteFunc(c.Keys, func(k history.ChangedKey) bool { return k.Table == history.TableLedger })
		return true
	}},
	{"two operations share a commit", "changes", "several operations", func(m *mutant) bool {
		a, b := m.ackedOf(history.Note), m.ackedOf(history.Note)
		if a == nil || a == b {
			return false
		}
		c := change(m.anyFinal(), a.ID)
		c.Keys = append(c.Keys, history.ChangedKey{Table: history.TableLedger, Key: b.ID})
		return true
	}},
	{"a change is of an operation that failed", "changes", "wrote nothing", func(m *mutant) bool {
		o, p := m.ackedOf(history.Note), m.pick(func(o *history.Op) bool { return o.Outcome == history.Failed })
		if o == nil || p == nil {
			return false
		}
		change(m.anyFinal(), o.ID).Keys[0].Key = p.ID
		return true
	}},

	{"a revision is repeated", "revisions", "twice", func(m *mutant) bool {
		for _, f := range m.Finals {
			f.Changes[len(f.Changes)-1].Rev--
		}
		return true
	}},
	{"nodes number operations differently", "revisions", "has revision", func(m *mutant) bool {
		f := m.Finals[1]
		n := len(f.Changes)
		f.Changes[n-1].Keys, f.Changes[n-2].Keys = f.Changes[n-2].Keys, f.Changes[n-1].Keys
		return n > 4 && len(f.Changes[n-2].Keys) > 0
	}},
	{"a later commit has a lower revision", "revisions", "began after", func(m *mutant) bool {
		a := m.ackedOf(history.Note)
		b := m.pick(func(o *history.Op) bool { return a != nil && acked(o) && o.Kind == history.Note && o.Begin > a.End })
		if b == nil {
			return false
		}
		for _, f := range m.Finals {
			change(f, a.ID).Keys[0].Key, change(f, b.ID).Keys[0].Key = b.ID, a.ID
		}
		return true
	}},
	{"a read is stale", "revisions", "began after", func(m *mutant) bool {
		// The state is that of the revision, so only time can tell.
		o := m.answered(history.Read)
		if o == nil || o.Rev < 5 {
			return false
		}
		f := m.Finals[0]
		s := newState(m.History.Setup)
		facts := newFacts(m.Evidence)
		o.Rev = 3
		for _, c := range f.Changes[:3] {
			for _, id := range ledgerKeys(c) {
				s.apply(facts.ops[id])
			}
		}
		o.Saw = []int64{s.registers[o.Key]}
		return m.pick(func(p *history.Op) bool { return acked(p) && p.End < o.Begin && facts.revs[p.ID] > 3 }) != nil
	}},
	{"reads go backwards", "revisions", "began after", func(m *mutant) bool {
		a := m.answered(history.Audit)
		b := m.pick(func(o *history.Op) bool {
			return a != nil && o.Kind == history.Audit && o.Outcome == history.OK && o.Begin > a.End
		})
		if b == nil || b.Rev == a.Rev {
			return false
		}
		a.Saw, b.Saw, a.Rev, b.Rev = b.Saw, a.Saw, b.Rev, a.Rev
		return true
	}},
	{"a read is of a revision that never was", "revisions", "the last one is", func(m *mutant) bool {
		o := m.answered(history.Group)
		if o == nil {
			return false
		}
		o.Rev = m.Finals[0].Rev + 1
		return true
	}},
	{"a read is of a time before the setup", "revisions", "before the setup", func(m *mutant) bool {
		o := m.answered(history.Group)
		if o == nil {
			return false
		}
		o.Rev = 1
		return true
	}},
	{"a read shows another revision's register", "revisions", "there was", func(m *mutant) bool {
		o := m.answered(history.Read)
		if o == nil {
			return false
		}
		o.Saw[0]++
		return true
	}},
	{"an audit shows another state", "revisions", "there was", func(m *mutant) bool {
		o := m.answered(history.Audit)
		if o == nil {
			return false
		}
		o.Saw[0], o.Saw[1] = o.Saw[0]+1, o.Saw[1]-1
		return true
	}},
	{"a group lacks an item", "revisions", "there was", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.Group && len(o.Saw) > 0 })
		if o == nil {
			return false
		}
		o.Saw = o.Saw[1:]
		return true
	}},
	{"a change of a register saw another value", "revisions", "op", func(m *mutant) bool {
		o := m.ackedOf(history.CAS)
		if o == nil {
			return false
		}
		o.Saw[0], o.Expect = o.Expect+1, o.Expect+1
		return true
	}},
	{"a change of a register was refused for nothing", "revisions", "refused is true", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.CAS && o.Refused })
		if o == nil {
			return false
		}
		o.Expect = o.Saw[0]
		return true
	}},
	{"a claim was refused though the name was free", "revisions", "", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.Claim && o.Refused })
		if o == nil {
			return false
		}
		o.Name = "free"
		return true
	}},
	{"the end is not what the changes give", "revisions", "by the changes and as it reads, register", func(m *mutant) bool {
		a := m.ackedOf(history.Write)
		if a == nil {
			return false
		}
		for _, f := range m.Finals {
			f.Registers[a.Key]++
		}
		return true
	}},

	{"a register is read before it is written", "linear", "began to write at", func(m *mutant) bool {
		w := m.ackedOf(history.Write)
		o := m.pick(func(o *history.Op) bool {
			return w != nil && o.Kind == history.Read && o.Outcome == history.OK && o.Key == w.Key && o.End < w.Begin
		})
		if o == nil {
			return false
		}
		o.Saw[0] = w.Value
		return true
	}},
	{"a register is read after it was overwritten", "linear", "found", func(m *mutant) bool {
		w := m.ackedOf(history.Write)
		var o *history.Op
		x := m.pick(func(x *history.Op) bool {
			return w != nil && acked(x) && x.Kind == history.Write && x.Key == w.Key && x.Begin > w.End
		})
		if x != nil {
			o = m.pick(func(o *history.Op) bool {
				return o.Kind == history.Read && o.Outcome == history.OK && o.Key == x.Key && o.Begin > x.End
			})
		}
		if o == nil {
			return false
		}
		o.Saw[0] = w.Value
		return true
	}},
	{"a register holds what nobody wrote at a read", "linear", "which nobody wrote", func(m *mutant) bool {
		o := m.answered(history.Read)
		if o == nil {
			return false
		}
		o.Saw[0] = 1
		return true
	}},
	{"a register in the end is not the last one", "linear", "the final content", func(m *mutant) bool {
		w := m.ackedOf(history.Write)
		x := m.pick(func(x *history.Op) bool {
			return w != nil && acked(x) && x.Kind == history.Write && x.Key == w.Key && x.Begin > w.End
		})
		if x == nil {
			return false
		}
		m.Finals[0].Registers[w.Key] = w.Value
		return true
	}},
	{"two changes of a register start from one value", "linear", "found", func(m *mutant) bool {
		a := m.ackedOf(history.CAS)
		b := m.pick(func(o *history.Op) bool {
			return a != nil && acked(o) && o.Kind == history.CAS && o.Key == a.Key && o.Begin > a.End
		})
		if b == nil {
			return false
		}
		b.Expect, b.Saw[0] = a.Expect, a.Saw[0]
		return true
	}},

	{"a list is read in another order", "serial", "incompatible order", func(m *mutant) bool {
		step := m.readOf(2)
		if step == nil {
			return false
		}
		slices.Reverse(step.Saw)
		return true
	}},
	{"a list is another one in the end", "serial", "incompatible order", func(m *mutant) bool {
		step := m.readOf(2)
		if step == nil {
			return false
		}
		list := m.Finals[0].Lists[step.List]
		list[0], list[1] = list[1], list[0]
		return true
	}},
	{"a list lost its end", "serial", "lost append", func(m *mutant) bool {
		step := m.readOf(1)
		if step == nil {
			return false
		}
		m.Finals[0].Lists[step.List] = step.Saw[:len(step.Saw)-1]
		return true
	}},
	{"an append is in a list twice", "serial", "duplicate append", func(m *mutant) bool {
		step := m.readOf(1)
		if step == nil {
			return false
		}
		f := m.Finals[0]
		f.Lists[step.List] = append(f.Lists[step.List], step.Saw[0])
		return true
	}},
	{"a read has what nobody appended", "serial", "phantom", func(m *mutant) bool {
		m.History.Ops = append(m.History.Ops, history.Op{
			ID: 1_000_000, Kind: history.Lists, Outcome: history.OK, Begin: time.Hour, End: time.Hour,
			Steps: []history.Step{{List: 0, Saw: append(slices.Clone(m.Finals[0].Lists[0]), 3)}},
		})
		return true
	}},
	{"a read has what failed", "serial", "G1a", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.Lists && o.Wrote() && o.Outcome == history.Failed })
		if o == nil {
			return false
		}
		i := slices.IndexFunc(o.Steps, func(s history.Step) bool { return s.Append != 0 })
		list := o.Steps[i].List
		m.History.Ops = append(m.History.Ops, history.Op{
			ID: 1_000_000, Kind: history.Lists, Outcome: history.OK, Begin: time.Hour, End: time.Hour,
			Steps: []history.Step{{List: list, Saw: append(slices.Clone(m.Finals[0].Lists[list]), o.Steps[i].Append)}},
		})
		return true
	}},
	{"the end has what failed", "serial", "G1a", func(m *mutant) bool {
		o := m.pick(func(o *history.Op) bool { return o.Kind == history.Lists && o.Wrote() && o.Outcome == history.Failed })
		if o == nil {
			return false
		}
		i := slices.IndexFunc(o.Steps, func(s history.Step) bool { return s.Append != 0 })
		f := m.Finals[0]
		f.Lists[o.Steps[i].List] = append(f.Lists[o.Steps[i].List], o.Steps[i].Append)
		return true
	}},
	{"a read at the end of time is stale", "serial", "G-single-realtime", func(m *mutant) bool {
		list := m.Finals[0].Lists[0]
		if len(list) == 0 {
			return false
		}
		w := newFacts(m.Evidence).ops[list[len(list)-1]/10]
		if w.Outcome != history.OK || len(appendsOf(w, 0)) > 1 {
			return false
		}
		m.History.Ops = append(m.History.Ops, history.Op{
			ID: 1_000_000, Kind: history.Lists, Outcome: history.OK, Begin: time.Hour, End: time.Hour,
			Steps: []history.Step{{List: 0, Saw: list[:len(list)-1]}},
		})
		return true
	}},
}

// readOf returns a step that read at least so many elements, of an operation that
// does nothing else with the list.
func (m *mutant) readOf(elements int) *history.Step {
	var found *history.Step
	m.pick(func(o *history.Op) bool {
		for i, s := range o.Steps {
			alone := !slices.ContainsFunc(slices.Concat(o.Steps[:i], o.Steps[i+1:]), func(other history.Step) bool { return other.List == s.List })
			if s.Append == 0 && len(s.Saw) >= elements && alone {
				found = &o.Steps[i]
			}
		}
		return false
	})
	return found
}

// A mutation is tried on several histories, so that none is found by luck.
func TestEveryBrokenHistoryIsRejectedByTheCheckerForIt(t *testing.T) {
	seed := repotest.Seed(t)
	checkers := map[string]Checker{}
	for _, c := range All() {
		checkers[c.Name] = c
	}
	for number, mutation := range mutations {
		t.Run(strings.ReplaceAll(mutation.checker+": "+mutation.name, " ", "_"), func(t *testing.T) {
			tried := 0
			for i := uint64(0); tried < 20 && i < 400; i++ {
				r := rand.New(rand.NewPCG(seed+uint64(number), i))
				m := &mutant{Evidence: simulate(r, small(90)), rand: r}
				if !mutation.mutate(m) {
					continue
				}
				tried++
				v := checkers[mutation.checker].Check(t.Context(), m.Evidence)
				if v.Result != Illegal || !strings.Contains(v.Detail, mutation.says) || strings.Contains(v.Detail, "\n") {
					t.Fatalf("history %d of seed %d: %s: %s, want %q", i, seed, v.Result, v.Detail, mutation.says)
				}
				if tried == 1 {
					t.Log(v.Detail)
				}
			}
			if tried < 10 {
				t.Errorf("only %d histories could be broken this way", tried)
			}
		})
	}
}
