package fault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/result"
	"trihold/repo"
	"trihold/repo/migrate"
)

// migrationName is the name of the fault that moves a store.
const migrationName = "migration"

// migrationFault moves a store while it is used, and kills whatever takes part, at
// moments of which the seed chooses some.
func migrationFault() Fault {
	return Fault{
		Name:  migrationName,
		About: "the store is moved to another backend, and back or on, and processes are killed at each step: one history goes on, whole",
		Fits: func(s Subject) string {
			if s.To == "" {
				return "it is not moved"
			}
			return ""
		},
		Setup: history.Setup{Registers: 64, Accounts: 16, Balance: 1000, Lists: 48, Items: 1500, Groups: 60, Names: 4000},
		Limit: 2 * time.Minute,
		Break: func(ctx context.Context, c *Cell) error { return newMigration(c).play(ctx) },
		Final: func(ctx context.Context, c *Cell) ([]*history.Final, error) { return c.migration.final(ctx) },
	}
}

// stay is the end of a migration that has none: after the cutover the source follows.
const stay migrate.Verb = "stay"

// A migration is what a cell knows about the moves of its store.
type migration struct {
	cell   *Cell
	end    migrate.Verb // of the leg under way: rollback, complete or stay
	target string       // of the leg under way

	places   []string // the names of all stores, in the order in which they were made
	expected string   // the one that should have the data
	strikes  []*strike
	asked    bool   // the end was asked for
	switched bool   // the cutover has been seen
	last     string // the ID of the migration before
	counts   result.Migration
}

// newMigration chooses when to strike.
func newMigration(c *Cell) *migration {
	source := strings.ReplaceAll(placeURL(c.Subject.From, "source"), dirMark, c.Dir)
	m := &migration{cell: c, places: []string{source}, expected: source}
	m.counts.Strikes = map[string]int{}
	m.strikes = m.choose()
	c.migration = m
	return m
}

// play moves the store once, or twice.
func (m *migration) play(ctx context.Context) error {
	ends := []migrate.Verb{migrate.DoRollback, migrate.DoComplete, stay}
	end := ends[m.cell.Rand.IntN(len(ends))]
	again := m.cell.Rand.IntN(4) == 0
	if again && end == stay {
		end = migrate.DoComplete
	}
	if err := m.leg(ctx, m.cell.Subject.To, "target", end); err != nil {
		return err
	}
	if again {
		to := m.cell.Subject.To
		if end == migrate.DoComplete {
			to = m.cell.Subject.From
		}
		if err := m.leg(ctx, to, "again", ends[m.cell.Rand.IntN(len(ends))]); err != nil {
			return err
		}
	}
	if m.counts.Struck() == 0 { // nothing came to where a strike was waiting
		return m.hit(ctx, &strike{victim: program}, "between commands")
	}
	return nil
}

// leg moves the store to a new place, whatever happens meanwhile.
func (m *migration) leg(ctx context.Context, backend, place string, end migrate.Verb) error {
	m.target, m.end, m.asked, m.switched = strings.ReplaceAll(placeURL(backend, place), dirMark, m.cell.Dir), end, false, false
	m.places = append(m.places, m.target)
	for {
		st, err := m.status(ctx)
		if err == nil {
			verb := m.next(st)
			switch verb {
			case "":
				return m.over()
			case migrate.DoStatus:
				err = m.cell.Hold(ctx, 3*time.Millisecond)
			default:
				err = m.do(ctx, verb)
			}
		}
		if err != nil {
			return fmt.Errorf("a migration that is to end with %s, and whose status is %s: %w", end, describeStatus(st), err)
		}
	}
}

// over notes how a leg has ended.
func (m *migration) over() error {
	switch m.end {
	case migrate.DoRollback:
		m.counts.Rollbacks++
		return nil
	case migrate.DoComplete:
		m.counts.Completed++
	}
	m.expected = m.target
	return nil
}

// next returns what to ask for in a state: nothing if the leg is over, and the status
// if there is only to wait.
func (m *migration) next(st *migrate.Status) migrate.Verb {
	if st != nil && st.ID == m.last || st == nil {
		if m.asked {
			return ""
		}
		return migrate.DoStart
	}
	switch st.Phase {
	case migrate.Copying:
		return migrate.DoStatus
	case migrate.Tailing, migrate.Verified:
		if st.Verified == 0 {
			return migrate.DoVerify
		}
		return migrate.DoCutover
	case migrate.Switched:
		return m.afterCutover(st)
	}
	m.last = st.ID
	return ""
}

func (m *migration) afterCutover(st *migrate.Status) migrate.Verb {
	if !m.switched {
		m.switched = true
		m.counts.Cutovers++
	}
	switch {
	case m.end == stay && m.asked:
		return ""
	case m.end == migrate.DoRollback && st.Verified == 0:
		return migrate.DoVerify
	}
	return m.end
}

func (m *migration) socket() string { return filepath.Join(m.cell.Dir, socketName) }

// status returns how the migration is; nil if there is none.
func (m *migration) status(ctx context.Context) (*migrate.Status, error) {
	a, err := migrate.Ask(ctx, m.socket(), migrate.Command{Do: migrate.DoStatus})
	if errors.Is(err, repo.ErrInvalid) && strings.Contains(err.Error(), "there is no migration") {
		return nil, nil
	}
	return a.Status, err
}

func describeStatus(st *migrate.Status) string {
	if st == nil {
		return "that there is none"
	}
	return fmt.Sprintf("%s, live %s, verified up to %d, lag %d, error %q", st.Phase, st.Live, st.Verified, st.Lag, st.Error)
}

const (
	// askWait is how long a command may take.
	askWait = 30 * time.Second
	// maxPause is what writes may wait for: everything shares a small machine.
	maxPause = 3 * time.Second
)

// ask asks for something, and does not wait for the answer.
func (m *migration) ask(ctx context.Context, verb migrate.Verb) <-chan error {
	if verb == m.end {
		m.asked = true
	}
	answered := make(chan error, 1)
	if verb == stay {
		answered <- nil
		return answered
	}
	c := migrate.Command{Do: verb, Options: migrate.Options{MaxPause: maxPause, AcceptClass: true}}
	if verb == migrate.DoStart {
		c.To = m.target
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, askWait)
		defer cancel()
		_, err := migrate.Ask(ctx, m.socket(), c)
		answered <- err
	}()
	return answered
}

// judge says which answers of a program that was left alone are failures. What a
// program refuses for the moment is asked for again.
func (m *migration) judge(ctx context.Context, verb migrate.Verb, err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "undone") {
		m.counts.Undone++
	}
	if errors.Is(err, repo.ErrUnavailable) || verb != migrate.DoVerify && errors.Is(err, repo.ErrConflict) {
		m.counts.Refused++
		return m.cell.Hold(ctx, 20*time.Millisecond)
	}
	return fmt.Errorf("%s: %w", verb, err)
}
