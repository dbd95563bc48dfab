package sqlitebackend

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"
	sqlite3 "modernc.org/sqlite/lib"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

const (
	// busyMillis is how long a statement waits for a lock. Only the replication
	// of the same process holds any, for a few milliseconds.
	busyMillis = 10_000
)

// Prepare opens the database file, or makes it.
func (s *Store) Prepare(ctx context.Context, schema *driver.Schema) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return errClosed
	}
	if err := s.adopt(schema); err != nil {
		return err
	}
	fresh, err := s.inspect(ctx, s.config.Path)
	if err != nil {
		return err
	}
	if s.config.Replica != "" {
		if s.replica, err = newReplica(s.config); err != nil {
			return err
		}
		if err := s.restore(ctx, fresh); err != nil {
			return errors.Join(err, s.replica.close())
		}
	} else if fresh {
		if err := s.refuseOrphan(); err != nil {
			return err
		}
	}
	if s.layout == nil {
		err := fmt.Errorf("%s: nothing is stored there yet: %w", s.config.Path, driver.ErrInvalid)
		if s.replica != nil {
			err = errors.Join(err, s.replica.close())
		}
		return err
	}
	if err := s.open(ctx); err != nil {
		if fresh {
			s.report("remove what was begun", removeDatabase(s.config.Path))
		}
		return err
	}
	s.prepared = true
	go s.writer.run()
	s.janitor.Go(s.watchSnapshots)
	return nil
}

// adopt makes a schema the one of the store; nil is the one that inspect finds.
func (s *Store) adopt(schema *driver.Schema) (err error) {
	s.layout = nil
	if schema != nil {
		s.layout, err = sqlstmt.New(schema, sqlstmt.Bound)
	}
	return err
}

// inspect looks at a database file without changing it. It reports whether there
// is nothing in it yet. If the store has no schema so far, it gets that of the
// file.
func (s *Store) inspect(ctx context.Context, path string) (fresh bool, err error) {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return true, nil
	}
	db, err := peek(path)
	if err != nil {
		return false, err
	}
	defer db.Close()
	var tables []string
	err = db.SelectContext(ctx, &tables, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_litestream\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return false, notOurs(path, err)
	}
	if len(tables) == 0 {
		return true, nil
	}
	if !slices.Contains(tables, "_trihold_meta") {
		return false, fmt.Errorf("%s is a database of something else (it has a table %q); choose another file: %w", path, tables[0], driver.ErrInvalid)
	}
	var format, stored string
	if err := db.GetContext(ctx, &format, sqlstmt.MetaGet, sqlstmt.MetaFormat); err != nil {
		return false, failed("read format of "+path, err)
	}
	if format != sqlstmt.Format {
		return false, fmt.Errorf("%s has format %q, this program writes %q; use the version of the program that made it: %w", path, format, sqlstmt.Format, driver.ErrInvalid)
	}
	if err := db.GetContext(ctx, &stored, sqlstmt.MetaGet, sqlstmt.MetaSchema); err != nil {
		return false, failed("read schema of "+path, err)
	}
	if s.layout != nil {
		return false, s.layout.Schema().MustMatch(stored)
	}
	schema, err := driver.ParseSchema(stored)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return false, s.adopt(schema)
}

// peek opens a database file so that nothing is changed or left beside it.
// Without a log there is nothing to recover; if the file were not called
// immutable then, SQLite would make an empty log, and not be allowed to remove
// it.
func peek(path string) (*sqlx.DB, error) {
	params := []string{"mode=ro"}
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() == 0 {
		params = append(params, "immutable=1")
	}
	db, err := sqlx.Open(scheme, dsn(path, params...))
	return db, failed("open", err)
}

// notOurs explains why a file cannot be read as a database.
func notOurs(path string, err error) error {
	if code(err)&0xFF == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%s is not a SQLite database; choose another file: %w", path, driver.ErrInvalid)
	}
	return failed("open "+path, err)
}

// open opens pools, replication and writer.
func (s *Store) open(ctx context.Context) (err error) {
	var undo []func() error
	if s.replica != nil {
		undo = append(undo, s.replica.close) // the last: see shut
	}
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			s.report("undo open", undo[i]())
		}
	}()
	if s.pool, err = sqlx.Open(scheme, s.writerDSN()); err != nil {
		return failed("open", err)
	}
	s.pool.SetMaxOpenConns(1)
	s.pool.SetMaxIdleConns(1)
	undo = append(undo, s.pool.Close)
	if err := s.create(ctx); err != nil {
		return err
	}
	if s.replica != nil {
		if err := s.replica.open(ctx); err != nil {
			return err
		}
	}
	pool, err := sqlx.Open(scheme, s.readerDSN())
	if err != nil {
		return failed("open", err)
	}
	s.readers = newReaders(pool)
	undo = append(undo, s.readers.close)
	s.writer, err = newWriter(ctx, s)
	return err
}

// create makes the tables that are missing, all or none.
func (s *Store) create(ctx context.Context) error {
	tx, err := s.pool.BeginTxx(ctx, nil)
	if err != nil {
		return notOurs(s.config.Path, err)
	}
	defer tx.Rollback()
	if err := s.createTables(ctx, tx); err != nil {
		return err
	}
	var store string
	err = tx.GetContext(ctx, &store, sqlstmt.MetaGet, sqlstmt.MetaStore)
	if err == nil { // it was made before, maybe without some of the tables
		return failed("create tables", tx.Commit())
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return failed("create tables", err)
	}
	for key, value := range map[string]string{
		sqlstmt.MetaFormat: sqlstmt.Format,
		sqlstmt.MetaSchema: s.layout.Schema().Describe(),
		sqlstmt.MetaStore:  rand.Text(),
	} {
		if _, err := tx.ExecContext(ctx, sqlstmt.MetaPut, key, value); err != nil {
			return failed("create tables", err)
		}
	}
	return failed("create tables", tx.Commit())
}

// createTables makes the tables that are missing.
func (s *Store) createTables(ctx context.Context, tx *sqlx.Tx) error {
	for _, text := range s.layout.Create() {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return failed("create tables", err)
		}
	}
	return nil
}

// writerDSN names the connection that writes. The writer checkpoints by itself:
// see tendLog.
func (s *Store) writerDSN() string {
	synchronous := "FULL"
	if s.config.Class == driver.Process {
		synchronous = "NORMAL"
	}
	return dsn(s.config.Path, "mode=rwc", "_txlock=immediate",
		pragma("journal_mode", "WAL"),
		pragma("synchronous", synchronous),
		pragma("journal_size_limit", strconv.Itoa(maxLogBytes)),
		pragma("wal_autocheckpoint", "0"),
		pragma("cache_size", "-16384"), // KiB
		pragma("temp_store", "MEMORY"))
}

func (s *Store) readerDSN() string {
	return dsn(s.config.Path, "mode=ro",
		pragma("query_only", "1"),
		pragma("temp_store", "MEMORY"))
}

// dsn returns the name under which the driver opens a file. The busy timeout
// comes first, because the other pragmas may have to wait.
func dsn(path string, params ...string) string {
	u := url.URL{Scheme: "file", Path: path, OmitHost: true}
	name := u.String() + "?" + pragma("busy_timeout", strconv.Itoa(busyMillis)) + "&_dqs=0&_error_rc=1"
	for _, p := range params {
		name += "&" + p
	}
	return name
}

func pragma(name, value string) string { return "_pragma=" + name + "(" + value + ")" }
