package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/repo/driver"
)

// verify compares both sides from end to end, while commits are followed.
func (g *Migration) verify(ctx context.Context, repair bool) error {
	return g.do(ctx, func(run context.Context, m *mover) error {
		if m.follower.record.Phase == Copying {
			return driver.Failed("verify", driver.ErrUnavailable, errors.New("the rows are still being copied; see trihold migrate status"))
		}
		for repairs := 0; ; repairs++ {
			if err := g.compare(run, ctx, m); err != nil {
				m.sums = nil
				return err
			}
			if m.sums.done && len(m.sums.differing) == 0 {
				return g.verified(run, m)
			}
			if !repair || repairs == maxRepairs {
				return driver.Failed("verify", driver.ErrConflict, fmt.Errorf("%d rows differ, among them %s; say --repair to copy them again, and report it: it is a fault of trihold", len(m.sums.differing), m.sums.example()))
			}
			refs := make([]rowRef, 0, len(m.sums.differing))
			for ref := range m.sums.differing {
				refs = append(refs, ref)
			}
			m.sums = nil
			if err := m.repair(run, refs); err != nil {
				return err
			}
			g.mu.Lock()
			g.status.Repaired += int64(len(refs))
			g.mu.Unlock()
		}
	})
}

// maxRepairs is how often a verification repairs and begins again.
const maxRepairs = 3

// verified notes that both sides are equal.
func (g *Migration) verified(ctx context.Context, m *mover) error {
	if m.follower.record.Phase != Tailing {
		return nil
	}
	next := m.follower.record
	next.Phase = Verified
	return m.bring(ctx, nil, nil, next)
}

// compare goes over all ranges, and follows between them.
func (g *Migration) compare(ctx, asker context.Context, m *mover) error {
	m.sums = newSums(m.schema)
	for pause := time.Millisecond; ; {
		if asker.Err() != nil {
			return asker.Err()
		}
		end, err := m.compareNext(ctx)
		if err == nil {
			pause = time.Millisecond
			g.observe(m, nil)
			if end {
				return nil
			}
			continue
		}
		g.observe(m, err)
		if !passing(err) || !sleep(ctx, pause) {
			return err
		}
		pause = min(2*pause, time.Second)
	}
}

// compareNext follows a little and compares the next range. It reports whether all
// have been compared.
func (m *mover) compareNext(ctx context.Context) (end bool, err error) {
	if err := m.refresh(ctx); err != nil {
		return false, err
	}
	if _, err := m.tailSome(ctx); err != nil {
		return false, err
	}
	if m.sums == nil {
		m.sums = newSums(m.schema) // something could not be compared: from the start
	}
	if m.tail.lag() > maxLag {
		return false, nil
	}
	end, err = m.compareSome(ctx)
	switch {
	case errors.Is(err, driver.ErrConflict): // commits came between; a shorter range may pass
		m.rangeRows = max(minChunk, m.rangeRows/2)
		return false, nil
	case errors.Is(err, errBehind):
		return false, nil
	}
	m.rangeRows = min(maxRange, m.rangeRows+m.rangeRows/4)
	return end, err
}

// example names some of the rows that differ.
func (s *sums) example() string {
	text, n := "", 0
	for ref := range s.differing {
		if n++; n > 3 {
			break
		}
		if text != "" {
			text += ", "
		}
		text += ref.describe()
	}
	return text
}

// compareSome compares the next range of the sides, both at the same revision. It
// reports whether it was the last one.
func (m *mover) compareSome(ctx context.Context) (end bool, err error) {
	s := m.sums
	t := m.schema.Tables[s.table]
	source, err := scan(ctx, m.live.store, t, s.key, "", m.rangeRows)
	if err != nil {
		return false, err
	}
	if err := m.tail.await(ctx, source.rev); err != nil {
		return false, err
	}
	// What is on its way to the follower is compared when it has arrived.
	onTheWay := map[driver.Key]bool{}
	m.tail.pending(source.rev, func(c driver.Change) {
		for _, k := range c.Keys {
			if k.Table == t {
				onTheWay[k.Key] = true
			}
		}
	})
	to := driver.Key("")
	if !source.end {
		to = source.rows[len(source.rows)-1].key
	}
	copied, err := scanAll(ctx, m.follower.store, t, s.key, to)
	if err != nil {
		return false, err
	}
	s.compare(t, source.rows, copied, onTheWay)
	if s.key = to; source.end {
		s.table++
	}
	if s.table < len(m.schema.Tables) {
		return false, nil
	}
	s.done, s.at, s.rev = true, time.Now(), m.follower.record.Applied
	return true, nil
}

// maxRange is how many rows a range that is compared may have: each costs a step of
// following, and while it is read nothing is followed.
const maxRange = 4000

// scanAll reads all rows behind a key, to the end of the table or to a key.
func scanAll(ctx context.Context, store driver.Store, t *driver.Table, after, to driver.Key) ([]keyed, error) {
	if to != "" {
		c, err := scan(ctx, store, t, after, to, 0)
		return c.rows, err
	}
	var all []keyed
	for {
		c, err := scan(ctx, store, t, after, "", maxRange)
		if err != nil {
			return nil, err
		}
		all = append(all, c.rows...)
		if c.end {
			return all, nil
		}
		after = c.rows[len(c.rows)-1].key
	}
}
