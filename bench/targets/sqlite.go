package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"trihold/repo"
)

const (
	sqlite        = "sqlite"
	sqliteDisk    = "sqlite:{dir}/app.db?class=disk"
	sqliteReplica = "sqlite:{dir}/app.db?class=replica&replica=file://{dir}/replica"
	sqliteAsync   = "sqlite:{dir}/app.db?class=disk&replica=file://{dir}/replica"
)

var sqliteRows = []Row{
	{
		Backend: sqlite, Figure: "Update p50, 1 client, class disk / F", Target: "<= 1.0", Reference: "F",
		limits: []limit{atMost(1)}, measure: updateOverF(sqliteDisk),
	},
	{
		Backend: sqlite, Figure: "Updates/s at 16 / 256 clients over 1 client, class disk", Target: ">= 8 / >= 16", Reference: "the same with 1 client",
		limits: []limit{atLeast(8), atLeast(16)}, measure: sqliteScaling,
	},
	{
		Backend: sqlite, Figure: "Updates/s at 64 clients, class disk / one transaction per commit through bare modernc at 64 goroutines", Target: ">= 10",
		Reference: "raw: modernc.org/sqlite, WAL, synchronous=FULL", limits: []limit{atLeast(10)}, measure: sqliteGrouping,
	},
	{
		Backend: sqlite, Figure: "Update p50, 1 client, class replica, file replica / C", Target: "<= 3.5 with the stock client; stretch <= 0.8", Reference: "C",
		limits: []limit{atMost(3.5)}, measure: replicaLatency,
	},
	{
		Backend: sqlite, Figure: "Updates/s at 256 clients, class replica / class disk", Target: ">= 0.35, stretch 0.5", Reference: "class disk",
		limits: []limit{atLeast(0.35)}, measure: replicaThroughput,
	},
	{Backend: sqlite, Figure: "acknowledged commits lost after kill -9 + lost disk, class replica", Target: "0 of >= 1M", Reference: "none"},
	{Backend: sqlite, Figure: "same, asynchronous replica", Target: "<= 2 x sync interval, also under a hot writer", Reference: "sync interval"},
	{
		Backend: sqlite, Figure: "WAL size under a hot writer", Target: "<= 32 MB", Reference: "none; the larger of class replica, and class disk with an asynchronous replica",
		limits: []limit{atMost(32)}, measure: walSize,
	},
	{
		Backend: sqlite, Figure: "View with one Get / bare prepared modernc point read", Target: "<= 1.25", Reference: "raw: modernc.org/sqlite, prepared statement",
		limits: []limit{atMost(1.25)}, measure: sqliteView,
	},
	{
		Backend: sqlite, Figure: "restore of 100k rows / plain copy + fsync", Target: "<= 5", Reference: "copying the database file",
		limits: []limit{atMost(5)}, measure: restore,
	},
	{Backend: sqlite, Figure: "standby lag p50", Target: "<= follow interval + 10 ms, 0 torn reads", Reference: "follow interval"},
}

func sqliteScaling(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.with(ctx, sqliteDisk, noteSchema, func(s *repo.Store, _ string) (err error) {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		out, err = l.compare(ctx, "/s", l.updates(ctx, s, 1), l.updates(ctx, s, 16), l.updates(ctx, s, 256))
		return err
	})
	return out, err
}

// updates measures the Updates/s of so many clients.
func (l *lab) updates(ctx context.Context, s *repo.Store, clients int) measurement {
	return func() (float64, error) { return l.rate(clients, touches(ctx, s)) }
}

func sqliteGrouping(ctx context.Context, l *lab) (out []float64, err error) {
	const clients = 64
	err = l.with(ctx, sqliteDisk, noteSchema, func(s *repo.Store, dir string) (err error) {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		bare, err := openBareSQLite(ctx, filepath.Join(dir, "bare.db"))
		if err != nil {
			return err
		}
		out, err = l.compare(ctx, "/s",
			func() (float64, error) {
				return l.rate(clients, func(client, i int) error {
					n := newNote(client*clientNotes + i%clientNotes)
					n.Owner = time.Now().UnixNano() // SQLite writes nothing if nothing changes
					return bare.put(ctx, n)
				})
			},
			l.updates(ctx, s, clients))
		return errors.Join(err, bare.close())
	})
	return out, err
}

func replicaLatency(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.with(ctx, sqliteReplica, noteSchema, func(s *repo.Store, _ string) (err error) {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		out, err = l.compare(ctx, "us", l.c, func() (float64, error) {
			return p50(syncs, func(i int) error { return touch(ctx, s, noteID(i)) })
		})
		return err
	})
	return out, err
}

func replicaThroughput(ctx context.Context, l *lab) (out []float64, err error) {
	const clients = 256
	err = l.with(ctx, sqliteDisk, noteSchema, func(disk *repo.Store, _ string) error {
		return l.with(ctx, sqliteReplica, noteSchema, func(replica *repo.Store, _ string) (err error) {
			if err := errors.Join(loadNotes(ctx, disk, someNotes), loadNotes(ctx, replica, someNotes)); err != nil {
				return err
			}
			out, err = l.compare(ctx, "/s", l.updates(ctx, disk, clients), l.updates(ctx, replica, clients))
			return err
		})
	})
	return out, err
}

// walSize returns the largest that the write-ahead log becomes, in megabytes.
func walSize(ctx context.Context, l *lab) ([]float64, error) {
	largest := int64(0)
	for _, url := range []string{sqliteReplica, sqliteAsync} {
		err := l.with(ctx, url, noteSchema, func(s *repo.Store, dir string) error {
			if err := loadNotes(ctx, s, someNotes); err != nil {
				return err
			}
			stop := make(chan struct{})
			done := make(chan int64)
			go func() { done <- watchSize(filepath.Join(dir, "app.db-wal"), stop) }()
			_, err := l.times(5).rate(64, touches(ctx, s))
			close(stop)
			largest = max(largest, <-done)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return []float64{float64(largest) / 1e6}, nil
}

// times returns the lab with longer measurements.
func (l *lab) times(n int) *lab {
	longer := *l
	longer.Duration *= time.Duration(n)
	return &longer
}

// watchSize returns the largest size of a file until it is stopped.
func watchSize(path string, stop <-chan struct{}) (largest int64) {
	for {
		if info, err := os.Stat(path); err == nil {
			largest = max(largest, info.Size())
		}
		select {
		case <-stop:
			return largest
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func sqliteView(ctx context.Context, l *lab) (out []float64, err error) {
	const reads = 10_000
	err = l.with(ctx, sqliteDisk, noteSchema, func(s *repo.Store, dir string) (err error) {
		if err := loadNotes(ctx, s, someNotes); err != nil {
			return err
		}
		bare, err := openBareSQLite(ctx, filepath.Join(dir, "bare.db"))
		if err != nil {
			return err
		}
		if err := bare.load(ctx, someNotes); err != nil {
			return errors.Join(err, bare.close())
		}
		id := func(i int) string { return noteID(i * 7919 % someNotes) }
		out, err = l.compare(ctx, "ns",
			func() (float64, error) { return each(reads, func(i int) error { return bare.get(ctx, id(i)) }) },
			func() (float64, error) { return each(reads, func(i int) error { return view(ctx, s, id(i)) }) })
		return errors.Join(err, bare.close())
	})
	return out, err
}

// restore loses the machine, all but the replica, and opens the store again.
func restore(ctx context.Context, l *lab) (out []float64, err error) {
	const rows = 100_000
	dir, err := l.directory()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	machine := filepath.Join(dir, "machine")
	url := fmt.Sprintf("sqlite:%s/app.db?class=replica&replica=file://%s/replica", machine, dir)
	open := func() (*repo.Store, error) {
		if err := os.MkdirAll(machine, 0o777); err != nil {
			return nil, err
		}
		return repo.Open(ctx, url, noteSchema)
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(loadNotes(ctx, s, rows), s.Close()); err != nil {
		return nil, err
	}
	kept := filepath.Join(dir, "kept.db")
	if _, err := copyDurably(kept, filepath.Join(machine, "app.db")); err != nil {
		return nil, err
	}
	return l.compare(ctx, "s",
		func() (float64, error) { return copyDurably(filepath.Join(dir, "copy.db"), kept) },
		func() (float64, error) {
			if err := os.RemoveAll(machine); err != nil {
				return 0, err
			}
			start := time.Now()
			s, err := open()
			if err != nil {
				return 0, err
			}
			err = view(ctx, s, noteID(rows-1))
			took := time.Since(start).Seconds()
			return took, errors.Join(err, s.Close())
		})
}

// copyDurably copies a file and returns the seconds until the copy was durable.
func copyDurably(to, from string) (seconds float64, err error) {
	start := time.Now()
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Sync(), out.Close())
	return time.Since(start).Seconds(), err
}
