package targets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	bulkTable  = `CREATE TABLE items (id TEXT NOT NULL, owner INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, done INTEGER NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (id)) STRICT`
	bulkInsert = `INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)`
	// bulkCommit is how many rows a transaction has.
	bulkCommit = 5000
)

// bulkIndices are those of the items.
var bulkIndices = []string{
	`CREATE INDEX items_owner ON items (owner, created, id)`,
	`CREATE UNIQUE INDEX items_title ON items (title)`,
	`CREATE INDEX items_created ON items (created, id)`,
}

// bulkRate inserts items into a new SQLite database as a program would that does
// nothing else, and returns how many a second.
func bulkRate(ctx context.Context, path string, rows int64) (perSecond float64, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return 0, fmt.Errorf("open bare SQLite: %w", err)
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, text := range append([]string{bulkTable}, bulkIndices...) {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return 0, fmt.Errorf("make the bare table: %w", err)
		}
	}
	insert, err := db.PrepareContext(ctx, bulkInsert)
	if err != nil {
		return 0, fmt.Errorf("prepare the bare insert: %w", err)
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	start := time.Now()
	for from := int64(0); from < rows; from += bulkCommit {
		if err := bulkOnce(ctx, db, insert, from, min(from+bulkCommit, rows)); err != nil {
			return 0, fmt.Errorf("insert into the bare table: %w", err)
		}
	}
	return float64(rows) / time.Since(start).Seconds(), nil
}

func bulkOnce(ctx context.Context, db *sql.DB, insert *sql.Stmt, from, to int64) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	into := tx.StmtContext(ctx, insert)
	for n := from; n < to; n++ {
		row := newItem(n)
		if _, err := into.ExecContext(ctx, row.ID, row.Owner, row.Title, row.Body, row.Done, row.Created.UnixMicro()); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
