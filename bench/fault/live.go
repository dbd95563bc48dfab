package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"trihold/bench/fault/check"
	"trihold/bench/fault/damage"
	"trihold/bench/fault/history"
	"trihold/bench/fault/traffic"
	"trihold/bench/result"
	"trihold/repo"
)

// A volume says how much traffic a cell has.
type volume struct {
	clients int
	readers int // of these, the ones that write nothing
	rate    float64
	// ops operations must be answered before the fault, and as many after it is
	// healed, reads and writes among them.
	ops int64
	// patience is how long an operation may take, and grace how much longer its
	// client waits for a node that does not answer; 0 is the default of each.
	patience, grace time.Duration
}

var (
	quickVolume    = volume{clients: 8, rate: 1500, ops: 300}
	standardVolume = volume{clients: 16, rate: 6000, ops: 3000}
	// A client of a cluster soon asks somebody else.
	clusterVolume = volume{clients: 12, readers: 3, rate: 1500, ops: 300, patience: time.Second, grace: 500 * time.Millisecond}
)

const (
	// gateWait is how long the traffic may take to flow.
	gateWait = 20 * time.Second
	// endWait is how long reading everything, twice, and checking it may take.
	endWait = 60 * time.Second
)

// A trial is the place of a cell in a run.
type trial struct {
	fault   Fault
	subject Subject
	seed    uint64
	control *control // nil if it is none

	simulation *simulation // in the place of the fault's script; nil if it is none
}

func (t *trial) id() string {
	name := t.fault.Name
	if t.simulation != nil {
		name = t.simulation.name()
	}
	if t.control != nil {
		name = t.control.name
	}
	return fmt.Sprintf("%s@%s@%d", name, t.subject.Name, t.seed)
}

// cellSeed gives each cell its own seed, whichever others are run.
func cellSeed(seed uint64, fault, subject string, round int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s %d", seed, fault, subject, round)
	return h.Sum64() >> 16 // short enough to be typed
}

// live runs a cell from the first process to the last check.
func (r *run) live(ctx context.Context, t *trial) (out result.Cell) {
	began := time.Now()
	out = result.Cell{ID: t.id(), Replay: r.replayLine(t), Fault: t.fault.Name, Subject: t.subject.Name, Seed: t.seed, Expected: t.fault.Foreign[t.subject.Backend]}
	if t.control != nil {
		out.Fault, out.Control = t.control.name, true
	}
	dir, err := os.MkdirTemp(r.dir, "cell-")
	if err != nil {
		out.Verdict, out.Why = result.Bad, fmt.Sprintf("make a directory: %v", err)
		return out
	}
	c := &Cell{Subject: t.subject, home: dir, Dir: dir, Rand: rand.New(rand.NewPCG(t.seed, 1)), run: r, volume: r.volume(t.subject)}
	c.crowd = &traffic.Crowd{Setup: cmp.Or(t.fault.Setup, traffic.DefaultSetup), Seed: t.seed, Clients: c.volume.clients, Readers: c.volume.readers, Rate: c.volume.rate, Patience: c.volume.patience}
	c.crowd.Do = c.do
	limit, steady := cmp.Or(t.fault.Limit, defaultLimit), cmp.Or(t.fault.Steady, defaultSteady)
	watched, cancel := context.WithTimeoutCause(ctx, gateWait+limit+steady+endWait, errors.New("the watchdog has ended the cell"))
	defer cancel()
	evidence, err := c.live(watched, t, limit, steady)
	err = errors.Join(err, c.cleanUp())
	if ctx.Err() != nil { // interrupted: nobody wants to know
		return out
	}
	judge(&out, t, c, evidence, err)
	r.keep(&out, c, evidence)
	out.Wall = time.Since(began)
	return out
}

// A stage is the part of a cell's life in which it failed.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.stage + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// The stages whose failures mean different things.
const (
	stageSetup = "before the fault"
	stageBreak = "the fault"
	stageLive  = "after the fault"
	stageFinal = "reading everything"
)

// live is the life of a cell up to the evidence.
func (c *Cell) live(ctx context.Context, t *trial, limit, steady time.Duration) (*check.Evidence, error) {
	if err := c.begin(ctx, t); err != nil {
		return nil, &stageError{stageSetup, err}
	}
	traffic, stopTraffic := context.WithCancel(ctx)
	defer stopTraffic()
	ended := make(chan struct{})
	c.crowd.Start()
	go func() {
		defer close(ended)
		c.crowd.Run(traffic)
	}()
	stop := func() { stopTraffic(); <-ended }
	if err := c.gate(ctx); err != nil {
		stop()
		return nil, &stageError{stageSetup, err}
	}
	c.injected = c.crowd.Now()
	script, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the script takes longer than %v", limit))
	err := t.breakIt(script, c)
	cancel()
	if c.healed == 0 {
		c.healed = c.crowd.Now()
	}
	if err != nil {
		err = errors.Join(err, c.killIfThere()) // or its clients would wait for it
		stop()
		return &check.Evidence{History: c.crowd.History()}, &stageError{stageBreak, err}
	}
	if err = c.alive(ctx, steady); err != nil {
		err = errors.Join(err, c.killIfThere())
	}
	stop()
	evidence := &check.Evidence{History: c.crowd.History(), GapsAllowed: t.fault.GapsAllowed}
	if err != nil {
		return evidence, &stageError{stageLive, err}
	}
	final := (*Cell).finals
	if t.fault.Final != nil {
		final = func(c *Cell, ctx context.Context) ([]*history.Final, error) { return t.fault.Final(ctx, c) }
	}
	if evidence.Finals, err = final(c, ctx); err != nil {
		return evidence, &stageError{stageFinal, err}
	}
	return evidence, nil
}

// breakIt runs the script of a fault, or of a control.
func (t *trial) breakIt(ctx context.Context, c *Cell) error {
	if t.control != nil {
		return t.control.Break(ctx, c)
	}
	return t.fault.Break(ctx, c)
}

// begin makes the tools, starts the store and fills it.
func (c *Cell) begin(ctx context.Context, t *trial) error {
	if t.control != nil {
		c.early = t.control.early
	}
	if err := c.prepare(ctx, t); err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	return c.current().Fill(ctx)
}

// gate waits until the traffic flows.
func (c *Cell) gate(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, gateWait, fmt.Errorf("fewer than %d operations were answered in %v", c.volume.ops, gateWait))
	defer cancel()
	return c.Until(ctx, "the traffic flows", func() bool { return c.crowd.Acked() >= c.volume.ops })
}

// alive waits until the store answers again, reads and writes.
func (c *Cell) alive(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("fewer than %d operations, reads and writes, were answered in %v", c.volume.ops, within))
	defer cancel()
	from := c.crowd.Acked()
	if err := c.Until(ctx, "the store answers again", func() bool { return c.crowd.Acked() >= from+c.volume.ops }); err != nil {
		return err
	}
	if err := c.eachAnswers(ctx); err != nil {
		return err
	}
	var reads, writes int
	h := c.crowd.History()
	for i := range h.Ops {
		if o := &h.Ops[i]; o.Begin >= c.healed && o.Outcome == history.OK {
			if o.Wrote() {
				writes++
			} else {
				reads++
			}
		}
	}
	if reads == 0 || writes == 0 {
		return fmt.Errorf("%d reads and %d writes were answered", reads, writes)
	}
	return nil
}

// eachAnswers waits until every member has answered an operation since it was asked
// for.
func (c *Cell) eachAnswers(ctx context.Context) error {
	for _, m := range c.running() {
		from := m.acked.Load()
		if err := c.Until(ctx, m.Name+" answers again", func() bool { return m.acked.Load() > from }); err != nil {
			return err
		}
	}
	return nil
}

// finals reads everything, and once more after a kill and a start.
func (c *Cell) finals(ctx context.Context) ([]*history.Final, error) {
	finals, err := c.finalOfEach(ctx, "")
	if err != nil {
		return finals, err
	}
	if err := c.Kill(); err != nil {
		return finals, err
	}
	if err := c.Start(ctx); err != nil {
		return finals, fmt.Errorf("after a further kill: %w", err)
	}
	after, err := c.finalOfEach(ctx, " after a kill")
	if err != nil {
		return finals, fmt.Errorf("after a further kill: %w", err)
	}
	return append(finals, after...), nil
}

// finalOfEach reads everything from every member, after all have caught up.
func (c *Cell) finalOfEach(ctx context.Context, when string) (finals []*history.Final, err error) {
	members := c.running()
	if len(members) > 1 {
		if err := c.level(ctx); err != nil {
			return nil, err
		}
	}
	for _, m := range members {
		f, err := m.current().Final(ctx)
		if err != nil {
			return finals, fmt.Errorf("%s: %w", m.Name, err)
		}
		f.Node += when
		finals = append(finals, f)
	}
	return finals, nil
}

// cleanUp ends every process and puts the tools away.
func (c *Cell) cleanUp() error { return errors.Join(c.killIfThere(), c.putAway()) }

// peak returns the memory of all members at its highest.
func (c *Cell) peak() (sum int64) {
	for _, m := range c.members {
		sum += m.peak
	}
	return sum
}

func (c *Cell) killIfThere() error {
	if c.current() == nil {
		return nil
	}
	return c.Kill()
}

// judge sets the verdict of a cell.
func judge(out *result.Cell, t *trial, c *Cell, e *check.Evidence, err error) {
	out.Observed, out.Damage, out.PeakBytes = c.observed, c.damage, c.peak()
	out.Injected, out.Healed = c.injected, c.healed
	if e != nil {
		summarize(out, e.History)
	}
	if c.migration != nil {
		out.Migration = c.migration.summary(e)
	}
	switch {
	case err == nil:
		inspect(out, c, e)
	case errors.Is(err, damage.ErrNothing):
		out.Verdict, out.Why = result.Skipped, oneLine(err)
		return
	case t.fault.MayRefuse && len(c.damage) > 0 && errors.Is(err, repo.ErrCorrupt):
		out.Verdict, out.Why = result.Detected, oneLine(err)
	default:
		out.Verdict, out.Why = result.Bad, oneLine(err)
	}
	if out.Verdict != result.Bad && c.observed == 0 {
		out.Verdict, out.Why = result.Bad, "the fault was not observed: it has struck nothing"
	}
	switch {
	case t.control != nil:
		controlled(out, err)
	case out.Verdict == result.Bad && out.Expected != "" && c.observed > 0:
		out.Verdict = result.Finding
	}
}

// inspect runs the checkers over the evidence.
func inspect(out *result.Cell, c *Cell, e *check.Evidence) {
	ctx, cancel := context.WithTimeout(context.Background(), endWait)
	defer cancel()
	out.Verdict = result.Passed
	var why []string
	for _, v := range append(check.Run(ctx, e), c.verdicts...) {
		out.Checks = append(out.Checks, result.Check{Name: v.Checker, Result: string(v.Result), Detail: v.Detail, Ops: v.Ops, Took: v.Took})
		out.Lost, out.LostFor = max(out.Lost, v.Lost), max(out.LostFor, v.LostFor)
		if v.Result != check.OK {
			out.Verdict = result.Bad
			why = append(why, fmt.Sprintf("%s is %s: %s", v.Checker, v.Result, v.Detail))
		}
	}
	out.Why = strings.Join(why, "; ")
}

// controlled turns the verdict of a cell into that of a control: it is found out by
// a checker, or by the store itself.
func controlled(out *result.Cell, err error) {
	out.Verdict = result.NotRed
	if errors.Is(err, repo.ErrCorrupt) {
		out.Verdict = result.Red
	}
	for _, v := range out.Checks {
		if v.Result == string(check.Illegal) {
			out.Verdict = result.Red
		}
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
