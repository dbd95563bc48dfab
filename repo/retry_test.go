package repo

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"trihold/repo/driver"
)

// How outcomes of a commit are settled is seen here through a backend that only
// plays back outcomes: no real one can be made to answer in a given order.
type scripted struct {
	outcomes []error // of Commit, one by one; then success
	ids      []driver.CommitID
}

func (s *scripted) Prepare(context.Context, *driver.Schema) error { return nil }
func (s *scripted) Begin(context.Context, driver.Mode) (driver.Snapshot, error) {
	return emptySnapshot{}, nil
}

func (s *scripted) Commit(_ context.Context, c *driver.Commit) (driver.Rev, error) {
	s.ids = append(s.ids, c.ID)
	if len(s.outcomes) == 0 {
		return 1, nil
	}
	err := s.outcomes[0]
	s.outcomes = s.outcomes[1:]
	return 0, err
}

func (s *scripted) Changes(context.Context, driver.Rev) iter.Seq2[driver.Change, error] { return nil }
func (s *scripted) Status(context.Context) (driver.Status, error)                       { return driver.Status{}, nil }
func (s *scripted) Close() error                                                        { return nil }

type emptySnapshot struct{}

func (emptySnapshot) Rev() driver.Rev { return 0 }
func (emptySnapshot) Get(context.Context, *driver.Table, driver.Key) (driver.Row, error) {
	return driver.Row{}, driver.ErrNotFound
}

func (emptySnapshot) Scan(context.Context, driver.Span) iter.Seq2[driver.Row, error] {
	return func(func(driver.Row, error) bool) {}
}
func (emptySnapshot) Confirm(context.Context) error { return nil }

func (emptySnapshot) Close() error { return nil }

type counter struct {
	ID string
	N  int64
}

var (
	counters      = NewTable("counters", func(c *counter) *string { return &c.ID })
	counterSchema = NewSchema(counters)
)

func openScripted(t *testing.T, outcomes ...error) (*Store, *scripted) {
	t.Helper()
	d := &scripted{outcomes: outcomes}
	s, err := New(t.Context(), d, counterSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func put(s *Store, ctx context.Context, runs *int) error {
	return s.Update(ctx, func(tx *Tx) error {
		*runs++
		return counters.Put(tx, counter{ID: "a"})
	})
}

func TestAConflictRunsTheClosureAgainWithAnotherID(t *testing.T) {
	s, d := openScripted(t, ErrConflict, ErrConflict)
	runs := 0
	if err := put(s, t.Context(), &runs); err != nil || runs != 3 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if d.ids[0] == d.ids[1] || d.ids[1] == d.ids[2] {
		t.Errorf("IDs %v: a second attempt is another commit", d.ids)
	}
}

func TestConflictsAreGivenUpAfterABound(t *testing.T) {
	outcomes := make([]error, maxAttempts+1)
	for i := range outcomes {
		outcomes[i] = ErrConflict
	}
	s, _ := openScripted(t, outcomes...)
	runs := 0
	if err := put(s, t.Context(), &runs); !errors.Is(err, ErrConflict) || runs != maxAttempts {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestAnUnknownOutcomeIsAskedForWithTheSameIDAndTheClosureDoesNotRunAgain(t *testing.T) {
	s, d := openScripted(t, ErrUncertain, ErrUncertain, ErrUnavailable)
	runs := 0
	if err := put(s, t.Context(), &runs); err != nil || runs != 1 || len(d.ids) != 4 {
		t.Errorf("%d runs, %d commits sent, %v", runs, len(d.ids), err)
	}
	for _, id := range d.ids {
		if id != d.ids[0] {
			t.Errorf("IDs %v: the same commit must be sent again", d.ids)
		}
	}
}

func TestAnOutcomeThatTurnsOutToBeAConflictRunsTheClosureAgain(t *testing.T) {
	s, _ := openScripted(t, ErrUncertain, ErrConflict)
	runs := 0
	if err := put(s, t.Context(), &runs); err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestAnUnknownOutcomeIsToldWhenTheContextEnds(t *testing.T) {
	outcomes := make([]error, 1000)
	for i := range outcomes {
		outcomes[i] = ErrUncertain
	}
	s, _ := openScripted(t, outcomes...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	runs := 0
	if err := put(s, ctx, &runs); !errors.Is(err, ErrUncertain) || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestOtherOutcomesAreReturnedAsTheyAre(t *testing.T) {
	for _, want := range []error{ErrExists, ErrUnavailable, ErrReadOnly, ErrMoved, ErrTooLarge, ErrClosed} {
		s, _ := openScripted(t, want)
		runs := 0
		if err := put(s, t.Context(), &runs); !errors.Is(err, want) || runs != 1 {
			t.Errorf("want %v: %d runs, %v", want, runs, err)
		}
	}
}
