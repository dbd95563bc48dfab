package targets

import (
	"context"
	"encoding/binary"
	"math"
	"runtime"

	"trihold/bench/result"
	"trihold/repo"
	"trihold/repo/driver"
)

var interfaceRows = []Row{
	{
		Backend: "repo", Figure: "Update and View through `repo` / the same through the bare driver",
		Target: "<= 1.15 (Update) / <= 1.15 (View), and <= 1 us absolute on reads", Reference: "raw: Begin, Get and Commit of the same driver.Store, inmem, class disk",
		limits: []limit{atMost(1.15), atMost(1.15), atMost(1)}, measure: interfaceOverhead,
	},
	{
		Backend: "repo", Figure: "allocations of a View with one Get", Target: "<= 4", Reference: "none; inmem",
		limits: []limit{atMost(4)}, measure: viewAllocations,
	},
}

// The interface costs the same on every backend; on the fastest it shows most.
const inmemDisk = "inmem:{dir}/data?class=disk"

func interfaceOverhead(ctx context.Context, l *lab) (out []float64, err error) {
	const views, updates = 20_000, 200
	err = l.with(ctx, inmemDisk, noteSchema, func(s *repo.Store, _ string) error {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		bare := newBareDriver(s)
		update, err := l.compare(ctx, "us",
			func() (float64, error) {
				return p50(updates, func(i int) error { return bare.touch(ctx, noteID(i%someNotes)) })
			},
			func() (float64, error) {
				return p50(updates, func(i int) error { return touch(ctx, s, noteID(i%someNotes)) })
			})
		if err != nil {
			return err
		}
		var without, with []float64 // by round
		ids := make([]string, 1024)
		for i := range ids {
			ids[i] = noteID(i * 9)
		}
		measure := func(into *[]float64, op func(id string) error) measurement {
			return func() (float64, error) {
				v, err := each(views, func(i int) error { return op(ids[i%len(ids)]) })
				*into = append(*into, v)
				return v, err
			}
		}
		direct := func(id string) error { _, err := bare.view(ctx, id); return err }
		through := func(id string) error { return view(ctx, s, id) }
		read, err := l.compare(ctx, "ns", measure(&without, direct), measure(&with, through))
		if err != nil {
			return err
		}
		var extra []float64
		for i := range without {
			extra = append(extra, (with[i]-without[i])/1000)
		}
		out = append(append(update, read...), result.Median(extra))
		return nil
	})
	return out, err
}

func viewAllocations(ctx context.Context, l *lab) (out []float64, err error) {
	const views = 1000
	err = l.with(ctx, inmemDisk, noteSchema, func(s *repo.Store, _ string) error {
		if err := loadNotes(ctx, s, 100); err != nil {
			return err
		}
		id := noteID(7)
		fewest := math.Inf(1) // others allocate too now and then
		for range l.Rounds {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range views {
				if err := view(ctx, s, id); err != nil {
					return err
				}
			}
			runtime.ReadMemStats(&after)
			fewest = min(fewest, math.Floor(float64(after.Mallocs-before.Mallocs)/views))
		}
		out = []float64{fewest}
		return nil
	})
	return out, err
}

// A bareDriver does with a driver.Store what the closures of touch and view do
// with a repo.Store.
type bareDriver struct {
	store driver.Store
	table *driver.Table
	next  uint64
}

func newBareDriver(s *repo.Store) *bareDriver {
	return &bareDriver{store: s.Driver(), table: noteSchema.Driver().Tables[0]}
}

func (b *bareDriver) view(ctx context.Context, id string) (n note, err error) {
	snap, err := b.store.Begin(ctx, driver.Mode{})
	if err != nil {
		return n, err
	}
	var buf [64]byte
	row, err := snap.Get(ctx, b.table, driver.Key(driver.AppendKeyText(buf[:0], id)))
	if err == nil {
		n = *row.Value.(*note)
	}
	if closeErr := snap.Close(); err == nil {
		err = closeErr
	}
	return n, err
}

func (b *bareDriver) touch(ctx context.Context, id string) error {
	snap, err := b.store.Begin(ctx, driver.Mode{})
	if err != nil {
		return err
	}
	key := driver.Key(driver.AppendKeyText(nil, id))
	row, err := snap.Get(ctx, b.table, key)
	rev := snap.Rev()
	if closeErr := snap.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	n := *row.Value.(*note)
	n.Owner++
	b.next++
	c := &driver.Commit{
		Read:   rev,
		Checks: driver.Checks{Rows: []driver.RowCheck{{Table: b.table, Key: key, Rev: row.Rev}}},
		Writes: []driver.Write{{Kind: driver.Put, Table: b.table, Key: key, Data: b.table.Encode(nil, &n)}},
	}
	binary.BigEndian.PutUint64(c.ID[:], 1<<63|b.next)
	_, err = b.store.Commit(ctx, c)
	return err
}
