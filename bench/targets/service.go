package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"trihold/bench/load"
	"trihold/bench/result"
	"trihold/bench/workload"
	"trihold/repo"
	"trihold/repo/migrate"
)

// writesPerSecond is what runs while a store is moved: what a service of some size
// writes.
const writesPerSecond = 1000

// A service is a store that can be moved, in an inmem store of class disk at first.
type service struct {
	dir     string
	live    *migrate.Live
	store   *repo.Store
	traffic load.Target // what writes to it, if anything
	targets int         // made so far
}

// withService opens a service, and removes it afterwards.
func (l *lab) withService(ctx context.Context, schema *repo.Schema, fn func(*service) error) (err error) {
	dir, err := l.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &service{dir: dir}
	if s.live, err = migrate.Open(ctx, migrate.Config{Store: "inmem:" + filepath.Join(dir, "source") + "?class=disk"}); err != nil {
		return err
	}
	if s.store, err = repo.New(ctx, s.live, schema); err != nil {
		return errors.Join(err, s.live.Close())
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	return fn(s)
}

// withTraffic opens a service with so many rows that can be written to.
func (l *lab) withTraffic(ctx context.Context, rows int64, fn func(*service) error) error {
	w, err := workload.Lookup("items")
	if err != nil {
		return err
	}
	w.Mix = []workload.Share{{Kind: workload.Update, Percent: 100}}
	session, err := w.Open(workload.Params{Rows: rows, Seed: 1})
	if err != nil {
		return err
	}
	err = l.withService(ctx, session.Schema(), func(s *service) error {
		s.traffic = load.Target{Store: s.store, Session: session, Workload: w}
		if err := session.Load(ctx, s.store, func(int64) {}); err != nil {
			return err
		}
		return fn(s)
	})
	return errors.Join(err, session.Close())
}

// start begins to move the service to a fresh SQLite store.
func (s *service) start(ctx context.Context, o migrate.Options) error {
	s.targets++
	to := fmt.Sprintf("sqlite:%s?class=disk", filepath.Join(s.dir, fmt.Sprintf("target%d.db", s.targets)))
	_, err := s.live.Do(ctx, migrate.Command{Do: migrate.DoStart, To: to, Options: o})
	return err
}

// do asks for something that needs nothing but its name.
func (s *service) do(ctx context.Context, verb migrate.Verb) (*migrate.Status, error) {
	a, err := s.live.Do(ctx, migrate.Command{Do: verb})
	return a.Status, err
}

// copied waits until all rows have been copied, and returns how many a second.
func (s *service) copied(ctx context.Context) (perSecond float64, err error) {
	start := time.Now()
	first, err := s.do(ctx, migrate.DoStatus)
	for st := first; err == nil; st, err = s.do(ctx, migrate.DoStatus) {
		switch {
		case st.Phase != migrate.Copying:
			return float64(st.Rows-first.Rows) / time.Since(start).Seconds(), nil
		case st.Error != "":
			return 0, errors.New(st.Error)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return 0, err
}

// write writes for a while. A write that fails is an error, and so is one that was
// not sent because too many were waiting.
func (s *service) write(ctx context.Context, d time.Duration) (result.Op, error) {
	s.traffic.Seed++
	loop, err := load.Open(ctx, s.traffic, load.Pacer{PerSecond: writesPerSecond}, d)
	if err != nil {
		return result.Op{}, err
	}
	if loop.Failed > 0 {
		return result.Op{}, fmt.Errorf("%d of %d writes failed: %v", loop.Failed, loop.Done+loop.Failed, loop.Errors)
	}
	return loop.Ops[workload.Update.String()], nil
}

// whileWriting lets the service be written to while fn runs, and returns how long the
// longest write took, from the moment it was due.
func (s *service) whileWriting(ctx context.Context, fn func() error) (longest time.Duration, err error) {
	over := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for {
			op, err := s.write(ctx, time.Second)
			longest = max(longest, op.Max)
			select {
			case <-over:
				done <- err
				return
			default:
			}
			if err != nil {
				<-over
				done <- err
				return
			}
		}
	}()
	err = fn()
	close(over)
	err = errors.Join(err, <-done)
	return longest, err
}

// follow begins to move the service to a fresh target, and returns when that has
// everything.
func (s *service) follow(ctx context.Context) error {
	if err := s.start(ctx, migrate.Options{}); err != nil {
		return err
	}
	if _, err := s.copied(ctx); err != nil {
		return err
	}
	_, err := s.do(ctx, migrate.DoVerify)
	return err
}

// thereAndBack makes the target live, and then the source again.
func (s *service) thereAndBack(ctx context.Context) ([]migrate.Cut, error) {
	for _, verb := range []migrate.Verb{migrate.DoCutover, migrate.DoRollback} {
		select {
		case <-time.After(time.Second): // the writes are under way
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if _, err := s.do(ctx, verb); err != nil {
			return nil, err
		}
	}
	st, err := s.do(ctx, migrate.DoStatus)
	if err != nil {
		return nil, err
	}
	return st.Cuts, nil
}
