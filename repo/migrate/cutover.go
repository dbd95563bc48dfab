package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/repo/driver"
)

// A Cut is what is known about one cutover.
type Cut struct {
	At       time.Time     `json:"at"`
	From     string        `json:"from"`
	To       string        `json:"to"`
	Rev      driver.Rev    `json:"rev"` // the last revision of From; To goes on with the next one
	Pause    time.Duration `json:"-"`
	PauseMs  float64       `json:"pause_ms"`
	Waiting  int64         `json:"waiting_writes"` // commits of this program that waited meanwhile
	Verified driver.Rev    `json:"verified_rev"`   // where the whole of both sides was compared last
	Since    int64         `json:"commits_compared_since"`
	Source   []TableDigest `json:"source_digests"`
	Copy     []TableDigest `json:"target_digests"`
}

// A TableDigest is the digest of a table on one side.
type TableDigest struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Sum   string `json:"sum"`
}

// cut makes the follower the live store. It is exact about one thing: at no moment do
// both stores accept commits.
//
//  1. The fence goes up in the live store: one commit, its last one.
//  2. What is behind it is brought to the follower, and read back from both sides.
//  3. The live store is closed, in one load that also records the decision. Until
//     then the cutover can be undone, by taking the fence away; from then on it is
//     only finished.
//  4. The follower's fence is taken away.
//
// A process that ends at any point between leaves a state that sort finishes or
// undoes. show is called with the side whose state is to be read from now on. It moves
// on before the old one is closed, when both are equal and rest: then resting is true,
// and the side is to be read although it is still behind its fence.
func (m *mover) cut(ctx context.Context, end Phase, maxPause time.Duration, show func(s *side, resting bool)) (Cut, error) {
	cut := Cut{At: time.Now().UTC(), From: m.live.name, To: m.follower.name}
	start := time.Now()
	rec := m.live.record
	rec.Phase = Cutting
	up := &driver.Fence{To: m.follower.name, By: rec.ID}
	rev, _, err := m.live.commit(ctx, rec, up)
	if err != nil {
		return cut, err
	}
	cut.Rev = rev
	err = m.drain(ctx, rev, start, maxPause)
	if err != nil {
		err = errors.Join(fmt.Errorf("the cutover was undone: %w", err), m.undo(ctx))
		show(m.live, false)
		return cut, err
	}
	cut.Verified, cut.Since = m.sums.rev, m.sums.writes
	cut.Source, cut.Copy = m.sums.digests(m.schema, true), m.sums.digests(m.schema, false)
	show(m.follower, true)
	if err := m.decide(ctx, end, rev); err != nil {
		show(m.live, false)
		return cut, fmt.Errorf("the cutover is undecided: %w", err)
	}
	if err := m.open(ctx, end, rev); err != nil {
		return cut, fmt.Errorf("the cutover is decided, and not finished: %w", err)
	}
	show(m.follower, false)
	cut.Pause = time.Since(start)
	cut.PauseMs = float64(cut.Pause.Microseconds()) / 1000
	return cut, nil
}

// catchUp applies what has gathered, so that little is left to do while writes wait. It
// does not insist: a store that is busy enough is never quite caught up with.
func (m *mover) catchUp(ctx context.Context) error {
	const steps, few = 20, 20
	for range steps {
		n, err := m.tailSome(ctx)
		if err != nil || n < few {
			return err
		}
	}
	return nil
}

// drain brings the follower to the revision of the fence and looks whether the sides
// are equal there.
func (m *mover) drain(ctx context.Context, rev driver.Rev, start time.Time, maxPause time.Duration) error {
	ctx, cancel := context.WithDeadline(ctx, start.Add(maxPause))
	defer cancel()
	var err error
	if awaited := m.tail.await(ctx, rev); awaited != nil && !errors.Is(awaited, errBehind) {
		err = awaited
	}
	for err == nil && m.follower.record.Applied < rev {
		var n int
		if n, err = m.tailSome(ctx); n == 0 && err == nil {
			err = m.tail.await(ctx, m.follower.record.Applied+1)
		}
		if err != nil && passing(err) && !m.stale && sleep(ctx, time.Millisecond) {
			err = nil
		}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("it would have taken longer than %v: %w: %w", maxPause, driver.ErrUnavailable, err)
	case err != nil:
		return err
	case !m.sums.equal():
		return fmt.Errorf("the sides are not equal; verify again, with repair: %w", driver.ErrConflict)
	}
	return nil
}

// undo takes the fence of the live store away, and leaves everything as it was.
func (m *mover) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWait)
	defer cancel()
	rec := m.live.record
	rec.Phase = m.follower.record.Phase
	if err := m.live.load(ctx, 0, nil, nil, rec, fenceChange{down: true}); err != nil {
		return fmt.Errorf("take the fence away: %w", err)
	}
	return nil
}

// undoWait is how long a fence is tried to be taken away when the program ends.
const undoWait = 30 * time.Second

// decide closes the live store, which rests at rev. It is the moment at which the
// follower becomes the one whose history goes on.
func (m *mover) decide(ctx context.Context, end Phase, rev driver.Rev) error {
	rec := m.live.record
	rec.Phase, rec.Turn = end, rec.Turn+1
	rec.Follows, rec.Applied = true, rev
	closed := &driver.Fence{Closed: true, To: m.follower.name, By: rec.ID}
	return m.live.load(ctx, rev, nil, nil, rec, fenceChange{up: closed})
}

// open takes the follower's fence away.
func (m *mover) open(ctx context.Context, end Phase, rev driver.Rev) error {
	rec := m.follower.record
	rec.Phase, rec.Turn, rec.Cuts = end, m.live.record.Turn, m.live.record.Cuts
	rec.Follows, rec.Applied = false, rev
	return m.follower.load(ctx, rev, nil, nil, rec, fenceChange{down: true})
}

// turn makes the mover go the other way, after a cutover: what followed is live.
func (m *mover) turn(ctx context.Context) {
	m.tail.close()
	m.live, m.follower = m.follower, m.live
	if m.sums != nil {
		m.sums.swap()
	}
	m.tail = follow(ctx, m.live.store, m.follower.record.Applied)
}

// sort decides which of two stores is live, from nothing but what is stored in them.
// What a cutover has left halfway is finished if it was decided, and undone if not.
func sort(ctx context.Context, source, target *side) (live, follower *side, err error) {
	a, err := source.fence(ctx)
	if err != nil {
		return nil, nil, err
	}
	b, err := target.fence(ctx)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case a == nil && b == nil:
		if target.record.ID == "" {
			return source, target, nil // not begun
		}
		return nil, nil, fmt.Errorf("%s and %s both accept commits: %w", source.name, target.name, driver.ErrCorrupt)
	case a == nil:
		return source, target, nil
	case b == nil:
		return target, source, nil
	case !a.Closed:
		return reopen(ctx, source, target)
	case !b.Closed:
		return reopen(ctx, target, source)
	}
	// Both are closed: the one that was closed last has the later turn.
	closed, next := source, target
	if target.record.Turn > source.record.Turn {
		closed, next = target, source
	}
	m := &mover{live: closed, follower: next, schema: closed.schema}
	if err := m.open(ctx, closed.record.Phase, closed.record.Applied); err != nil {
		return nil, nil, err
	}
	return next, closed, nil
}

func reopen(ctx context.Context, live, follower *side) (*side, *side, error) {
	m := &mover{live: live, follower: follower, schema: live.schema}
	return live, follower, m.undo(ctx)
}
