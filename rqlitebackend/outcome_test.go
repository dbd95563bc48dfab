package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"trihold/repo"
	"trihold/repo/driver"
)

// Tests of how commits share requests look inside, because from outside it cannot
// be seen, and must not make a difference.

type account struct {
	ID    string `db:"id"`
	Email string `db:"email"`
	Cents int64  `db:"cents"`
}

type noteKey struct {
	Account string `db:"account"`
	Number  int64  `db:"number"`
}

var (
	accounts       = repo.NewTable("account", func(a *account) *string { return &a.ID })
	accountByEmail = repo.NewUnique1(accounts, func(a *account) *string { return &a.Email })
	notes          = repo.NewTable("note", func(n *keyedNote) *noteKey { return &n.noteKey })
	bankSchema     = repo.NewSchema(accounts, accountByEmail, notes)
	accountTable   = bankSchema.Driver().Tables[0]
	noteTable      = bankSchema.Driver().Tables[1]
)

type keyedNote struct {
	noteKey
	Text string `db:"text"`
}

func openBank(t testing.TB) *Store {
	t.Helper()
	s := openManaged(t, t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	return s
}

func accountKey(id string) driver.Key { return driver.Key(driver.AppendKeyText(nil, id)) }

func accountWrite(kind driver.WriteKind, id, email string) driver.Write {
	w := driver.Write{Kind: kind, Table: accountTable, Key: accountKey(id)}
	if kind != driver.Delete {
		w.Data = accountTable.Encode(nil, &account{ID: id, Email: email})
	}
	return w
}

func noteWrite(kind driver.WriteKind, id string, n int64, text string) driver.Write {
	w := driver.Write{Kind: kind, Table: noteTable, Key: driver.Key(driver.AppendKeyInt(driver.AppendKeyText(nil, id), n))}
	if kind != driver.Delete {
		w.Data = noteTable.Encode(nil, &keyedNote{noteKey{id, n}, text})
	}
	return w
}

func pend(checks []driver.RowCheck, writes ...driver.Write) *pending {
	c := &driver.Commit{ID: newID(), Checks: driver.Checks{Rows: checks}, Writes: writes}
	return &pending{commit: c, size: c.Size(), outcome: make(chan outcome, 1)}
}

func absent(id string) []driver.RowCheck {
	return []driver.RowCheck{{Table: accountTable, Key: accountKey(id)}}
}

func mustCommit(t *testing.T, s *Store, writes ...driver.Write) driver.Rev {
	t.Helper()
	rev, err := s.Commit(t.Context(), &driver.Commit{ID: newID(), Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func latest(t *testing.T, s *Store) driver.Rev {
	t.Helper()
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Rev
}

// rowRev returns the revision of a row, 0 if it is absent.
func rowRev(t *testing.T, s *Store, table *driver.Table, key driver.Key) driver.Rev {
	t.Helper()
	snap, err := s.Begin(t.Context(), driver.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	row, err := snap.Get(t.Context(), table, key)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		t.Fatal(err)
	}
	return row.Rev
}

func TestCommitsOfOneTransactionGetRevisionsInOrder(t *testing.T) {
	s := openBank(t)
	mustCommit(t, s, noteWrite(driver.Put, "old", 1, "x"), noteWrite(driver.Put, "old", 2, "x"), noteWrite(driver.Put, "old", 3, "x"), noteWrite(driver.Put, "old", 4, "x"), noteWrite(driver.Put, "old", 5, "x"))
	base := latest(t, s)
	var batch []*pending
	for i := range 30 {
		id := fmt.Sprintf("a%d", i)
		p := pend(absent(id), accountWrite(driver.Insert, id, id+"@x"), noteWrite(driver.Insert, id, 1, "first"))
		if i < 5 {
			p.commit.Writes = append(p.commit.Writes, noteWrite(driver.Delete, "old", int64(i)+1, ""))
		}
		batch = append(batch, p)
	}
	for i, o := range s.commits.together(t.Context(), batch) {
		want := base + driver.Rev(i) + 1
		if o.err != nil || o.rev != want {
			t.Fatalf("commit %d: got revision %d (%v), want %d", i, o.rev, o.err, want)
		}
		for _, w := range batch[i].commit.Writes {
			if w.Kind == driver.Delete {
				want = 0
			}
			if rev := rowRev(t, s, w.Table, w.Key); rev != want {
				t.Errorf("commit %d: row %s has revision %d, want %d", i, w.Table.FormatKey(w.Key), rev, want)
			}
		}
	}
	var ids []driver.CommitID
	for c, err := range s.Changes(t.Context(), base) {
		if err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, c.ID); len(ids) == len(batch) {
			break
		}
	}
	for i, p := range batch {
		if ids[i] != p.commit.ID {
			t.Errorf("change %d is that of another commit", i)
		}
	}
}

func TestEachCommitOfARequestFailsAlone(t *testing.T) {
	for _, form := range []struct {
		name  string
		apart bool
	}{{"tried together first", false}, {"apart at once", true}} {
		t.Run(form.name, func(t *testing.T) {
			s := openBank(t)
			mustCommit(t, s, accountWrite(driver.Insert, "taken", "taken@x"))
			done := pend(nil, accountWrite(driver.Insert, "done", "done@x"))
			doneRev, err := s.Commit(t.Context(), done.commit)
			if err != nil {
				t.Fatal(err)
			}
			base := latest(t, s)
			batch := []*pending{
				pend(absent("ok1"), accountWrite(driver.Insert, "ok1", "ok1@x")),
				pend(absent("taken"), accountWrite(driver.Put, "conflict", "conflict@x")),
				pend(nil, accountWrite(driver.Insert, "exists1", "e1@x"), accountWrite(driver.Insert, "taken", "other@x")),
				pend(nil, accountWrite(driver.Insert, "exists2", "taken@x")),
				pend(nil, driver.Write{Kind: driver.Insert, Table: noteTable, Key: "", Data: []byte{1}}),
				done,
				pend(nil, accountWrite(driver.Put, "ok2", "ok2@x"), noteWrite(driver.Put, "ok2", 1, "x")),
			}
			outcomes := s.commits.execute(t.Context(), form.apart, batch...)
			for i, want := range []struct {
				rev driver.Rev
				err string
			}{
				{rev: base + 1},
				{err: "commit: conflict with another transaction"},
				{err: `commit account["taken"]: already exists`},
				{err: "commit account: already exists in unique index email"},
				{err: "commit: key of table note has 0 of 2 columns: invalid"},
				{rev: doneRev},
				{rev: base + 2},
			} {
				got := ""
				if outcomes[i].err != nil {
					got = outcomes[i].err.Error()
				}
				if outcomes[i].rev != want.rev || got != want.err {
					t.Errorf("commit %d: got revision %d, error %q, want %d, %q", i, outcomes[i].rev, got, want.rev, want.err)
				}
			}
			for _, id := range []string{"conflict", "exists1", "exists2"} {
				if rev := rowRev(t, s, accountTable, accountKey(id)); rev != 0 {
					t.Errorf("the refused commit has written row %s", id)
				}
			}
			if rev := latest(t, s); rev != base+2 {
				t.Errorf("the store is at revision %d after two commits on %d", rev, base)
			}
		})
	}
}

func TestABatchHoldsNoCommitThatMeetsAnother(t *testing.T) {
	span := func(t *driver.Table, writes ...driver.Write) *pending {
		p := pend(nil, writes...)
		p.commit.Checks.Spans = []driver.SpanCheck{{Table: t}}
		return p
	}
	first := pend(absent("r"), accountWrite(driver.Put, "w", "w@x"))
	for _, c := range []struct {
		name  string
		other *pending
		meets bool
	}{
		{"writes the same row", pend(nil, accountWrite(driver.Delete, "w", "")), true},
		{"writes what the first has read", pend(nil, accountWrite(driver.Put, "r", "r@x")), true},
		{"has read what the first writes", pend(absent("w"), accountWrite(driver.Put, "z", "z@x")), true},
		{"has read a span of a table that the first writes to", span(accountTable, noteWrite(driver.Put, "n", 1, "")), true},
		{"has read the same row", pend(absent("r"), accountWrite(driver.Put, "z", "z@x")), false},
		{"has read a span of another table", span(noteTable, accountWrite(driver.Put, "z", "z@x")), false},
	} {
		taken, rest := takeTogether([]*pending{first, c.other})
		if meets := len(rest) == 1; meets != c.meets || len(taken)+len(rest) != 2 || c.other.doomed != c.meets {
			t.Errorf("a commit that %s: left out %v, want %v", c.name, meets, c.meets)
		}
	}
	spanned := span(noteTable, accountWrite(driver.Put, "z", "z@x"))
	if taken, _ := takeTogether([]*pending{spanned, pend(nil, noteWrite(driver.Put, "n", 1, ""))}); len(taken) != 1 {
		t.Error("a batch holds a commit that writes to a table of which another has read a span")
	}
}

// A request can be on its way for long. One that was given up, and sent again, and
// then refused must not be applied when it arrives after all.
func TestARefusalIsFinalAlthoughAnEarlierAttemptMayStillArrive(t *testing.T) {
	s := openBank(t)
	mustCommit(t, s, accountWrite(driver.Insert, "a", "a@x"))
	late := pend(nil, accountWrite(driver.Insert, "a", "a@x"))
	refusal := driver.Failed("commit", driver.ErrExists, nil)
	if o := s.commits.settle(t.Context(), late, refusal); !errors.Is(o.err, driver.ErrExists) {
		t.Fatalf("got %v, want the refusal", o.err)
	}
	mustCommit(t, s, accountWrite(driver.Delete, "a", "")) // what refused it is gone
	body, _, err := formTogether(s.layout, []*pending{late})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.client.do(t.Context(), &request{route: executeAtomic, body: body}); err != nil {
		t.Fatal(err)
	}
	if rev := rowRev(t, s, accountTable, accountKey("a")); rev != 0 {
		t.Errorf("the refused commit was applied at revision %d", rev)
	}
	if _, err := s.Commit(t.Context(), late.commit); !errors.Is(err, driver.ErrConflict) {
		t.Errorf("sent again, it is answered %v, want a conflict", err)
	}
}

func TestARefusalFindsThatTheEarlierAttemptHasArrived(t *testing.T) {
	s := openBank(t)
	p := pend(nil, accountWrite(driver.Insert, "a", "a@x"))
	rev, err := s.Commit(t.Context(), p.commit)
	if err != nil {
		t.Fatal(err)
	}
	o := s.commits.settle(t.Context(), p, driver.Failed("commit", driver.ErrConflict, nil))
	if o.err != nil || o.rev != rev {
		t.Errorf("got revision %d (%v), want %d", o.rev, o.err, rev)
	}
}

// One check, several, and more than fit beside each other take different forms; all
// must find the same.
func TestAnyNumberOfChecksIsFoundBroken(t *testing.T) {
	s := openBank(t)
	var rows []driver.RowCheck
	var spans []driver.SpanCheck
	for i := range 6 {
		id := fmt.Sprintf("row-%d", i)
		rev := mustCommit(t, s, accountWrite(driver.Insert, id, id), noteWrite(driver.Insert, id, 1, "x"))
		rows = append(rows, driver.RowCheck{Table: accountTable, Key: accountKey(id), Rev: rev})
		bound := driver.Bound{Tuple: accountKey(id)}
		spans = append(spans, driver.SpanCheck{Table: noteTable, Lo: bound, Hi: bound, Rows: 1, MaxRev: rev})
	}
	commit := func(checks driver.Checks) error {
		_, err := s.Commit(t.Context(), &driver.Commit{ID: newID(), Checks: checks,
			Writes: []driver.Write{accountWrite(driver.Put, "w", "w@x")}})
		return err
	}
	for _, n := range [][2]int{{1, 0}, {2, 0}, {6, 0}, {0, 1}, {1, 1}, {0, 6}, {6, 6}} {
		held := driver.Checks{Rows: rows[:n[0]], Spans: spans[:n[1]]}
		if err := commit(held); err != nil {
			t.Errorf("%v checks that hold: %v", n, err)
		}
		for i := range n[0] {
			for _, rev := range []driver.Rev{0, 1 << 40} {
				broken := driver.Checks{Rows: slices.Clone(held.Rows), Spans: held.Spans}
				broken.Rows[i].Rev = rev
				if err := commit(broken); !errors.Is(err, driver.ErrConflict) {
					t.Errorf("row check %d of %v does not hold: got %v", i, n, err)
				}
			}
		}
		for i := range n[1] {
			broken := driver.Checks{Rows: held.Rows, Spans: slices.Clone(held.Spans)}
			broken.Spans[i].Rows = 2
			if err := commit(broken); !errors.Is(err, driver.ErrConflict) {
				t.Errorf("span check %d of %v does not hold: got %v", i, n, err)
			}
		}
	}
}

// What a commit has read is changed by itself. Sent again, it must be found by its
// ID, and not refused because of its checks.
func TestACommitThatChangedWhatItReadIsFoundWhenSentAgain(t *testing.T) {
	s := openBank(t)
	for _, n := range []int{1, 3} {
		c := pend(nil).commit
		for i := range n {
			id := fmt.Sprintf("row-%d-%d", n, i)
			c.Checks.Rows = append(c.Checks.Rows, absent(id)...)
			c.Writes = append(c.Writes, accountWrite(driver.Insert, id, id))
		}
		rev, err := s.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Commit(t.Context(), c); err != nil || again != rev {
			t.Errorf("%d checks: sent again, it is answered %d (%v), want %d", n, again, err, rev)
		}
	}
}

func TestForgottenCommitsAreCompactedAndRevisionsGoOn(t *testing.T) {
	s := openBank(t)
	for i := range 20 {
		mustCommit(t, s, accountWrite(driver.Put, "a", fmt.Sprint(i)))
	}
	s.prune(15)
	first := func(after driver.Rev) (driver.Rev, error) {
		for c, err := range s.Changes(t.Context(), after) {
			return c.Rev, err
		}
		return 0, errors.New("no change")
	}
	if _, err := first(14); !errors.Is(err, driver.ErrCompacted) {
		t.Errorf("changes after 14: got %v, want ErrCompacted", err)
	}
	if rev, err := first(15); rev != 16 || err != nil {
		t.Errorf("changes after 15 begin with %d (%v), want 16", rev, err)
	}
	if st, err := s.Status(context.Background()); st.Oldest != 15 || st.Rev != 20 || err != nil {
		t.Errorf("status: oldest %d, revision %d (%v), want 15, 20", st.Oldest, st.Rev, err)
	}
	if rev := mustCommit(t, s, accountWrite(driver.Put, "a", "last")); rev != 21 {
		t.Errorf("the next revision is %d, want 21", rev)
	}
}
