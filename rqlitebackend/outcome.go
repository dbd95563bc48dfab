package rqlitebackend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// execute sends a batch and returns the outcome of each commit.
func (q *commits) execute(ctx context.Context, apart bool, batch ...*pending) []outcome {
	if dir := q.store.dir; dir != nil {
		// What finds no space lands in the log and not in the database; a start that
		// executes it after all would change what later commits have met.
		if err := dir.mustHaveFree(freeToStart); err != nil {
			return all(batch, err)
		}
	}
	var outcomes []outcome
	if apart {
		outcomes = q.apart(ctx, batch, false)
	} else {
		outcomes = q.together(ctx, batch)
	}
	return q.atFence(ctx, batch, outcomes)
}

// together sends a batch as one transaction.
func (q *commits) together(ctx context.Context, batch []*pending) []outcome {
	body, elements, err := formTogether(q.store.layout, batch)
	if err != nil && len(batch) > 1 { // one of them cannot be formed
		return q.apart(ctx, batch, false)
	}
	if err != nil {
		return all(batch, fmt.Errorf("commit: %w", err))
	}
	results, resent, err := q.submit(ctx, executeAtomic, body)
	if err != nil {
		return all(batch, err)
	}
	message, failed := "", false
	for _, r := range results {
		if r.err != "" {
			message, failed = r.err, true
		}
	}
	switch {
	case failed && len(batch) == 1:
		return []outcome{q.verdict(ctx, batch[0], message, resent)}
	case failed:
		return q.apart(ctx, batch, resent)
	case len(results) != elements:
		return all(batch, driver.Failed("commit", driver.ErrUncertain, fmt.Errorf("rqlite answered %d of %d statements", len(results), elements)))
	}
	outcomes := make([]outcome, len(batch))
	for i := range batch {
		outcomes[i].rev = driver.Rev(results[0].lastInsertID) - driver.Rev(len(batch)-1-i)
	}
	return outcomes
}

// apart sends commits each of which is a transaction of its own. resent reports
// that they may have been sent before.
func (q *commits) apart(ctx context.Context, batch []*pending, resent bool) []outcome {
	outcomes := make([]outcome, 0, len(batch))
	for part := range slices.Chunk(batch, maxApart) {
		outcomes = append(outcomes, q.apartOnce(ctx, part, resent)...)
	}
	return outcomes
}

func (q *commits) apartOnce(ctx context.Context, batch []*pending, resent bool) []outcome {
	body, err := formApart(q.store.layout, batch)
	if err != nil { // one of them cannot be formed
		if len(batch) == 1 {
			return all(batch, fmt.Errorf("commit: %w", err))
		}
		half := len(batch) / 2
		return append(q.apartOnce(ctx, batch[:half], resent), q.apartOnce(ctx, batch[half:], resent)...)
	}
	results, again, err := q.submit(ctx, executeApart, body)
	resent = resent || again
	if err == nil && len(results) != 1+2*len(batch) {
		err = driver.Failed("commit", driver.ErrUncertain, fmt.Errorf("rqlite answered %d of %d statements", len(results), 1+2*len(batch)))
	}
	if err != nil {
		return all(batch, uncertainIf(resent, err))
	}
	next := driver.Rev(results[0].lastInsertID)
	outcomes := make([]outcome, len(batch))
	for i, p := range batch {
		if message := results[1+2*i].err; message != "" {
			outcomes[i] = q.verdict(ctx, p, message, resent)
			continue
		}
		outcomes[i].rev = next
		next++
	}
	return outcomes
}

func all(batch []*pending, err error) []outcome {
	return slices.Repeat([]outcome{{err: err}}, len(batch))
}

// uncertainIf makes an error one of kind ErrUncertain if an earlier attempt may
// have had an effect.
func uncertainIf(resent bool, err error) error {
	if resent && !errors.Is(err, driver.ErrUncertain) {
		return driver.Failed("commit", driver.ErrUncertain, err)
	}
	return err
}

// submit sends a request until what rqlite says about each statement is about the
// statement, and not about rqlite's own troubles. resent is as in client.do.
func (q *commits) submit(ctx context.Context, r route, body []byte) (results []result, resent bool, err error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		a, again, err := q.store.client.do(ctx, &request{route: r, body: body})
		resent = resent || again
		if err != nil {
			return nil, resent, uncertainIf(resent, err)
		}
		trouble := ""
		for _, result := range a.results {
			if isTrouble(result.err) {
				trouble = result.err
			}
		}
		if trouble == "" {
			return a.results, resent, nil
		}
		resent = true
		q.store.troubled(trouble)
		if !sleep(ctx, pause) {
			return nil, true, driver.Failed("commit", driver.ErrUncertain, fmt.Errorf("rqlite: %s: %w", trouble, context.Cause(ctx)))
		}
	}
}

// isTrouble reports whether a statement failed for a reason that lies with the
// machine. The statement is in rqlite's log then, and when rqlite starts again and
// executes its log, it may succeed; so nothing is known about the commit.
func isTrouble(message string) bool {
	if message == "" {
		return false
	}
	for _, text := range []string{
		"disk I/O error", "database or disk is full", "out of memory", "is locked", "interrupted",
		"readonly database", "unable to open database file", "malformed", "not a database",
	} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

// troubled makes a managed node that could not execute its log start again, and
// execute it then: what it holds is not what its log says.
func (s *Store) troubled(message string) {
	s.c.Logger.Error("rqlite could not execute a commit that is in its log", "err", message)
	if s.node != nil {
		s.node.restart()
	}
}

// verdict says what the failure of a commit's statement means.
func (q *commits) verdict(ctx context.Context, p *pending, message string, resent bool) outcome {
	err := q.store.layout.Refusal(message)
	var exists *driver.Error
	switch {
	case conditionFailed(message):
		err = driver.Failed("commit", driver.ErrConflict, nil)
	case errors.Is(err, sqlstmt.ErrCommitted):
		return q.landed(ctx, p)
	case err == nil && strings.Contains(message, "too big"):
		err = driver.Failed("commit", driver.ErrTooLarge, errors.New("rqlite: "+message))
	case err == nil:
		err = driver.Failed("commit", driver.ErrInvalid, errors.New("rqlite: "+message))
	case errors.As(err, &exists) && exists.Kind == driver.ErrExists && exists.Index == "":
		q.nameKey(ctx, p, exists)
	}
	if resent {
		return q.settle(ctx, p, err)
	}
	return outcome{err: err}
}

// landed returns the outcome of a commit whose ID is there already.
func (q *commits) landed(ctx context.Context, p *pending) outcome {
	recorded, err := q.recorded(ctx, p)
	o, found := recorded[p.commit.ID]
	if err != nil || !found {
		return outcome{err: driver.Failed("commit", driver.ErrUncertain, errors.Join(errors.New("it was accepted, and its revision could not be read"), err))}
	}
	return o
}

// recorded returns the outcomes of those commits whose IDs are there already.
func (q *commits) recorded(ctx context.Context, batch ...*pending) (map[driver.CommitID]outcome, error) {
	find := sqlstmt.Stmt{SQL: `SELECT "rev", "touched" = '` + refusedMark + `', "id" FROM "_trihold_changes" WHERE "id" IN ` + marks(len(batch))}
	for _, p := range batch {
		find.Args = append(find.Args, p.commit.ID[:])
	}
	rows, err := q.store.query(ctx, find, columnInt, columnInt, columnBlob)
	if err != nil {
		return nil, err
	}
	outcomes := map[driver.CommitID]outcome{}
	for i, row := range rows {
		id, _ := row[2].([]byte)
		for _, p := range batch {
			if string(p.commit.ID[:]) != string(id) {
				continue
			}
			o := outcome{rev: revOf(rows[i:])}
			if row[1] == int64(1) && len(p.commit.Writes) > 0 {
				o = outcome{err: driver.Failed("commit", driver.ErrConflict, driver.ErrRefusedBefore)}
			}
			outcomes[p.commit.ID] = o
		}
	}
	return outcomes, nil
}

// refusedMark is what a commit has touched that only takes an ID: nothing. One that
// writes the state alone has touched the state.
const refusedMark = "[]"

// settle makes a refusal final. An earlier attempt of the commit may still be on
// its way, and might succeed when it arrives, if what refused this one has gone by
// then. So the commit's ID is taken by an empty commit. If that fails, the earlier
// attempt has arrived, or there is a fence, at which it will fail, too.
func (q *commits) settle(ctx context.Context, p *pending, refusal error) outcome {
	st, err := q.store.layout.Change(&driver.Commit{ID: p.commit.ID}, 0)
	if err != nil {
		return outcome{err: uncertainIf(true, err)}
	}
	body, err := appendBody(nil, []sqlstmt.Stmt{st})
	if err != nil {
		return outcome{err: uncertainIf(true, err)}
	}
	results, _, err := q.submit(ctx, executeAtomic, body)
	switch {
	case err != nil:
		return outcome{err: uncertainIf(true, err)}
	case len(results) == 1 && results[0].err == "":
		return outcome{err: refusal}
	}
	if len(results) == 1 && errors.Is(q.store.layout.Refusal(results[0].err), driver.ErrMoved) {
		recorded, err := q.recorded(ctx, p)
		if err != nil {
			return outcome{err: uncertainIf(true, err)}
		}
		if _, found := recorded[p.commit.ID]; !found {
			return outcome{err: refusal}
		}
	}
	o := q.landed(ctx, p)
	if errors.Is(o.err, driver.ErrConflict) { // the empty commit itself had been sent twice
		o.err = refusal
	}
	return o
}

// nameKey adds to a refusal which of the inserted keys was taken, if that can
// still be seen.
func (q *commits) nameKey(ctx context.Context, p *pending, e *driver.Error) {
	const most = 1000
	var inserts []*driver.Write
	var ask []sqlstmt.Stmt
	for i := range p.commit.Writes {
		w := &p.commit.Writes[i]
		if w.Table.Name != e.Table || w.Kind != driver.Insert || len(ask) == most {
			continue
		}
		st, err := q.store.layout.KeyRev(nil, w.Table, w.Key)
		if err != nil {
			return
		}
		inserts, ask = append(inserts, w), append(ask, st)
	}
	if len(inserts) > 1 {
		results, err := q.store.queries(ctx, ask)
		if err != nil {
			return
		}
		for i, r := range results {
			if len(r.rows) > 0 {
				inserts = inserts[i : i+1]
				break
			}
		}
	}
	if len(inserts) == 1 {
		e.Key = inserts[0].Table.FormatKey(inserts[0].Key)
	}
}
