package inmem

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"trihold/repo/driver"
)

// commits draws commits that a program could send.
func commits(s *driver.Schema) *rapid.Generator[*driver.Commit] {
	return rapid.Custom(func(t *rapid.T) *driver.Commit {
		d := draw{t, s}
		c := &driver.Commit{ID: d.id(), Read: d.rev(), Writes: []driver.Write{}}
		for range rapid.IntRange(0, 4).Draw(t, "row checks") {
			c.Checks.Rows = append(c.Checks.Rows, driver.RowCheck{Table: d.table(), Key: d.key(), Rev: d.rev()})
		}
		for range rapid.IntRange(0, 4).Draw(t, "span checks") {
			k := driver.SpanCheck{Table: d.table(), Lo: d.bound(), Hi: d.bound(), Rows: int64(d.rev()), MaxRev: d.rev()}
			k.Order = rapid.IntRange(0, len(k.Table.Indices)).Draw(t, "order")
			c.Checks.Spans = append(c.Checks.Spans, k)
		}
		if rapid.Bool().Draw(t, "load") {
			c.Load = &driver.Load{Changes: []driver.Change{}}
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				c.Load.Changes = append(c.Load.Changes, d.change())
			}
		}
		for range rapid.IntRange(0, 5).Draw(t, "writes") {
			w := driver.Write{Kind: rapid.SampledFrom([]driver.WriteKind{driver.Insert, driver.Put, driver.Delete}).Draw(t, "kind"), Table: d.table(), Key: d.key()}
			if w.Kind != driver.Delete {
				w.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "row")
				if c.Load != nil {
					w.Rev = d.rev()
				}
			}
			c.Writes = append(c.Writes, w)
		}
		return c
	})
}

// A draw draws the parts of a commit.
type draw struct {
	t *rapid.T
	s *driver.Schema
}

func (d draw) rev() driver.Rev { return driver.Rev(rapid.Int64Min(0).Draw(d.t, "revision")) }

func (d draw) table() *driver.Table { return rapid.SampledFrom(d.s.Stored()).Draw(d.t, "table") }

func (d draw) key() driver.Key {
	return driver.Key(rapid.SliceOf(rapid.Byte()).Draw(d.t, "key"))
}

func (d draw) bound() driver.Bound {
	return driver.Bound{Tuple: d.key(), Open: rapid.Bool().Draw(d.t, "open")}
}

func (d draw) id() (id driver.CommitID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), len(id), len(id)).Draw(d.t, "ID"))
	return id
}

func (d draw) change() driver.Change {
	c := driver.Change{Rev: d.rev(), ID: d.id()}
	for range rapid.IntRange(0, 3).Draw(d.t, "keys") {
		c.Keys = append(c.Keys, driver.ChangedKey{Table: d.table(), Key: d.key(), Deleted: rapid.Bool().Draw(d.t, "deleted")})
	}
	return c
}

func TestACommitReadsBackFromItsRequest(t *testing.T) {
	s := personSchema.Driver()
	all := commits(s)
	rapid.Check(t, func(t *rapid.T) {
		want := all.Draw(t, "commit")
		b := appendCommitRequest(nil, want)
		got, err := decodeCommitRequest(s, b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v reads back as %+v, %v", want, got, err)
		}
		if _, err := decodeCommitRequest(s, b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); !errors.Is(err, driver.ErrCorrupt) {
			t.Fatalf("cut short: %v", err)
		}
		if _, err := decodeCommitRequest(s, append(b, 0)); !errors.Is(err, driver.ErrCorrupt) {
			t.Fatalf("with a byte too many: %v", err)
		}
	})
}

func TestChecksReadBackFromTheLog(t *testing.T) {
	s := personSchema.Driver()
	all := commits(s)
	rapid.Check(t, func(t *rapid.T) {
		want := all.Draw(t, "commit").Checks
		d := decoder{b: appendChecks(nil, want), ok: true}
		if got := decodeChecks(&d, s); !d.ok || len(d.b) > 0 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v reads back as %+v, %v, %d bytes left", want, got, d.ok, len(d.b))
		}
	})
}

func TestACommitRequestThatIsNotSoundIsRefused(t *testing.T) {
	s := personSchema.Driver()
	person := s.Tables[0]
	with := func(change func(c *driver.Commit)) []byte {
		c := &driver.Commit{Writes: []driver.Write{{Kind: driver.Delete, Table: person, Key: "k"}}}
		change(c)
		return appendCommitRequest(nil, c)
	}
	head := with(func(*driver.Commit) {})[:2+16]
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":              {nil, driver.ErrCorrupt},
		"a later format":       {append([]byte{requestFormat + 1}, head[1:]...), driver.ErrInvalid},
		"a flag of 2":          {append([]byte{requestFormat, 2}, with(func(*driver.Commit) {})[2:]...), driver.ErrCorrupt},
		"an unknown table":     {with(func(c *driver.Commit) { c.Writes[0].Table = &driver.Table{ID: len(s.Tables) + 1} }), driver.ErrCorrupt},
		"a check of no table":  {with(func(c *driver.Commit) { c.Checks.Rows = []driver.RowCheck{{Table: &driver.Table{ID: 99}}} }), driver.ErrCorrupt},
		"an unknown order":     {with(func(c *driver.Commit) { c.Checks.Spans = []driver.SpanCheck{{Table: person, Order: 4}} }), driver.ErrCorrupt},
		"an unknown kind":      {with(func(c *driver.Commit) { c.Writes[0].Kind = 4 }), driver.ErrCorrupt},
		"a negative revision":  {with(func(c *driver.Commit) { c.Read = -1 }), driver.ErrCorrupt},
		"more rows than bytes": {append(head[:len(head):len(head)], 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), driver.ErrCorrupt},
		"too many writes":      {with(func(c *driver.Commit) { c.Writes = manyDeletes(person, driver.MaxWrites+1) }), driver.ErrCorrupt},
	} {
		if _, err := decodeCommitRequest(s, c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := decodeCommitRequest(s, with(func(c *driver.Commit) { c.Writes = manyDeletes(person, driver.MaxWrites) })); err != nil {
		t.Errorf("as many writes as a commit may have: %v", err)
	}
}

func manyDeletes(table *driver.Table, n int) []driver.Write {
	writes := make([]driver.Write, n)
	for i := range writes {
		writes[i] = driver.Write{Kind: driver.Delete, Table: table, Key: "k"}
	}
	return writes
}

func FuzzNoCommitRequestPanicsAndWhatIsReadCanBeSentOn(f *testing.F) {
	s := personSchema.Driver()
	for i := range 20 {
		f.Add(appendCommitRequest(nil, commits(s).Example(i)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCommitRequest(s, b)
		if err != nil {
			return
		}
		again, err := decodeCommitRequest(s, appendCommitRequest(nil, c))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v is sent on as %+v, %v", c, again, err)
		}
	})
}
