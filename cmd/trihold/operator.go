package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/migrate"
)

// An operator carries commands about the migration of a store to where they are
// carried out: to the program that has the store open, over its admin socket, or, if
// there is none, to the store itself, which the operator then opens.
type operator struct {
	name   string // of the store
	url    string
	socket string
	live   *migrate.Live // nil unless the operator has opened the store
	asked  bool          // a program has answered
}

func newOperator(name string) (*operator, error) {
	url, err := repo.Resolve(name)
	if err != nil {
		return nil, err
	}
	u, err := driver.ParseURL(url)
	if err != nil {
		return nil, err
	}
	if u.Scheme != migrate.Scheme {
		return nil, &usageError{fmt.Sprintf("%s is not switchable: programs must open it as %s:%s?admin=SOCKET, and so must this command", name, migrate.Scheme, u)}
	}
	o := &operator{name: name, url: url, socket: u.Params.String("admin", "")}
	if o.socket == "" {
		return nil, &usageError{fmt.Sprintf("the URL of %s names no socket, by which the program that runs a migration is found: add the parameter admin=SOCKET, there and in the program", u)}
	}
	return o, nil
}

// do has a command carried out.
func (o *operator) do(ctx context.Context, c migrate.Command) (migrate.Answer, error) {
	if o.live != nil {
		return o.live.Do(ctx, c)
	}
	a, err := migrate.Ask(ctx, o.socket, c)
	switch {
	case !errors.Is(err, migrate.ErrNobody):
		o.asked = true
		return a, err
	case o.asked:
		return a, driver.Failed(string(c.Do), driver.ErrUnavailable, fmt.Errorf("the program that ran the migration has ended; it goes on when that program, or trihold migrate resume, opens the store: %w", err))
	}
	if err := o.open(ctx); err != nil {
		return a, err
	}
	return o.live.Do(ctx, c)
}

// open opens the store, and so takes up a migration that rests.
func (o *operator) open(ctx context.Context) error {
	d, err := driver.Open(ctx, o.url)
	if err != nil {
		return err
	}
	if err := d.Prepare(ctx, nil); err != nil {
		return errors.Join(err, d.Close())
	}
	live, ok := d.(*migrate.Live)
	if !ok {
		return errors.Join(fmt.Errorf("open %s: it is a %T, not a switchable store", o.name, d), d.Close())
	}
	o.live = live
	return nil
}

// offline reports whether no program runs the migration but this one.
func (o *operator) offline() bool { return o.live != nil }

func (o *operator) close() error {
	if o.live == nil {
		return nil
	}
	return o.live.Close()
}

// statusEvery is how often a migration is looked at that is waited for.
const statusEvery = 200 * time.Millisecond

// watch calls show with the status again and again until done says that it is enough.
func (o *operator) watch(ctx context.Context, every time.Duration, show func(*migrate.Status), done func(*migrate.Status) bool) (migrate.Answer, error) {
	for {
		a, err := o.do(ctx, migrate.Command{Do: migrate.DoStatus})
		if err != nil {
			return a, err
		}
		show(a.Status)
		if done(a.Status) {
			return a, nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return a, context.Cause(ctx)
		}
	}
}

// copied waits until all rows are in the target.
func (o *operator) copied(ctx context.Context, show func(*migrate.Status)) (migrate.Answer, error) {
	stopped := 0
	a, err := o.watch(ctx, statusEvery, show, func(s *migrate.Status) bool {
		if stopped++; s.Error == "" {
			stopped = 0
		}
		return s.Phase != migrate.Copying || s.Paused || stopped > maxStopped
	})
	if err == nil && a.Status.Phase == migrate.Copying && a.Status.Error != "" {
		return a, driver.Failed("migrate", driver.ErrUnavailable, errors.New(a.Status.Error))
	}
	return a, err
}

// maxStopped is how often in a row a migration may be seen to have met an error before
// it is not waited for any longer: some pass.
const maxStopped = 50
