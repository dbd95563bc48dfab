package check

import (
	"maps"
	"slices"

	"trihold/bench/fault/history"
)

// changes checks the change stream of each node against what its operations do.
func changes(t *trial) {
	for _, f := range t.finals() {
		s := &stream{trial: t, final: f, told: map[int64]int64{}}
		s.revisions()
		for _, c := range f.Changes {
			s.change(c)
		}
		s.complete()
	}
}

// A stream is the check of one node's change stream.
type stream struct {
	*trial
	final *history.Final
	told  map[int64]int64 // operations told so far, and their revisions
}

// revisions checks that the stream begins and ends where it should, with nothing
// skipped or repeated in between.
func (s *stream) revisions() {
	last := s.final.ChangesAfter
	for i, c := range s.final.Changes {
		switch {
		case i == 0 && c.Rev <= last:
			s.illegal("%s tells revision %d, and was asked for those after %d", s.final.Node, c.Rev, last)
		case c.Rev == last:
			s.illegal("%s tells revision %d twice", s.final.Node, c.Rev)
		case c.Rev < last:
			s.illegal("%s tells revision %d after revision %d", s.final.Node, c.Rev, last)
		case c.Rev > last+1 && !s.evidence.GapsAllowed:
			s.illegal("%s tells revision %d after revision %d, and nothing in between", s.final.Node, c.Rev, last)
		}
		last = c.Rev
	}
	if last < s.final.Rev && !s.evidence.GapsAllowed {
		s.illegal("%s tells changes up to revision %d, and is at revision %d", s.final.Node, last, s.final.Rev)
	}
}

// change checks the keys of one change.
func (s *stream) change(c history.Change) {
	node, ids := s.final.Node, ledgerKeys(c)
	s.verdict.Ops++
	seen := map[history.ChangedKey]bool{}
	for _, k := range c.Keys {
		if k.Deleted {
			s.illegal("%s tells that revision %d deleted %s %d, nothing ever does", node, c.Rev, k.Table, k.Key)
			k.Deleted = false
		}
		if seen[k] {
			s.illegal("%s tells %s %d twice at revision %d", node, k.Table, k.Key, c.Rev)
		}
		seen[k] = true
	}
	if len(ids) == 0 {
		s.withoutOperation(c)
		return
	}
	if len(ids) > 1 {
		s.illegal("%s tells of several operations at revision %d: %v", node, c.Rev, ids)
	}
	must, may := map[history.ChangedKey]bool{}, map[history.ChangedKey]bool{}
	for _, id := range ids {
		o := s.facts.ops[id]
		if o == nil || !o.Wrote() || o.Outcome == history.Failed {
			s.illegal("%s tells of op %d at revision %d, which wrote nothing", node, id, c.Rev)
			return
		}
		if before, ok := s.told[id]; ok {
			s.illegal("%s tells of %s at revision %d and again at %d", node, describe(o), before, c.Rev)
		}
		s.told[id] = c.Rev
		touches(o, must, may)
	}
	for _, k := range sortedKeys(c) {
		if k.Deleted = false; !must[k] && !may[k] {
			s.illegal("%s tells that op %d touched %s %d at revision %d, it should not", node, ids[0], k.Table, k.Key, c.Rev)
		}
	}
	for _, k := range sortedKeys(history.Change{Keys: slices.Collect(maps.Keys(must))}) {
		if !seen[k] {
			s.illegal("%s does not tell that op %d touched %s %d at revision %d", node, ids[0], k.Table, k.Key, c.Rev)
		}
	}
}

// withoutOperation checks a change that belongs to no operation: the setup's, or
// one without any key, which is the store's own business.
func (s *stream) withoutOperation(c history.Change) {
	for _, k := range c.Keys {
		ofSetup := k.Table == history.TableAccounts && k.Key < int64(s.setup.Accounts) || k.Table == history.TableItems && k.Key < int64(s.setup.Items)
		if !ofSetup || k.Key < 0 || len(s.told) > 0 {
			s.illegal("%s tells that %s %d was touched at revision %d, by no operation", s.final.Node, k.Table, k.Key, c.Rev)
		}
	}
}

// complete checks that every operation was told that is in the ledger or was
// acknowledged, and that the ledger has all that were told.
func (s *stream) complete() {
	node := s.final.Node
	inLedger := map[int64]bool{}
	for _, row := range s.final.Ledger {
		inLedger[row.ID] = true
	}
	for i := range s.evidence.History.Ops {
		o := &s.evidence.History.Ops[i]
		rev, told := s.told[o.ID]
		switch {
		case !told && acked(o):
			s.illegal("%s does not tell of %s, acknowledged at %s", node, describe(o), at(o.End))
		case !told && inLedger[o.ID]:
			s.illegal("%s does not tell of %s, which is in its ledger", node, describe(o))
		case told && rev <= s.final.Rev && !inLedger[o.ID]:
			s.illegal("%s tells of %s at revision %d, and does not have it in its ledger at revision %d", node, describe(o), rev, s.final.Rev)
		}
	}
}

// touches adds the keys that an operation writes: those that must be told, and
// those that need not be, because their row may be as before.
func touches(o *history.Op, must, may map[history.ChangedKey]bool) {
	must[history.ChangedKey{Table: history.TableLedger, Key: o.ID}] = true
	switch o.Kind {
	case history.Write, history.CAS:
		must[history.ChangedKey{Table: history.TableRegisters, Key: o.Key}] = true
	case history.Transfer:
		to := must
		if o.Value == 0 || o.Key == o.Other {
			to = may
		}
		to[history.ChangedKey{Table: history.TableAccounts, Key: o.Key}] = true
		to[history.ChangedKey{Table: history.TableAccounts, Key: o.Other}] = true
	case history.Lists:
		for _, s := range o.Steps {
			if s.Append != 0 {
				must[history.ChangedKey{Table: history.TableLists, Key: s.List}] = true
			}
		}
	case history.Claim:
		must[history.ChangedKey{Table: history.TableClaims, Key: o.ID}] = true
	case history.Move:
		must[history.ChangedKey{Table: history.TableItems, Key: o.Key}] = true
	}
}
