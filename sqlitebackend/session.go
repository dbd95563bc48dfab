package sqlitebackend

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/jmoiron/sqlx"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// Texts of transactions.
const (
	beginRead  = "BEGIN"
	beginWrite = "BEGIN IMMEDIATE"
	commitText = "COMMIT"
	rollback   = "ROLLBACK"
)

// maxPrepared bounds the statements that a session keeps.
const maxPrepared = 512

// A session is one connection of a pool, taken out of it for good, with its
// prepared statements. It is used by one goroutine at a time.
//
// It works on the driver's statements instead of those of database/sql: reading
// one row through the latter costs a third more. Because the connection stays
// checked out, nothing in database/sql touches it meanwhile.
type session struct {
	conn *sqlx.Conn
	raw  sqldriver.ConnPrepareContext
	all  map[string]*statement
	open int                    // queries that are being read
	args []sqldriver.NamedValue // reused by each execution
}

// A statement is a prepared statement.
type statement struct {
	sqldriver.StmtExecContext
	sqldriver.StmtQueryContext
	close  func() error
	busy   bool              // a cursor is open
	dest   []sqldriver.Value // reused by each row
	values []driver.Value    // the same, as the contract calls them
}

// newSession takes a connection out of a pool.
func newSession(ctx context.Context, pool *sqlx.DB) (*session, error) {
	conn, err := pool.Connx(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, all: map[string]*statement{}}
	err = conn.Raw(func(c any) error {
		var ok bool
		if s.raw, ok = c.(sqldriver.ConnPrepareContext); !ok {
			return fmt.Errorf("driver connection %T cannot prepare", c)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// close finalises the statements and returns the connection to the pool.
func (s *session) close() error {
	var errs []error
	for _, st := range s.all {
		errs = append(errs, st.close())
	}
	s.all = nil
	return errors.Join(append(errs, s.conn.Close())...)
}

// discard closes the connection itself, with whatever is open on it.
func (s *session) discard() error {
	s.all = nil
	err := s.conn.Raw(func(any) error { return sqldriver.ErrBadConn })
	if errors.Is(err, sqldriver.ErrBadConn) {
		err = nil
	}
	if closeErr := s.conn.Close(); !errors.Is(closeErr, sql.ErrConnDone) {
		err = errors.Join(err, closeErr)
	}
	return err
}

// prepare returns the prepared statement of a text that is not in use.
func (s *session) prepare(text string) (*statement, error) {
	st := s.all[text]
	if st != nil && !st.busy {
		return st, nil
	}
	prepared, err := s.raw.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	fresh := &statement{close: prepared.Close}
	fresh.StmtExecContext, _ = prepared.(sqldriver.StmtExecContext)
	fresh.StmtQueryContext, _ = prepared.(sqldriver.StmtQueryContext)
	if st != nil { // one walk within another of the same shape
		return fresh, nil
	}
	if len(s.all) >= maxPrepared {
		if err := s.forget(); err != nil {
			return nil, errors.Join(err, prepared.Close())
		}
	}
	s.all[text] = fresh
	return fresh, nil
}

// forget closes all statements that are not in use.
func (s *session) forget() error {
	var errs []error
	for text, st := range s.all {
		if !st.busy {
			errs = append(errs, st.close())
			delete(s.all, text)
		}
	}
	return errors.Join(errs...)
}

// bind returns arguments as the driver wants them. They are valid until the next
// call.
func (s *session) bind(args []driver.Value) []sqldriver.NamedValue {
	for len(s.args) < len(args) {
		s.args = append(s.args, sqldriver.NamedValue{Ordinal: len(s.args) + 1})
	}
	for i, v := range args {
		s.args[i].Value = v
	}
	return s.args[:len(args)]
}

// exec executes a statement that returns nothing. Contexts are not passed to the
// driver anywhere: it would start a goroutine for each call.
func (s *session) exec(text string, args ...driver.Value) error {
	_, err := s.change(text, args...)
	return err
}

// change executes a statement and returns how many rows it changed.
func (s *session) change(text string, args ...driver.Value) (rows int64, err error) {
	st, err := s.prepare(text)
	if err != nil {
		return 0, err
	}
	result, err := st.ExecContext(context.Background(), s.bind(args))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row returns the values of the one row of a query. They are valid until the
// statement is executed again.
func (s *session) row(q sqlstmt.Stmt) (values []driver.Value, found bool, err error) {
	c, err := s.query(q)
	if err != nil {
		return nil, false, err
	}
	values, found, err = c.next()
	if closeErr := c.close(); err == nil {
		err = closeErr
	}
	return values, found, err
}

// number returns the one number that a query selects, or zero if there is no
// row.
func (s *session) number(text string, args ...driver.Value) (int64, error) {
	values, found, err := s.row(sqlstmt.Stmt{SQL: text, Args: args})
	if err != nil || !found {
		return 0, err
	}
	n, ok := values[0].(int64)
	if !ok {
		return 0, fmt.Errorf("%s: got %v, want a number: %w", text, values[0], driver.ErrCorrupt)
	}
	return n, nil
}

// A cursor is a query that is being read.
type cursor struct {
	session   *session
	statement *statement
	rows      sqldriver.Rows
	kept      bool // the session keeps the statement
}

// query starts a query. The caller closes the cursor.
func (s *session) query(q sqlstmt.Stmt) (cursor, error) {
	st, err := s.prepare(q.SQL)
	if err != nil {
		return cursor{}, err
	}
	c := cursor{session: s, statement: st, kept: s.all[q.SQL] == st}
	c.rows, err = st.QueryContext(context.Background(), s.bind(q.Args))
	if err != nil {
		if !c.kept {
			err = errors.Join(err, st.close())
		}
		return cursor{}, err
	}
	if st.dest == nil {
		n := len(c.rows.Columns())
		st.dest, st.values = make([]sqldriver.Value, n), make([]driver.Value, n)
	}
	st.busy = true
	s.open++
	return c, nil
}

// next returns the next row. Its values are valid until the next call.
func (c *cursor) next() (values []driver.Value, more bool, err error) {
	st := c.statement
	switch err := c.rows.Next(st.dest); err {
	case nil:
	case io.EOF:
		return nil, false, nil
	default:
		return nil, false, err
	}
	for i, v := range st.dest {
		st.values[i] = v
	}
	return st.values, true, nil
}

func (c *cursor) close() error {
	if c.rows == nil {
		return nil
	}
	err := c.rows.Close()
	c.rows = nil
	c.statement.busy = false
	c.session.open--
	if !c.kept {
		err = errors.Join(err, c.statement.close())
	}
	return err
}
