package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// Scheme is the scheme of a switchable store's URL.
const Scheme = "live"

func init() { driver.Register(Scheme, openURL) }

// A Config says which store to open as switchable.
type Config struct {
	// Store is the URL of the store, or its name in trihold.yaml.
	Store string
	// Admin is the path of the Unix socket where the program can be asked to
	// migrate; empty is none. One program at a time has it.
	Admin string
	// Runner is what this program is called among those that use the store. A program
	// goes on with a migration that one of the same name has begun. The default is the
	// host and the path of the socket, so it has to be set where hosts change their
	// names.
	Runner string
	// Logger hears of migrations; the default is slog.Default.
	Logger *slog.Logger
}

func openURL(ctx context.Context, u *driver.URL) (driver.Store, error) {
	c := Config{Admin: u.Params.String("admin", ""), Runner: u.Params.String("runner", "")}
	c.Store = u.Path
	if u.Hosts != nil {
		return nil, fmt.Errorf("write %s: and then the whole name of a store, such as %s:inmem:data: %w", Scheme, Scheme, driver.ErrInvalid)
	}
	if rest := u.Params.Rest(); rest != "" {
		c.Store += "?" + rest
	}
	return Open(ctx, c)
}

// A Live is a driver.Store that can be moved from one backend to another while it is
// used. It passes everything on to the store that is live. What meets the fence of a
// cutover waits, and goes on in the other store: revisions, row checks and the IDs of
// commits mean the same there.
type Live struct {
	c      Config
	schema *driver.Schema // set by Prepare
	admin  *admin         // nil if there is none

	current atomic.Pointer[route]
	resting atomic.Pointer[route]         // see showSide
	woken   atomic.Pointer[chan struct{}] // closed and replaced when it is worth trying again
	clock   clock                         // of commits

	starting sync.Mutex // held while a migration is planned and started

	mu        sync.Mutex
	routes    []*route   // every store that is open; guarded by mu
	migration *Migration // nil if there is none; guarded by mu
	stalled   error      // why a migration that is there does not run; guarded by mu
	closed    bool       // guarded by mu
	life      context.Context
	end       context.CancelFunc
}

// A route is an open store.
type route struct {
	name  string
	store driver.Store
}

var _ driver.Store = (*Live)(nil)

// Open opens a store as switchable.
func Open(ctx context.Context, c Config) (*Live, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if err := storable(c.Store); err != nil {
		return nil, err
	}
	l := &Live{c: c}
	l.life, l.end = context.WithCancel(context.Background())
	l.woken.Store(new(make(chan struct{})))
	r, err := l.openRoute(ctx, c.Store)
	if err != nil {
		l.end()
		return nil, err
	}
	l.current.Store(r)
	if c.Admin != "" {
		if l.admin, err = claim(c.Admin); err != nil {
			l.end()
			return nil, errors.Join(err, r.store.Close())
		}
	}
	return l, nil
}

// storable refuses a name that holds a secret: it is written into the other store.
func storable(name string) error {
	if at := strings.LastIndexByte(name, '@'); at >= 0 && strings.Contains(name[:at], "//") {
		return fmt.Errorf("a store whose URL holds a user or a password is migrated by name: write it into %s and give its name: %w", repo.ConfigFile, driver.ErrInvalid)
	}
	return nil
}

// openRoute opens a store, and does not prepare it.
func (l *Live) openRoute(ctx context.Context, name string) (*route, error) {
	url, err := repo.Resolve(name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(url, Scheme+":") {
		return nil, fmt.Errorf("%s is switchable itself; name the store behind it: %w", name, driver.ErrInvalid)
	}
	d, err := driver.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	r := &route{name: name, store: d}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes = append(l.routes, r)
	return r, nil
}

// prepared opens and prepares a store, or returns it if it is open.
func (l *Live) prepared(ctx context.Context, name string) (*route, error) {
	l.mu.Lock()
	for _, r := range l.routes {
		if r.name == name {
			l.mu.Unlock()
			return r, nil
		}
	}
	l.mu.Unlock()
	r, err := l.openRoute(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := r.store.Prepare(ctx, l.schema); err != nil {
		return nil, errors.Join(err, l.drop(r))
	}
	return r, nil
}

// drop closes a store that is not current.
func (l *Live) drop(r *route) error {
	l.mu.Lock()
	for i, other := range l.routes {
		if other == r {
			l.routes = append(l.routes[:i:i], l.routes[i+1:]...)
			break
		}
	}
	l.mu.Unlock()
	return r.store.Close()
}

// Prepare implements driver.Store. It finds out where the data is now, and goes on
// with a migration that this program has begun.
func (l *Live) Prepare(ctx context.Context, s *driver.Schema) error {
	r := l.current.Load()
	if err := r.store.Prepare(ctx, s); err != nil {
		return err
	}
	st, err := r.store.Status(ctx)
	if err != nil {
		return err
	}
	l.schema = st.Schema
	if err := l.resume(ctx); err != nil || l.admin == nil {
		return err
	}
	return l.admin.listen(l)
}

func (l *Live) routeOf(name string) *route {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.routes {
		if r.name == name {
			return r
		}
	}
	return nil
}

// showSide makes a side of the migration what is read. A resting one may be read although
// it is closed: nothing is committed anywhere until it is opened.
func (l *Live) showSide(s *side, resting bool) {
	r := l.routeOf(s.name)
	l.resting.Store(nil)
	if resting {
		l.resting.Store(r)
	}
	l.goTo(r)
}

// goTo makes a route the current one, and wakes those who wait.
func (l *Live) goTo(to *route) {
	l.current.Store(to)
	close(*l.woken.Swap(new(make(chan struct{}))))
}

// moved waits, after a route has answered ErrMoved, until there is reason to try
// again: woken, which was loaded before, is closed, or the fence may be gone. If
// nobody in this program moves the store, it goes where the fence points.
func (l *Live) moved(ctx context.Context, r *route, woken *chan struct{}, cause error) error {
	select {
	case <-*woken:
		return nil
	case <-time.After(fencePoll):
	case <-ctx.Done():
		return driver.Failed("wait for the store", driver.ErrUnavailable, fmt.Errorf("%w, while %w", ctx.Err(), cause))
	case <-l.life.Done():
		return driver.Failed("wait for the store", driver.ErrClosed, nil)
	}
	l.mu.Lock()
	ours := l.migration != nil
	l.mu.Unlock()
	if ours || l.current.Load() != r {
		return nil // the migration decides
	}
	f, err := (&side{name: r.name, store: r.store, schema: l.schema}).fence(ctx)
	switch {
	case err != nil:
		return err
	case f == nil || !f.Closed:
		return nil
	case f.To == "" || f.To == r.name:
		return cause
	}
	next, err := l.prepared(ctx, f.To)
	if err != nil {
		return fmt.Errorf("%w; it could not be opened: %w", cause, err)
	}
	l.goTo(next)
	return nil
}

// fencePoll is how often a fence is looked at that another program has put up.
const fencePoll = 20 * time.Millisecond

// Begin implements driver.Store.
func (l *Live) Begin(ctx context.Context, m driver.Mode) (driver.Snapshot, error) {
	for {
		woken, r := l.woken.Load(), l.current.Load()
		mode := m
		mode.Closed = m.Closed || l.resting.Load() == r
		snap, err := r.store.Begin(ctx, mode)
		if !errors.Is(err, driver.ErrMoved) {
			if err != nil {
				return nil, err
			}
			return &snapshot{Snapshot: snap, live: l, mode: m, route: r}, nil
		}
		if err := l.moved(ctx, r, woken, err); err != nil {
			return nil, err
		}
	}
}

// Commit implements driver.Store.
func (l *Live) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	defer l.clock.measure(time.Now())
	for waited := false; ; waited = true {
		woken, r := l.woken.Load(), l.current.Load()
		rev, err := r.store.Commit(ctx, c)
		if !errors.Is(err, driver.ErrMoved) {
			return rev, err
		}
		if !waited {
			l.clock.waiting.Add(1)
		}
		if err := l.moved(ctx, r, woken, err); err != nil {
			return 0, err
		}
	}
}

// Status implements driver.Store.
func (l *Live) Status(ctx context.Context) (driver.Status, error) {
	return l.current.Load().store.Status(ctx)
}

// Close implements driver.Store. A migration rests until the store is opened again.
func (l *Live) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	g := l.migration
	l.mu.Unlock()
	var errs []error
	if l.admin != nil {
		errs = append(errs, l.admin.close())
	}
	if g != nil {
		g.close()
	}
	l.end()
	for _, r := range l.routes {
		errs = append(errs, r.store.Close())
	}
	return errors.Join(errs...)
}
