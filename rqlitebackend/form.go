package rqlitebackend

import (
	"fmt"
	"strings"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

const (
	// maxElements is how many elements a request may have: with 50, rqlite
	// compresses it for its log, at the highest and slowest level.
	maxElements = 49
	// maxElementSQL is how long the SQL of an element may be, for the same reason:
	// the limit is 1024.
	maxElementSQL = 1000
)

// The two forms of a request that commits.
//
// Together: one transaction for all commits of a batch. It inserts their rows of
// _trihold_changes, evaluates their guards, and writes their rows, each of these
// with as few and as short statements as may be: what a statement costs rqlite is
// mostly parsing it, and storing its text in the log. That all guards come before all writes is right because no commit of
// a batch has read what another one writes. The revisions of the batch follow each
// other without a gap; while the statements run, the highest is that of the last
// commit.
//
// Apart: one element for each commit, which is a transaction of its own. It ends
// at the first statement that fails, and the ROLLBACK behind it undoes the rest;
// after a commit that succeeded the ROLLBACK fails, which does no harm. Results do
// not tell revisions in this form, because the last insert may have been any; so
// the first element assigns the next revision and takes it back, and the commits
// that succeed have that one and those after it.

// formTogether returns the request and the number of its elements. The last
// insert ID of the first one is the revision of the last commit.
func formTogether(l *sqlstmt.Layout, batch []*pending) (body []byte, elements int, err error) {
	f := former{body: append(make([]byte, 0, formSize(batch)), '[')}
	changes, err := insertChanges(batch)
	if err != nil {
		return nil, 0, err
	}
	f.add(changes)
	f.flush() // its result is needed
	writes, err := writesOf(l, batch)
	if err != nil {
		return nil, 0, err
	}
	checks := checksOf(batch)
	if len(batch) == 1 && len(writes) > 0 {
		if checks, err = guardFirst(l, &writes[0], checks); err != nil {
			return nil, 0, err
		}
	}
	guards, err := l.Guards(nil, &checks)
	if err != nil {
		return nil, 0, err
	}
	f.add(guards...)
	f.add(writes...)
	f.flush()
	return append(f.body, ']'), f.elements, f.err
}

// insertChanges returns the statement that inserts the rows of _trihold_changes.
func insertChanges(batch []*pending) (sqlstmt.Stmt, error) {
	st := sqlstmt.Stmt{
		SQL:  `INSERT INTO "_trihold_changes" ("id","touched") VALUES (?,?)` + strings.Repeat(",(?,?)", len(batch)-1),
		Args: make([]driver.Value, 0, 2*len(batch)),
	}
	for _, p := range batch {
		touched, err := sqlstmt.AppendTouched(nil, p.commit.Writes)
		if err != nil {
			return st, err
		}
		st.Args = append(st.Args, p.commit.ID[:], string(touched))
	}
	return st, nil
}

// writesOf returns the statements that write the rows of a batch.
func writesOf(l *sqlstmt.Layout, batch []*pending) ([]sqlstmt.Stmt, error) {
	var all []sqlstmt.Stmt
	var bulk bulk
	for i, p := range batch {
		behind := len(batch) - 1 - i
		writes, err := l.Writes(nil, bulk.take(p.commit.Writes, behind), 0)
		if err != nil {
			return nil, err
		}
		all = append(all, behindLatest(writes, behind)...)
	}
	writes, err := bulk.statements(l)
	return append(all, writes...), err
}

func checksOf(batch []*pending) (all driver.Checks) {
	if len(batch) == 1 {
		return batch[0].commit.Checks
	}
	for _, p := range batch {
		all.Rows = append(all.Rows, p.commit.Checks.Rows...)
		all.Spans = append(all.Spans, p.commit.Checks.Spans...)
	}
	return all
}

// guardFirst makes the first write of a commit fail if the checks do not hold, and
// returns those for which there was no room. A guard as a part of another statement
// costs half as much as one of its own: the row gets no revision, and must not be
// without one. The write comes right behind the row of _trihold_changes, so that
// its revision is also the last inserted row ID, which is cheap to read.
func guardFirst(l *sqlstmt.Layout, first *sqlstmt.Stmt, checks driver.Checks) (driver.Checks, error) {
	before, after, found := strings.Cut(first.SQL, latestExpr)
	if !found || strings.Contains(after, "?") {
		return checks, nil // a delete, or many rows
	}
	conditions, err := conditions(l, &checks)
	if err != nil {
		return checks, err
	}
	room := maxElementSQL - len(first.SQL)
	texts := make([]string, len(conditions))
	for i, c := range conditions {
		texts[i] = c.SQL
		room -= len(c.SQL) + len(" AND ")
	}
	switch {
	case len(conditions) == 0:
		first.SQL = before + "last_insert_rowid()" + after
	case room >= 0:
		first.SQL = before + "CASE WHEN " + strings.Join(texts, " AND ") + " THEN last_insert_rowid() END" + after
		for _, c := range conditions {
			first.Args = append(first.Args, c.Args...)
		}
		checks = driver.Checks{}
	}
	return checks, nil
}

// conditionFailed reports whether a statement failed because of guardFirst.
func conditionFailed(message string) bool {
	return strings.Contains(message, "NOT NULL constraint failed: ") && strings.HasSuffix(message, "._rev")
}

// conditions returns checks as expressions.
func conditions(l *sqlstmt.Layout, checks *driver.Checks) ([]sqlstmt.Stmt, error) {
	if len(checks.Rows) == 1 && len(checks.Spans) == 0 { // a cheaper form than that for many
		c := checks.Rows[0]
		st, err := l.KeyRev(nil, c.Table, c.Key)
		var rev driver.Value
		if c.Rev != 0 {
			rev = int64(c.Rev)
		}
		return []sqlstmt.Stmt{{SQL: "(" + st.SQL + ") IS ?", Args: append(st.Args, rev)}}, err
	}
	guards, err := l.Guards(nil, checks)
	for i := range guards {
		text, ok := strings.CutPrefix(guards[i].SQL, intoGuard)
		if !ok {
			return nil, fmt.Errorf("a guard begins with %.40q: %w", guards[i].SQL, driver.ErrInvalid)
		}
		guards[i].SQL = "NOT EXISTS (" + text + ")"
	}
	return guards, err
}

// A former packs statements into elements, in order.
type former struct {
	body     []byte
	elements int
	element  []encoded // not yet in body
	sql      int       // its length
	err      error     // the first
}

func (f *former) add(statements ...sqlstmt.Stmt) {
	for _, st := range statements {
		e, err := encode(st)
		if err != nil && f.err == nil {
			f.err = err
		}
		if len(f.element) > 0 && f.sql+1+len(e.sql) > maxElementSQL {
			f.flush()
		}
		f.element = append(f.element, e)
		f.sql += 1 + len(e.sql)
	}
}

// flush ends the element.
func (f *former) flush() {
	if len(f.element) == 0 {
		return
	}
	if f.elements > 0 {
		f.body = append(f.body, ',')
	}
	f.body = appendStatement(f.body, f.element...)
	f.elements++
	f.element, f.sql = f.element[:0], 0
}

var (
	// The fence is taken away for it: else the insert would fail, and leave the
	// transaction open for the next element.
	nextRevision = appendStatement(nil, encoded{sql: `BEGIN;DELETE FROM "_trihold_state" WHERE "name"='` + driver.FenceRow +
		`';INSERT INTO "_trihold_changes" ("id", "touched") VALUES (x'', '');ROLLBACK`})
	rollback = []byte(`,"ROLLBACK"`)
)

// formApart returns the request. Its results are that of nextRevision and then,
// for each commit, its own and that of its ROLLBACK.
func formApart(l *sqlstmt.Layout, batch []*pending) ([]byte, error) {
	body := append(make([]byte, 0, formSize(batch)), '[')
	body = append(body, nextRevision...)
	for _, p := range batch {
		statements, err := l.Commit([]sqlstmt.Stmt{{SQL: "BEGIN"}}, p.commit, 0)
		if err != nil {
			return nil, err
		}
		element := make([]encoded, 0, len(statements)+1)
		for _, st := range append(statements, sqlstmt.Stmt{SQL: "COMMIT"}) {
			e, err := encode(st)
			if err != nil {
				return nil, err
			}
			element = append(element, e)
		}
		body = appendStatement(append(body, ','), element...)
		body = append(body, rollback...)
	}
	return append(body, ']'), nil
}

// formSize returns about as many bytes as the request has.
func formSize(batch []*pending) int {
	size := 256
	for _, p := range batch {
		size += p.size*5/4 + 512
	}
	return size
}
