package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"trihold/bench/fault/check"
	"trihold/bench/fault/history"
	"trihold/bench/fault/node"
	"trihold/bench/result"
	"trihold/repo/migrate"
)

// An end is one of the stores of a migration as it was left, opened by itself.
type end struct {
	url    string
	opened node.Opened
	final  *history.Final
}

// final reads what is left: of the live store, before and after it is started again,
// and what its subscriber was told; and of each store by itself. All that they tell of
// the past is put together.
func (m *migration) final(ctx context.Context) ([]*history.Final, error) {
	c := m.cell
	if err := m.caughtUp(ctx); err != nil {
		c.verdicts = append(c.verdicts, check.Verdict{Checker: "follower", Result: check.Illegal, Detail: oneLine(err)})
	}
	before, err := c.current().Final(ctx)
	if err != nil {
		return nil, err
	}
	told, err := c.current().Followed(ctx, before.Rev)
	if err != nil {
		c.verdicts = append(c.verdicts, check.Verdict{Checker: "subscriber", Result: check.Illegal, Detail: oneLine(err)})
	}
	if err := errors.Join(c.Kill(), c.Start(ctx)); err != nil {
		return []*history.Final{before}, fmt.Errorf("after a further kill: %w", err)
	}
	after, err := c.current().Final(ctx)
	if err != nil {
		return []*history.Final{before}, fmt.Errorf("after a further kill: %w", err)
	}
	after.Node += " after a kill"
	if err := c.Stop(); err != nil {
		return nil, err
	}
	ends, err := m.ends(ctx)
	if err != nil {
		return []*history.Final{before, after}, err
	}
	past, verdict := m.oneHistory(ends, before.Rev)
	c.verdicts = append(c.verdicts, verdict)
	finals := []*history.Final{before, after}
	for _, e := range ends {
		if e.opened.Fence == nil || m.end == stay && e.final.Rev == before.Rev {
			finals = append(finals, e.final)
		}
	}
	for _, f := range finals {
		past.completes(f)
	}
	subscriber := *before
	subscriber.Node, subscriber.ChangesAfter, subscriber.Changes = "the subscriber", told.After, told.Changes
	past.completes(&subscriber)
	return append(finals, &subscriber), nil
}

// followerWait is how long a follower may apply nothing when there is something.
const followerWait = 4 * time.Second

// caughtUp waits, if one store follows the other in the end, until both are equal.
func (m *migration) caughtUp(ctx context.Context) error {
	if m.end != stay {
		return nil
	}
	var applied int64
	since := time.Now()
	for {
		st, err := m.status(ctx)
		if err != nil {
			return err
		}
		if st == nil || st.Phase != migrate.Switched {
			return fmt.Errorf("one store should follow the other, and the status is %s", describeStatus(st))
		}
		rev, err := m.cell.current().Rev(ctx)
		if err != nil {
			return err
		}
		if st.Applied == rev {
			return nil
		}
		if st.Applied != applied {
			applied, since = st.Applied, time.Now()
		}
		if time.Since(since) > followerWait {
			return fmt.Errorf("the follower stays at revision %d, the live store is at %d; the status is %s", applied, rev, describeStatus(st))
		}
		if err := m.cell.Hold(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// ends opens each store by itself, fence or not.
func (m *migration) ends(ctx context.Context) ([]end, error) {
	var out []end
	for i, url := range m.places {
		e := end{url: url}
		n, err := node.Start(node.Config{Command: m.cell.run.config.Node(nil), Name: fmt.Sprintf("store %d by itself", i+1), URL: url + "&closed=read", Setup: m.cell.crowd.Setup})
		if err != nil {
			return nil, err
		}
		if e.opened, err = n.Open(ctx); err == nil {
			e.final, err = n.Final(ctx)
		}
		if err = errors.Join(err, n.Stop()); err != nil {
			return nil, fmt.Errorf("open %s by itself: %w", url, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// A past is the change streams of several stores put together.
type past struct {
	after   int64 // where the earliest begins
	changes map[int64]history.Change
}

// completes puts what a store does not tell any more, because it was moved there
// later, in front of what it tells.
func (p past) completes(f *history.Final) {
	var earlier []history.Change
	for _, rev := range slices.Sorted(maps.Keys(p.changes)) {
		if rev <= f.ChangesAfter {
			earlier = append(earlier, p.changes[rev])
		}
	}
	f.Changes = append(earlier, f.Changes...)
	f.ChangesAfter = min(f.ChangesAfter, p.after)
}

// oneHistory checks that exactly one store accepts commits, the right one, and that
// none has accepted a commit that another one does not know or knows as another.
func (m *migration) oneHistory(ends []end, rev int64) (past, check.Verdict) {
	v := check.Verdict{Checker: "one-history", Result: check.OK}
	wrong := func(format string, args ...any) {
		if v.Result == check.OK {
			v.Result, v.Detail = check.Illegal, fmt.Sprintf(format, args...)
		}
		m.counts.Histories++
	}
	p := past{after: 1<<63 - 1, changes: map[int64]history.Change{}}
	for _, e := range ends {
		if e.opened.Fence == nil && e.url != m.expected {
			wrong("%s accepts commits, and the data should be in %s", e.url, m.expected)
		}
		if e.opened.Fence != nil && (e.url == m.expected || !e.opened.Fence.Closed) {
			wrong("%s has the fence %+v, and the data should be in %s", e.url, *e.opened.Fence, m.expected)
		}
		if e.final.Rev > rev {
			wrong("%s is at revision %d, the live store at %d", e.url, e.final.Rev, rev)
		}
		if e.final.ChangesAfter < p.after {
			p.after = e.final.ChangesAfter
		}
		for _, c := range e.final.Changes {
			v.Ops++
			other, ok := p.changes[c.Rev]
			if ok && !sameChange(c, other) {
				wrong("revision %d of %s is another commit than that of the stores before", c.Rev, e.url)
			}
			p.changes[c.Rev] = c
		}
	}
	return p, v
}

func sameChange(a, b history.Change) bool {
	has := func(keys []history.ChangedKey, k history.ChangedKey) bool { return slices.Contains(keys, k) }
	for _, k := range a.Keys {
		if !has(b.Keys, k) {
			return false
		}
	}
	return len(a.Keys) == len(b.Keys)
}

// summary returns what happened, for the result.
func (m *migration) summary(e *check.Evidence) *result.Migration {
	out := m.counts
	if e == nil || len(e.Finals) == 0 {
		return &out
	}
	told := map[int64]int{}
	for _, c := range e.Finals[0].Changes {
		for _, k := range c.Keys {
			if k.Table == history.TableLedger {
				told[k.Key]++
			}
		}
	}
	for _, times := range told {
		out.Doubled += times - 1
	}
	return &out
}
