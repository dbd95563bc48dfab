package targets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // the driver that the references use bare
)

// A bareSQLite is a database that is used as a careful program without this
// project would: write-ahead log, full durability, prepared statements, one
// connection that writes.
type bareSQLite struct {
	writer, reader *sql.DB
	upsert, query  *sql.Stmt
}

func openBareSQLite(ctx context.Context, path string) (_ *bareSQLite, err error) {
	name := "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate"
	b := &bareSQLite{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open bare SQLite: %w", err), b.close())
		}
	}()
	if b.writer, err = sql.Open("sqlite", name); err != nil {
		return nil, err
	}
	b.writer.SetMaxOpenConns(1)
	if _, err = b.writer.ExecContext(ctx, `CREATE TABLE notes (id TEXT PRIMARY KEY, owner INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID`); err != nil {
		return nil, err
	}
	b.upsert, err = b.writer.PrepareContext(ctx, `INSERT INTO notes VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, title = excluded.title, body = excluded.body`)
	if err != nil {
		return nil, err
	}
	if b.reader, err = sql.Open("sqlite", name); err != nil {
		return nil, err
	}
	b.query, err = b.reader.PrepareContext(ctx, `SELECT id, owner, title, body FROM notes WHERE id = ?`)
	return b, err
}

func (b *bareSQLite) close() error {
	var err error
	for _, s := range []*sql.Stmt{b.upsert, b.query} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	for _, db := range []*sql.DB{b.reader, b.writer} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// put writes a row in a transaction of its own.
func (b *bareSQLite) put(ctx context.Context, n note) error {
	tx, err := b.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.StmtContext(ctx, b.upsert).ExecContext(ctx, n.ID, n.Owner, n.Title, n.Body); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (b *bareSQLite) load(ctx context.Context, n int) error {
	tx, err := b.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	upsert := tx.StmtContext(ctx, b.upsert)
	for i := range n {
		row := newNote(i)
		if _, err := upsert.ExecContext(ctx, row.ID, row.Owner, row.Title, row.Body); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// get reads a row into a struct.
func (b *bareSQLite) get(ctx context.Context, id string) error {
	var n note
	return b.query.QueryRowContext(ctx, id).Scan(&n.ID, &n.Owner, &n.Title, &n.Body)
}
