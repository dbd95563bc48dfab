package repotest

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// An overtaken store has snapshots like those of a backend that reads over a
// network: each read sees the state of its own moment, and a snapshot that meets
// two of them is over, with ErrConflict. Package repo then runs the closure
// again.
type overtaken struct{ *Model }

func (o overtaken) Begin(ctx context.Context, mode driver.Mode) (driver.Snapshot, error) {
	_, err := o.Model.Begin(ctx, mode)
	return &overtakenSnapshot{model: o.Model, mode: mode}, err
}

type overtakenSnapshot struct {
	model  *Model
	mode   driver.Mode
	rev    driver.Rev
	begun  bool
	closed bool
}

func (s *overtakenSnapshot) Rev() driver.Rev { return s.rev }

func (s *overtakenSnapshot) Confirm(context.Context) error { return nil }

func (s *overtakenSnapshot) Close() error {
	s.closed = true
	return nil
}

// state returns the state of the moment, if it is the one that was read before.
func (s *overtakenSnapshot) state(ctx context.Context) (driver.Snapshot, error) {
	if s.closed {
		return nil, driver.ErrClosed
	}
	now, err := s.model.Begin(ctx, s.mode)
	if err != nil {
		return nil, err
	}
	if s.begun && now.Rev() != s.rev {
		return nil, driver.ErrConflict
	}
	s.begun, s.rev = true, now.Rev()
	return now, nil
}

func (s *overtakenSnapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	now, err := s.state(ctx)
	if err != nil {
		return driver.Row{}, err
	}
	return now.Get(ctx, t, key)
}

func (s *overtakenSnapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		now, err := s.state(ctx)
		if err != nil {
			yield(driver.Row{}, err)
			return
		}
		now.Scan(ctx, span)(yield)
	}
}

// A View inside the closure of an Update may itself have to run again. It must
// not wait for the Update, which waits for it.
func TestAViewInsideAnUpdateThatRunsAgainDoesNotLockUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := repo.New(ctx, overtaken{NewModel()}, Schema)
	if err != nil {
		t.Fatal(err)
	}
	disturb := func() {
		if err := s.Update(ctx, func(tx *repo.Tx) error { return items.Put(tx, Item{ID: "a"}) }); err != nil {
			t.Error(err)
		}
	}
	runs, views := 0, 0
	err = s.Update(ctx, func(tx *repo.Tx) error {
		if _, err := items.Get(tx, "a"); err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		if runs++; runs == 1 {
			disturb() // so that the Update runs again, behind others who do
			return items.Put(tx, Item{ID: "b"})
		}
		return s.View(ctx, func(tx *repo.ReadTx) error {
			if _, err := items.Get(tx, "a"); err != nil {
				return err
			}
			if views++; views == 1 {
				disturb() // so that the View runs again
			}
			_, err := items.Get(tx, "a")
			return err
		})
	})
	if err != nil || runs < 2 || views != 2 {
		t.Errorf("after %d runs and %d views: %v", runs, views, err)
	}
}
