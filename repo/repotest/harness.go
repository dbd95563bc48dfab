package repotest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// A Harness is what the suite must know about a backend.
type Harness struct {
	// Open opens the store that is kept in dir, with its default durability. The
	// directory exists, and is empty the first time. Opened again after Close,
	// the store must be found as it was. Open calls t.Fatal if it cannot, and
	// does not call Prepare.
	Open func(t testing.TB, dir string) driver.Store

	// Volatile, if not empty, says why nothing survives Close. The cases that
	// reopen a store are then skipped with that reason.
	Volatile string

	// Except names cases, as group/name, or whole groups, that the backend does not
	// pass, each with the reason. They are skipped, visibly.
	Except map[string]string
}

// A group is cases about one part of the contract.
type group struct {
	name  string
	cases []testCase
	// reopened: the cases share a store that was filled, closed and opened
	// again, instead of one whose tables are emptied for each.
	reopened bool
	// own: each case has a store of its own, which is empty.
	own bool
}

// A testCase is one sentence of the contract, and how to find out whether it is
// true of a store.
type testCase struct {
	name  string // the sentence
	why   string // what breaks, and for whom, if it is not; printed on failure
	check func(t *T)
	// reopens: the case needs a store that survives Close.
	reopens bool
}

func groups() []group {
	return []group{
		{name: "reads", cases: readCases},
		{name: "writes", cases: writeCases},
		{name: "spans", cases: spanCases},
		{name: "pages", cases: pageCases},
		{name: "unique", cases: uniqueCases},
		{name: "isolation", cases: isolationCases},
		{name: "conflicts", cases: conflictCases},
		{name: "revisions", cases: revisionCases},
		{name: "changes", cases: changeCases},
		{name: "digest", cases: digestCases},
		{name: "types", cases: typeCases},
		{name: "values", cases: valueCases},
		{name: "limits", cases: limitCases},
		{name: "errors", cases: errorCases},
		{name: "stale", cases: staleCases},
		{name: "context", cases: contextCases},
		{name: "histories", cases: historyCases},
		{name: "moving", cases: slices.Concat(fenceCases, loadCases, copyCases), own: true},
		{name: "reopen", cases: reopenCases, reopened: true},
		{name: "close", cases: closeCases},
	}
}

// Conformance runs the suite. Every backend calls it from a test called
// TestConformance, so that one -run shows the same list for each.
//
// The cases share one store, but for those that move one: they would spoil it.
// Each begins with all tables empty, and each ends with [Verify]. They run one
// after another: a case may count revisions.
func Conformance(t *testing.T, h Harness) {
	shared := openFixture(t, h, caseTimeout)
	except := maps.Clone(h.Except)
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			f := shared
			if g.reopened && h.Volatile == "" {
				f = reopenedFixture(t, h, caseTimeout)
			}
			for _, c := range g.cases {
				reason, excepted := except[g.name+"/"+c.name]
				delete(except, g.name+"/"+c.name)
				if whole, ok := h.Except[g.name]; ok {
					reason, excepted = whole, true
					delete(except, g.name)
				}
				t.Run(c.name, func(t *testing.T) {
					switch {
					case excepted:
						t.Skipf("excepted: %s", reason)
					case h.Volatile != "" && (g.reopened || c.reopens):
						t.Skipf("not applicable: %s", h.Volatile)
					}
					if g.own {
						openFixture(t, h, caseTimeout).run(t, c)
					} else {
						f.run(t, c)
					}
				})
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(except)) {
		t.Errorf("Harness.Except names %q, which is no case", name)
	}
}

// caseTimeout ends the context of a case that hangs.
const caseTimeout = 90 * time.Second

// A fixture is the store that cases share.
type fixture struct {
	harness Harness
	driver  driver.Store
	store   *repo.Store
	timeout time.Duration
	keep    bool         // do not empty the tables
	before  *beforeClose // of a store that was opened again
}

func openFixture(t testing.TB, h Harness, timeout time.Duration) *fixture {
	t.Helper()
	f := &fixture{harness: h, timeout: timeout}
	f.driver, f.store = openStore(t, h, t.TempDir())
	return f
}

// openStore opens the store kept in dir and closes it when the test ends.
func openStore(t testing.TB, h Harness, dir string) (driver.Store, *repo.Store) {
	t.Helper()
	d := h.Open(t, dir)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	s, err := repo.New(ctx, d, Schema)
	if err != nil {
		t.Fatalf("prepare store: %v", err)
	}
	return d, s
}

// run runs one case.
func (f *fixture) run(tb testing.TB, c testCase) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()
	t := &T{TB: tb, ctx: ctx, driver: f.driver, store: f.store, harness: f.harness, before: f.before}
	defer func() {
		if tb.Failed() {
			tb.Logf("The contract: %s.\nWhy: %s", c.name, c.why)
		}
	}()
	if !f.keep {
		t.empty()
	}
	c.check(t)
	Verify(tb, f.driver, Schema.Driver())
}
