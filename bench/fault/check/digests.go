package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"trihold/bench/fault/history"
)

// digests compares the nodes with each other.
func digests(t *trial) {
	finals := t.finals()
	for i, f := range finals {
		t.verdict.Ops += len(f.Ledger)
		if i == 0 {
			continue
		}
		first := finals[0]
		for _, other := range finals[:i] {
			if f.Rev == other.Rev && f.Digest != other.Digest {
				t.illegal("at revision %d the digest of %s is %s, that of %s is %s", f.Rev, other.Node, other.Digest, f.Node, f.Digest)
				break
			}
		}
		if diff := contentDiff(first, f); diff != "" && !t.lateBetween(first, f) {
			t.illegal("%s at revision %d and %s at revision %d differ: %s", first.Node, first.Rev, f.Node, f.Rev, diff)
		}
		if diff := streamDiff(first, f); diff != "" {
			t.illegal("the change streams of %s and %s differ: %s", first.Node, f.Node, diff)
		}
	}
}

// lateBetween reports whether all that was committed between two reads of the
// final content are operations of unknown outcome, that took effect only then. So
// the two differ, and neither is wrong: revisions checks each by itself.
func (t *trial) lateBetween(a, b *history.Final) bool {
	low, high := min(a.Rev, b.Rev), max(a.Rev, b.Rev)
	late := 0
	for _, c := range t.facts.order {
		if c.Rev <= low || c.Rev > high {
			continue
		}
		for _, id := range ledgerKeys(c) {
			if o := t.facts.ops[id]; o == nil || o.Outcome != history.Unknown {
				return false
			}
			late++
		}
	}
	return late > 0
}

// contentDiff returns the first difference of two contents, or "".
func contentDiff(a, b *history.Final) string {
	return cmp.Or(
		mapDiff("register", a.Registers, b.Registers, valueDiff),
		rowDiff("accounts", a.Accounts, b.Accounts),
		mapDiff("list", a.Lists, b.Lists, listDiff),
		rowDiff("claims", a.Claims, b.Claims),
		rowDiff("claims by name", a.ClaimsByName, b.ClaimsByName),
		rowDiff("items", a.Items, b.Items),
		rowDiff("items by group", a.ItemsByGroup, b.ItemsByGroup),
		rowDiff("ledger", a.Ledger, b.Ledger),
		rowDiff("ledger by client", a.LedgerByClient, b.LedgerByClient),
	)
}

func rowDiff[R comparable](name string, a, b []R) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("row %d of %s is %+v and %+v", i+1, name, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%s has %d rows and %d", name, len(a), len(b))
	}
	return ""
}

func valueDiff(a, b int64) string {
	if a == b {
		return ""
	}
	return fmt.Sprintf("%d and %d", a, b)
}

func listDiff(a, b []int64) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("element %d is %d and %d", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d elements and %d", len(a), len(b))
	}
	return ""
}

func mapDiff[V any](name string, a, b map[int64]V, diff func(x, y V) string) string {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if v, ok := b[k]; !ok {
			return fmt.Sprintf("only the first has %s %d", name, k)
		} else if d := diff(a[k], v); d != "" {
			return fmt.Sprintf("%s %d: %s", name, k, d)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[k]; !ok {
			return fmt.Sprintf("only the second has %s %d", name, k)
		}
	}
	return ""
}

// streamDiff returns the first difference of two change streams where both tell,
// or "". The order of keys in one change means nothing.
func streamDiff(a, b *history.Final) string {
	after, upTo := max(a.ChangesAfter, b.ChangesAfter), min(a.Rev, b.Rev)
	part := func(f *history.Final) []history.Change {
		return slices.DeleteFunc(slices.Clone(f.Changes), func(c history.Change) bool { return c.Rev <= after || c.Rev > upTo })
	}
	x, y := part(a), part(b)
	for i := range min(len(x), len(y)) {
		if x[i].Rev != y[i].Rev {
			return fmt.Sprintf("revision %d where the other has %d", x[i].Rev, y[i].Rev)
		}
		p, q := sortedKeys(x[i]), sortedKeys(y[i])
		for _, k := range slices.Concat(without(p, q), without(q, p)) {
			return fmt.Sprintf("revision %d touched %s %d only in one", x[i].Rev, k.Table, k.Key)
		}
	}
	if len(x) != len(y) {
		return fmt.Sprintf("%d changes and %d from revision %d to %d", len(x), len(y), after+1, upTo)
	}
	return ""
}

func sortedKeys(c history.Change) []history.ChangedKey {
	return slices.SortedFunc(slices.Values(c.Keys), func(a, b history.ChangedKey) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key))
	})
}
