package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"trihold/bench/load"
	"trihold/bench/proc"
	"trihold/bench/result"
	"trihold/bench/subject"
	"trihold/repo/driver"
)

// A heat is one workload in one round on all subjects.
type heat struct {
	*bench
	workload string
	round    int
	seed     uint64
	runs     []*run // in their order
}

// A run is one workload in one round on one subject.
type run struct {
	*heat
	contender
	order   int
	dir     string
	url     string
	process *subject.Process
	result  result.Run
}

func (h *heat) run(ctx context.Context) (err error) {
	defer func() {
		for _, r := range h.runs {
			err = errors.Join(err, r.cleanup())
		}
	}()
	phase := func(step func(*run, context.Context) error) error {
		for _, r := range h.runs {
			if r.result.Failed != "" {
				h.step(r.name() + ": left out, it has failed")
				continue
			}
			err := step(r, ctx)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				r.result.Failed = err.Error()
				h.step(r.name() + ": " + err.Error())
				if err := r.cleanup(); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := phase((*run).fill); err != nil {
		return err
	}
	rate := h.commonRate()
	if err := phase(func(r *run, ctx context.Context) error { return r.compare(ctx, rate) }); err != nil {
		return err
	}
	for _, r := range h.runs {
		if r.result.Failed != "" { // no numbers
			r.result = result.Run{Workload: r.result.Workload, Subject: r.id, Round: r.round, Order: r.order, Seed: r.seed, Failed: r.result.Failed}
		}
		h.file.Runs = append(h.file.Runs, r.result)
	}
	return nil
}

// commonRate returns the rate of the open loops: what the slowest subject can do
// twice over.
func (h *heat) commonRate() float64 {
	if h.Rate > 0 {
		return h.Rate
	}
	lowest := math.Inf(1)
	for _, r := range h.runs {
		if r.result.Failed == "" {
			lowest = min(lowest, r.result.Closed.Rate)
		}
	}
	return max(1, math.Floor(min(lowest/2, maxRate)))
}

func (r *run) name() string { return fmt.Sprintf("%s, round %d, %s", r.workload, r.round, r.id) }

func (r *run) doing(what string) { r.progress(r.name() + ": " + what) }

// fill starts the subject, loads it and drives it by a closed loop.
func (r *run) fill(ctx context.Context) (err error) {
	r.result = result.Run{Workload: r.workload, Subject: r.id, Round: r.round, Order: r.order, Seed: r.seed, Memory: &result.Memory{}}
	if r.dir, err = os.MkdirTemp(r.bench.dir, "run-"); err != nil {
		return err
	}
	if r.url, err = r.store.at(r.dir, r.Class); err != nil {
		return err
	}
	r.doing("loading")
	if r.process, err = r.start(ctx); err != nil {
		return err
	}
	if r.result.Memory.Base, err = r.process.Tree().PSS(); err != nil {
		return err
	}
	watch := r.watchMemory()
	defer func() { err = errors.Join(err, watch()) }()
	if _, err := r.process.Open(ctx, r.url); err != nil {
		return err
	}
	l, err := r.process.Load(ctx, func(rows int64) { r.report(Progress{What: r.name() + ": loading", Rows: rows}) })
	if err != nil {
		return err
	}
	r.result.Load = &l
	r.doing("closed loop")
	r.result.Closed, err = r.process.Closed(ctx, subject.Clients{Clients: r.Clients, Duration: r.Duration, Seed: r.seed << 16})
	if err != nil {
		return err
	}
	if r.result.Closed.Done == 0 {
		return fmt.Errorf("no operation succeeded: %v", r.result.Closed.Errors)
	}
	r.step(fmt.Sprintf("%s: closed loop %.0f/s", r.name(), r.result.Closed.Rate))
	return nil
}

// start starts a process that is ready to open the store.
func (r *run) start(ctx context.Context) (*subject.Process, error) {
	p, err := subject.Start(r.Subject)
	if err != nil {
		return nil, err
	}
	if err := p.Prepare(ctx, r.spec(r.workload, r.seed)); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// watchMemory samples the memory until the returned function is called.
func (r *run) watchMemory() (stop func() error) {
	s := proc.Sample(r.process.Tree())
	return func() error {
		peak, err := s.Stop()
		r.result.Memory.Peak = max(r.result.Memory.Peak, peak)
		return err
	}
}

// repeats is how often an open loop is run again if the generator was late. A
// machine that others use too is late now and then.
const repeats = 3

// settleWait lets memory that was given back leave the page tables.
const settleWait = 100 * time.Millisecond

// compare drives the subject by an open loop, measures and verifies it, kills it,
// and recovers it.
func (r *run) compare(ctx context.Context, rate float64) error {
	if err := r.paced(ctx, rate); err != nil {
		return err
	}
	r.doing("verifying")
	if err := r.process.Settle(ctx); err != nil {
		return err
	}
	time.Sleep(settleWait)
	var err error
	if r.result.Memory.Settled, err = r.process.Tree().PSS(); err != nil {
		return err
	}
	if r.result.Disk, err = diskUsage(r.dir); err != nil {
		return err
	}
	v, err := r.process.Verify(ctx)
	if err != nil {
		return err
	}
	r.result.Verified = &result.Verified{Rows: v.Rows, Digest: v.Digest, Rev: int64(v.Rev)}
	if err := r.recover(ctx, v); err != nil {
		return fmt.Errorf("after kill -9: %w", err)
	}
	if !r.Keep {
		if err := os.RemoveAll(r.dir); err != nil {
			return fmt.Errorf("remove the run's directory: %w", err)
		}
	}
	r.step(r.outcome())
	return nil
}

func (r *run) outcome() string {
	if len(r.result.Invalid) > 0 {
		return r.name() + ": invalid: " + r.result.Invalid[0]
	}
	return fmt.Sprintf("%s: open loop %.0f/s, %d rows verified", r.name(), r.result.Open.Rate, r.result.Verified.Rows)
}

func (r *run) paced(ctx context.Context, rate float64) (err error) {
	watch := r.watchMemory()
	defer func() { err = errors.Join(err, watch()) }()
	for n := 0; ; n++ {
		r.doing(fmt.Sprintf("open loop at %.0f/s", rate))
		l, err := r.process.Paced(ctx, subject.Paced{PerSecond: rate, Duration: r.Duration, Seed: r.seed<<16 + 1<<15 + uint64(n)})
		if err != nil {
			return err
		}
		l.Repeats = n
		r.result.Open = l
		if l.LagP99 <= load.MaxLag {
			return nil
		}
		if n == repeats {
			r.result.Invalid = append(r.result.Invalid, fmt.Sprintf(
				"the generator was late: send lag p99 %v, allowed are %v; leave the machine alone, or lower --rate", l.LagP99.Round(10*time.Microsecond), load.MaxLag))
			return nil
		}
	}
}

// recover kills all processes of the subject and opens what is left in a new one.
func (r *run) recover(ctx context.Context, v subject.Verified) error {
	if r.Class == string(driver.Memory) {
		return r.stop() // nothing survives
	}
	r.doing("kill -9 and recovery")
	next, err := r.start(ctx)
	if err != nil {
		return err
	}
	err = r.process.Kill()
	r.process = next
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := next.Open(ctx, r.url); err != nil {
		return err
	}
	if err := next.Check(ctx, subject.Expected{Probes: v.Probes[:min(1, len(v.Probes))]}); err != nil {
		return err
	}
	r.result.Recovery = &result.Recovery{FirstRead: time.Since(start)}
	if err := next.Check(ctx, subject.Expected{Probes: v.Probes, Digest: v.Digest}); err != nil {
		return err
	}
	r.result.Recovery.Verified = true
	if err := next.Close(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return r.stop()
}

func (r *run) stop() error {
	if r.process == nil {
		return nil
	}
	err := r.process.Stop()
	r.process = nil
	return err
}

// cleanup ends what is left of the run.
func (r *run) cleanup() error {
	err := r.stop()
	if r.dir == "" || r.Keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// diskUsage returns the bytes allocated to the files below dir.
func diskUsage(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure disk usage: %w", err)
	}
	return sum, nil
}

// ignoreGone forgives a file that its owner has removed meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
