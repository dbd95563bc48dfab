package migrate

import (
	"context"
	"errors"
	"fmt"

	"trihold/repo/driver"
)

// maxHops bounds how often data may have moved since a program's configuration was
// written.
const maxHops = 16

// resume finds the live store, beginning at the configured one, and takes up what has
// been interrupted.
func (l *Live) resume(ctx context.Context) error {
	for range maxHops {
		r := l.current.Load()
		s := &side{name: r.name, store: r.store, schema: l.schema}
		if err := s.reload(ctx); err != nil {
			return err
		}
		f, err := s.fence(ctx)
		if err != nil {
			return err
		}
		if !s.record.Phase.Over() && l.admin != nil && s.record.Runner == l.identity() && !l.goneOn(ctx, s, f) {
			return l.goOn(ctx, s)
		}
		if f == nil || !f.Closed {
			return nil
		}
		if f.To == "" || f.To == r.name {
			return f.Moved("open " + r.name)
		}
		next, err := l.prepared(ctx, f.To)
		if err != nil {
			return fmt.Errorf("%w; it could not be opened: %w", f.Moved("open "+r.name), err)
		}
		l.goTo(next)
	}
	return driver.Failed("open", driver.ErrMoved, fmt.Errorf("the data of %s has moved more than %d times; name the store where it is now", l.c.Store, maxHops))
}

// goneOn reports whether the store to which the data of a closed one has moved has
// ended their migration and begun another one since, which the closed one was not told.
func (l *Live) goneOn(ctx context.Context, s *side, f *driver.Fence) bool {
	if f == nil || !f.Closed || f.To == "" || f.To == s.name {
		return false
	}
	next, err := l.side(ctx, f.To)
	return err == nil && next.record.ID != "" && next.record.ID != s.record.ID // or goOn says why not
}

// goOn takes up the migration of a record. If one of the stores cannot be opened, the
// other one is served alone, provided that it is the live one: the service is not to
// depend on both.
func (l *Live) goOn(ctx context.Context, s *side) error {
	rec := s.record
	err := l.takeUp(ctx, rec)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("go on with migration %s from %s to %s: %w", rec.ID, rec.Source, rec.Target, err)
	if f, unread := s.fence(ctx); f != nil || unread != nil || ctx.Err() != nil || errors.Is(err, driver.ErrCorrupt) {
		return errors.Join(err, unread)
	}
	l.c.Logger.Error("a migration rests", "err", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = err
	return nil
}

func (l *Live) takeUp(ctx context.Context, rec Record) error {
	source, err := l.side(ctx, rec.Source)
	if err != nil {
		return err
	}
	target, err := l.side(ctx, rec.Target)
	if err != nil {
		return err
	}
	if target.record.ID != "" && target.record.ID != source.record.ID {
		return driver.Failed("migrate", driver.ErrInvalid, fmt.Errorf("%s says migration %s, %s says %s", source.name, source.record.ID, target.name, target.record.ID))
	}
	live, follower, err := sort(ctx, source, target)
	if err != nil {
		return err
	}
	l.goTo(l.routeOf(live.name))
	switch {
	case live.record.Phase.Over():
		if err := live.tell(ctx, follower); err != nil {
			l.c.Logger.Warn("a store was not told that its migration is over", "store", follower.name, "err", err)
		}
		return nil
	case follower.record.ID == "": // it was interrupted before anything was written there
		return l.start(ctx, live, follower, Options{}, 0)
	}
	return l.run(ctx, live, follower, Options{}, 0)
}

// side opens one side of a migration and reads its record.
func (l *Live) side(ctx context.Context, name string) (*side, error) {
	r, err := l.prepared(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &side{name: r.name, store: r.store, schema: l.schema}
	return s, s.reload(ctx)
}
