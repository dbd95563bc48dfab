package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"trihold/repo/driver"
)

// Options of a migration. The zero value is the default.
type Options struct {
	// RowsPerSecond bounds what is copied; zero is no bound.
	RowsPerSecond int `json:"rows_per_second,omitempty"`
	// MaxP99 is the time that 99 of 100 of the program's own commits should not
	// exceed: copying rests while they do. Zero is no bound.
	MaxP99 time.Duration `json:"max_p99,omitempty"`
	// AcceptClass allows a target whose durability class is lower than the source's.
	AcceptClass bool `json:"accept_class,omitempty"`
	// MaxPause is how long writes may wait at a cutover before it is undone; zero is
	// a second.
	MaxPause time.Duration `json:"max_pause,omitempty"`
	// Repair makes a verification write the rows that differ once more.
	Repair bool `json:"repair,omitempty"`
}

const (
	// freshAge and freshWrites are how old a verification may be at a cutover, in
	// time and in commits since, each of which has been compared on its own.
	freshAge    = 15 * time.Minute
	freshWrites = 5_000_000
	// maxLag is how many commits may wait to be applied when a cutover begins.
	maxLag = 1000
)

// A Migration runs in one goroutine, and is asked and told things by others.
type Migration struct {
	logger *slog.Logger
	load   func() (p99 time.Duration, waiting int64) // of the program's commits
	show   func(s *side, resting bool)               // see mover.cut
	total  int64                                     // rows to copy, if it is known

	ask  chan request
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	status  Status  // guarded by mu
	options Options // guarded by mu

	rateRows int64     // copied when the rate was last looked at; guarded by mu
	rateAt   time.Time // when that was; guarded by mu
}

// A request is something to be done between two steps.
type request struct {
	do      func(ctx context.Context, m *mover) error
	stopped bool // it can be done when the migration has stopped
	reply   chan error
}

// begin starts a migration that has not begun, or goes on with one that has. The
// records of both sides have been read, and which is live is known.
func (g *Migration) begin(ctx context.Context, live, follower *side) {
	ctx, g.stop = context.WithCancel(ctx)
	g.ask, g.done = make(chan request), make(chan struct{})
	rec := live.record
	g.status = Status{ID: rec.ID, Source: rec.Source, Target: rec.Target, Started: rec.Started, Total: g.total}
	m := newMover(ctx, live, follower)
	g.observe(m, nil)
	go func() {
		defer close(g.done)
		g.run(ctx, m)
		m.close()
	}()
}

// run does step after step until the context ends or the migration is over.
func (g *Migration) run(ctx context.Context, m *mover) {
	pause := time.Millisecond
	for ctx.Err() == nil && !m.follower.record.Phase.Over() {
		select {
		case r := <-g.ask:
			err := r.do(ctx, m)
			g.observe(m, nil)
			r.reply <- err
			continue
		default:
		}
		err := g.step(ctx, m)
		if err == nil {
			pause = time.Millisecond
			g.observe(m, nil)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		g.observe(m, err)
		if !passing(err) {
			g.logger.Error("the migration has stopped", "migration", g.status.ID, "err", err)
			g.serveStopped(ctx, m, err)
			return
		}
		sleep(ctx, pause)
		pause = min(2*pause, time.Second)
	}
}

// serveStopped answers everybody that the migration has stopped, until it is given up.
func (g *Migration) serveStopped(ctx context.Context, m *mover, why error) {
	for !m.live.record.Phase.Over() {
		select {
		case r := <-g.ask:
			if !r.stopped {
				r.reply <- fmt.Errorf("the migration has stopped; trihold migrate rollback gives it up: %w", why)
				continue
			}
			err := r.do(ctx, m)
			g.observe(m, why)
			r.reply <- err
		case <-ctx.Done():
			return
		}
	}
}

// step copies or follows a little.
func (g *Migration) step(ctx context.Context, m *mover) error {
	g.mu.Lock()
	o, paused := g.options, g.status.Paused
	g.mu.Unlock()
	if err := m.refresh(ctx); err != nil {
		return err
	}
	if m.follower.record.Phase == Copying && !paused {
		start := time.Now()
		n, err := m.copySome(ctx)
		g.yield(ctx, m, o, n, time.Since(start))
		return err
	}
	n, err := m.tailSome(ctx)
	switch {
	case err == nil && n == 0:
		g.idle(ctx, m)
	case err == nil && n < restBelow:
		sleep(ctx, tailRest)
	}
	return err
}

const (
	// chunksPerSecond keeps chunks small where copying is bounded: many short pieces
	// of work delay the program's own commits less than a few long ones.
	chunksPerSecond = 20
	// After fewer commits than restBelow it waits for tailRest, so that several share
	// the work and the fsync of a load. A cutover does not wait.
	restBelow = 100
	tailRest  = 10 * time.Millisecond
)

// yield rests after a chunk as the options say.
func (g *Migration) yield(ctx context.Context, m *mover, o Options, rows int, took time.Duration) {
	rest := time.Duration(0)
	if o.RowsPerSecond > 0 {
		m.chunkRows = min(m.chunkRows, max(minChunk, o.RowsPerSecond/chunksPerSecond))
		rest = time.Duration(float64(rows)/float64(o.RowsPerSecond)*float64(time.Second)) - took
	}
	if p99, _ := g.load(); o.MaxP99 > 0 && p99 > o.MaxP99 {
		rest = max(rest, 2*took)
		m.chunkRows = max(minChunk, m.chunkRows/2)
	}
	if rest > 0 {
		sleep(ctx, rest)
	}
}

// idle waits for a commit, or for somebody to ask for something.
func (g *Migration) idle(ctx context.Context, m *mover) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	awake := make(chan struct{})
	go func() {
		defer close(awake)
		m.tail.idle(waiting, time.Second)
	}()
	select {
	case r := <-g.ask:
		cancel()
		<-awake
		err := r.do(ctx, m)
		g.observe(m, nil)
		r.reply <- err
	case <-awake:
	}
}

// do runs something between two steps.
func (g *Migration) do(ctx context.Context, fn func(ctx context.Context, m *mover) error) error {
	return g.send(ctx, request{do: fn, reply: make(chan error, 1)})
}

func (g *Migration) send(ctx context.Context, r request) error {
	select {
	case g.ask <- r:
	case <-g.done:
		return driver.Failed("migrate", driver.ErrInvalid, errors.New("the migration is over"))
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stops the migration where it is; it goes on when it is opened again.
func (g *Migration) close() {
	g.stop()
	<-g.done
}

// cutover makes the follower live, if everything speaks for it.
func (g *Migration) cutover(ctx context.Context, end Phase, maxPause time.Duration) (Cut, error) {
	var cut Cut
	if maxPause == 0 {
		maxPause = time.Second
	}
	err := g.do(ctx, func(run context.Context, m *mover) (err error) {
		if err := g.gates(m, end); err != nil {
			return err
		}
		if err := m.refresh(run); err != nil {
			return err
		}
		if err := m.catchUp(run); err != nil {
			return err
		}
		_, waited := g.load()
		from := m.live
		cut, err = m.cut(run, end, maxPause, g.show)
		if err == nil {
			m.turn(run)
		} else if unsettled := g.finish(run, m); unsettled != nil {
			return errors.Join(err, unsettled)
		}
		if m.live == from {
			return err
		}
		_, waiting := g.load()
		cut.Waiting = waiting - waited
		next := m.live.record
		next.Cuts = append(next.Cuts[:len(next.Cuts):len(next.Cuts)], cut)
		_, _, err = m.live.commit(run, next, nil)
		return err
	})
	return cut, err
}

// finish brings a cutover that met a failure to an end, one or the other, however
// long that takes.
func (g *Migration) finish(ctx context.Context, m *mover) error {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := errors.Join(m.live.reload(ctx), m.follower.reload(ctx))
		if err == nil {
			var live *side
			if live, _, err = sort(ctx, m.live, m.follower); err == nil {
				if live != m.live {
					m.turn(ctx)
				}
				g.show(m.live, false)
				return nil
			}
		}
		g.observe(m, err)
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// gates refuses a cutover that would not be safe, or would take long.
func (g *Migration) gates(m *mover, end Phase) error {
	refuse := func(format string, args ...any) error {
		return driver.Failed("cutover", driver.ErrInvalid, fmt.Errorf(format, args...))
	}
	phase := m.follower.record.Phase
	switch {
	case end == Switched && phase == Switched:
		return refuse("it has been done already; trihold migrate rollback goes back, trihold migrate complete ends the migration")
	case end == Switched && phase != Verified && phase != Tailing:
		return refuse("the migration is still %s; see trihold migrate status", phase)
	case m.sums == nil || !m.sums.done:
		return refuse("the sides have not been compared since this program runs; say trihold migrate verify first")
	case len(m.sums.differing) > 0:
		return refuse("%d rows differ; say trihold migrate verify --repair first", len(m.sums.differing))
	case time.Since(m.sums.at) > freshAge || m.sums.writes > freshWrites:
		return refuse("the comparison is %v and %d commits old; say trihold migrate verify again", time.Since(m.sums.at).Round(time.Second), m.sums.writes)
	case m.tail.lag() > maxLag:
		return driver.Failed("cutover", driver.ErrUnavailable, fmt.Errorf("%d commits are still to be applied; try again in a moment", m.tail.lag()))
	}
	return nil
}

// rollback makes the source live again, or, before the cutover, gives the migration up.
func (g *Migration) rollback(ctx context.Context, maxPause time.Duration) error {
	if s := g.Status(); s.Phase == Switched {
		_, err := g.cutover(ctx, RolledBack, maxPause)
		return err
	}
	return g.send(ctx, request{stopped: true, reply: make(chan error, 1), do: func(run context.Context, m *mover) error {
		if m.follower.record.Phase == Switched {
			return driver.Failed("rollback", driver.ErrUnavailable, errors.New("a cutover came first; try again"))
		}
		return abandon(run, m.live, m.follower)
	}})
}

// abandon ends a migration before its cutover. The follower, which may be nil if it
// cannot be reached, stays behind its fence.
func abandon(ctx context.Context, live, follower *side) error {
	next := live.record
	next.Phase = RolledBack
	if _, _, err := live.commit(ctx, next, nil); err != nil || follower == nil {
		return err
	}
	next = follower.record
	next.Phase = RolledBack
	return follower.load(ctx, next.Applied, nil, nil, next, fenceChange{})
}

// complete ends the migration: nothing follows any more, and nothing is deleted.
func (g *Migration) complete(ctx context.Context) error {
	return g.do(ctx, func(run context.Context, m *mover) error {
		if m.follower.record.Phase != Switched {
			return driver.Failed("complete", driver.ErrInvalid, fmt.Errorf("the migration is %s; it can be completed after the cutover", m.follower.record.Phase))
		}
		next := m.live.record
		next.Phase = Completed
		if _, _, err := m.live.commit(run, next, nil); err != nil {
			return err
		}
		return m.live.tell(run, m.follower)
	})
}
