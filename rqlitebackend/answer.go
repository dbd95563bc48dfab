package rqlitebackend

import (
	"encoding/base64"
	"errors"
	"fmt"

	"trihold/repo/driver"
)

// A result is what became of one statement of a request.
type result struct {
	lastInsertID int64
	rows         [][]driver.Value // of a query
	err          string           // empty if the statement succeeded
}

// errStatement is what a query's statement failed with.
func (r *result) failed() error {
	if r.err == "" {
		return nil
	}
	return fmt.Errorf("rqlite: %s", r.err)
}

// An answer is the body of a response with status 200: results up to the first
// statement that failed in a transaction, or one error for all.
type answer struct {
	results []result
	err     string
}

// readAnswer decodes an answer. columns holds, for each statement of a query,
// what its values are; rqlite's own "types" are not needed for that, and do not
// tell text from blobs where a column has no declared type.
func readAnswer(body []byte, columns [][]driver.Column) (answer, error) {
	s := &scanner{b: body}
	var a answer
	s.expect('{')
	for first := true; s.more(&first, '}'); {
		name := s.text()
		s.expect(':')
		switch string(name) {
		case "results":
			a.results = readResults(s, columns)
		case "error":
			a.err = string(s.text())
		default:
			s.skip()
		}
	}
	if s.err == nil && s.peek() != 0 {
		s.fail()
	}
	return a, s.err
}

func readResults(s *scanner, columns [][]driver.Column) []result {
	if s.null() {
		return nil
	}
	out := make([]result, 0, max(len(columns), 4))
	s.expect('[')
	for first := true; s.more(&first, ']'); {
		var cols []driver.Column
		if len(out) < len(columns) {
			cols = columns[len(out)]
		}
		out = append(out, readResult(s, cols))
	}
	return out
}

func readResult(s *scanner, cols []driver.Column) result {
	var r result
	s.expect('{')
	for first := true; s.more(&first, '}'); {
		name := s.text()
		s.expect(':')
		switch string(name) {
		case "last_insert_id":
			r.lastInsertID = s.integer()
		case "error":
			r.err = string(s.text())
		case "values":
			r.rows = readRows(s, cols)
		default:
			s.skip()
		}
	}
	return r
}

func readRows(s *scanner, cols []driver.Column) [][]driver.Value {
	if s.null() {
		return nil
	}
	var rows [][]driver.Value
	var values []driver.Value // rows are cut from it, many at a time
	s.expect('[')
	for first := true; s.more(&first, ']'); {
		if cap(values)-len(values) < len(cols) {
			values = make([]driver.Value, 0, len(cols)*min(1+len(rows), 64))
		}
		from := len(values)
		values = readRow(s, values, cols)
		rows = append(rows, values[from:len(values):len(values)])
	}
	return rows
}

// readRow appends the values of one row, as many as there are columns.
func readRow(s *scanner, values []driver.Value, cols []driver.Column) []driver.Value {
	s.expect('[')
	i := 0
	for first := true; s.more(&first, ']'); i++ {
		if i >= len(cols) {
			s.fail()
			return values
		}
		values = append(values, readValue(s, cols[i]))
	}
	if i < len(cols) {
		s.fail()
	}
	return values
}

// readValue reads a value of a column. A value of the wrong type is an error; a
// NULL where there should be none is for the caller to judge.
func readValue(s *scanner, c driver.Column) driver.Value {
	if s.null() {
		return nil
	}
	switch c.Kind {
	case driver.Bool, driver.Int, driver.Time:
		return s.integer()
	case driver.Float:
		return s.float()
	case driver.Bytes:
		text := s.text()
		blob := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(blob, text)
		if err != nil {
			s.fail()
		}
		return blob[:n]
	}
	return string(s.text())
}

// exactly returns the results if there are n of them and none failed.
func (a *answer) exactly(n int) ([]result, error) {
	if a.err != "" {
		return nil, errors.New("rqlite: " + a.err)
	}
	for i := range a.results {
		if err := a.results[i].failed(); err != nil {
			return nil, err
		}
	}
	if len(a.results) != n {
		return nil, fmt.Errorf("rqlite answered %d of %d statements", len(a.results), n)
	}
	return a.results, nil
}
