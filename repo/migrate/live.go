package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
		if !s.record.Phase.Over() && l.admin != nil && s.record.Runner == l.identity() {
			return l.goOn(ctx, s)
		}
		f, err := s.fence(ctx)
		if err != nil {
			return err
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
		snap, err := r.store.Begin(ctx, m)
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

// Changes implements driver.Store. It goes over to the next store where the one
// before has ended.
func (l *Live) Changes(ctx context.Context, after driver.Rev) iter.Seq2[driver.Change, error] {
	return func(yield func(driver.Change, error) bool) {
		for {
			r := l.current.Load()
			more, err := l.changesOf(ctx, r, &after, yield)
			if err != nil {
				yield(driver.Change{}, err)
			}
			if !more {
				return
			}
		}
	}
}

// changesOf yields the changes of a route until the next one has those behind them. It
// reports whether to go on there.
func (l *Live) changesOf(ctx context.Context, r *route, after *driver.Rev, yield func(driver.Change, error) bool) (more bool, _ error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var at atomic.Int64
	at.Store(int64(*after))
	go l.leaveWhenMoved(inner, cancel, r, &at)
	for c, err := range r.store.Changes(inner, *after) {
		switch {
		case err == nil:
			if !yield(c, nil) {
				return false, nil
			}
			*after = c.Rev
			at.Store(int64(c.Rev))
		case inner.Err() != nil && ctx.Err() == nil:
			return true, nil
		default:
			return false, err
		}
	}
	return true, nil
}

// leaveWhenMoved calls cancel when another route is current and has the changes after
// at. Until it has, those of the route before go on: it follows the other one.
func (l *Live) leaveWhenMoved(ctx context.Context, cancel func(), r *route, at *atomic.Int64) {
	for {
		woken, current := l.woken.Load(), l.current.Load()
		wait := time.Duration(1<<63 - 1)
		if current != r {
			st, err := current.store.Status(ctx)
			if err == nil && st.Rev >= driver.Rev(at.Load()) && st.Oldest <= driver.Rev(at.Load()) {
				cancel()
				return
			}
			wait = fencePoll
		}
		select {
		case <-*woken:
		case <-time.After(wait):
		case <-ctx.Done():
			return
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

// A snapshot is one of the live store. A backend may find out only at the first read
// that its store is closed; then it is begun again where the data is now.
type snapshot struct {
	driver.Snapshot
	live  *Live
	mode  driver.Mode
	route *route
	read  bool // something has been returned
}

// Get implements driver.Snapshot.
func (s *snapshot) Get(ctx context.Context, t *driver.Table, key driver.Key) (driver.Row, error) {
	for {
		row, err := s.Snapshot.Get(ctx, t, key)
		if s.read || !errors.Is(err, driver.ErrMoved) {
			s.read = true
			return row, err
		}
		if err := s.again(ctx, err); err != nil {
			return driver.Row{}, err
		}
	}
}

// Scan implements driver.Snapshot.
func (s *snapshot) Scan(ctx context.Context, span driver.Span) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for again := true; again; {
			again = false
			for row, err := range s.Snapshot.Scan(ctx, span) {
				if !s.read && errors.Is(err, driver.ErrMoved) {
					if err := s.again(ctx, err); err != nil {
						yield(driver.Row{}, err)
						return
					}
					again = true
					break
				}
				s.read = true
				if !yield(row, err) {
					return
				}
			}
		}
		s.read = true
	}
}

// again begins the snapshot anew.
func (s *snapshot) again(ctx context.Context, cause error) error {
	if err := s.live.moved(ctx, s.route, s.live.woken.Load(), cause); err != nil {
		return err
	}
	next, err := s.live.Begin(ctx, s.mode)
	if err != nil {
		return err
	}
	fresh := next.(*snapshot)
	err = s.Snapshot.Close()
	s.Snapshot, s.route = fresh.Snapshot, fresh.route
	return err
}
