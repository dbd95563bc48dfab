package repotest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// The cases of this group share a store that was filled, closed and opened
// again; T.before is what it held.
var reopenCases = []testCase{
	{
		name: "a store that is opened again is at the revision that it was closed at",
		why:  "Restarting is not a commit, and loses none.",
		check: func(t *T) {
			t.equal("revision", t.rev(), t.before.rev)
			t.equal("digest", t.digest(), t.before.digest)
		},
	},
	{
		name: "every row is there, in every order, with its revision",
		why:  "An index that is built anew must be the same index; a row whose revision is lost would break every check of it.",
		check: func(t *T) {
			t.equal("orders", dump(t), t.before.orders)
		},
	},
	{
		name: "changes from before can be resumed from any revision",
		why:  "Watchers and mirrors outlive a restart of the store.",
		check: func(t *T) {
			for _, from := range []int{0, 1, len(t.before.changes) / 2, len(t.before.changes) - 1} {
				got := t.changes(0, len(t.before.changes))
				t.equal(fmt.Sprintf("changes from %d on", from), got[from:], t.before.changes[from:])
			}
			last := t.before.rev - 1
			for c, err := range t.driver.Changes(t.ctx, last) {
				t.ok(err)
				t.equal("last change", c.Rev, t.before.rev)
				break
			}
		},
	},
	{
		name: "a commit from before that is sent again is recognised",
		why:  "The answer may have been lost because the store was restarted; that is when commits are sent again.",
		check: func(t *T) {
			at := t.rev()
			for i, c := range t.before.commits {
				rev, err := t.driver.Commit(t.ctx, c)
				t.ok(err)
				t.equal(fmt.Sprintf("revision of commit %d", i), rev, t.before.revs[i])
			}
			t.equal("revision of the store", t.rev(), at)
		},
	},
	{
		name: "checks from before hold, or do not, as if nothing had happened",
		why:  "A transaction may begin before a restart and commit after it.",
		check: func(t *T) {
			row := Item{ID: "kept"}
			for what, c := range map[string]driver.RowCheck{
				"current": {Table: itemTable, Key: itemKey("kept"), Rev: t.before.kept},
				"stale":   {Table: itemTable, Key: itemKey("kept"), Rev: t.before.keptFirst},
			} {
				_, err := t.driver.Commit(t.ctx, &driver.Commit{ID: newID(), Read: c.Rev, Checks: driver.Checks{Rows: []driver.RowCheck{c}},
					Writes: []driver.Write{writeOf(driver.Put, table("blob"), &Blob{Key: repo.Bytes(what)})}})
				if what == "current" {
					t.ok(err)
				} else {
					t.refused(err, driver.ErrConflict)
				}
			}
			t.commit(writeOf(driver.Put, itemTable, &row))
		},
	},
	{
		name: "unique values are still taken, or free",
		why:  "A unique index guards rows that were written before.",
		check: func(t *T) {
			err := t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "new", Code: ptr("taken")}) })
			t.collision(err, "item", "code")
			err = t.store.Update(t.ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "taken"}) })
			t.collision(err, "item", "")
			insert(t, items, Item{ID: "new", Code: ptr("free")})
		},
	},
	{
		name: "revisions go on after a restart",
		why:  "A revision that comes back would make an old check hold for a new row.",
		check: func(t *T) {
			at := t.rev()
			for i := range driver.Rev(3) {
				t.equal("revision", t.commit(writeOf(driver.Put, itemTable, &Item{ID: "next"})), at+1+i)
			}
			t.equal("changes", t.changes(at, 3), []string{`+1: item["next"]`, `+2: item["next"]`, `+3: item["next"]`})
		},
	},
	{
		name: "a store can be opened again and again",
		why:  "Recovery works on what recovery has left, also when nothing was written in between.",
		check: func(t *T) {
			dir := t.TempDir()
			for round := range 4 {
				t.reopened(dir, func(t *T) {
					t.equal("rows", len(rows(t, items.All())), round/2)
					t.equal("revision", t.rev(), driver.Rev(round/2))
					if round%2 == 1 {
						insert(t, items, Item{ID: fmt.Sprint(round), Code: ptr(fmt.Sprint(round))})
					}
				})
			}
		},
	},
	{
		name: "a store made with another schema is ErrInvalid, and left alone",
		why:  "Reading rows of one shape as another is how data is destroyed.",
		check: func(t *T) {
			dir := t.TempDir()
			t.reopened(dir, func(t *T) { insert(t, items, Item{ID: "a"}) })
			d := t.harness.Open(t, dir)
			t.refused(d.Prepare(t.ctx, anotherSchema().Driver()), driver.ErrInvalid)
			t.ok(d.Close())
			t.reopened(dir, func(t *T) { t.equal("rows", rows(t, items.All()), []Item{{ID: "a"}}) })
		},
	},
}

// A beforeClose is what a store held when it was closed.
type beforeClose struct {
	rev       driver.Rev
	digest    repo.Digest
	orders    map[string][]string // see dump
	changes   []string            // all of them, see T.changes
	commits   []*driver.Commit
	revs      []driver.Rev // of the commits
	keptFirst driver.Rev   // of item "kept" when it was inserted
	kept      driver.Rev   // of item "kept"
}

// reopenedFixture fills a store, closes it and opens it again.
func reopenedFixture(tb testing.TB, h Harness, timeout time.Duration) *fixture {
	tb.Helper()
	dir := tb.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	t := &T{TB: tb, ctx: ctx, harness: h}
	b := &beforeClose{}
	t.reopened(dir, func(t *T) {
		send := func(writes ...driver.Write) driver.Rev {
			c := &driver.Commit{ID: newID(), Writes: writes}
			rev, err := t.driver.Commit(ctx, c)
			t.ok(err)
			b.commits, b.revs = append(b.commits, c), append(b.revs, rev)
			return rev
		}
		writes := spanRows(0)
		for len(writes) > 0 {
			n := min(7, len(writes))
			send(writes[:n]...)
			writes = writes[n:]
		}
		b.keptFirst = send(writeOf(driver.Insert, itemTable, &Item{ID: "kept"}))
		send(writeOf(driver.Insert, itemTable, &Item{ID: "taken", Code: ptr("taken")}), writeOf(driver.Insert, itemTable, &Item{ID: "gone", Code: ptr("free")}))
		b.kept = send(writeOf(driver.Put, itemTable, &Item{ID: "kept", Text: "again"}))
		send(writeOf(driver.Delete, itemTable, &Item{ID: "gone"}), writeOf(driver.Delete, itemTable, &Item{ID: "never"}))
		insert(t, documents, fullDocument())
		insert(t, scalars, fullScalar())
		_ = t.store.Update(ctx, func(tx *repo.Tx) error { return items.Insert(tx, Item{ID: "taken"}) })
		_ = t.store.Update(ctx, func(tx *repo.Tx) error { return errors.Join(items.Put(tx, Item{ID: "no"}), errOwn) })
		large := blobOfSize(300_000, 0xFF)
		put(t, blobs, large)
		b.rev, b.digest, b.orders = t.rev(), t.digest(), dump(t)
		b.changes = t.changes(0, int(b.rev))
	})
	f := &fixture{harness: h, timeout: timeout, before: b, keep: true}
	f.driver, f.store = openStore(tb, h, dir)
	return f
}

// reopened runs fn on the store kept in dir, and closes it.
func (t *T) reopened(dir string, fn func(t *T)) {
	t.Helper()
	own := *t
	own.driver, own.store = openStore(t, t.harness, dir)
	fn(&own)
	Verify(t, own.driver, Schema.Driver())
	t.ok(own.store.Close())
}

// dump returns every order of every table, a line for each row.
func dump(t *T) map[string][]string {
	t.Helper()
	return dumpOf(t, Schema.Driver())
}

// dumpOf is dump of a store that was prepared with another schema.
func dumpOf(t *T, schema *driver.Schema) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	t.snapshot(func(s driver.Snapshot) error {
		for _, def := range schema.Tables {
			for order := range len(def.Indices) + 1 {
				found, err := gather(s.Scan(t.ctx, driver.Span{Table: def, Order: order}))
				if err != nil {
					return err
				}
				var lines []string
				for _, v := range found {
					lines = append(lines, fmt.Sprintf("%.200x at %d", v.Canonical(nil, def), v.Rev))
				}
				all[fmt.Sprintf("%s, order %d", def.Name, order)] = lines
			}
		}
		return nil
	})
	return all
}

// anotherSchema returns a schema in which items have other columns.
func anotherSchema() *repo.Schema {
	type Other struct {
		ID    string `db:"id"`
		Group int64  `db:"group"`
	}
	return repo.NewSchema(repo.NewTable("item", func(r *Other) *string { return &r.ID }))
}
