package sqlitebackend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"trihold/repo"
	"trihold/repo/driver"
)

// A note is the row of the benchmarks: about 130 bytes, one index.
type note struct {
	ID      string    `db:"id"`
	Channel string    `db:"channel"`
	Number  int64     `db:"number"`
	Created time.Time `db:"created"`
	Text    string    `db:"text"`
}

var (
	notes          = repo.NewTable("note", func(n *note) *string { return &n.ID })
	notesByChannel = repo.NewIndex2(notes, func(n *note) (*string, *int64) { return &n.Channel, &n.Number })
	noteSchema     = repo.NewSchema(notes, notesByChannel)
)

const noteText = "the quick brown fox jumps over the lazy dog, and then over the next one"

func noteOf(i int) note {
	return note{ID: fmt.Sprintf("note%08d", i), Channel: "main", Number: int64(i), Created: time.UnixMicro(int64(i)), Text: noteText}
}

func openBench(b *testing.B, class driver.Class, rows int) *repo.Store {
	b.Helper()
	c := testConfig(b.TempDir(), class)
	c.Logger = slog.New(slog.DiscardHandler)
	d, err := Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	s, err := repo.New(b.Context(), d, noteSchema)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	for at := 0; at < rows; at += 5000 {
		err := s.Update(b.Context(), func(tx *repo.Tx) error {
			for i := at; i < min(rows, at+5000); i++ {
				if err := notes.Insert(tx, noteOf(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// share calls fn b.N times from n goroutines, and reports the median time of a
// call, the calls per second, and the processor time of a call.
func share(b *testing.B, n int, fn func(i int) error) {
	b.Helper()
	var next atomic.Int64
	times := make([][]time.Duration, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	cpu := cpuTime()
	b.ResetTimer()
	for g := range n {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				begin := time.Now()
				if err := fn(i); err != nil {
					errs[g] = err
					return
				}
				times[g] = append(times[g], time.Since(begin))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	cpu = cpuTime() - cpu
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2])/1e3, "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100])/1e3, "p99-us")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(cpu)/1e3/float64(b.N), "cpu-us/op")
}

// cpuTime returns the processor time that this process has used. Unlike what a
// clock says, it depends little on what else the machine does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// One row is put into a key of its own, without reading it.
func BenchmarkUpdate(b *testing.B) {
	for _, class := range []driver.Class{driver.Process, driver.Disk, driver.Replica} {
		for _, clients := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("class=%s/clients=%d", class, clients), func(b *testing.B) {
				s := openBench(b, class, 0)
				share(b, clients, func(i int) error {
					return s.Update(context.Background(), func(tx *repo.Tx) error { return notes.Put(tx, noteOf(i)) })
				})
			})
		}
	}
}

// A row is read and changed.
func BenchmarkReadUpdate(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("class=disk/clients=%d", clients), func(b *testing.B) {
			const rows = 100_000
			s := openBench(b, driver.Disk, rows)
			share(b, clients, func(i int) error {
				return s.Update(context.Background(), func(tx *repo.Tx) error {
					n, err := notes.Get(tx, noteOf(i*7919%rows).ID)
					if err != nil {
						return err
					}
					n.Text = noteText[1:]
					return notes.Put(tx, n)
				})
			})
		})
	}
}

// The reference of class replica: what it costs to make a file durable under a
// new name.
func BenchmarkReferenceDurableFile(b *testing.B) {
	dir := b.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	page := make([]byte, 4096)
	share(b, 1, func(i int) error {
		name := filepath.Join(dir, fmt.Sprint(i))
		f, err := os.Create(name + ".tmp")
		if err != nil {
			return err
		}
		_, err = f.Write(page)
		return errors.Join(err, f.Sync(), f.Close(), os.Rename(name+".tmp", name), d.Sync())
	})
}

// The reference of Update with many clients: the driver as it comes, one
// transaction for each commit.
func BenchmarkReferenceTransactions(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			db := bareDB(b, 0)
			insert, err := db.Prepare("INSERT INTO note VALUES (?, ?, ?, ?, ?, ?)")
			if err != nil {
				b.Fatal(err)
			}
			share(b, clients, func(i int) error {
				n := noteOf(i)
				_, err := insert.Exec(n.ID, n.Channel, n.Number, n.Created.UnixMicro(), n.Text, i)
				return err
			})
		})
	}
}

func BenchmarkView(b *testing.B) {
	const rows = 100_000
	s := openBench(b, driver.Disk, rows)
	b.ReportAllocs()
	share(b, 1, func(i int) error {
		return s.View(context.Background(), func(tx *repo.ReadTx) error {
			_, err := notes.Get(tx, noteOf(i*7919%rows).ID)
			return err
		})
	})
}

// The reference of View: a prepared point read through the driver.
func BenchmarkReferencePointRead(b *testing.B) {
	const rows = 100_000
	db := bareDB(b, rows)
	get, err := db.Prepare("SELECT * FROM note WHERE id = ?")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	share(b, 1, func(i int) error {
		var n note
		var created, rev int64
		row := get.QueryRow(noteOf(i * 7919 % rows).ID)
		return row.Scan(&n.ID, &n.Channel, &n.Number, &created, &n.Text, &rev)
	})
}

func BenchmarkSpanOf100(b *testing.B) {
	const rows = 100_000
	s := openBench(b, driver.Disk, rows)
	share(b, 1, func(i int) error {
		return s.View(context.Background(), func(tx *repo.ReadTx) error {
			n := 0
			for _, err := range notesByChannel.From("main", int64(i*7919%(rows-100))).Rows(tx) {
				if err != nil {
					return err
				}
				if n++; n == 100 {
					break
				}
			}
			return nil
		})
	})
}

// bareDB is a database with the same table, made without this package.
func bareDB(b *testing.B, rows int) *sql.DB {
	b.Helper()
	db := sqlx.MustOpen("sqlite", dsn(filepath.Join(b.TempDir(), "bare.db"), "_txlock=immediate", pragma("journal_mode", "WAL"), pragma("synchronous", "FULL")))
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	db.MustExec("CREATE TABLE note (id TEXT NOT NULL PRIMARY KEY, channel TEXT NOT NULL, number INTEGER NOT NULL, created INTEGER NOT NULL, text TEXT NOT NULL, _rev INTEGER NOT NULL) STRICT")
	db.MustExec("CREATE INDEX note_channel_number ON note (channel, number, id)")
	tx := db.MustBegin()
	for i := range rows {
		n := noteOf(i)
		tx.MustExec("INSERT INTO note VALUES (?, ?, ?, ?, ?, ?)", n.ID, n.Channel, n.Number, n.Created.UnixMicro(), n.Text, i)
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return db.DB
}
