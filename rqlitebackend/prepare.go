package rqlitebackend

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	layout, err := sqlstmt.New(schema, sqlstmt.Latest)
	if err != nil {
		return err
	}
	s.layout = layout
	s.reads.prepare(schema)
	exists, err := s.inspectDatabase(ctx)
	if err == nil && !exists {
		if err = s.create(ctx); err != nil {
			// Another program may have been faster, with this schema or another.
			if exists, again := s.inspectDatabase(ctx); again != nil || exists {
				err = again
			}
		}
	}
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return s.startTail(ctx)
}

// inspectDatabase reports whether the database holds a store of the schema. A
// database that holds anything else is an error.
func (s *Store) inspectDatabase(ctx context.Context) (exists bool, err error) {
	const list = `SELECT "name" FROM "sqlite_master" WHERE "name" NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY "name" = '_trihold_meta' DESC, "name" LIMIT 4`
	names, err := s.query(ctx, sqlstmt.Stmt{SQL: list}, columnText)
	if err != nil || len(names) == 0 {
		return false, err
	}
	if names[0][0] != "_trihold_meta" {
		var found []string
		for _, row := range names {
			found = append(found, fmt.Sprint(row[0]))
		}
		return false, fmt.Errorf("the database holds what is not of trihold (%s); use another rqlite, or another directory: %w", strings.Join(found, ", "), driver.ErrInvalid)
	}
	format, err := s.meta(ctx, sqlstmt.MetaFormat)
	if err != nil {
		return true, err
	}
	if format != sqlstmt.Format {
		return true, fmt.Errorf("the database has layout %q, this program knows %q; use the program that made it, or another database: %w", format, sqlstmt.Format, driver.ErrInvalid)
	}
	stored, err := s.meta(ctx, sqlstmt.MetaSchema)
	if err != nil {
		return true, err
	}
	return true, s.layout.Schema().MustMatch(stored)
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
	var statements []sqlstmt.Stmt
	for _, text := range s.layout.Create() {
		statements = append(statements, sqlstmt.Stmt{SQL: text})
	}
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
