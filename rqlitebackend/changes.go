package rqlitebackend

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

const (
	// changesPage is how many commits are read at once.
	changesPage = 128
	// A reader of changes that has caught up asks again after minPoll, and then
	// less and less often, up to maxPoll. The commits of this store wake it.
	minPoll = 5 * time.Millisecond
	maxPoll = 200 * time.Millisecond

	// pruneEvery is how many commits are made before the oldest are forgotten.
	pruneEvery = 10_000
	// pruneChunk is how many are forgotten by one request, which holds up others.
	pruneChunk = 2_000
	// remember is how long commits are remembered at least, so that sending one
	// again finds that it is there.
	remember = 2 * time.Minute
)

// A tail is what this store knows about the latest commits.
type tail struct {
	mu      sync.Mutex
	rev     driver.Rev    // guarded by mu; the highest one seen
	grown   chan struct{} // guarded by mu; closed when rev has grown; nil if nobody waits
	pruned  driver.Rev    // guarded by mu; rev when pruning was last begun
	pruning bool          // guarded by mu
	seen    []seenRev     // guarded by mu; oldest first
}

// A seenRev is a revision that was there at some time.
type seenRev struct {
	rev driver.Rev
	at  time.Time
}

// startTail reads where the store is.
func (s *Store) startTail(ctx context.Context) error {
	_, latest, err := s.changesRange(ctx)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rev, t.pruned = latest, latest
	t.seen = []seenRev{{latest, time.Now()}}
	return nil
}

// changesRange returns the lowest and the highest revision in _trihold_changes.
func (s *Store) changesRange(ctx context.Context) (oldest, latest driver.Rev, err error) {
	rows, err := s.query(ctx, sqlstmt.Stmt{SQL: sqlstmt.ChangesRange}, columnInt, columnInt)
	if err != nil {
		return 0, 0, err
	}
	if len(rows) != 1 {
		return 0, 0, driver.Failed("read", driver.ErrCorrupt, fmt.Errorf("%d rows for one", len(rows)))
	}
	low, _ := rows[0][0].(int64)
	high, _ := rows[0][1].(int64)
	return driver.Rev(low), driver.Rev(high), nil
}

// advance notes that a commit was accepted.
func (s *Store) advance(rev driver.Rev) {
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if rev <= t.rev {
		return
	}
	t.rev = rev
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
	if rev-t.pruned >= pruneEvery && !t.pruning && s.life.Err() == nil {
		t.pruned, t.pruning = rev, true
		upTo := t.forgettable(time.Now())
		s.work.Go(func() {
			s.prune(upTo)
			t.mu.Lock()
			defer t.mu.Unlock()
			t.pruning = false
		})
	}
}

// forgettable returns the revision up to which commits need not be remembered any
// longer. The caller holds mu.
func (t *tail) forgettable(now time.Time) driver.Rev {
	t.seen = append(t.seen, seenRev{t.rev, now})
	old := driver.Rev(0)
	for len(t.seen) > 1 && now.Sub(t.seen[1].at) >= remember {
		t.seen = t.seen[1:]
	}
	if now.Sub(t.seen[0].at) >= remember {
		old = t.seen[0].rev
	}
	return min(old, t.rev-driver.Retained)
}

// prune forgets the commits up to a revision. It may be done by several clients
// at once, and may be left undone.
func (s *Store) prune(upTo driver.Rev) {
	oldest, _, err := s.changesRange(s.life)
	for err == nil && oldest > 0 && oldest <= upTo {
		oldest = min(oldest+pruneChunk, upTo+1)
		var body []byte
		if body, err = appendBody(nil, []sqlstmt.Stmt{{SQL: sqlstmt.ChangesPrune, Args: []driver.Value{int64(oldest - 1)}}}); err == nil {
			_, _, err = s.client.do(s.life, &request{route: executeAtomic, body: body})
		}
	}
	if err != nil && s.life.Err() == nil {
		s.c.Logger.Warn("old changes could not be removed; it will be tried again", "err", err)
	}
}

// wait returns when rev has been exceeded, or after d.
func (t *tail) wait(ctx, life context.Context, rev driver.Rev, d time.Duration) {
	t.mu.Lock()
	if t.rev > rev {
		t.mu.Unlock()
		return
	}
	if t.grown == nil {
		t.grown = make(chan struct{})
	}
	grown := t.grown
	t.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-grown:
	case <-timer.C:
	case <-ctx.Done():
	case <-life.Done():
	}
}

// Changes implements driver.Store.
func (s *Store) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	return func(yield func(driver.Change, error) bool) {
		if err := s.mustFollow(ctx, after); err != nil {
			yield(driver.Change{}, err)
			return
		}
		for pause := minPoll; ; {
			changes, err := s.changesAfter(ctx, after)
			if err != nil {
				yield(driver.Change{}, err)
				return
			}
			for _, c := range changes {
				if err := s.over(ctx); err != nil {
					yield(driver.Change{}, err)
					return
				}
				if !yield(c, nil) {
					return
				}
				after = c.Rev
			}
			if len(changes) > 0 {
				pause = minPoll
				continue
			}
			s.tail.wait(ctx, s.life, after, pause)
			pause = min(2*pause, maxPoll)
		}
	}
}

// over returns why changes end, if they do.
func (s *Store) over(ctx context.Context) error {
	if err := s.usable(ctx, "changes"); err != nil && ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

// mustFollow returns an error if changes cannot begin after a revision.
func (s *Store) mustFollow(ctx context.Context, after driver.Rev) error {
	if err := s.over(ctx); err != nil {
		return err
	}
	_, latest, err := s.changesRange(ctx)
	if err != nil {
		return s.endOf(ctx, err)
	}
	if after < 0 || after > latest {
		return driver.Failed("changes", driver.ErrInvalid, fmt.Errorf("revision %d is not one of this store, which is at %d", after, latest))
	}
	return nil
}

// endOf returns err, or why changes end if that is behind it.
func (s *Store) endOf(ctx context.Context, err error) error {
	if end := s.over(ctx); end != nil {
		return end
	}
	return err
}

// changesAfter returns the next commits after a revision.
func (s *Store) changesAfter(ctx context.Context, after driver.Rev) ([]driver.Change, error) {
	if err := s.over(ctx); err != nil {
		return nil, err
	}
	ask := sqlstmt.Stmt{SQL: sqlstmt.ChangesAfter, Args: []driver.Value{int64(after), int64(changesPage)}}
	rows, err := s.query(ctx, ask, columnInt, columnBlob, columnText)
	if err != nil {
		return nil, s.endOf(ctx, err)
	}
	changes := make([]driver.Change, len(rows))
	for i, row := range rows {
		rev, _ := row[0].(int64)
		id, _ := row[1].([]byte)
		touched, _ := row[2].(string)
		if driver.Rev(rev) != after+driver.Rev(i)+1 {
			return nil, driver.Failed("changes", driver.ErrCompacted, fmt.Errorf("the next one that is kept after revision %d is %d", after+driver.Rev(i), rev))
		}
		if changes[i], err = s.layout.ReadChange(rev, id, touched); err != nil {
			return nil, err
		}
	}
	return changes, nil
}
