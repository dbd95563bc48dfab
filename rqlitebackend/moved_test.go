package rqlitebackend

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// What a fence and a load mean is tested for all backends alike. These tests are
// about commits and reads that share requests, and requests that are sent again.

var bankState = bankSchema.Driver().State

func fenceWrite(t testing.TB, f driver.Fence, rev driver.Rev) driver.Write {
	t.Helper()
	w, err := bankSchema.Driver().PutState(driver.FenceRow, f, rev)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fenced puts up a fence and returns its revision.
func fenced(t *testing.T, s *Store) driver.Rev {
	t.Helper()
	return mustCommit(t, s, fenceWrite(t, driver.Fence{To: "elsewhere", By: "m1"}, 0))
}

func mustLoad(t *testing.T, s *Store, l *driver.Load, writes ...driver.Write) driver.Rev {
	t.Helper()
	rev, err := s.Commit(t.Context(), &driver.Commit{Load: l, Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// The trigger behind the fence looks at each row of _trihold_changes, and in a
// request for many commits these rows are all inserted before the fence is.
func TestNoCommitSharesARequestWithAFence(t *testing.T) {
	s := openBank(t)
	fence := pend(nil, fenceWrite(t, driver.Fence{By: "m1"}, 0))
	fence.lonely = s.writesState(fence.commit)
	a, b := pend(nil, accountWrite(driver.Put, "a", "a")), pend(nil, accountWrite(driver.Put, "b", "b"))
	if taken, rest := takeTogether([]*pending{a, fence, b}); len(taken) != 2 || len(rest) != 1 || rest[0] != fence {
		t.Errorf("one transaction has %d commits, and %d are left", len(taken), len(rest))
	}
	if taken, rest := takeApart([]*pending{a, fence, b}, true); len(taken) != 2 || len(rest) != 1 || rest[0] != fence {
		t.Errorf("one request has %d commits, and %d are left", len(taken), len(rest))
	}
	s.commits.waiting = []*pending{fence, a, b}
	if taken, apart := s.commits.take(); len(taken) != 1 || taken[0] != fence || apart {
		t.Errorf("a request with a fence has %d commits", len(taken))
	}
	s.commits.waiting = nil
}

func TestTheFenceIsTheLastOfConcurrentCommits(t *testing.T) {
	s := openBank(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	var highest driver.Rev
	enough := make(chan struct{})
	for i := range 32 {
		wg.Go(func() {
			for n := range int64(1000) {
				rev, err := s.Commit(t.Context(), pend(nil, noteWrite(driver.Insert, fmt.Sprint(i), n, "x")).commit)
				if errors.Is(err, driver.ErrMoved) && strings.Contains(err.Error(), "elsewhere") {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				highest = max(highest, rev)
				if accepted++; accepted == 300 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	at := fenced(t, s)
	wg.Wait()
	if last := latest(t, s); highest >= at || last != at || accepted != int(at)-1 {
		t.Errorf("the fence has revision %d, the store is at %d, and %d commits up to %d were accepted", at, last, accepted, highest)
	}
}

// The trigger refuses a commit before its ID is looked at, so that is done later; and
// in the form apart, the first element must not leave its transaction open.
func TestEachCommitOfARequestThatMeetsAFenceIsAnsweredAlone(t *testing.T) {
	for _, apart := range []bool{false, true} {
		s := openBank(t)
		before := pend(nil, accountWrite(driver.Insert, "before", "before"))
		rev, err := s.Commit(t.Context(), before.commit)
		if err != nil {
			t.Fatal(err)
		}
		at := fenced(t, s)
		batch := []*pending{pend(nil, accountWrite(driver.Put, "a", "a")), before, pend(nil, accountWrite(driver.Put, "b", "b"))}
		outcomes := s.commits.execute(t.Context(), apart, batch...)
		for _, i := range []int{0, 2} {
			if err := outcomes[i].err; !errors.Is(err, driver.ErrMoved) || !strings.Contains(err.Error(), "elsewhere") {
				t.Errorf("apart %v: commit %d is answered %v, want ErrMoved that names where", apart, i, err)
			}
		}
		if o := outcomes[1]; o.err != nil || o.rev != rev {
			t.Errorf("apart %v: the commit from before the fence is answered %d (%v), want %d", apart, o.rev, o.err, rev)
		}
		mustLoad(t, s, &driver.Load{}, bankSchema.Driver().DeleteState(driver.FenceRow))
		outcomes = s.commits.execute(t.Context(), apart, batch[0], batch[2])
		if outcomes[0] != (outcome{rev: at + 1}) || outcomes[1] != (outcome{rev: at + 2}) {
			t.Errorf("apart %v: without the fence, they are answered %v, want revisions from %d on", apart, outcomes, at+1)
		}
	}
}

// An attempt that nobody has an answer to may have arrived before the fence.
func TestACommitThatIsSentAgainAtAFenceIsAnsweredAsTheFirstTime(t *testing.T) {
	s, l := openLossy(t)
	arrived := pend(nil, accountWrite(driver.Insert, "a", "a"))
	rev, err := s.Commit(t.Context(), arrived.commit)
	if err != nil {
		t.Fatal(err)
	}
	fenced(t, s)
	conflict := driver.Failed("commit", driver.ErrConflict, nil)
	if o := s.commits.settle(t.Context(), arrived, conflict); o.err != nil || o.rev != rev {
		t.Errorf("the commit that had arrived is answered %d (%v), want %d", o.rev, o.err, rev)
	}
	if o := s.commits.settle(t.Context(), pend(nil, accountWrite(driver.Insert, "b", "b")), conflict); !errors.Is(o.err, driver.ErrConflict) {
		t.Errorf("the commit that was refused is answered %v, want the refusal", o.err)
	}
	l.lose.Store(1)
	if again, err := s.Commit(t.Context(), arrived.commit); err != nil || again != rev {
		t.Errorf("sent again, and once more, it is answered %d (%v), want %d", again, err, rev)
	}
	l.lose.Store(1)
	if _, err := s.Commit(t.Context(), pend(nil, accountWrite(driver.Insert, "c", "c")).commit); !errors.Is(err, driver.ErrMoved) {
		t.Errorf("a commit whose refusal is lost is answered %v, want ErrMoved", err)
	}
}

// A load has no ID. Its check says that it has not been done yet, and fails when the
// answer was lost and the load is sent again.
func TestALoadWhoseAnswerIsLostIsDoneOnceAndUncertain(t *testing.T) {
	s, l := openLossy(t)
	const by = "m1"
	row := accountWrite(driver.Put, "a", "a")
	row.Rev = 40
	c := &driver.Commit{
		Load:   &driver.Load{Changes: []driver.Change{{Rev: 41, ID: newID()}, {Rev: 42, ID: newID()}}},
		Checks: driver.Checks{Rows: []driver.RowCheck{{Table: bankState, Key: driver.StateKey(driver.FenceRow)}}},
		Writes: []driver.Write{fenceWrite(t, driver.Fence{By: by}, 42), row},
	}
	l.lose.Store(1)
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("got %v, want ErrUncertain", err)
	}
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, driver.ErrConflict) {
		t.Errorf("when nothing is lost, the second time is answered %v, want ErrConflict", err)
	}
	if at := rowRev(t, s, bankState, driver.StateKey(driver.FenceRow)); at != 42 || latest(t, s) != 42 || rowRev(t, s, accountTable, row.Key) != 40 {
		t.Errorf("the fence has revision %d, and the store is at %d; want 42", at, latest(t, s))
	}
	next := &driver.Commit{Load: &driver.Load{Changes: []driver.Change{{Rev: 43, ID: newID()}}}}
	l.lose.Store(1)
	if _, err := s.Commit(t.Context(), next); !errors.Is(err, driver.ErrUncertain) {
		t.Errorf("without a check, it is answered %v, want ErrUncertain", err)
	}
	l.drop = true
	l.lose.Store(1)
	again := accountWrite(driver.Put, "b", "b")
	again.Rev = 41
	if rev := mustLoad(t, s, &driver.Load{}, again); rev != 43 {
		t.Errorf("the load that had not arrived is answered %d, want 43", rev)
	}
}

// A statement has at most 32,766 parameters, and a request is compressed by rqlite
// if it is large.
func TestALoadMayBeAsLargeAsACommit(t *testing.T) {
	s := openBank(t)
	const first = 1_000_000
	writes := []driver.Write{fenceWrite(t, driver.Fence{By: "m1"}, first)}
	l := &driver.Load{}
	for i := range driver.MaxWrites - 1 {
		rev := driver.Rev(first + i)
		id := fmt.Sprintf("account-%d", i/2)
		w := noteWrite(driver.Put, id, int64(i), "x")
		if i%2 == 0 {
			w = accountWrite(driver.Put, id, id)
		}
		w.Rev = rev
		writes = append(writes, w)
		l.Changes = append(l.Changes, driver.Change{Rev: rev, ID: newID(), Keys: []driver.ChangedKey{{Table: w.Table, Key: w.Key}}})
	}
	last := driver.Rev(first + driver.MaxWrites - 2)
	if rev := mustLoad(t, s, l, writes...); rev != last {
		t.Errorf("it is answered %d, want %d", rev, last)
	}
	for i, w := range writes[1:] {
		if i%997 == 0 || i == len(writes)-2 {
			if rev := rowRev(t, s, w.Table, w.Key); rev != w.Rev {
				t.Errorf("row %d has revision %d, want %d", i, rev, w.Rev)
			}
		}
	}
	read := 0
	for c, err := range s.Changes(t.Context(), first-1) {
		if want := l.Changes[read]; err != nil || c.Rev != want.Rev || c.ID != want.ID || len(c.Keys) != 1 || c.Keys[0] != want.Keys[0] {
			t.Fatalf("change %d: got %v (%v), want %v", read, c, err, want)
		}
		if read++; read == len(l.Changes) {
			break
		}
	}
	if st, err := s.Status(t.Context()); err != nil || st.Oldest != first-1 || st.Free <= 0 {
		t.Errorf("oldest is %d, %d bytes are free (%v)", st.Oldest, st.Free, err)
	}
}

// Reads of a closed store travel with reads that it refuses.
func TestEachReadOfARequestMeetsTheClosedStoreAlone(t *testing.T) {
	s := openBank(t)
	mustCommit(t, s, accountWrite(driver.Insert, "a", "a"))
	at := mustCommit(t, s, fenceWrite(t, driver.Fence{Closed: true, To: "elsewhere", By: "m1"}, 0))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			snap, err := s.Begin(t.Context(), driver.Mode{Closed: i%2 == 0})
			if err != nil {
				t.Error(err)
				return
			}
			defer snap.Close()
			if i%4 < 2 {
				_, err = snap.Get(t.Context(), accountTable, accountKey("a"))
			} else {
				for _, err = range snap.Scan(t.Context(), driver.Span{Table: accountTable, Limit: 1}) {
				}
			}
			switch {
			case i%2 == 0 && (err != nil || snap.Rev() != at):
				t.Errorf("read %d, which may: revision %d (%v), want %d", i, snap.Rev(), err, at)
			case i%2 == 1 && (!errors.Is(err, driver.ErrMoved) || !strings.Contains(err.Error(), "elsewhere")):
				t.Errorf("read %d, which may not: got %v, want ErrMoved that names where", i, err)
			}
		})
	}
	wg.Wait()
}

// Databases of earlier versions have no state.
func TestADatabaseWithoutTheStateGetsItWhenItIsPrepared(t *testing.T) {
	s := openBank(t)
	mustCommit(t, s, accountWrite(driver.Insert, "a", "a"))
	execute(t, s, sqlstmt.Stmt{SQL: `DROP TRIGGER "_trihold_fence"`}, sqlstmt.Stmt{SQL: `DROP TABLE "_trihold_state"`},
		sqlstmt.Stmt{SQL: `DROP VIEW "_trihold_load"`})
	if err := s.Prepare(t.Context(), bankSchema.Driver()); err != nil {
		t.Fatal(err)
	}
	if at := fenced(t, s); at != 2 {
		t.Errorf("the fence has revision %d, want 2", at)
	}
	if _, err := s.Commit(t.Context(), pend(nil, accountWrite(driver.Put, "b", "b")).commit); !errors.Is(err, driver.ErrMoved) {
		t.Errorf("got %v, want ErrMoved", err)
	}
}
