package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

const (
	// maxReadRequests is how many requests that read for several callers may be
	// under way. More would only make each of them smaller.
	maxReadRequests = 2
	// maxReadsPerRequest bounds how long a caller waits for the reads of others.
	maxReadsPerRequest = 128
)

const (
	// latestRev reads the revision of the state.
	latestRev = `SELECT coalesce(max("rev"), 0) FROM "_trihold_changes"`
	// closedBy is the fence that has closed the store, NULL if none has.
	closedBy = `(SELECT "value" FROM "_trihold_state" WHERE "name" = '` + driver.FenceRow + `' AND "value" ->> 'closed')`
	// standing is what every read is told of the store along with its rows.
	standing = "(" + latestRev + ")," + closedBy
)

var standingColumns = []driver.Column{columnInt, columnText}

// A read is a statement and what it selects.
type read struct {
	sqlstmt.Stmt
	columns []driver.Column
	// The row that is read, if it is one. Its key's values are the arguments.
	table *driver.Table
	key   driver.Key

	rev  driver.Rev
	shut string // the fence, if it has closed the store
	rows [][]driver.Value
	err  error
	done chan struct{} // closed when the fields above are set; nil if nobody waits
}

// reads executes reads. Those that meet while two requests are under way travel
// together in the next: a request costs rqlite far more than a statement. Nobody
// waits for company.
type reads struct {
	client *client
	life   context.Context

	// Of each table, set by prepare.
	columns [][]driver.Column // of its rows, _rev last
	single  []string          // reads one row, with what standing tells in front

	mu       sync.Mutex
	waiting  []*read // guarded by mu
	requests int     // guarded by mu; under way
}

// prepare compiles what depends on the tables.
func (r *reads) prepare(tables []*driver.Table) {
	r.columns, r.single = nil, nil
	for _, t := range tables {
		r.columns = append(r.columns, append(slices.Clone(t.Columns), columnInt))
		r.single = append(r.single, singleText(t))
	}
}

// singleText returns the statement that reads a row of a table by its key, with
// what standing tells in its first columns: one statement is cheaper than two, this
// form of it hardly dearer than the plain one, and it answers even if there is no
// row, and no commit.
func singleText(t *driver.Table) string {
	table := quote(t.Name) + "."
	var b strings.Builder
	b.WriteString("SELECT " + standing + ",")
	for _, c := range t.Columns {
		b.WriteString(table + quote(c.Name) + ",")
	}
	b.WriteString(table + `"_rev" FROM (SELECT 1) LEFT JOIN ` + quote(t.Name) + " ON ")
	for i, name := range quoted(t, t.Key) {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(table + name + "=?")
	}
	return b.String()
}

// latest executes a small read on a state that includes every commit acknowledged
// before.
func (r *reads) latest(ctx context.Context, rd *read) error {
	r.mu.Lock()
	if r.requests < maxReadRequests && len(r.waiting) == 0 {
		r.requests++
		r.mu.Unlock()
		r.alone(ctx, queryLatest, rd)
		r.mu.Lock()
		r.requests--
		r.next()
		r.mu.Unlock()
		return rd.err
	}
	rd.done = make(chan struct{})
	r.waiting = append(r.waiting, rd)
	r.next()
	r.mu.Unlock()
	select {
	case <-rd.done:
		return rd.err
	case <-ctx.Done():
		return driver.Failed("read", driver.ErrUnavailable, context.Cause(ctx))
	}
}

// next starts requests for the reads that wait, as long as it may. The caller
// holds mu.
func (r *reads) next() {
	for r.requests < maxReadRequests && len(r.waiting) > 0 {
		n := min(len(r.waiting), maxReadsPerRequest)
		batch := r.waiting[:n:n]
		if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
			r.waiting = nil
		}
		r.requests++
		go func() {
			r.together(r.life, querySnapshot, batch...)
			for _, rd := range batch {
				close(rd.done)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests--
			r.next()
		}()
	}
}

// alone executes one read.
func (r *reads) alone(ctx context.Context, route route, rd *read) {
	if rd.table == nil {
		if route == queryLatest {
			route = querySnapshot
		}
		r.together(ctx, route, rd)
		return
	}
	results, err := r.send(ctx, route,
		[]sqlstmt.Stmt{{SQL: r.single[rd.table.ID], Args: rd.Args}},
		[][]driver.Column{append(slices.Clone(standingColumns), rd.columns...)})
	if err == nil {
		err = rd.stand(&results[0])
	}
	if rd.err = err; err != nil {
		return
	}
	row := results[0].rows[0]
	if row[len(row)-1] != nil { // else _rev is NULL: there is no row
		rd.rows = [][]driver.Value{row[len(standingColumns):]}
	}
}

// stand notes what the first columns of a result tell of the store.
func (rd *read) stand(r *result) error {
	if err := judgeRead(r.failed()); err != nil {
		return err
	}
	if len(r.rows) != 1 {
		return driver.Failed("read", driver.ErrCorrupt, fmt.Errorf("%d rows for one", len(r.rows)))
	}
	rd.rev = revOf(r.rows)
	rd.shut, _ = r.rows[0][1].(string)
	return nil
}

// together executes reads in one request, on one state. The rows that are read
// from one table by their keys are read by one statement.
func (r *reads) together(ctx context.Context, route route, batch ...*read) {
	ask := []sqlstmt.Stmt{{SQL: "SELECT " + standing}}
	columns := [][]driver.Column{standingColumns}
	var tables []*rowsByKey
	for _, rd := range batch {
		if rd.table != nil {
			tables = addByKey(tables, rd)
			continue
		}
		ask, columns = append(ask, rd.Stmt), append(columns, rd.columns)
	}
	for _, t := range tables {
		ask, columns = append(ask, t.statement()), append(columns, r.columns[t.table.ID])
	}
	results, err := r.send(ctx, route, ask, columns)
	var common read
	if err == nil {
		err = common.stand(&results[0])
	}
	if err != nil {
		for _, rd := range batch {
			rd.err = err
		}
		return
	}
	results = results[1:]
	for _, rd := range batch {
		rd.rev, rd.shut = common.rev, common.shut
		if rd.table == nil {
			rd.rows, rd.err = results[0].rows, judgeRead(results[0].failed())
			results = results[1:]
		}
	}
	for i, t := range tables {
		t.deliver(results[i])
	}
}

// send executes statements and returns a result for each.
func (r *reads) send(ctx context.Context, route route, ask []sqlstmt.Stmt, columns [][]driver.Column) ([]result, error) {
	body, err := appendBody(make([]byte, 0, 512), ask)
	if err != nil {
		return nil, err
	}
	a, _, err := r.client.do(ctx, &request{route: route, body: body, columns: columns})
	if err == nil && len(a.results) != len(ask) {
		err = driver.Failed("read", driver.ErrUnavailable, fmt.Errorf("rqlite answered %d of %d statements", len(a.results), len(ask)))
	}
	return a.results, err
}

// stale executes a read on a state that may be up to maxAge old.
func (r *reads) stale(ctx context.Context, maxAge time.Duration, rd *read) error {
	r.alone(ctx, queryStale(maxAge), rd)
	return rd.err
}

// large executes a read whose answer is too large to travel with others.
func (r *reads) large(ctx context.Context, rd *read) error {
	r.alone(ctx, queryLatest, rd)
	return rd.err
}

// query executes one statement on the latest state, and returns its rows.
func (s *Store) query(ctx context.Context, st sqlstmt.Stmt, columns ...driver.Column) ([][]driver.Value, error) {
	results, err := s.queries(ctx, []sqlstmt.Stmt{st}, columns...)
	if err != nil {
		return nil, err
	}
	return results[0].rows, nil
}

// queries executes statements on one state, the latest. All of them select the
// same columns, or one integer.
func (s *Store) queries(ctx context.Context, ask []sqlstmt.Stmt, columns ...driver.Column) ([]result, error) {
	if columns == nil {
		columns = []driver.Column{columnInt}
	}
	results, err := s.reads.send(ctx, querySnapshot, ask, slices.Repeat([][]driver.Column{columns}, len(ask)))
	for i := range results {
		err = errors.Join(err, judgeRead(results[i].failed()))
	}
	return results, err
}

// revOf returns the revision in the first column of the first row.
func revOf(rows [][]driver.Value) driver.Rev {
	if len(rows) == 0 || len(rows[0]) == 0 {
		return 0
	}
	rev, _ := rows[0][0].(int64)
	return driver.Rev(rev)
}

// judgeRead says what the failure of a statement that reads means: the tables are
// not as they were made, or rqlite cannot read them.
func judgeRead(err error) error {
	if err == nil {
		return nil
	}
	return driver.Failed("read", driver.ErrCorrupt, err)
}
