package rqlitebackend

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// Columns of what the bookkeeping's texts select.
var (
	columnInt  = driver.Column{Name: "int", Kind: driver.Int, Nullable: true}
	columnText = driver.Column{Name: "text", Kind: driver.Text, Nullable: true}
	columnBlob = driver.Column{Name: "blob", Kind: driver.Bytes, Nullable: true}
)

// Prepare implements driver.Store.
func (s *Store) Prepare(ctx context.Context, schema *driver.Schema) error {
	if err := s.usable(ctx, "prepare"); err != nil {
		return err
	}
	if err := s.prepare(ctx, schema); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return s.startTail(ctx)
}

func (s *Store) prepare(ctx context.Context, schema *driver.Schema) error {
	exists, complete, err := s.inspectDatabase(ctx)
	if err != nil {
		return err
	}
	if schema == nil {
		if schema, err = s.storedSchema(ctx, exists); err != nil {
			return err
		}
	}
	if s.layout, err = sqlstmt.New(schema, sqlstmt.Latest); err != nil {
		return err
	}
	s.reads.prepare(schema.Stored())
	if !exists {
		if err = s.create(ctx); err != nil {
			// Another program may have been faster, with this schema or another.
			again, now, inspectErr := s.inspectDatabase(ctx)
			if inspectErr != nil || !again {
				return errors.Join(inspectErr, err)
			}
			exists, complete = again, now
		}
	}
	if !exists {
		return nil
	}
	if err := s.mustMatch(ctx); err != nil || complete {
		return err
	}
	return s.executeAll(ctx, s.tables())
}

// inspectDatabase reports whether the database holds a store, and whether that has
// all that stores of this version have. A database that holds anything else is an
// error.
func (s *Store) inspectDatabase(ctx context.Context) (exists, complete bool, err error) {
	const list = `SELECT "name" FROM "sqlite_master" WHERE "name" NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY "name" = '_trihold_meta' DESC, "name" LIMIT 4`
	const last = `SELECT count(*) FROM "sqlite_master" WHERE "type" = 'trigger' AND "name" = '_trihold_fence'` // made last
	names, err := s.query(ctx, sqlstmt.Stmt{SQL: list}, columnText)
	if err != nil || len(names) == 0 {
		return false, false, err
	}
	if names[0][0] != "_trihold_meta" {
		var found []string
		for _, row := range names {
			found = append(found, fmt.Sprint(row[0]))
		}
		return false, false, fmt.Errorf("the database holds what is not of trihold (%s); use another rqlite, or another directory: %w", strings.Join(found, ", "), driver.ErrInvalid)
	}
	format, err := s.meta(ctx, sqlstmt.MetaFormat)
	if err != nil {
		return true, false, err
	}
	if format != sqlstmt.Format {
		return true, false, fmt.Errorf("the database has layout %q, this program knows %q; use the program that made it, or another database: %w", format, sqlstmt.Format, driver.ErrInvalid)
	}
	rows, err := s.query(ctx, sqlstmt.Stmt{SQL: last}, columnInt)
	if err != nil || len(rows) != 1 {
		return true, false, err
	}
	return true, rows[0][0] == int64(1), nil
}

// storedSchema returns the schema that the store was made with.
func (s *Store) storedSchema(ctx context.Context, exists bool) (*driver.Schema, error) {
	if !exists {
		return nil, driver.Failed("read the schema", driver.ErrInvalid, errors.New("nothing is stored there yet"))
	}
	stored, err := s.meta(ctx, sqlstmt.MetaSchema)
	if err != nil {
		return nil, err
	}
	return driver.ParseSchema(stored)
}

// mustMatch returns an error if the store was made with another schema.
func (s *Store) mustMatch(ctx context.Context) error {
	stored, err := s.meta(ctx, sqlstmt.MetaSchema)
	if err != nil {
		return err
	}
	return s.layout.Schema().MustMatch(stored)
}

// meta returns a value of _trihold_meta.
func (s *Store) meta(ctx context.Context, key string) (string, error) {
	rows, err := s.query(ctx, sqlstmt.Stmt{SQL: sqlstmt.MetaGet, Args: []driver.Value{key}}, columnText)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 {
		return "", fmt.Errorf("the database has no %q in _trihold_meta: %w", key, driver.ErrCorrupt)
	}
	value, _ := rows[0][0].(string)
	return value, nil
}

// create makes the tables, all of them or none. It fails if they are there,
// because the rows of _trihold_meta are.
func (s *Store) create(ctx context.Context) error {
	const put = `INSERT INTO "_trihold_meta" ("key", "value") VALUES (?, ?)`
	statements := s.tables()
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	for _, pair := range [][2]string{
		{sqlstmt.MetaFormat, sqlstmt.Format},
		{sqlstmt.MetaSchema, s.layout.Schema().Describe()},
		{sqlstmt.MetaStore, hex.EncodeToString(id[:])},
	} {
		statements = append(statements, sqlstmt.Stmt{SQL: put, Args: []driver.Value{pair[0], pair[1]}})
	}
	return s.executeAll(ctx, statements)
}

// tables returns the statements that make what is missing of the tables.
func (s *Store) tables() (all []sqlstmt.Stmt) {
	for _, text := range s.layout.Create() {
		all = append(all, sqlstmt.Stmt{SQL: text})
	}
	return all
}

// executeAll executes all statements, or none.
func (s *Store) executeAll(ctx context.Context, statements []sqlstmt.Stmt) error {
	body, err := appendBody(nil, statements)
	if err != nil {
		return err
	}
	a, _, err := s.client.do(ctx, &request{route: executeAtomic, body: body})
	if err != nil {
		return err
	}
	_, err = a.exactly(len(statements))
	return err
}
