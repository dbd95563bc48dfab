package traffic

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trihold/bench/fault/history"
	"trihold/repo"
	"trihold/repo/repotest"
)

func open(t *testing.T) *repo.Store {
	t.Helper()
	s, err := repo.New(t.Context(), repotest.NewModel(), Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		repotest.Verify(t, s.Driver(), Schema.Driver())
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := Fill(t.Context(), s, DefaultSetup); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAClientAsksTheSameForTheSameSeed(t *testing.T) {
	a, b := NewSource(DefaultSetup, 7, 2, 8), NewSource(DefaultSetup, 7, 2, 8)
	other := NewSource(DefaultSetup, 8, 2, 8)
	same := true
	kinds := map[history.Kind]int{}
	for range 1000 {
		x, y, z := a.Next(), b.Next(), other.Next()
		if diff := cmp.Diff(x, y); diff != "" {
			t.Fatal(diff)
		}
		same = same && cmp.Equal(x, z)
		kinds[x.Kind]++
	}
	if same {
		t.Error("another seed makes no difference")
	}
	for _, m := range mix {
		if kinds[m.kind] == 0 {
			t.Errorf("no operation is of kind %s", m.kind)
		}
	}
}

func TestACrowdRecordsWhatTheStoreHoldsInTheEnd(t *testing.T) {
	s := open(t)
	c := &Crowd{Setup: DefaultSetup, Seed: 3, Rate: 5000}
	c.Do = func(ctx context.Context, o *history.Op, timeout time.Duration) bool {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		Execute(ctx, s, c.Setup, o)
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	c.Start()
	c.Run(ctx)
	h := c.History()
	f, err := ReadFinal(t.Context(), s, "n1")
	if err != nil {
		t.Fatal(err)
	}
	wrote := map[int64]bool{}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Outcome != history.OK {
			t.Errorf("operation %d: %s %s", o.ID, o.Outcome, o.Error)
		}
		if o.Wrote() {
			wrote[o.ID] = true
		}
		if o.End < o.Begin || i > 0 && o.Begin < h.Ops[i-1].Begin {
			t.Fatalf("operation %d is out of order", o.ID)
		}
	}
	if len(wrote) < 50 || len(wrote) != len(f.Ledger) {
		t.Errorf("%d operations wrote, the ledger has %d rows", len(wrote), len(f.Ledger))
	}
	for _, row := range f.Ledger {
		if !wrote[row.ID] {
			t.Errorf("the ledger has operation %d, which did not write", row.ID)
		}
	}
	var total int64
	for _, b := range f.Accounts {
		total += b
	}
	if want := DefaultSetup.Balance * int64(DefaultSetup.Accounts); total != want {
		t.Errorf("the accounts hold %d, not %d", total, want)
	}
	// Two commits more than operations at least: the setup, and what revision 0 is.
	if n := len(f.Changes); n != len(wrote)+1 || f.Changes[n-1].Rev != f.Rev {
		t.Errorf("%d changes for %d writes, the last of them %+v at revision %d", n, len(wrote), f.Changes[n-1], f.Rev)
	}
}

func TestAReaderWritesNothing(t *testing.T) {
	s := NewSource(DefaultSetup, 7, 2, 8)
	s.reads = true
	kinds := map[history.Kind]int{}
	ids := map[int64]bool{}
	for range 1000 {
		o := s.Next()
		if o.Wrote() || ids[o.ID] {
			t.Fatalf("%+v", o)
		}
		kinds[o.Kind]++
		ids[o.ID] = true
	}
	if len(kinds) != 4 {
		t.Errorf("kinds are %v", kinds)
	}
}

func TestARefusedOperationWritesNothing(t *testing.T) {
	s := open(t)
	run := func(o history.Op) history.Op {
		Execute(t.Context(), s, DefaultSetup, &o)
		return o
	}
	run(history.Op{ID: 1, Kind: history.Claim, Name: "a"})
	for _, o := range []history.Op{
		{ID: 2, Kind: history.Claim, Name: "a"},
		{ID: 3, Kind: history.CAS, Expect: 9, Value: 3},
		{ID: 4, Kind: history.Transfer, Other: 1, Value: DefaultSetup.Balance + 1},
	} {
		if got := run(o); !got.Refused || got.Outcome != history.OK {
			t.Errorf("%s: %+v", o.Kind, got)
		}
	}
	got := run(history.Op{ID: 5, Kind: history.Lists, Steps: []history.Step{{List: 1, Append: 8}, {List: 1}}})
	if !slices.Equal(got.Steps[1].Saw, []int64{8}) {
		t.Errorf("a transaction does not see its own append: %+v", got)
	}
	f, err := ReadFinal(t.Context(), s, "n1")
	if err != nil || len(f.Ledger) != 2 {
		t.Errorf("the ledger is %v, %v", f.Ledger, err)
	}
}

func TestAnExpiredContextIsNeverOK(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, kind := range []history.Kind{history.Write, history.Read} {
		o := history.Op{ID: 1, Kind: kind}
		if Execute(ctx, s, DefaultSetup, &o); o.Outcome == history.OK || o.Error == "" {
			t.Errorf("%s: %+v", kind, o)
		}
	}
}
