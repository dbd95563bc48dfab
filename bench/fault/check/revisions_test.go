package check

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"trihold/bench/fault/history"
	"trihold/repo/repotest"
)

// The sweep over time must find what looking at all pairs finds.
func TestRevisionsAreComparedWithTimeAsByAllPairs(t *testing.T) {
	seed := repotest.Seed(t)
	wrong := 0
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, i))
		s := small(30)
		s.loose = i%2 == 0
		e := simulate(r, s)
		tr := &trial{ctx: t.Context(), evidence: e, setup: s.setup, facts: newFacts(e), verdict: Verdict{Result: OK}}
		want := false
		for i := range e.History.Ops {
			for j := range e.History.Ops {
				a, b := &e.History.Ops[i], &e.History.Ops[j]
				before, _, okA := tr.revOf(a)
				after, wrote, okB := tr.revOf(b)
				if okA && okB && a.Outcome == history.OK && a.End < b.Begin && (after < before || wrote && after == before) {
					want = true
				}
			}
		}
		if want {
			wrong++
		}
		if tr.realTime(); want != (tr.findings > 0) {
			t.Fatalf("history %d of seed %d: by all pairs it is wrong: %v; by the sweep: %s %s", i, seed, want, tr.verdict.Result, tr.verdict.Detail)
		}
	}
	if wrong < 50 || wrong > 250 {
		t.Errorf("%d of 300 histories were wrong: too few or too many to prove anything", wrong)
	}
}

// renumber gives every revision from one on a higher number, everywhere.
func renumber(e *Evidence, from, by int64) {
	for i := range e.History.Ops {
		if o := &e.History.Ops[i]; o.Rev >= from {
			o.Rev += by
		}
	}
	for _, f := range e.Finals {
		for i := range f.Changes {
			if f.Changes[i].Rev >= from {
				f.Changes[i].Rev += by
			}
		}
		f.Rev += by
	}
}

func TestAGapIsAllowedOnlyWhereTheEvidenceSaysSo(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		e := simulate(rand.New(rand.NewPCG(10, 0)), small(100))
		e.GapsAllowed = allowed
		renumber(e, e.Finals[0].Rev-20, 1000)
		for _, v := range Run(t.Context(), e) {
			want := OK
			if !allowed && (v.Checker == "revisions" || v.Checker == "changes") {
				want = Illegal
			}
			if v.Result != want {
				t.Errorf("gaps allowed: %v: %s is %s: %s", allowed, v.Checker, v.Result, v.Detail)
			}
		}
	}
}

// A stream may begin after the setup, and go on after the final content was read.
func TestAStreamMayBeginAfterTheSetup(t *testing.T) {
	e := simulate(rand.New(rand.NewPCG(11, 0)), small(100))
	for _, f := range e.Finals {
		f.ChangesAfter, f.Changes = 2, f.Changes[2:]
	}
	allOK(t, e)
}

func allOK(t *testing.T, e *Evidence) {
	t.Helper()
	for _, v := range Run(t.Context(), e) {
		if v.Result != OK {
			t.Errorf("%s is %s: %s", v.Checker, v.Result, v.Detail)
		}
	}
}

// An operation without an answer may take effect after one node was read, and
// before the next was. That is no difference between the nodes.
func TestALateOperationIsNoDifferenceBetweenNodes(t *testing.T) {
	s := small(100)
	early, late := simulate(rand.New(rand.NewPCG(12, 0)), s), simulate(rand.New(rand.NewPCG(12, 0)), s)
	o := history.Op{ID: 101, Kind: history.Lists, Steps: []history.Step{{List: 0, Append: 1010}}, End: history.Never, Outcome: history.Unknown, Begin: early.History.Ops[99].Begin}
	early.History.Ops = append(early.History.Ops, o)
	c := history.Change{Rev: early.Finals[0].Rev + 1, Keys: []history.ChangedKey{{Table: history.TableLedger, Key: 101}, {Table: history.TableLists, Key: 0}}}
	for i, f := range late.Finals {
		f.Changes = append(f.Changes, c)
		f.Rev, f.Digest = c.Rev, "d1"
		f.Lists[0] = append(f.Lists[0], 1010)
		remember(f, history.LedgerRow{ID: 101})
		slices.SortFunc(f.LedgerByClient, func(a, b history.LedgerRow) int { return (a.Client-b.Client)*1000 + int(a.ID-b.ID) })
		if i > 0 {
			early.Finals[i] = f
		}
	}
	allOK(t, early)
	// The node that was read first tells more changes than it had then.
	early.Finals[0].Changes = append(early.Finals[0].Changes, c)
	allOK(t, early)
	// Had it been acknowledged, the first node would lack it.
	early.History.Ops[100].Outcome, early.History.Ops[100].End = history.OK, early.History.Ops[100].Begin+1
	for _, v := range Run(t.Context(), early) {
		if (v.Checker == "durable" || v.Checker == "digests" || v.Checker == "serial") && v.Result != Illegal {
			t.Errorf("acknowledged: %s is %s", v.Checker, v.Result)
		}
	}
}

// The store itself refuses a second row with a name, and then tells no revision.
func TestARefusalWithoutRevisionNeedsAHolderThatHadBegun(t *testing.T) {
	e := simulate(rand.New(rand.NewPCG(13, 0)), small(100))
	var refused *history.Op
	for i := range e.History.Ops {
		if o := &e.History.Ops[i]; o.Kind == history.Claim && o.Refused {
			refused = o
		}
	}
	refused.Rev = 0
	allOK(t, e)
	refused.Begin, refused.End = 0, 0 // before anyone asked for it
	if v := checkWith(t, "revisions", e); v.Result != Illegal || !strings.Contains(v.Detail, "nobody had the name") {
		t.Errorf("%s: %s", v.Result, v.Detail)
	}
}
