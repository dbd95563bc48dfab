package steps

import (
	"context"
	"errors"
	"testing"
	"time"

	_ "trihold/inmem"
	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/migrate"
)

type word struct {
	Text string `db:"text"`
}

var (
	words  = repo.NewTable("words", func(w *word) *string { return &w.Text })
	schema = repo.NewSchema(words)
)

// mover returns a store with a row that can be moved, and where to.
func mover(t *testing.T) (live *migrate.Live, to string) {
	t.Helper()
	s, err := repo.Open(t.Context(), "live:stepped:inmem:"+t.TempDir()+"?admin="+t.TempDir()+"/s", schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Arm(Rule{})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Update(t.Context(), func(tx *repo.Tx) error { return words.Insert(tx, word{"here"}) }); err != nil {
		t.Fatal(err)
	}
	return s.Driver().(*migrate.Live), "stepped:inmem:" + t.TempDir()
}

// move moves a store for good.
func move(ctx context.Context, l *migrate.Live, to string) error {
	if _, err := l.Do(ctx, migrate.Command{Do: migrate.DoStart, To: to}); err != nil {
		return err
	}
	verify := func() error { _, err := l.Do(ctx, migrate.Command{Do: migrate.DoVerify}); return err }
	for errors.Is(verify(), driver.ErrUnavailable) { // it copies
		time.Sleep(time.Millisecond)
	}
	for _, verb := range []migrate.Verb{migrate.DoVerify, migrate.DoCutover, migrate.DoComplete} {
		if _, err := l.Do(ctx, migrate.Command{Do: verb}); err != nil {
			return err
		}
	}
	return nil
}

func TestAMigrationStopsAtEachStepAndGoesOn(t *testing.T) {
	for _, s := range []Step{Start, First, Read, Verified, Fence, Decide, Open, Cut, Complete, Completed} {
		for _, after := range []bool{false, true} {
			if s == Read && after {
				continue
			}
			t.Run(string(s), func(t *testing.T) {
				l, to := mover(t)
				Arm(Rule{Step: s, After: after})
				done := make(chan error, 1)
				go func() { done <- move(t.Context(), l, to) }()
				if err := Await(t.Context()); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-done:
					t.Errorf("it did not wait: %v", err)
				case <-time.After(5 * time.Millisecond):
				}
				Release()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestARuleThatIsReplacedStrikesNoMore(t *testing.T) {
	Arm(Rule{Step: Fence})
	waited := make(chan error, 1)
	go func() { waited <- Await(t.Context()) }()
	time.Sleep(time.Millisecond)
	Arm(Rule{})
	if err := <-waited; err != nil && !errors.Is(err, errDisarmed) {
		t.Error(err)
	}
	l, to := mover(t)
	if err := move(t.Context(), l, to); err != nil {
		t.Error(err)
	}
}
