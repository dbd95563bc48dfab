package simulate

import (
	"fmt"

	"trihold/internal/digest"
	"trihold/internal/verify"
	"trihold/repo/driver"
)

// A model is what the tables must hold after some commits. It is meant to be
// obviously right: maps, and a look at every row for every span.
type model struct {
	schema *driver.Schema
	rev    driver.Rev
	rows   []map[driver.Key]modelRow // by Table.ID
	unique map[claim]driver.Key      // who has which values
}

type modelRow struct {
	rev  driver.Rev
	data []byte
	live any
}

// A claim is the values of a unique index.
type claim struct {
	table  *driver.Table
	order  int
	values driver.Key
}

func newModel(s *driver.Schema) *model {
	m := &model{schema: s, unique: map[claim]driver.Key{}}
	for range s.Tables {
		m.rows = append(m.rows, map[driver.Key]modelRow{})
	}
	return m
}

// apply applies a commit that a store has accepted as the next revision. It
// returns why the store should not have.
func (m *model) apply(c *driver.Commit) error {
	if err := m.check(c.Checks); err != nil {
		return err
	}
	m.rev++
	for i := range c.Writes {
		w := &c.Writes[i]
		old, exists := m.rows[w.Table.ID][w.Key]
		if exists && w.Kind == driver.Insert {
			return fmt.Errorf("it inserts row %s of table %s, which was there", w.Table.FormatKey(w.Key), w.Table.Name)
		}
		if exists {
			m.release(w.Table, w.Key, old.live)
		}
	}
	for i := range c.Writes {
		if err := m.write(&c.Writes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) release(t *driver.Table, key driver.Key, live any) {
	for order := range len(t.Indices) + 1 {
		k := claim{t, order, verify.Unique(t, order, live)}
		if k.values != "" && m.unique[k] == key {
			delete(m.unique, k)
		}
	}
}

func (m *model) write(w *driver.Write) error {
	t := w.Table
	if w.Kind == driver.Delete {
		delete(m.rows[t.ID], w.Key)
		return nil
	}
	live, err := t.Decode(w.Data)
	if err != nil {
		return err
	}
	m.rows[t.ID][w.Key] = modelRow{m.rev, w.Data, live}
	for order := range len(t.Indices) + 1 {
		k := claim{t, order, verify.Unique(t, order, live)}
		if k.values == "" {
			continue
		}
		if other, taken := m.unique[k]; taken {
			return fmt.Errorf("row %s of table %s has the unique values of row %s", t.FormatKey(w.Key), t.Name, t.FormatKey(other))
		}
		m.unique[k] = w.Key
	}
	return nil
}

// check returns which check of a commit does not hold.
func (m *model) check(c driver.Checks) error {
	for _, k := range c.Rows {
		if rev := m.rows[k.Table.ID][k.Key].rev; rev != k.Rev {
			return fmt.Errorf("it read row %s of table %s at revision %d, which then had revision %d", k.Table.FormatKey(k.Key), k.Table.Name, k.Rev, rev)
		}
	}
	for _, k := range c.Spans {
		var n int64
		var highest driver.Rev
		for _, r := range m.rows[k.Table.ID] {
			if within(k, r.live) {
				n, highest = n+1, max(highest, r.rev)
			}
		}
		if n != k.Rows || highest != k.MaxRev {
			return fmt.Errorf("it read a span of table %s with %d rows up to revision %d, which then had %d up to %d", k.Table.Name, k.Rows, k.MaxRev, n, highest)
		}
	}
	return nil
}

// within reports whether a row lies in a span.
func within(k driver.SpanCheck, live any) bool {
	if k.Lo.Tuple != "" {
		if c := k.Table.CompareKey(k.Order, live, k.Lo.Tuple); c < 0 || c == 0 && k.Lo.Open {
			return false
		}
	}
	if k.Hi.Tuple != "" {
		if c := k.Table.CompareKey(k.Order, live, k.Hi.Tuple); c > 0 || c == 0 && k.Hi.Open {
			return false
		}
	}
	return true
}

// digest returns the sum of repo.Digest.
func (m *model) digest() string {
	names, sums := make([]string, len(m.schema.Tables)), make([]digest.Sum, len(m.schema.Tables))
	for i, t := range m.schema.Tables {
		names[i] = t.Name
		for _, row := range m.rows[t.ID] {
			sums[i].Add(row.data)
		}
	}
	return digest.Whole(names, sums).String()
}
