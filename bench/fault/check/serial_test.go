package check

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"trihold/bench/fault/history"
)

// app and get are the steps of a transaction.
func app(list, value int64) history.Step             { return history.Step{List: list, Append: value} }
func get(list int64, saw ...int64) history.Step      { return history.Step{List: list, Saw: saw} }
func txn(id int64, steps ...history.Step) history.Op { return txnAt(id, 0, 100, steps...) }

func txnAt(id int64, begin, end time.Duration, steps ...history.Step) history.Op {
	return history.Op{ID: id, Kind: history.Lists, Begin: begin, End: end, Outcome: history.OK, Steps: steps}
}

// evidenceOf is what is left of transactions that all took effect, with the lists as
// they are in the end.
func evidenceOf(lists map[int64][]int64, ops ...history.Op) *Evidence {
	f := &history.Final{Node: "node1", Lists: lists}
	for _, o := range ops {
		if o.Wrote() && o.Outcome != history.Failed {
			f.Ledger = append(f.Ledger, history.LedgerRow{ID: o.ID})
		}
	}
	return &Evidence{History: &history.History{Ops: ops}, Finals: []*history.Final{f}}
}

func TestAnomaliesAreNamed(t *testing.T) {
	failed := txn(1, app(1, 10))
	failed.Outcome = history.Failed
	for _, c := range []struct {
		want  string
		lists map[int64][]int64
		ops   []history.Op
	}{
		{"G0 (dirty write): T1 -ww-> T2 -ww-> T1", map[int64][]int64{1: {10, 20}, 2: {21, 11}}, []history.Op{
			txn(1, app(1, 10), app(2, 11)), txn(2, app(1, 20), app(2, 21)),
		}},
		{"G0 (dirty write): T1 -ww-> T2 -ww-> T1", map[int64][]int64{1: {10, 20, 11}}, []history.Op{
			txn(1, app(1, 10), app(1, 11)), txn(2, app(1, 20)),
		}},
		{"G1a (aborted read): T2 has 10 in list 1, of T1, which did not take effect (failed)", nil, []history.Op{failed, txn(2, get(1, 10))}},
		{"G1b (intermediate read): T2 found list 1 with 10 of T1 at its end, and without its 11", map[int64][]int64{1: {10, 11}}, []history.Op{
			txn(1, app(1, 10), app(1, 11)), txn(2, get(1, 10)),
		}},
		{"G1c (circular information flow): T1 -wr-> T2 -wr-> T1", map[int64][]int64{1: {10}, 2: {20}}, []history.Op{
			txn(1, app(1, 10), get(2, 20)), txn(2, app(2, 20), get(1, 10)),
		}},
		{"G-single (read skew): T2 -rw-> T1 -wr-> T2", map[int64][]int64{1: {10}, 2: {11}}, []history.Op{
			txn(1, app(1, 10), app(2, 11)), txn(2, get(1), get(2, 11)),
		}},
		{"G-single (read skew): T2 -rw-> T1 -ww-> T2", map[int64][]int64{1: {10, 20}}, []history.Op{ // a lost update
			txn(1, get(1), app(1, 10)), txn(2, get(1), app(1, 20)),
		}},
		{"G2 (write skew): T1 -rw-> T2 -rw-> T1", map[int64][]int64{1: {10}, 2: {20}}, []history.Op{
			txn(1, get(2), app(1, 10)), txn(2, get(1), app(2, 20)),
		}},
		{"G0-realtime: T1 -rt-> T2 -ww-> T1", map[int64][]int64{1: {20, 10}}, []history.Op{
			txnAt(1, 0, 10, app(1, 10)), txnAt(2, 20, 30, app(1, 20)),
		}},
		{"G1c-realtime: T1 -rt-> T2 -wr-> T1", map[int64][]int64{1: {20}}, []history.Op{
			txnAt(1, 0, 10, get(1, 20)), txnAt(2, 20, 30, app(1, 20)),
		}},
		{"G-single-realtime: T2 -rw-> T1 -rt-> T2", map[int64][]int64{1: {10}}, []history.Op{
			txnAt(1, 0, 10, app(1, 10)), txnAt(2, 20, 30, get(1)),
		}},
		{"G2-realtime: T1 -rw-> T2 -rw-> T3 -rt-> T1", map[int64][]int64{1: {20}, 2: {30}}, []history.Op{
			txnAt(1, 20, 30, get(1)), txnAt(2, 0, 100, get(2), app(1, 20)), txnAt(3, 0, 10, app(2, 30)),
		}},
		{"internal: T1 found 10 in list 1 before it appended it", map[int64][]int64{1: {10}}, []history.Op{txn(1, get(1, 10), app(1, 10))}},
		{"internal: T1 read list 1 as [], without its own appends [10] at the end", map[int64][]int64{1: {10}}, []history.Op{txn(1, app(1, 10), get(1))}},
		{"internal: T1 found list 1 as [], and then as [20]", map[int64][]int64{1: {20}}, []history.Op{txn(1, get(1), get(1, 20)), txn(2, app(1, 20))}},
		{"internal: T1 appended 11 to list 1 last", map[int64][]int64{1: {11, 10}}, []history.Op{txn(1, app(1, 10), app(1, 11))}},
		{"incompatible order: T3 found list 1 as [20]", map[int64][]int64{1: {10, 20}}, []history.Op{txn(1, app(1, 10)), txn(2, app(1, 20)), txn(3, get(1, 20))}},
		{"duplicate append: node1 has 10 twice", map[int64][]int64{1: {10, 10}}, []history.Op{txn(1, app(1, 10))}},
		{"lost append: 10 of T1 is not in list 1", nil, []history.Op{txn(1, app(1, 10))}},
		{"lost append: 10 of T1 was read in list 1", nil, []history.Op{txn(1, app(1, 10)), txn(2, get(1, 10))}},
		{"phantom: node1 has 99 in list 1", map[int64][]int64{1: {99}}, []history.Op{txn(1, get(2))}},
	} {
		v := checkWith(t, "serial", evidenceOf(c.lists, c.ops...))
		if v.Result != Illegal || !strings.HasPrefix(v.Detail, c.want) {
			t.Errorf("%s: %s\nwant %s", v.Result, v.Detail, c.want)
		}
	}
}

// What these would be without real time, or if they overlapped, is legal.
func TestWhatOverlapsMayHaveHadEitherOrder(t *testing.T) {
	for name, e := range map[string]*Evidence{
		"a read at the moment of the write":     evidenceOf(map[int64][]int64{1: {10}}, txnAt(1, 0, 20, app(1, 10)), txnAt(2, 20, 30, get(1))),
		"a write that was never answered":       evidenceOf(map[int64][]int64{1: {20, 10}}, unanswered(txnAt(1, 0, 0, app(1, 10))), txnAt(2, 20, 30, app(1, 20))),
		"one that was seen before its end":      evidenceOf(map[int64][]int64{1: {10}}, txnAt(1, 0, 90, app(1, 10)), txnAt(2, 20, 30, get(1, 10))),
		"an unanswered one that did not happen": withoutLedger(evidenceOf(nil, unanswered(txnAt(1, 0, 0, app(1, 10))), txnAt(2, 20, 30, get(1)))),
	} {
		if v := checkWith(t, "serial", e); v.Result != OK {
			t.Errorf("%s: %s: %s", name, v.Result, v.Detail)
		}
	}
}

func unanswered(o history.Op) history.Op {
	o.End, o.Outcome = history.Never, history.Unknown
	return o
}

func withoutLedger(e *Evidence) *Evidence {
	e.Finals[0].Ledger = nil
	return e
}

func checkWith(t testing.TB, name string, e *Evidence) Verdict {
	t.Helper()
	for _, c := range All() {
		if c.Name == name {
			return c.Check(t.Context(), e)
		}
	}
	t.Fatalf("there is no checker %s", name)
	return Verdict{}
}

// One bad pair among thousands of transactions that are all connected must be found
// and shown alone.
func TestTheSmallestCycleIsShown(t *testing.T) {
	s := large(4000)
	s.kinds, s.unknown, s.failed = []history.Kind{history.Lists}, 0, 0
	e := simulate(rand.New(rand.NewPCG(5, 0)), s)
	// Each of the two reads what the other appends only later.
	e.History.Ops = append(e.History.Ops,
		txnAt(1_000_001, time.Hour, 2*time.Hour, get(1000), app(1001, 1)),
		txnAt(1_000_002, time.Hour, 2*time.Hour, get(1001), app(1000, 2)))
	e.Finals[0].Lists[1000], e.Finals[0].Lists[1001] = []int64{2}, []int64{1}
	v := checkWith(t, "serial", e)
	if want := "G2 (write skew): T1000001 -rw-> T1000002 -rw-> T1000001 "; !strings.HasPrefix(v.Detail, want) {
		t.Errorf("%s: %s", v.Result, v.Detail)
	}
}

// When everything is wrong, the choice of a cycle must not take for ever.
func TestAStoreWithoutIsolationIsRejectedInTime(t *testing.T) {
	s := large(10_000)
	s.kinds, s.loose = []history.Kind{history.Lists}, true
	e := simulate(rand.New(rand.NewPCG(6, 0)), s)
	v := checkWith(t, "serial", e)
	if v.Result != Illegal || !strings.Contains(v.Detail, "-realtime: ") || v.Took > 10*time.Second {
		t.Errorf("%s in %v: %s", v.Result, v.Took, v.Detail)
	}
	t.Logf("in %v: %s", v.Took, v.Detail)
}
