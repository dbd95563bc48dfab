package archive_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trihold/repo"
	"trihold/repo/archive"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

type user struct {
	ID   string  `db:"id"`
	Mail *string `db:"mail"`
	Age  int64   `db:"age"`
}

type note struct {
	User   string `db:"user"`
	Number int64  `db:"number"`
	Text   string `db:"text"`
}

type noteKey struct {
	User   string `db:"user"`
	Number int64  `db:"number"`
}

type tag struct {
	noteKey
	Tags []string `db:"tags"`
}

var (
	users  = repo.NewTable("users", func(u *user) *string { return &u.ID })
	byMail = repo.NewUnique1(users, func(u *user) *(*string) { return &u.Mail })
	notes  = repo.NewTable("notes", func(n *note) *string { return &n.User })
	tags   = repo.NewTable("tags", func(t *tag) *noteKey { return &t.noteKey })
	schema = repo.NewSchema(users, byMail, notes, tags)
)

// filled returns a prepared model with some rows of several revisions.
func filled(t *testing.T, n int) *repotest.Model {
	t.Helper()
	m := repotest.NewModel()
	s, err := repo.New(t.Context(), m, schema)
	if err != nil {
		t.Fatal(err)
	}
	for step, at := n/4+1, 0; at < n; at += step {
		must(t, s.Update(t.Context(), func(tx *repo.Tx) error {
			for i := at; i < min(at+step, n); i++ {
				mail := fmt.Sprintf("%d@example.com", i)
				if err := users.Insert(tx, user{ID: fmt.Sprintf("u%06d", i), Mail: &mail, Age: int64(i)}); err != nil {
					return err
				}
			}
			return tags.Put(tx, tag{noteKey{"u", int64(at)}, []string{"a", "b"}})
		}))
	}
	must(t, s.Update(t.Context(), func(tx *repo.Tx) error { return users.Delete(tx, "u000000") }))
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exported returns the archive of a store.
func exported(t *testing.T, s driver.Store, tables ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	f, err := os.Create(path)
	must(t, err)
	_, err = archive.Export(t.Context(), s, f, tables, nil)
	must(t, errors.Join(err, f.Close()))
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func content(t *testing.T, s driver.Store, tables ...string) repo.Digest {
	t.Helper()
	d, err := archive.Content(t.Context(), s, tables, nil)
	must(t, err)
	return d
}

func same(a, b repo.Digest) bool {
	if len(a.Tables) != len(b.Tables) {
		return false
	}
	for i := range a.Tables {
		if a.Tables[i] != b.Tables[i] {
			return false
		}
	}
	return a.Rev == b.Rev && a.Sum == b.Sum
}

func wantKind(t *testing.T, err, kind error, says string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("error %q, want %q that says %q", err, kind, says)
	}
}

func TestAStoreThatIsExportedAndImportedIsTheSameAndGoesOn(t *testing.T) {
	from := filled(t, 5000)
	b := exported(t, from)
	to := repotest.NewModel()
	told := map[string]int64{}
	got, err := archive.Import(t.Context(), bytes.NewReader(b), to, func(p archive.Progress) { told[p.What] = p.Rows })
	must(t, err)
	want := content(t, from)
	if !same(got, want) || !same(content(t, to), want) {
		t.Errorf("imported %+v, the store holds %+v, exported was %+v", got, content(t, to), want)
	}
	if told["checking the archive"] != 5000 || told["importing"] != 5000 {
		t.Errorf("progress was told as %v", told)
	}
	if a, b := revisions(t, from), revisions(t, to); a != b {
		t.Error("rows have other revisions")
	}
	must(t, to.Close())
	next, err := repo.New(t.Context(), to.Reopen(), schema)
	must(t, err)
	d, err := next.Digest(t.Context())
	must(t, err)
	if d.Sum != want.Sum {
		t.Errorf("package repo computes digest %s, want %s", d.Sum, want.Sum)
	}
	must(t, next.Update(t.Context(), func(tx *repo.Tx) error { return users.Put(tx, user{ID: "new"}) }))
	if d, err = next.Digest(t.Context()); err != nil || d.Rev != want.Rev+1 {
		t.Errorf("the next commit has revision %d (%v), want %d", d.Rev, err, want.Rev+1)
	}
}

// revisions returns the revisions of all rows, as text.
func revisions(t *testing.T, s driver.Store) string {
	t.Helper()
	status, err := s.Status(t.Context())
	must(t, err)
	snap, err := s.Begin(t.Context(), driver.Mode{})
	must(t, err)
	var b strings.Builder
	for _, table := range status.Schema.Tables {
		for row, err := range snap.Scan(t.Context(), driver.Span{Table: table}) {
			must(t, err)
			fmt.Fprintf(&b, "%d %x\n", row.Rev, row.Canonical(nil, table))
		}
	}
	return b.String()
}

func TestAnArchiveOfSomeTablesMakesAStoreWithAll(t *testing.T) {
	from := filled(t, 10)
	b := exported(t, from, "tags")
	r, err := archive.Verify(t.Context(), bytes.NewReader(b), nil)
	must(t, err)
	if len(r.Schema.Tables) != 3 || !same(r.Content, content(t, from, "tags")) {
		t.Errorf("the archive holds %+v", r.Content)
	}
	to := repotest.NewModel()
	_, err = archive.Import(t.Context(), bytes.NewReader(b), to, nil)
	must(t, err)
	all := content(t, to)
	if len(all.Tables) != 3 || all.Tables[0].Rows != 0 || !same(content(t, to, "tags"), r.Content) {
		t.Errorf("the store holds %+v", all)
	}
	_, err = archive.Export(t.Context(), from, nil, []string{"tags", "nosuch"}, nil)
	wantKind(t, err, driver.ErrInvalid, `no table "nosuch"; it has: users, notes, tags`)
}

func TestTheLargestRowsFitIntoAnArchive(t *testing.T) {
	from := repotest.NewModel()
	s, err := repo.New(t.Context(), from, schema)
	must(t, err)
	random := rand.NewChaCha8([32]byte{1})
	for i := range 4 {
		// The first row leaves a block almost full for the one after it.
		text := make([]byte, []int{100 << 10, driver.MaxRow * 3 / 4}[i%2])
		_, err := random.Read(text)
		must(t, err)
		must(t, s.Update(t.Context(), func(tx *repo.Tx) error {
			return notes.Put(tx, note{User: fmt.Sprint(i), Text: base64.StdEncoding.EncodeToString(text)[:len(text)*4/3-64]})
		}))
	}
	to := repotest.NewModel()
	_, err = archive.Import(t.Context(), bytes.NewReader(exported(t, from)), to, nil)
	must(t, err)
	if !same(content(t, to), content(t, from)) {
		t.Errorf("the store holds %+v", content(t, to))
	}
}

func TestAnEmptyStoreCanBeExportedAndImported(t *testing.T) {
	from := repotest.NewModel()
	must(t, from.Prepare(t.Context(), schema.Driver()))
	to := repotest.NewModel()
	got, err := archive.Import(t.Context(), bytes.NewReader(exported(t, from)), to, nil)
	must(t, err)
	if !same(got, content(t, to)) || got.Rev != 0 || len(got.Tables) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAStoreThatIsNotEmptyIsRefused(t *testing.T) {
	b := exported(t, filled(t, 10))
	full := filled(t, 3)
	before := content(t, full)
	must(t, full.Close())
	full = full.Reopen()
	_, err := archive.Import(t.Context(), bytes.NewReader(b), full, nil)
	wantKind(t, err, driver.ErrInvalid, "not empty: it has revision 4; import into a new store")
	if !same(content(t, full), before) {
		t.Error("it was changed")
	}
}

// A failing store fails some commits.
type failing struct {
	driver.Store
	commits int
	fail    func(n int, commit func() error) error
}

func (f *failing) Commit(ctx context.Context, c *driver.Commit) (rev driver.Rev, err error) {
	f.commits++
	err = f.fail(f.commits, func() error { rev, err = f.Store.Commit(ctx, c); return err })
	return rev, err
}

var errBroken = errors.New("broken")

func TestAnImportThatWasInterruptedIsClosedAndCanBeTakenUp(t *testing.T) {
	from := filled(t, 5000)
	b, want := exported(t, from), content(t, from)
	other := exported(t, filled(t, 10))
	for stop := 1; stop <= 5; stop++ {
		m := repotest.NewModel()
		_, err := archive.Import(t.Context(), bytes.NewReader(b), &failing{Store: m, fail: func(n int, commit func() error) error {
			if n == stop {
				return errBroken
			}
			return commit()
		}}, nil)
		wantKind(t, err, errBroken, "the same import again")
		must(t, m.Close())
		if stop > 1 {
			_, err = m.Reopen().Begin(t.Context(), driver.Mode{})
			wantKind(t, err, driver.ErrMoved, "import")
			_, err = archive.Import(t.Context(), bytes.NewReader(other), m.Reopen(), nil)
			wantKind(t, err, driver.ErrInvalid, "another archive")
		}
		again := &failing{Store: m.Reopen(), fail: func(_ int, commit func() error) error { return commit() }}
		_, err = archive.Import(t.Context(), bytes.NewReader(b), again, nil)
		must(t, err)
		if !same(content(t, again), want) || again.commits != 6-stop {
			t.Errorf("stopped at commit %d: took %d commits, the store holds %+v", stop, again.commits, content(t, again))
		}
	}
}

func TestALoadOfUnknownOutcomeIsSentAgain(t *testing.T) {
	from := filled(t, 3000)
	to := &failing{Store: repotest.NewModel(), fail: func(n int, commit func() error) error {
		switch n % 3 {
		case 0:
			return driver.ErrUnavailable
		case 1:
			return errors.Join(commit(), driver.ErrUncertain)
		}
		return commit()
	}}
	_, err := archive.Import(t.Context(), bytes.NewReader(exported(t, from)), to, nil)
	must(t, err)
	if !same(content(t, to), content(t, from)) {
		t.Errorf("the store holds %+v", content(t, to))
	}
	if _, err := to.Begin(t.Context(), driver.Mode{}); err != nil {
		t.Errorf("the store is not open: %v", err)
	}
}

func TestAStoreThatDoesNotHoldWhatWasLoadedStaysClosed(t *testing.T) {
	m := repotest.NewModel()
	to := &forgetful{m}
	_, err := archive.Import(t.Context(), bytes.NewReader(exported(t, filled(t, 10))), to, nil)
	wantKind(t, err, driver.ErrCorrupt, "stays closed")
	_, err = m.Begin(t.Context(), driver.Mode{})
	wantKind(t, err, driver.ErrMoved, "import")
}

// A forgetful store loses the first of many writes.
type forgetful struct{ driver.Store }

func (f *forgetful) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if len(c.Writes) > 5 {
		c.Writes = c.Writes[1:]
	}
	return f.Store.Commit(ctx, c)
}

// A moving store is one whose snapshots meet conflicts.
type moving struct {
	driver.Store
	conflicts int
}

func (m *moving) Begin(ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
	snap, err := m.Store.Begin(ctx, mode)
	return &movingSnapshot{snap, m}, err
}

type movingSnapshot struct {
	driver.Snapshot
	of *moving
}

func (s *movingSnapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	rows := s.Snapshot.Scan(ctx, span)
	return func(yield func(driver.Row, error) bool) {
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
		}
		if span.Table.Name == "tags" && s.of.conflicts > 0 {
			s.of.conflicts--
			yield(driver.Row{}, driver.ErrConflict)
		}
	}
}

func TestAnExportThatMeetsAConflictBeginsAgain(t *testing.T) {
	m := filled(t, 100)
	b := exported(t, &moving{m, 4})
	r, err := archive.Verify(t.Context(), bytes.NewReader(b), nil)
	must(t, err)
	if !same(r.Content, content(t, m)) {
		t.Errorf("the archive holds %+v", r.Content)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "archive"))
	must(t, err)
	defer f.Close()
	_, err = archive.Export(t.Context(), &moving{m, 1000}, f, nil, nil)
	wantKind(t, err, driver.ErrConflict, "try again when less is written")
}
