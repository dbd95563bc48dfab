package migrate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"runtime/debug"
	"strings"
	"time"

	"trihold/repo/driver"
)

// A Verb is something that can be asked of a program about its migration.
type Verb string

// The verbs.
const (
	DoPlan     Verb = "plan"
	DoStart    Verb = "start"
	DoStatus   Verb = "status"
	DoPause    Verb = "pause"
	DoResume   Verb = "resume" // and change the options, if any are given
	DoVerify   Verb = "verify"
	DoCutover  Verb = "cutover"
	DoRollback Verb = "rollback"
	DoComplete Verb = "complete"
)

// A Command asks for one thing.
type Command struct {
	Do      Verb    `json:"do"`
	To      string  `json:"to,omitempty"` // the target, for plan and start
	Options Options `json:"options"`
}

// An Answer is what came of a command.
type Answer struct {
	Plan        *Plan        `json:"plan,omitempty"`
	Status      *Status      `json:"status,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
}

// A Certificate says what was moved, and with which proof. It can be attached to a
// ticket.
type Certificate struct {
	Format    int       `json:"format"`
	Migration string    `json:"migration"`
	By        string    `json:"by"` // user and host
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Issued    time.Time `json:"issued"`
	Phase     Phase     `json:"phase"`
	Source    string    `json:"source"`
	Target    string    `json:"target"`
	Base      int64     `json:"base_rev"` // the first revision in the target
	Rows      int64     `json:"rows_copied"`
	Cutovers  []Cut     `json:"cutovers"`
	Differing int       `json:"differing_rows"`
	Repaired  int64     `json:"repaired_rows"`
}

// Do carries out a command.
func (l *Live) Do(ctx context.Context, c Command) (a Answer, err error) {
	if c.Do == DoPlan || c.Do == DoStart {
		if err := storable(c.To); err != nil || c.To == "" {
			return a, fmt.Errorf("%s: name the target with --to: %w", c.Do, errors.Join(driver.ErrInvalid, err))
		}
		if a.Plan, err = l.begin(ctx, c); err != nil || c.Do == DoPlan {
			return a, err
		}
	}
	l.mu.Lock()
	g, stalled := l.migration, l.stalled
	l.mu.Unlock()
	if g == nil && stalled != nil {
		return l.doStalled(ctx, c, stalled)
	}
	if g == nil {
		return a, l.noMigration(ctx, c)
	}
	switch c.Do {
	case DoPause:
		g.pause(true)
	case DoResume:
		if c.Options != (Options{}) {
			g.configure(c.Options)
		}
		g.pause(false)
	case DoVerify:
		err = g.verify(ctx, c.Options.Repair)
	case DoCutover:
		_, err = g.cutover(ctx, Switched, c.Options.MaxPause)
	case DoRollback:
		err = g.rollback(ctx, c.Options.MaxPause)
	case DoComplete:
		err = g.complete(ctx)
	case DoStart, DoStatus:
	default:
		return a, driver.Failed(string(c.Do), driver.ErrInvalid, errors.New("no such command"))
	}
	s := g.Status()
	a.Status = &s
	if len(s.Cuts) > 0 {
		a.Certificate = g.certificate(s)
	}
	return a, err
}

// noMigration says why there is nothing to be told about a migration here.
func (l *Live) noMigration(ctx context.Context, c Command) error {
	name := l.current.Load().name
	why := fmt.Errorf("there is no migration of %s; begin one with trihold migrate start", name)
	if s, err := l.side(ctx, name); err == nil && !s.record.Phase.Over() {
		why = fmt.Errorf("migration %s of %s is run by %s; ask that program, or, if it is no more, open the store with runner=%s in its URL",
			s.record.ID, name, s.record.Runner, url.QueryEscape(s.record.Runner))
	}
	return driver.Failed(string(c.Do), driver.ErrInvalid, why)
}

// doStalled carries out a command about a migration that could not be taken up.
func (l *Live) doStalled(ctx context.Context, c Command, why error) (a Answer, err error) {
	s := &side{name: l.current.Load().name, store: l.current.Load().store, schema: l.schema}
	if err := s.reload(ctx); err != nil {
		return a, err
	}
	a.Status = &Status{ID: s.record.ID, Source: s.record.Source, Target: s.record.Target, Phase: s.record.Phase, Live: s.name, Started: s.record.Started, Cuts: s.record.Cuts, Error: why.Error()}
	switch {
	case c.Do == DoStatus:
		return a, nil
	case c.Do == DoRollback && !s.record.Phase.Over() && s.name == s.record.Source:
		if err := abandon(ctx, s, nil); err != nil {
			return a, err
		}
		a.Status.Phase = s.record.Phase
	case c.Do == DoComplete && s.record.Phase == Switched:
		next := s.record
		next.Phase = Completed
		if _, _, err := s.commit(ctx, next, nil); err != nil {
			return a, err
		}
		a.Status.Phase = s.record.Phase
	default:
		return a, driver.Failed(string(c.Do), driver.ErrUnavailable, fmt.Errorf("the migration rests: %w; mend that and start the program again, or give the other store up with trihold migrate rollback, or complete after the cutover", why))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = nil
	return a, nil
}

// begin plans a migration, and starts it if that is asked for and nothing speaks
// against it.
func (l *Live) begin(ctx context.Context, c Command) (*Plan, error) {
	l.starting.Lock()
	defer l.starting.Unlock()
	source, err := l.side(ctx, l.current.Load().name)
	if err != nil {
		return nil, err
	}
	if !source.record.Phase.Over() {
		return nil, driver.Failed(string(c.Do), driver.ErrInvalid, fmt.Errorf("migration %s from %s to %s is under way (%s, run by %s); complete it or roll it back first",
			source.record.ID, source.record.Source, source.record.Target, source.record.Phase, source.record.Runner))
	}
	known := l.routeOf(c.To) != nil
	target, err := l.side(ctx, c.To)
	if err != nil {
		return nil, err
	}
	p, err := plan(ctx, source, target, c.Options.AcceptClass)
	if err == nil && c.Do == DoStart && len(p.Refusals) > 0 {
		err = driver.Failed("start", driver.ErrInvalid, errors.New(strings.Join(p.Refusals, "; ")))
	}
	if err == nil && c.Do == DoStart {
		if err = l.start(ctx, source, target, c.Options, p.Rows); err == nil {
			return p, nil
		}
	}
	if !known { // it was opened only to be looked at
		err = errors.Join(err, l.drop(l.routeOf(c.To)))
	}
	return p, err
}

// start writes the records and lets the migration run.
func (l *Live) start(ctx context.Context, source, target *side, o Options, rows int64) error {
	rec := Record{ID: newMigrationID(), Phase: Copying, Source: source.name, Target: target.name, Runner: l.identity(), Started: time.Now().UTC()}
	rev, id, err := source.commit(ctx, rec, nil)
	if err != nil {
		return err
	}
	m := &mover{live: source, follower: target, schema: l.schema}
	if err := m.begin(ctx, rev, id); err != nil {
		rec.Phase = RolledBack // nothing has begun
		_, _, undo := source.commit(context.WithoutCancel(ctx), rec, nil)
		return errors.Join(err, undo)
	}
	return l.run(ctx, source, target, o, rows)
}

// run lets a migration run whose records are written.
func (l *Live) run(ctx context.Context, live, follower *side, o Options, rows int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g := &Migration{
		logger:  l.c.Logger,
		load:    l.clock.load,
		show:    l.showSide,
		total:   rows,
		options: o,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return driver.Failed("migrate", driver.ErrClosed, nil)
	}
	if l.migration != nil {
		l.migration.close()
	}
	l.migration = g
	g.begin(l.life, live, follower)
	return nil
}

// identity names this program among those that may run a migration.
func (l *Live) identity() string {
	switch {
	case l.c.Runner != "":
		return l.c.Runner
	case l.admin == nil:
		return ""
	}
	return l.admin.identity()
}

func newMigrationID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// certificate says what is proved about the migration.
func (g *Migration) certificate(s Status) *Certificate {
	c := &Certificate{
		Format: 1, Migration: s.ID, Version: version(), Started: s.Started, Issued: time.Now().UTC(), Phase: s.Phase,
		Source: s.Source, Target: s.Target, Base: s.Base, Rows: s.Rows, Cutovers: s.Cuts, Differing: s.Differing, Repaired: s.Repaired,
	}
	host, _ := os.Hostname() // a certificate without it is better than none
	if u, err := user.Current(); err == nil {
		c.By = u.Username + "@" + host
	}
	return c
}

// version returns the version of the program that runs.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return strings.TrimSpace(v)
}
