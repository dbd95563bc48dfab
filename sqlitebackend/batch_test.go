package sqlitebackend

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"trihold/internal/lockfile"
	"trihold/internal/sqlstmt"
	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A failure prints its seed; no files.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A seat collides with others in a unique index.
type seat struct {
	ID  int64  `db:"id"`
	Row string `db:"row"`
	At  *int64 `db:"at"`
}

var (
	seats       = repo.NewTable("seat", func(s *seat) *int64 { return &s.ID })
	seatsByRow  = repo.NewUnique2(seats, func(s *seat) (*string, **int64) { return &s.Row, &s.At })
	plains      = repo.NewTable("plain", func(n *note) *string { return &n.ID })
	batchSchema = repo.NewSchema(seats, seatsByRow, plains)
	seatTable   = batchSchema.Driver().Tables[0]
	plainTable  = batchSchema.Driver().Tables[1]
)

// stopped returns a store whose writer does nothing by itself, so that a test
// decides what a batch is.
func stopped(t interface {
	Helper()
	Fatal(...any)
}, dir string) (*Store, func() error) {
	t.Helper()
	c, err := testConfig(dir, driver.Process).complete()
	if err != nil {
		t.Fatal(err)
	}
	c.Logger = slog.New(slog.DiscardHandler)
	lock, err := lockfile.Acquire(c.Path+"-lock", c.Path)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(c, lock)
	if s.layout, err = sqlstmt.New(batchSchema.Driver(), sqlstmt.Bound); err != nil {
		t.Fatal(err)
	}
	if err := s.open(background); err != nil {
		t.Fatal(err)
	}
	return s, func() error {
		go s.writer.run()
		s.prepared = true
		return s.Close()
	}
}

// commitTogether has the writer decide commits as one batch.
func commitTogether(s *Store, commits ...*driver.Commit) (revs []driver.Rev, errs []error) {
	var requests []*request
	for _, c := range commits {
		r, err := newRequest(s.layout, c)
		if err != nil {
			panic(err)
		}
		requests = append(requests, r)
	}
	s.writer.batch = append(s.writer.batch[:0], requests...)
	s.writer.commitBatch()
	for _, r := range requests {
		<-r.done
		revs, errs = append(revs, r.rev), append(errs, r.err)
	}
	return revs, errs
}

func write(kind driver.WriteKind, def *driver.Table, row any) driver.Write {
	w := driver.Write{Kind: kind, Table: def, Key: driver.Key(def.AppendKey(nil, 0, row))}
	if kind != driver.Delete {
		w.Data = def.Encode(nil, row)
	}
	return w
}

func commitOf(id byte, writes ...driver.Write) *driver.Commit {
	return &driver.Commit{ID: driver.CommitID{id}, Writes: writes}
}

func seatOf(id int64, row string, at int64) *seat { return &seat{ID: id, Row: row, At: &at} }

// Batches are specific to this backend. Whatever comes together must be decided
// as if it had come one by one.
func TestACommitThatFailsInABatchFailsAlone(t *testing.T) {
	s, closeStore := stopped(t, t.TempDir())
	defer func() { must(t, closeStore()) }()
	stale := commitOf(2, write(driver.Put, seatTable, seatOf(9, "b", 9)))
	stale.Checks.Rows = []driver.RowCheck{{Table: seatTable, Key: stale.Writes[0].Key, Rev: 7}}
	revs, errs := commitTogether(s,
		commitOf(1, write(driver.Insert, seatTable, seatOf(1, "a", 1))),
		stale,
		commitOf(3, write(driver.Insert, seatTable, seatOf(1, "a", 2))),
		commitOf(4, write(driver.Put, plainTable, &note{ID: "x"}), write(driver.Insert, seatTable, seatOf(5, "a", 1))),
		commitOf(5, write(driver.Insert, seatTable, seatOf(2, "a", 2))),
		commitOf(1, write(driver.Insert, seatTable, seatOf(1, "a", 1))),
	)
	want := []error{nil, driver.ErrConflict, driver.ErrExists, driver.ErrExists, nil, nil}
	for i := range want {
		if !errors.Is(errs[i], want[i]) {
			t.Errorf("commit %d: got %v, want %v", i, errs[i], want[i])
		}
	}
	if got := fmt.Sprint(revs); got != "[1 0 0 0 2 1]" {
		t.Errorf("revisions %s", got)
	}
	var detail *driver.Error
	if !errors.As(errs[3], &detail) || detail.Index != "row,at" || detail.Key != "5" {
		t.Errorf("the error %v does not say which index and key", errs[3])
	}
	if rows := rowsOf(t, s, plainTable); len(rows) != 0 {
		t.Errorf("a part of a refused commit is there: %v", rows)
	}
}

// A failure that no commit can be blamed for beforehand makes the batch fail;
// then each is tried alone.
func TestASurpriseFailsOnlyTheCommitThatIsToBlame(t *testing.T) {
	s, closeStore := stopped(t, t.TempDir())
	defer func() { must(t, closeStore()) }()
	var requests []*request
	for i := range 5 {
		r, err := newRequest(s.layout, commitOf(byte(i), write(driver.Put, plainTable, &note{ID: fmt.Sprint(i)})))
		must(t, err)
		requests = append(requests, r)
	}
	requests[2].statements[0].SQL = "INSERT INTO nowhere VALUES (1)"
	s.writer.batch = append(s.writer.batch, requests...)
	s.writer.commitBatch()
	for i, r := range requests {
		<-r.done
		if failed := r.err != nil; failed != (i == 2) {
			t.Errorf("commit %d: %v", i, r.err)
		}
	}
	if n := len(rowsOf(t, s, plainTable)); n != 4 {
		t.Errorf("%d rows are there, want 4", n)
	}
	if rev, settled := s.visible.load(); rev != 4 || !settled {
		t.Errorf("revision %d, settled %v", rev, settled)
	}
	revs, errs := commitTogether(s, commitOf(9, write(driver.Put, plainTable, &note{ID: "9"})))
	if errs[0] != nil || revs[0] != 5 {
		t.Errorf("the next commit: %v, %v", revs, errs)
	}
}

// Somebody with a SQLite shell may hold the lock.
func TestALockedFileRefusesTheWholeBatchOnce(t *testing.T) {
	dir := t.TempDir()
	s, closeStore := stopped(t, dir)
	defer func() { must(t, closeStore()) }()
	must(t, s.writer.session.exec("PRAGMA busy_timeout = 50"))
	other := sqlx.MustOpen("sqlite", dsn(s.config.Path, "_txlock=immediate"))
	defer other.Close()
	tx := other.MustBegin()
	put := func(id byte) *driver.Commit { return commitOf(id, write(driver.Put, plainTable, &note{ID: "x"})) }
	begin := time.Now()
	_, errs := commitTogether(s, put(1), put(2), put(3), put(4))
	for i, err := range errs {
		if !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), "another program") {
			t.Errorf("commit %d: %v", i, err)
		}
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("it took %v to find out", took)
	}
	must(t, tx.Rollback())
	if revs, errs := commitTogether(s, put(1)); errs[0] != nil || revs[0] != 1 {
		t.Errorf("when it is unlocked: %v, %v", revs, errs)
	}
}

func rowsOf(t testing.TB, s *Store, def *driver.Table) []driver.Row {
	t.Helper()
	snap, err := s.Begin(t.Context(), driver.Mode{})
	must(t, err)
	defer snap.Close()
	var rows []driver.Row
	for row, err := range snap.Scan(t.Context(), driver.Span{Table: def}) {
		must(t, err)
		rows = append(rows, row)
	}
	return rows
}

// The writer decides most checks from memory. It must decide as the model does,
// with fences and loads among the commits, also when memory has forgotten, and whatever revision the reader has seen.
func TestBatchesDecideAsTheModelDoesOneByOne(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := fmt.Sprintf("%s/%d", dir, n)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		s, closeStore := stopped(t, path)
		defer func() {
			if err := closeStore(); err != nil {
				t.Fatal(err)
			}
		}()
		s.writer.recent.limit = rapid.SampledFrom([]int{1, 5, maxRecent}).Draw(t, "remembered")
		model := repotest.NewModel()
		if err := model.Prepare(background, batchSchema.Driver()); err != nil {
			t.Fatal(err)
		}
		var seen []driver.Commit // what was read at some time, and when
		for id := byte(0); id < 60; {
			seen = append(seen, drawReads(t, model))
			var batch []*driver.Commit
			for range rapid.IntRange(1, 4).Draw(t, "batch") {
				c := rapid.SampledFrom(seen).Draw(t, "reads")
				if rapid.IntRange(0, 5).Draw(t, "unknown") == 0 {
					c.Read = 0
				}
				c.ID = driver.CommitID{id}
				if id > 0 && rapid.IntRange(0, 7).Draw(t, "again") == 0 {
					c.ID = driver.CommitID{rapid.ByteRange(0, id-1).Draw(t, "id")}
				}
				c.Writes = drawWrites(t)
				if rapid.IntRange(0, 4).Draw(t, "moves") == 0 {
					drawMove(t, model, &c, id)
				}
				batch = append(batch, &c)
				id++
			}
			revs, errs := commitTogether(s, batch...)
			for i, c := range batch {
				rev, err := model.Commit(background, c)
				if rev != revs[i] || !sameKind(err, errs[i]) {
					t.Fatalf("commit %d of %d, %+v: got %d, %v; want %d, %v", i, len(batch), c, revs[i], errs[i], rev, err)
				}
			}
		}
	})
}

// drawMove makes a commit one that writes the fence, or a load. id tells it from
// all others.
func drawMove(t *rapid.T, model *repotest.Model, c *driver.Commit, id byte) {
	st, err := model.Status(background)
	if err != nil {
		t.Fatal(err)
	}
	rev := max(st.Rev, 1)
	fence, err := st.Schema.PutState(driver.FenceRow, driver.Fence{By: "m1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 3).Draw(t, "ordinary") == 0 {
		c.Writes = append(c.Writes, fence)
		return
	}
	if rapid.Bool().Draw(t, "unchecked") {
		c.Checks = driver.Checks{}
	}
	c.Load = &driver.Load{}
	for i := range c.Writes {
		if c.Writes[i].Kind != driver.Delete {
			c.Writes[i].Rev = driver.Rev(rapid.Int64Range(1, int64(rev)).Draw(t, "row's revision"))
		}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "changes") {
		next := st.Rev + 1 + driver.Rev(i)
		c.Load.Changes = append(c.Load.Changes, driver.Change{Rev: next, ID: driver.CommitID{id, 0xFF, byte(i)}})
	}
	switch rapid.IntRange(0, 3).Draw(t, "fence") {
	case 0:
		fence.Rev = rev
		c.Writes = append(c.Writes, fence)
	case 1, 2:
		c.Writes = append(c.Writes, st.Schema.DeleteState(driver.FenceRow))
	}
}

func sameKind(a, b error) bool {
	for _, kind := range []error{driver.ErrConflict, driver.ErrExists, driver.ErrMoved, driver.ErrInvalid} {
		if errors.Is(a, kind) != errors.Is(b, kind) {
			return false
		}
	}
	return (a == nil) == (b == nil)
}

// drawReads reads rows and spans of the model and returns the checks of them.
func drawReads(t *rapid.T, model *repotest.Model) driver.Commit {
	snap, err := model.Begin(background, driver.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	c := driver.Commit{Read: snap.Rev()}
	for range rapid.IntRange(0, 2).Draw(t, "rows") {
		w := drawWrite(t)
		row, err := snap.Get(background, w.Table, w.Key)
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			t.Fatal(err)
		}
		c.Checks.Rows = append(c.Checks.Rows, driver.RowCheck{Table: w.Table, Key: w.Key, Rev: row.Rev})
	}
	for range rapid.IntRange(0, 2).Draw(t, "spans") {
		check := driver.SpanCheck{Table: seatTable, Order: rapid.IntRange(0, 1).Draw(t, "order")}
		for _, bound := range []*driver.Bound{&check.Lo, &check.Hi} {
			w := drawWrite(t)
			if w.Kind != driver.Delete && w.Table == seatTable && rapid.Bool().Draw(t, "bound") {
				live, err := seatTable.Decode(w.Data)
				if err != nil {
					t.Fatal(err)
				}
				bound.Tuple = driver.Key(seatTable.AppendKey(nil, check.Order, live))
				bound.Open = rapid.Bool().Draw(t, "open")
			}
		}
		for row, err := range snap.Scan(background, check.Span()) {
			if err != nil {
				t.Fatal(err)
			}
			check.Rows++
			check.MaxRev = max(check.MaxRev, row.Rev)
		}
		c.Checks.Spans = append(c.Checks.Spans, check)
	}
	return c
}

// drawWrites draws the writes of a commit, one for a row.
func drawWrites(t *rapid.T) []driver.Write {
	var writes []driver.Write
	seen := map[string]bool{}
	for range rapid.IntRange(1, 3).Draw(t, "writes") {
		w := drawWrite(t)
		if id := w.Table.Name + string(w.Key); !seen[id] {
			writes = append(writes, w)
			seen[id] = true
		}
	}
	return writes
}

func drawWrite(t *rapid.T) driver.Write {
	kind := rapid.SampledFrom([]driver.WriteKind{driver.Insert, driver.Put, driver.Put, driver.Delete}).Draw(t, "kind")
	if rapid.Bool().Draw(t, "plain") {
		return write(kind, plainTable, &note{ID: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id")})
	}
	row := seatOf(rapid.Int64Range(0, 4).Draw(t, "id"), rapid.SampledFrom([]string{"", "x"}).Draw(t, "row"), rapid.Int64Range(0, 2).Draw(t, "at"))
	if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		row.At = nil
	}
	return write(kind, seatTable, row)
}

var background = context.Background()
