package check

import (
	"context"
	"fmt"
	"time"

	"trihold/bench/fault/history"
)

// Evidence is what is known about a store.
type Evidence struct {
	History *history.History
	Finals  []*history.Final // one for each node

	// GapsAllowed says that revisions may be left out, as they are after a restore.
	// They never go backwards.
	GapsAllowed bool
}

// A Result is how a check ended.
type Result string

// The results.
const (
	OK      Result = "ok"
	Illegal Result = "illegal"
	Unknown Result = "unknown" // not proved
)

// A Verdict is the outcome of one check.
type Verdict struct {
	Checker string        `json:"checker"`
	Result  Result        `json:"result"`
	Detail  string        `json:"detail,omitempty"` // one line: a small counterexample, or what could not be proved
	Ops     int           `json:"ops"`              // operations that were judged
	Took    time.Duration `json:"took_ns"`

	// Of the checker durable: the acknowledged commits that some node has lost, and
	// the time from the begin of the first of them to the last acknowledgement.
	Lost    int           `json:"lost,omitempty"`
	LostFor time.Duration `json:"lost_for_ns,omitempty"`
}

// A Checker looks for one kind of broken promise.
type Checker struct {
	Name  string
	Why   string // the promise
	Check func(ctx context.Context, e *Evidence) Verdict
}

// All returns the checkers, from cheap to dear.
func All() []Checker {
	return []Checker{
		newChecker("durable", "An acknowledged commit is there for good and whole, and nothing else is.", durable),
		newChecker("bank", "Money is neither made nor lost, and no state that was seen says otherwise.", bank),
		newChecker("indices", "An index shows the rows of its table, in order, and a unique one no value twice.", indices),
		newChecker("digests", "All nodes hold the same content.", digests),
		newChecker("changes", "The change stream tells every commit once, in order, with the keys that it touched.", changes),
		newChecker("revisions", "Revisions number one order of all operations that agrees with time and explains every answer.", revisions),
		newChecker("linear", "Each operation on a register happens at one moment between its begin and its end.", linear),
		newChecker("serial", "Transactions over several lists are as if run one at a time, in the order of time.", serial),
	}
}

// Run runs all checkers, one after the other. Those that ctx leaves no time for
// are Unknown.
func Run(ctx context.Context, e *Evidence) []Verdict {
	var all []Verdict
	for _, c := range All() {
		all = append(all, c.Check(ctx, e))
	}
	return all
}

func newChecker(name, why string, check func(*trial)) Checker {
	return Checker{Name: name, Why: why, Check: func(ctx context.Context, e *Evidence) Verdict {
		began := time.Now()
		t := &trial{ctx: ctx, evidence: e, setup: e.History.Setup, verdict: Verdict{Checker: name, Result: OK}}
		if err := ctx.Err(); err != nil {
			t.unproved("not begun: %v", err)
		} else if damage := damage(e.History); damage != "" {
			t.unproved("the history itself is damaged: %s", damage)
		} else {
			t.facts = newFacts(e)
			check(t)
		}
		if more := t.findings - 1; more > 0 {
			t.verdict.Detail += fmt.Sprintf(" (and %d more)", more)
		}
		t.verdict.Took = time.Since(began)
		return t.verdict
	}}
}

// damage returns what makes a history one that cannot have been recorded, or "".
func damage(h *history.History) string {
	seen := make(map[int64]bool, len(h.Ops))
	for i := range h.Ops {
		o := &h.Ops[i]
		switch {
		case o.ID < 1 || seen[o.ID]:
			return fmt.Sprintf("op %d is there twice, or is none", o.ID)
		case o.Begin < 0 || o.End < o.Begin:
			return fmt.Sprintf("%s began at %s and ended at %s", describe(o), at(o.Begin), at(o.End))
		case o.Outcome != history.OK && o.Outcome != history.Failed && o.Outcome != history.Unknown:
			return fmt.Sprintf("%s has the outcome %q", describe(o), o.Outcome)
		case (o.Outcome == history.Unknown) != (o.End == history.Never):
			return fmt.Sprintf("%s has the outcome %s and ended at %s", describe(o), o.Outcome, at(o.End))
		case o.Outcome != history.OK && (o.Refused || len(o.Saw) > 0):
			return fmt.Sprintf("%s has the outcome %s and an answer", describe(o), o.Outcome)
		}
		seen[o.ID] = true
	}
	return ""
}

// A trial is one run of one checker.
type trial struct {
	ctx      context.Context
	evidence *Evidence
	setup    history.Setup
	facts    *facts
	verdict  Verdict
	findings int
}

// illegal notes a broken promise. The first one is shown, so the most telling ones
// are looked for first.
func (t *trial) illegal(format string, args ...any) {
	if t.findings++; t.findings == 1 {
		t.verdict.Result = Illegal
		t.verdict.Detail = fmt.Sprintf(format, args...)
	}
}

// unproved notes that something could not be decided.
func (t *trial) unproved(format string, args ...any) {
	if t.verdict.Result == OK {
		t.verdict.Result = Unknown
		t.verdict.Detail = fmt.Sprintf(format, args...)
	}
}

// finals returns the final contents, and notes that without any there is no proof.
func (t *trial) finals() []*history.Final {
	if len(t.evidence.Finals) == 0 {
		t.unproved("the final content of no node is known")
	}
	return t.evidence.Finals
}
