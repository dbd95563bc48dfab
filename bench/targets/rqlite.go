package targets

import (
	"context"
	"errors"
	"fmt"

	"trihold/repo"
)

const (
	rqlite     = "rqlite"
	rqliteDisk = "rqlite:{dir}/rqlite?managed=1&class=disk"
)

var rqliteRows = []Row{
	{
		Backend: rqlite, Figure: "Update (1 check, 1 write) p50, 1 client / raw `/db/execute` INSERT, 1 node", Target: "<= 1.2", Reference: "raw: /db/execute on an rqlited started the same way",
		limits: []limit{atMost(1.2)}, measure: rqliteLatency,
	},
	{Backend: rqlite, Figure: "Update (1 check, 1 write) p50, 1 client / raw `/db/execute` INSERT, 3 nodes", Target: "<= 1.3", Reference: "raw: /db/execute"},
	{
		Backend: rqlite, Figure: "Updates/s, 64 / 256 callers, 1 node / raw at 64 clients", Target: ">= 1.4 / >= 2", Reference: "raw: /db/execute on an rqlited started the same way, 64 clients",
		limits: []limit{atLeast(1.4), atLeast(2)}, measure: rqliteThroughput,
	},
	{Backend: rqlite, Figure: "Updates/s, 64 / 256 callers, 3 nodes / raw at 64 clients", Target: ">= 1.0 / >= 1.5", Reference: "raw: /db/execute, 64 clients"},
	{
		Backend: rqlite, Figure: "View with one Get / raw `/db/query` of the same level", Target: "<= 1.1", Reference: "raw: /db/query, level=linearizable, on an rqlited started the same way",
		limits: []limit{atMost(1.1)}, measure: rqliteView,
	},
	{
		Backend: rqlite, Figure: "20 rows read and checked / 1 row", Target: "<= 1.1", Reference: "an Update that reads and checks 1 row",
		limits: []limit{atMost(1.1)}, measure: rqliteChecks,
	},
	{Backend: rqlite, Figure: "leader killed, first Update succeeds / raw client", Target: "<= raw + 100 ms", Reference: "raw: a client that tries again"},
	{
		Backend: rqlite, Figure: "commits lost or applied twice over all faults", Target: "0", Reference: "none; the faults of trihold fault --quick that rqlite promises to bear",
		limits: []limit{atMost(0)}, measure: lostByRqlite,
	},
}

// withRqlite opens a store with notes, and beside it a bare rqlited that was
// started with the same program and the same options.
func (l *lab) withRqlite(ctx context.Context, fn func(s *repo.Store, bare *bareRqlite) error) error {
	return l.with(ctx, rqliteDisk, noteSchema, func(s *repo.Store, dir string) error {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		status, err := s.Status(ctx)
		if err != nil {
			return err
		}
		if len(status.PIDs) != 1 {
			return fmt.Errorf("the store has processes %v, not one", status.PIDs)
		}
		bare, err := startBareRqlite(ctx, status.PIDs[0], dir+"/bare")
		if err != nil {
			return err
		}
		return errors.Join(fn(s, bare), bare.stop())
	})
}

func rqliteLatency(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.withRqlite(ctx, func(s *repo.Store, bare *bareRqlite) (err error) {
		out, err = l.compare(ctx, "us",
			func() (float64, error) {
				return p50(syncs, func(int) error { return bare.insert(ctx, bare.nextNote()) })
			},
			func() (float64, error) {
				return p50(syncs, func(i int) error { return touch(ctx, s, noteID(i)) })
			})
		return err
	})
	return out, err
}

func rqliteThroughput(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.withRqlite(ctx, func(s *repo.Store, bare *bareRqlite) (err error) {
		out, err = l.compare(ctx, "/s",
			func() (float64, error) {
				return l.rate(64, func(int, int) error { return bare.insert(ctx, bare.nextNote()) })
			},
			l.updates(ctx, s, 64), l.updates(ctx, s, 256))
		return err
	})
	return out, err
}

func rqliteView(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.withRqlite(ctx, func(s *repo.Store, bare *bareRqlite) (err error) {
		for range syncs {
			if err := bare.insert(ctx, bare.nextNote()); err != nil {
				return err
			}
		}
		out, err = l.compare(ctx, "us",
			func() (float64, error) {
				return p50(2*syncs, func(i int) error { return bare.query(ctx, noteID(i%syncs)) })
			},
			func() (float64, error) {
				return p50(2*syncs, func(i int) error { return view(ctx, s, noteID(i%syncs)) })
			})
		return err
	})
	return out, err
}

func rqliteChecks(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.with(ctx, rqliteDisk, noteSchema, func(s *repo.Store, _ string) (err error) {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		reading := func(rows int) measurement {
			return func() (float64, error) {
				return p50(syncs, func(i int) error { return touchAfter(ctx, s, i*20, rows) })
			}
		}
		out, err = l.compare(ctx, "us", reading(1), reading(20))
		return err
	})
	return out, err
}

// touchAfter reads rows with one span, so that all are checked at commit, and
// writes the first.
func touchAfter(ctx context.Context, s *repo.Store, from, rows int) error {
	return s.Update(ctx, func(tx *repo.Tx) error {
		var first note
		n := 0
		for row, err := range notes.Between(noteID(from), noteID(from+rows-1)).Rows(tx) {
			if err != nil {
				return err
			}
			if n++; n == 1 {
				first = row
			}
		}
		if n != rows {
			return fmt.Errorf("a span of %d rows has %d", rows, n)
		}
		first.Owner++
		return notes.Put(tx, first)
	})
}
