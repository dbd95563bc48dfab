package check

import (
	"cmp"
	"slices"

	"trihold/bench/fault/history"
)

// indices checks each index against its table, and every walk for its order.
func indices(t *trial) {
	for _, f := range t.finals() {
		t.verdict.Ops += len(f.Items) + len(f.Claims) + len(f.Ledger)
		byID := func(a, b history.ItemRow) int { return cmp.Compare(a.ID, b.ID) }
		walks(t, f.Node, "items", f.Items, f.ItemsByGroup, byID, func(a, b history.ItemRow) int {
			return cmp.Or(cmp.Compare(a.Group, b.Group), byID(a, b))
		})
		walks(t, f.Node, "claims", f.Claims, f.ClaimsByName,
			func(a, b history.ClaimRow) int { return cmp.Compare(a.ID, b.ID) },
			func(a, b history.ClaimRow) int { return cmp.Compare(a.Name, b.Name) })
		client := func(a, b history.LedgerRow) int { return cmp.Compare(a.ID, b.ID) }
		walks(t, f.Node, "ledger", f.Ledger, f.LedgerByClient, client, func(a, b history.LedgerRow) int {
			return cmp.Or(cmp.Compare(a.Client, b.Client), client(a, b))
		})
	}
	for i := range t.evidence.History.Ops {
		o := &t.evidence.History.Ops[i]
		if o.Kind != history.Group || o.Outcome != history.OK {
			continue
		}
		t.verdict.Ops++
		for i, id := range o.Saw {
			if id < 0 || id >= int64(t.setup.Items) {
				t.illegal("%s saw item %d, which does not exist", describe(o), id)
			} else if i > 0 && id <= o.Saw[i-1] {
				t.illegal("%s saw item %d after item %d", describe(o), id, o.Saw[i-1])
			}
		}
	}
}

// walks checks that a table and an index are the same rows, each strictly in its
// order: a strict order has no row twice, and a unique index no value twice.
func walks[R comparable](t *trial, node, name string, table, index []R, byKey, byIndex func(a, b R) int) {
	inOrder := func(what string, rows []R, order func(a, b R) int) {
		for i := 1; i < len(rows); i++ {
			if c := order(rows[i-1], rows[i]); c == 0 {
				t.illegal("%s: %s has the rows %+v and %+v in one place", node, what, rows[i-1], rows[i])
			} else if c > 0 {
				t.illegal("%s: %s has row %+v before row %+v", node, what, rows[i-1], rows[i])
			}
		}
	}
	inOrder("table "+name, table, byKey)
	inOrder("the index of "+name, index, byIndex)
	for _, r := range without(table, index) {
		t.illegal("%s: row %+v is in table %s and not in its index", node, r, name)
	}
	for _, r := range without(index, table) {
		t.illegal("%s: row %+v is in the index of %s and not in the table", node, r, name)
	}
}

// without returns the rows of a that are not in b.
func without[R comparable](a, b []R) []R {
	in := make(map[R]bool, len(b))
	for _, r := range b {
		in[r] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(r R) bool { return in[r] })
}
