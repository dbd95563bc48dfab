package inmem

import (
	"fmt"
	"slices"

	"trihold/repo/driver"
)

// A prepared commit has everything worked out that does not depend on the state
// of the store. That happens in the goroutine of the caller, so that the
// committer has little to do.
type prepared struct {
	commit *driver.Commit
	rows   []preparedRow  // one for each write
	one    [1]preparedRow // room for them if there is one
	// written finds a row by table and primary key; only for commits that write
	// more than one row, and to a table with unique indices.
	written map[rowKey]struct{}
	// repeated is set if two rows of the commit have the same values in a unique
	// index.
	repeated error
	// fences is set if the commit writes the fence, and fence is what it writes;
	// nil if it takes the fence away.
	fences bool
	fence  *driver.Fence
	// entry is the journal entry of a load.
	entry []byte
	// raise, if not zero, makes this no commit but a raise of the cluster's format.
	raise uint32
}

// alone reports whether it is a batch of its own.
func (p *prepared) alone() bool { return p.load() || p.raise > 0 }

// load reports whether the commit is a load.
func (p *prepared) load() bool { return p.commit.Load != nil }

// A rowKey names a key of an order of a table.
type rowKey struct {
	table *driver.Table
	order int
	key   driver.Key
}

// A preparedRow is one write with its row as an object.
type preparedRow struct {
	write *driver.Write
	value any // nil for a delete
	// unique holds the values of each unique index that no other row may have;
	// empty where there is no such index, or a value is NULL. Nil if the table
	// has no unique index.
	unique []driver.Key
}

// prepare prepares a commit. One that was decided before is only to be applied.
func prepare(s *driver.Schema, c *driver.Commit, decided bool) (*prepared, error) {
	p := &prepared{commit: c}
	if p.rows = p.one[:]; len(c.Writes) != 1 {
		p.rows = make([]preparedRow, len(c.Writes))
	}
	for i := range c.Writes {
		if err := p.rows[i].init(&c.Writes[i]); err != nil {
			return nil, err
		}
	}
	if !decided || p.load() {
		p.claim()
	}
	var err error
	p.fence, p.fences, err = s.FenceOf(c.Writes)
	if err != nil {
		return nil, &driver.Error{Op: "commit", Table: s.State.Name, Key: driver.FenceRow, Kind: driver.ErrInvalid, Cause: err}
	}
	return p, nil
}

// claim works out what the commit's rows claim in unique indices.
func (p *prepared) claim() {
	for i := range p.rows {
		pr := &p.rows[i]
		if pr.value == nil {
			continue
		}
		for x, index := range pr.write.Table.Indices {
			if index.Unique {
				pr.claim(x)
			}
		}
	}
	p.findRepeated()
}

// findRepeated sets written and repeated.
func (p *prepared) findRepeated() {
	if len(p.rows) == 1 {
		return
	}
	var claims map[rowKey]struct{}
	for i := range p.rows {
		pr := &p.rows[i]
		if !hasUnique(pr.write.Table) {
			continue
		}
		if claims == nil {
			claims = make(map[rowKey]struct{}, len(p.rows))
			p.written = make(map[rowKey]struct{}, len(p.rows))
		}
		p.written[rowKey{table: pr.write.Table, key: pr.write.Key}] = struct{}{}
		for x, values := range pr.unique {
			if values == "" {
				continue
			}
			claim := rowKey{pr.write.Table, x + 1, values}
			if _, taken := claims[claim]; taken && p.repeated == nil {
				p.repeated = existsIn(pr.write, x, values)
			}
			claims[claim] = struct{}{}
		}
	}
}

func hasUnique(t *driver.Table) bool {
	return slices.ContainsFunc(t.Indices, func(x *driver.Index) bool { return x.Unique })
}

// existsIn is the error for values that a unique index already holds.
func existsIn(w *driver.Write, x int, values driver.Key) error {
	t, index := w.Table, w.Table.Indices[x]
	cols := t.OrderColumns(x + 1)[:len(index.Columns)]
	return &driver.Error{Op: w.Kind.String(), Table: t.Name, Index: t.IndexColumnNames(index),
		Key: driver.FormatKey(cols, values), Kind: driver.ErrExists}
}

func (pr *preparedRow) init(w *driver.Write) error {
	pr.write = w
	if w.Kind == driver.Delete {
		return nil
	}
	var err error
	if pr.value, err = w.Table.Decode(w.Data); err != nil {
		return &driver.Error{Op: w.Kind.String(), Table: w.Table.Name, Key: w.Table.FormatKey(w.Key), Cause: err}
	}
	return nil
}

// claim sets the values of one unique index.
func (pr *preparedRow) claim(x int) {
	t := pr.write.Table
	if pr.unique == nil {
		pr.unique = make([]driver.Key, len(t.Indices))
	}
	var buf [128]byte
	key := t.AppendKey(buf[:0], x+1, pr.value)
	values := driver.Key(key[:len(key)-len(pr.write.Key)])
	if !hasNull(t, t.Indices[x], values) {
		pr.unique[x] = values
	}
}

// hasNull reports whether any of an index's columns is NULL in a key.
func hasNull(t *driver.Table, index *driver.Index, values driver.Key) bool {
	nullable := false
	for _, c := range index.Columns {
		nullable = nullable || t.Columns[c].Nullable
	}
	if !nullable {
		return false
	}
	cols := make([]driver.Column, len(index.Columns))
	for i, c := range index.Columns {
		cols[i] = t.Columns[c]
	}
	decoded, err := driver.KeyValues(cols, values)
	if err != nil {
		panic(fmt.Sprintf("inmem: key of a decoded row: %v", err))
	}
	for _, v := range decoded {
		if v == nil {
			return true
		}
	}
	return false
}

// writes reports whether the commit writes a row of a table with unique indices.
func (p *prepared) writes(t *driver.Table, row any) bool {
	if len(p.rows) == 1 {
		w := p.rows[0].write
		return w.Table == t && t.CompareKey(0, row, w.Key) == 0
	}
	var buf [128]byte
	_, ok := p.written[rowKey{table: t, key: driver.Key(t.AppendKey(buf[:0], 0, row))}]
	return ok
}

// changed returns what the commit touches.
func (p *prepared) changed(rev driver.Rev) driver.Change {
	keys := make([]driver.ChangedKey, len(p.rows))
	for i := range p.rows {
		w := p.rows[i].write
		keys[i] = driver.ChangedKey{Table: w.Table, Key: w.Key, Deleted: w.Kind == driver.Delete}
	}
	return driver.Change{Rev: rev, ID: p.commit.ID, Keys: keys}
}
