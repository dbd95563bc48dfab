package sqlitebackend

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"trihold/repo"
	"trihold/repo/driver"
)

// loadRows is how many rows one load, or one transaction beside it, has.
const loadRows = 5000

// A badge is a note whose number is unique.
type badge note

var (
	badges         = repo.NewTable("badge", func(b *badge) *string { return &b.ID })
	badgesByNumber = repo.NewUnique2(badges, func(b *badge) (*string, *int64) { return &b.Channel, &b.Number })
	badgeSchema    = repo.NewSchema(badges, badgesByNumber)
)

// BenchmarkLoad fills a store by loads, as a migration does.
func BenchmarkLoad(b *testing.B) {
	for name, schema := range map[string]*driver.Schema{"index": noteSchema.Driver(), "unique": badgeSchema.Driver()} {
		b.Run(name, func(b *testing.B) {
			c := testConfig(b.TempDir(), driver.Disk)
			s := openDriver(b, c, schema)
			def := schema.Tables[0]
			loads := make([]*driver.Commit, b.N)
			for n := range loads {
				loads[n] = &driver.Commit{Writes: []driver.Write{fenceOf(b, schema, 9, false)}, Load: &driver.Load{}}
				for i := range loadRows {
					var row any
					if at := noteOf(n*loadRows + i); name == "index" {
						row = &at
					} else {
						other := badge(at)
						row = &other
					}
					w := write(driver.Put, def, row)
					w.Rev = 9
					loads[n].Writes = append(loads[n].Writes, w)
				}
			}
			b.ResetTimer()
			for _, c := range loads {
				if _, err := s.Commit(context.Background(), c); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*loadRows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkReferenceLoad inserts the same rows with a prepared statement in
// transactions of the same size.
func BenchmarkReferenceLoad(b *testing.B) {
	for name, schema := range map[string]*driver.Schema{"index": noteSchema.Driver(), "unique": badgeSchema.Driver()} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			s := openDriver(b, testConfig(dir, driver.Disk), schema)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			db, err := sql.Open("sqlite", dsn(filepath.Join(dir, "app.db"), pragma("journal_mode", "WAL"), pragma("synchronous", "FULL"), pragma("cache_size", "-16384")))
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			insert, err := db.Prepare(fmt.Sprintf(`INSERT INTO %q (id, channel, number, created, text, "_rev") VALUES (?, ?, ?, ?, ?, 9)`, schema.Tables[0].Name))
			if err != nil {
				b.Fatal(err)
			}
			rows := make([]note, b.N*loadRows)
			for i := range rows {
				rows[i] = noteOf(i)
			}
			b.ResetTimer()
			for n := range b.N {
				tx, err := db.Begin()
				if err != nil {
					b.Fatal(err)
				}
				prepared := tx.Stmt(insert)
				for _, at := range rows[n*loadRows : (n+1)*loadRows] {
					if _, err := prepared.Exec(at.ID, at.Channel, at.Number, at.Created.UnixMicro(), at.Text); err != nil {
						b.Fatal(err)
					}
				}
				if err := tx.Commit(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*loadRows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
