package verify_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"trihold/inmem"
	"trihold/internal/verify"
	"trihold/repo"
	"trihold/repo/driver"
)

type thing struct {
	ID   int64   `db:"id"`
	Code *int64  `db:"code"`
	Text string  `db:"text"`
	Size float64 `db:"size"`
}

var (
	things       = repo.NewTable("thing", func(t *thing) *int64 { return &t.ID })
	thingsByCode = repo.NewUnique1(things, func(t *thing) **int64 { return &t.Code })
	thingsByText = repo.NewIndex1(things, func(t *thing) *string { return &t.Text })
	schema       = repo.NewSchema(things, thingsByCode, thingsByText)
)

// filled returns a store with some rows; a few have no code.
func filled(t *testing.T) driver.Store {
	t.Helper()
	d, err := inmem.Open(inmem.Config{Class: driver.Memory})
	if err != nil {
		t.Fatal(err)
	}
	s, err := repo.New(t.Context(), d, schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	err = s.Update(t.Context(), func(tx *repo.Tx) error {
		for id := range int64(20) {
			row := thing{ID: id, Text: strings.Repeat("x", int(id%3)), Size: float64(id)}
			if id%4 > 0 {
				row.Code = &id
			}
			if err := things.Put(tx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// faulty is a store whose snapshots lie.
type faulty struct {
	driver.Store
	scan func(s driver.Span, rows []driver.Row) []driver.Row
	get  func(r driver.Row) driver.Row
}

type faultySnapshot struct {
	driver.Snapshot
	f faulty
}

func (f faulty) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	s, err := f.Store.Begin(ctx, m)
	return faultySnapshot{s, f}, err
}

func (s faultySnapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	var rows []driver.Row
	for r, err := range s.Snapshot.Scan(ctx, span) {
		if err == nil {
			rows = append(rows, r)
		}
	}
	if s.f.scan != nil {
		rows = s.f.scan(span, rows)
	}
	return func(yield func(driver.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s faultySnapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	r, err := s.Snapshot.Get(ctx, t, key)
	if s.f.get != nil {
		r = s.f.get(r)
	}
	return r, err
}

func TestAConsistentStoreIsAccepted(t *testing.T) {
	if err := verify.Store(t.Context(), filled(t), schema.Driver()); err != nil {
		t.Error(err)
	}
}

func TestEveryInconsistencyIsFound(t *testing.T) {
	d := filled(t)
	table := schema.Driver().Tables[0]
	code := int64(1)
	in := func(order int, do func(rows []driver.Row) []driver.Row) faulty {
		return faulty{Store: d, scan: func(s driver.Span, rows []driver.Row) []driver.Row {
			if s.Order != order {
				return rows
			}
			return do(rows)
		}}
	}
	for name, f := range map[string]faulty{
		"an index without a row": in(1, func(rows []driver.Row) []driver.Row { return rows[1:] }),
		"a row without its index entry": in(0, func(rows []driver.Row) []driver.Row {
			return slices.Concat(rows[:3], rows[4:])
		}),
		"an index out of order": in(2, func(rows []driver.Row) []driver.Row {
			rows[0], rows[19] = rows[19], rows[0]
			return rows
		}),
		"a row twice": in(0, func(rows []driver.Row) []driver.Row { return append(rows[:5:5], rows[4:]...) }),
		"an old row in an index": in(2, func(rows []driver.Row) []driver.Row {
			old := *rows[2].Value.(*thing)
			old.Size++
			rows[2].Value = &old
			return rows
		}),
		"another revision in an index": in(1, func(rows []driver.Row) []driver.Row {
			rows[2].Rev++
			return rows
		}),
		"two rows with one code": {Store: d, scan: func(_ driver.Span, rows []driver.Row) []driver.Row {
			for i, r := range rows {
				if row := *r.Value.(*thing); row.ID == 2 {
					row.Code = &code
					rows[i].Value = &row
				}
			}
			return rows
		}},
		"a get that is behind":       {Store: d, get: func(r driver.Row) driver.Row { r.Rev--; return r }},
		"a row newer than the store": {Store: d, scan: newer, get: func(r driver.Row) driver.Row { r.Rev += 5; return r }},
		"a row that is not in canonical form": in(0, func(rows []driver.Row) []driver.Row {
			rows[0] = driver.Row{Rev: rows[0].Rev, Data: append(rows[0].Canonical(nil, table), 0)}
			return rows
		}),
	} {
		if err := verify.Store(t.Context(), f, schema.Driver()); err == nil {
			t.Errorf("%s is not found", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func newer(_ driver.Span, rows []driver.Row) []driver.Row {
	for i := range rows {
		rows[i].Rev += 5
	}
	return rows
}
