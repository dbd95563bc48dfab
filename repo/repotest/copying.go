package repotest

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"trihold/repo"
	"trihold/repo/driver"
)

var copyCases = []testCase{
	{
		name: "a store that goes on while it is copied by loads is the same store in the end",
		why:  "This is what a migration does: rows first, in pieces and from different moments, then the commits that came between, then the fence.",
		check: func(t *T) {
			seed := Seed(t)
			c := &copier{T: t, rnd: rand.New(rand.NewPCG(seed, 1)), origin: NewModel()}
			var err error
			c.store, err = repo.New(t.ctx, c.origin, Schema)
			t.ok(err)
			defer func() { t.ok(c.store.Close()) }()
			c.goOn(60)
			_, err = c.origin.Commit(t.ctx, &driver.Commit{ID: newID(), Writes: []driver.Write{writeOf(driver.Put, itemTable, &Item{ID: "first"})}})
			t.ok(err)
			c.begin()
			for _, def := range Schema.Driver().Tables {
				c.copyTable(def)
			}
			for range 5 {
				c.goOn(6)
				c.follow()
			}
			c.end()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			h := generateHistory(c.rnd.IntN, 30)
			if diff := h.Run(t.ctx, t.store, nil).Diff(h.Run(t.ctx, c.store, nil)); diff != "" {
				t.Fatalf("seed %d: after the copy: %s", seed, diff)
			}
		},
	},
	{
		name:    "a store that is prepared with no schema has the one that it was made with, and the same rows",
		why:     "The tool that copies a store is not the program that declares its tables.",
		reopens: true,
		check: func(t *T) {
			dir := t.TempDir()
			var rows map[string][]string
			var changes []string
			t.reopened(dir, func(t *T) {
				t.commit(spanRows(0)...)
				insert(t, documents, fullDocument())
				insert(t, scalars, fullScalar())
				rows, changes = dump(t), t.changes(0, 3)
			})
			d := t.harness.Open(t, dir)
			t.ok(d.Prepare(t.ctx, nil))
			s, err := d.Status(t.ctx)
			t.ok(err)
			if s.Schema == nil {
				t.Fatal("Status tells no schema")
			}
			t.equal("description", s.Schema.Describe(), Schema.Driver().Describe())
			own := *t
			own.driver = d
			t.equal("rows", dumpOf(&own, s.Schema), rows)
			t.equal("changes", own.changes(0, 3), changes)
			w, err := s.Schema.PutState("a", 1, 0)
			t.ok(err)
			own.commit(w)
			Verify(t, d, s.Schema)
			t.ok(d.Close())
			t.reopened(dir, func(t *T) {
				s, err := t.driver.Status(t.ctx)
				t.ok(err)
				t.equal("the schema is the program's own", s.Schema == Schema.Driver(), true)
				_, rev := readState[int](t, "a")
				t.atRev("revision of the state", rev, 4)
				t.equal("rows", dump(t), rows)
			})
		},
	},
	{
		name: "an empty store that is prepared with no schema is ErrInvalid",
		why:  "A tool that is given the wrong place must not make a store there.",
		check: func(t *T) {
			d := t.harness.Open(t, t.TempDir())
			t.refused(d.Prepare(t.ctx, nil), driver.ErrInvalid)
			t.ok(d.Close())
		},
	},
}

// A copier copies a model into the store under test by loads.
type copier struct {
	*T
	rnd    *rand.Rand
	origin *Model
	store  *repo.Store // over origin
	copied driver.Rev  // commits of the origin up to here are loaded, or need not be
	oldest driver.Rev  // changes of the copy begin after it
	fence  driver.Rev  // of the fence's row in the copy
}

// goOn has the origin go on with its history.
func (c *copier) goOn(turns int) {
	generateHistory(c.rnd.IntN, 1+c.rnd.IntN(turns)).Run(c.ctx, c.store, nil)
}

// begin puts up the fence, and loads some of the commits there are.
func (c *copier) begin() {
	now := c.now()
	c.oldest = driver.Rev(c.rnd.Int64N(int64(now) + 1))
	c.copied = c.oldest
	c.send(c.commits(now))
}

// copyTable loads the rows of a table in pieces, each from a later moment.
func (c *copier) copyTable(def *driver.Table) {
	c.Helper()
	span := driver.Span{Table: def, Limit: 1 + c.rnd.IntN(5)}
	for {
		var found []driver.Row
		c.ok(onSnapshot(c.ctx, c.origin, func(s driver.Snapshot) (err error) {
			found, err = gather(s.Scan(c.ctx, span))
			return err
		}))
		var writes []driver.Write
		for _, r := range found {
			span.Lo = driver.Bound{Tuple: keyOf(def, r), Open: true}
			writes = append(writes, driver.Write{Kind: driver.Put, Table: def, Key: span.Lo.Tuple, Data: r.Canonical(nil, def), Rev: r.Rev})
		}
		c.send(nil, writes...)
		if len(found) < span.Limit {
			return
		}
		c.goOn(2)
		if c.rnd.IntN(4) == 0 {
			c.follow()
		}
	}
}

// follow loads the commits that are not loaded yet, in batches, with the rows that
// they wrote as those are now.
func (c *copier) follow() {
	c.Helper()
	for now := c.now(); c.copied < now; {
		changes := c.commits(min(now, c.copied+1+driver.Rev(c.rnd.IntN(4))))
		c.send(changes, c.written(changes)...)
	}
}

// end ends the origin's history, takes the fence of the copy away, and compares.
// The origin then goes on, too, to say how the copy must.
func (c *copier) end() {
	c.Helper()
	_, err := c.origin.Commit(c.ctx, &driver.Commit{ID: newID(), Writes: []driver.Write{putState(driver.FenceRow, driver.Fence{By: "m"}, 0)}})
	c.ok(err)
	c.follow()
	c.reopenByLoad()
	own := *c.T
	own.driver, own.store = c.origin, c.store
	own.reopenByLoad()
	c.equal("digest", c.digest(), own.digest())
	c.equal("rows", dump(c.T), dump(&own))
	var changes []driver.Change
	for change, err := range c.origin.Changes(c.ctx, c.oldest) {
		c.ok(err)
		if changes = append(changes, change); change.Rev == c.now() {
			break
		}
	}
	c.loadedChanges(c.oldest, changes)
}

func (c *copier) now() driver.Rev {
	s, err := c.origin.Status(c.ctx)
	c.ok(err)
	return s.Rev
}

// commits returns the commits that are not loaded yet, up to a revision.
func (c *copier) commits(upTo driver.Rev) []driver.Change {
	var changes []driver.Change
	if c.copied == upTo {
		return nil
	}
	for change, err := range c.origin.Changes(c.ctx, c.copied) {
		c.ok(err)
		if changes = append(changes, change); change.Rev == upTo {
			break
		}
	}
	c.copied = upTo
	return changes
}

// written returns the writes that make the rows that changes are about what they
// are now.
func (c *copier) written(changes []driver.Change) []driver.Write {
	c.Helper()
	type place struct {
		table *driver.Table
		key   driver.Key
	}
	seen := map[place]bool{}
	var writes []driver.Write
	c.ok(onSnapshot(c.ctx, c.origin, func(s driver.Snapshot) error {
		for _, change := range changes {
			for _, k := range change.Keys {
				if at := (place{k.Table, k.Key}); seen[at] || k.Table == stateTable {
					continue // the copy's state is its own
				} else {
					seen[at] = true
				}
				r, err := s.Get(c.ctx, k.Table, k.Key)
				w := driver.Write{Kind: driver.Put, Table: k.Table, Key: k.Key, Rev: r.Rev}
				switch {
				case errors.Is(err, driver.ErrNotFound):
					w.Kind = driver.Delete
				case err != nil:
					return fmt.Errorf("read what commit %d wrote: %w", change.Rev, err)
				default:
					w.Data = r.Canonical(nil, k.Table)
				}
				writes = append(writes, w)
			}
		}
		return nil
	}))
	return writes
}

// send sends a load that moves the fence along, sometimes twice.
func (c *copier) send(changes []driver.Change, writes ...driver.Write) {
	c.Helper()
	load := &driver.Commit{Load: &driver.Load{Changes: changes}, Writes: append(writes, fenceAt(c.fence+1)),
		Checks: driver.Checks{Rows: []driver.RowCheck{fenceCheck(c.fence)}}}
	_, err := c.driver.Commit(c.ctx, load)
	c.ok(err)
	c.fence++
	if c.rnd.IntN(4) == 0 {
		_, err := c.driver.Commit(c.ctx, load)
		c.refused(err, driver.ErrConflict)
	}
}
