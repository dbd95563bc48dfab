package rqlitebackend

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// anyValue returns a value of a kind of column; one in three is one that rqlite or
// JSON has its troubles with.
func anyValue(r *rand.Rand, k driver.Kind) driver.Value {
	hard := r.IntN(3) == 0
	switch k {
	case driver.Int:
		if hard {
			return []int64{math.MinInt64, math.MaxInt64, 1<<53 + 1, -1<<53 - 1, 0}[r.IntN(5)]
		}
		return int64(r.Uint64())
	case driver.Float:
		if hard {
			return []float64{1, -5, 1e15, 1e300, 5e-324, 0.1, math.MaxFloat64, 1 << 60, 9007199254740993}[r.IntN(9)]
		}
		for {
			if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) && f != 0 {
				return f
			}
		}
	case driver.Bytes:
		b := make([]byte, r.IntN(20))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	if hard {
		return []string{"x'00ff'", "X''", " x'6162' ", "\u00a0x'61'", "x'zz'", "x'", "", "nul\x00in", "\x00", `"\/` + "\b\f\n\r\t\x1f\x7f", "\u2028<&>", "日本\U0001F600", "NULL", "1.0", "?", "a;b"}[r.IntN(16)]
	}
	runes := make([]rune, r.IntN(12))
	for i := range runes {
		if runes[i] = rune(r.IntN(0x11000)); 0xD800 <= runes[i] && runes[i] < 0xE000 {
			runes[i] = 'x'
		}
	}
	return string(runes)
}

// The traps are rqlite's own: numbers beyond 2^53, text of the form x'..', 1.0
// becoming an integer, NUL, blobs as base64. So this is specific to it, and runs
// against the real one, without a schema that would forgive anything.
func TestEveryValueComesBackFromRqliteAsItWasSent(t *testing.T) {
	s := openManaged(t, t.TempDir())
	defer s.Close()
	execute(t, s, sqlstmt.Stmt{SQL: `CREATE TABLE any (id INTEGER PRIMARY KEY, i ANY, f ANY, t ANY, b ANY, n ANY) STRICT`})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	columns := []driver.Column{{Kind: driver.Int}, {Kind: driver.Float}, {Kind: driver.Text}, {Kind: driver.Bytes}, {Kind: driver.Text}}
	var inserts []sqlstmt.Stmt
	want := make([][]driver.Value, 500)
	for i := range want {
		for _, c := range columns[:4] {
			want[i] = append(want[i], anyValue(r, c.Kind))
		}
		want[i] = append(want[i], nil)
		inserts = append(inserts, sqlstmt.Stmt{SQL: `INSERT INTO any VALUES (?, ?, ?, ?, ?, ?)`, Args: append([]driver.Value{int64(i)}, want[i]...)})
	}
	execute(t, s, inserts...)
	got, err := s.query(t.Context(), sqlstmt.Stmt{SQL: `SELECT i, f, t, b, n FROM any ORDER BY id`}, columns...)
	if err != nil {
		t.Fatal(err)
	}
	types, err := s.query(t.Context(), sqlstmt.Stmt{SQL: `SELECT typeof(i)||' '||typeof(f)||' '||typeof(t)||' '||typeof(b)||' '||typeof(n) FROM any ORDER BY id`}, columnText)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("row %d: got %#v, want %#v", i, got[i], want[i])
		}
		if types[i][0] != "integer real text blob null" {
			t.Errorf("row %d: %#v is stored as %v", i, want[i], types[i][0])
		}
	}
}

// execute executes statements that must succeed, as one transaction.
func execute(t testing.TB, s *Store, statements ...sqlstmt.Stmt) {
	t.Helper()
	body, err := appendBody(nil, statements)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := s.client.do(t.Context(), &request{route: executeAtomic, body: body})
	if err == nil {
		_, err = a.exactly(len(statements))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rqlite's /db/request commits what stands before and behind such failures.
func TestARequestThatFailsInTheMiddleLeavesNothingBehind(t *testing.T) {
	s := openManaged(t, t.TempDir())
	defer s.Close()
	execute(t, s, sqlstmt.Stmt{SQL: `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (v <> 'bad')) STRICT`})
	for _, failing := range []string{
		`INSERT INTO nope VALUES (1)`, `INSERT INTO t (nope) VALUES (1)`, `INSERT INTO t VALUES (1)`, `syntax error`,
		`INSERT INTO t VALUES (9, 'bad')`, `INSERT INTO t VALUES (1, 'again')`, `INSERT INTO t VALUES (1, 'again') RETURNING id`,
		`INSERT INTO t VALUES (7, ?)`, `INSERT INTO t VALUES (x'00', 'blob as integer')`,
	} {
		body := fmt.Appendf(nil, `["INSERT INTO t VALUES (1, 'before')", %q, "INSERT INTO t VALUES (2, 'behind')"]`, failing)
		a, _, err := s.client.do(t.Context(), &request{route: executeAtomic, body: body})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.exactly(3); err == nil {
			t.Errorf("%s: no failure is reported", failing)
		}
		rows, err := s.query(t.Context(), sqlstmt.Stmt{SQL: `SELECT count(*) FROM t`}, columnInt)
		if err != nil || rows[0][0] != int64(0) {
			t.Errorf("%s: left %v rows behind (%v)", failing, rows, err)
		}
	}
}

func TestAStatementWithAWrongNumberOfArgumentsIsNotSent(t *testing.T) {
	for _, args := range [][]driver.Value{nil, {int64(1), int64(2)}} {
		if _, err := encode(sqlstmt.Stmt{SQL: "SELECT ?", Args: args}); err == nil {
			t.Errorf("%d arguments for one placeholder are encoded", len(args))
		}
	}
	if _, err := encode(sqlstmt.Stmt{}); err == nil {
		t.Error("an empty statement is encoded")
	}
	if _, err := encode(sqlstmt.Stmt{SQL: "SELECT ?", Args: []driver.Value{"\xff"}}); err == nil {
		t.Error("text that is not UTF-8 is encoded")
	}
}

// The scanner must read what encoding/json, which rqlite uses, writes.
func FuzzTheScannerReadsWhatEncodingJSONWrites(f *testing.F) {
	f.Add("plain", int64(1), 0.5, []byte{0, 255})
	f.Add("\"\\\x00\u2028\U0001F600", int64(math.MinInt64), 1e300, []byte{})
	f.Fuzz(func(t *testing.T, text string, i int64, fl float64, blob []byte) {
		if math.IsNaN(fl) || math.IsInf(fl, 0) {
			return
		}
		text = strings.ToValidUTF8(text, "�")
		body, err := json.Marshal(map[string]any{
			"results": []any{
				map[string]any{"last_insert_id": i, "rows_affected": 1},
				map[string]any{"error": text},
				map[string]any{"columns": []string{"a", text}, "types": []string{"text"}, "values": [][]any{{text, i, fl, append([]byte{}, blob...), nil}}, "time": 0.1},
			},
			"other": map[string]any{"nested": []any{nil, true, false, 1.5, text, map[string]any{}, []any{}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		columns := []driver.Column{{Kind: driver.Text}, {Kind: driver.Int}, {Kind: driver.Float}, {Kind: driver.Bytes}, {Kind: driver.Text}}
		a, err := readAnswer(body, [][]driver.Column{nil, nil, columns})
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want := []driver.Value{text, i, fl, append([]byte{}, blob...), nil}
		if len(a.results) != 3 || a.results[0].lastInsertID != i || a.results[1].err != text || !reflect.DeepEqual(a.results[2].rows, [][]driver.Value{want}) {
			t.Fatalf("%s is read as %#v", body, a)
		}
		for n := range body { // cut short anywhere, it is an error
			if _, err := readAnswer(body[:n], [][]driver.Column{nil, nil, columns}); err == nil {
				t.Fatalf("%s is read without error", body[:n])
			}
		}
	})
}
