package inmem

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"trihold/internal/digest"
	"trihold/repo/driver"
)

// InspectedContent is the state that snapshot and log make, as it was rebuilt.
type InspectedContent struct {
	Rev driver.Rev `json:"rev"`
	// CertainIndex is the last entry of a member's log of which the directory proves
	// that it was committed: the newest snapshot includes it. Whatever comes behind it
	// may not be committed; the rest of the cluster knows.
	CertainIndex uint64           `json:"certain_index,omitempty"`
	LastIndex    uint64           `json:"last_index"`
	Sum          string           `json:"sum"` // as repo.Digest
	Tables       []InspectedTable `json:"tables"`
	// Fence is the fence of a migration, if the store has one.
	Fence *driver.Fence `json:"fence,omitempty"`
}

// InspectedTable is a table of it.
type InspectedTable struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Sum   string `json:"sum"` // as repo.Digest
}

// content describes a root, and checks its indices against its rows.
func (in *Inspection) content(ctx context.Context, r *root, s *driver.Schema) error {
	c := &InspectedContent{Rev: r.rev, LastIndex: r.index, Fence: r.fence}
	var names []string
	var sums []digest.Sum
	for i := range r.tables {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := &r.tables[i]
		rows, sum := t.rows()
		for _, problem := range t.wrongOrders(rows) {
			in.find("", -1, fmt.Errorf("table %s: %s", t.def.Name, problem), "report it: the program built an index wrongly")
		}
		if t.def == s.State { // which no digest is about
			continue
		}
		c.Tables = append(c.Tables, InspectedTable{Table: t.def.Name, Rows: int64(len(rows)), Sum: sum.String()})
		names, sums = append(names, t.def.Name), append(sums, sum)
	}
	c.Sum = digest.Whole(names, sums).String()
	in.Content = c
	return nil
}

// rows returns all rows in the order of their primary keys, and their digest.
func (t *table) rows() (rows []*row, sum digest.Sum) {
	var canonical []byte
	t.orders[0].Scan(func(r *row) bool {
		canonical = t.def.Encode(canonical[:0], r.value)
		sum.Add(canonical)
		rows = append(rows, r)
		return true
	})
	return rows, sum
}

// wrongOrders recomputes the orders of a table from its rows, and returns what is
// wrong with those that it has.
func (t *table) wrongOrders(rows []*row) (problems []string) {
	for order := range t.orders {
		keys := make([]keyed, len(rows))
		for i, r := range rows {
			keys[i] = keyed{t.def.AppendKey(nil, order, r.value), r}
		}
		slices.SortFunc(keys, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
		if problem := t.compareOrder(order, keys); problem != "" {
			problems = append(problems, problem)
		}
		if order > 0 && t.def.Indices[order-1].Unique {
			if problem := t.repeats(order-1, keys); problem != "" {
				problems = append(problems, problem)
			}
		}
	}
	for _, r := range rows {
		key := driver.Key(t.def.AppendKey(nil, 0, r.value))
		if t.get(key) != r {
			problems = append(problems, fmt.Sprintf("the row %s is not found by its key", t.def.FormatKey(key)))
		}
	}
	return problems
}

// A keyed is a row with its key in some order.
type keyed struct {
	key []byte
	row *row
}

// orderName names an order for people.
func (t *table) orderName(order int) string {
	if order == 0 {
		return "the primary key"
	}
	return "index " + t.def.IndexColumnNames(t.def.Indices[order-1])
}

// compareOrder compares an order with what it should be.
func (t *table) compareOrder(order int, want []keyed) (problem string) {
	at := 0
	t.orders[order].Scan(func(r *row) bool {
		if at >= len(want) || want[at].row != r {
			problem = fmt.Sprintf("%s has another row at position %d than the rows say", t.orderName(order), at)
			return false
		}
		at++
		return true
	})
	if problem == "" && at < len(want) {
		problem = fmt.Sprintf("%s has %d rows, the table has %d", t.orderName(order), at, len(want))
	}
	return problem
}

// repeats looks for values that two rows have in a unique index.
func (t *table) repeats(x int, keys []keyed) string {
	var before driver.Key
	for _, k := range keys {
		primary := t.def.AppendKey(nil, 0, k.row.value)
		values := driver.Key(k.key[:len(k.key)-len(primary)])
		if values != "" && values == before && !hasNull(t.def, t.def.Indices[x], values) {
			return fmt.Sprintf("%s is unique, and two rows have the same values in it, one of them %s", t.orderName(x+1), t.def.FormatKey(driver.Key(primary)))
		}
		before = values
	}
	return ""
}
