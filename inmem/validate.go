package inmem

import "trihold/repo/driver"

// validate returns nil if a commit may be applied, and else why not.
func (s *state) validate(p *prepared) error {
	if err := s.check(p.commit); err != nil {
		return err
	}
	for i := range p.rows {
		w := p.rows[i].write
		if w.Kind == driver.Insert && s.tables[w.Table.ID].get(w.Key) != nil {
			return &driver.Error{Op: "insert", Table: w.Table.Name, Key: w.Table.FormatKey(w.Key), Kind: driver.ErrExists}
		}
	}
	return s.checkUnique(p)
}

// check looks at what the transaction read. Whatever has not been written since
// its snapshot is as it was, unless it was loaded.
func (s *state) check(c *driver.Commit) error {
	known := c.Load == nil && c.Read > s.loaded // revisions tell what is as it was
	if known && c.Read == s.rev {
		return nil
	}
	for _, k := range c.Checks.Rows {
		t := &s.tables[k.Table.ID]
		if known && t.rev <= c.Read {
			continue
		}
		var rev driver.Rev
		if r := t.get(k.Key); r != nil {
			rev = r.rev
		}
		if rev != k.Rev {
			return &driver.Error{Op: "commit", Table: k.Table.Name, Key: k.Table.FormatKey(k.Key), Kind: driver.ErrConflict}
		}
	}
	for _, k := range c.Checks.Spans {
		t := &s.tables[k.Table.ID]
		if known && t.rev <= c.Read {
			continue
		}
		if !t.holds(k) {
			return &driver.Error{Op: "commit", Table: k.Table.Name, Kind: driver.ErrConflict}
		}
	}
	return nil
}

// holds reports whether a span still has the rows that were read.
func (t *table) holds(k driver.SpanCheck) bool {
	var rows int64
	for r := range t.walk(k.Span()) {
		rows++
		if r.rev > k.MaxRev || rows > k.Rows {
			return false
		}
	}
	return rows == k.Rows
}

// checkUnique judges the unique indices on the result of all writes: a row that
// the commit writes itself no longer holds the values that it had.
func (s *state) checkUnique(p *prepared) error {
	for i := range p.rows {
		pr := &p.rows[i]
		def := pr.write.Table
		for x, values := range pr.unique {
			if values != "" && s.taken(p, def, x+1, values) {
				return existsIn(pr.write, x, values)
			}
		}
	}
	return p.repeated
}

// taken reports whether a row that the commit does not write has the values.
func (s *state) taken(p *prepared, def *driver.Table, order int, values driver.Key) bool {
	bound := driver.Bound{Tuple: values}
	for r := range s.tables[def.ID].walk(driver.Span{Table: def, Order: order, Lo: bound, Hi: bound, Limit: 1}) {
		return !p.writes(def, r.value)
	}
	return false
}
