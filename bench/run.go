package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trihold/bench/input"
	"trihold/bench/machine"
	"trihold/bench/result"
	"trihold/bench/subject"
	"trihold/bench/workload"
	"trihold/repo"
	"trihold/repo/driver"
)

// Run compares the stores. It returns an error if it could not; a run that lost
// data, or that the machine disturbed, is part of the result. When the context
// ends, it stops all processes and removes all directories before it returns.
func Run(ctx context.Context, c Config) (_ *result.File, err error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	optional := len(c.Stores) == 0
	if optional {
		c.Stores = BuiltIn()
	}
	stores, err := findStores(c.Stores)
	if err != nil {
		return nil, err
	}
	if c.Input != nil {
		if err := c.checkInput(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(c.Dir, "trihold-bench-")
	if err != nil {
		return nil, invalid("cannot make a directory for the stores: %v: name one that exists and is writable with --dir", errors.Unwrap(err))
	}
	if !c.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	b := &bench{Config: c, dir: dir, started: time.Now()}
	if err := b.describe(); err != nil {
		return nil, err
	}
	if err := b.preflight(ctx, stores, optional); err != nil {
		return nil, err
	}
	b.progress("measuring the disk and the loopback")
	if b.file.Machine.Calibration, err = machine.Calibrate(b.dir); err != nil {
		return nil, err
	}
	if err := b.rounds(ctx); err != nil {
		return nil, err
	}
	b.file.Suite.WallS = time.Since(b.started).Seconds()
	return &b.file, b.file.Summarize()
}

// A bench is a Run under way.
type bench struct {
	Config
	dir      string
	started  time.Time
	subjects []contender
	file     result.File
	done     int // steps
}

// A contender is a subject, and how to open it.
type contender struct {
	id    string
	store store
}

// checkInput reads the input once, so that what is wrong with it is said before
// anything is made.
func (c *Config) checkInput() error {
	if c.Input.Key == "" {
		return invalid("--input needs --key: the field that identifies a record")
	}
	path, err := filepath.Abs(c.Input.Path)
	if err != nil {
		return invalid("input %s: %v", c.Input.Path, err)
	}
	in := *c.Input
	in.Path = path
	f, err := input.Scan(c.Input.Path, in.Key, in.Group, c.Rows)
	if err != nil {
		return err
	}
	c.Input, c.Rows = &in, int64(len(f.Records))
	return nil
}

func (b *bench) describe() error {
	m, err := machine.Describe(b.dir)
	if err != nil {
		return fmt.Errorf("describe the machine: %w", err)
	}
	version, revision := machine.Build()
	b.file = result.File{
		Schema: result.Schema, Machine: m,
		Suite: result.Suite{
			Verb: "bench", Version: version, Revision: revision, Command: b.Command, Seed: b.Seed, Rows: b.Rows, Clients: b.Clients,
			LoopS: b.Duration.Seconds(), Rounds: b.Rounds, Started: b.started.UTC().Truncate(time.Second), Modules: machine.Modules(),
		},
	}
	for _, name := range b.Workloads {
		w, err := workload.Lookup(name)
		if err != nil {
			return err
		}
		b.file.Workloads = append(b.file.Workloads, result.Workload{Name: name, About: w.About()})
	}
	return nil
}

// preflight opens each store once, so that one that cannot be opened is known
// before minutes have passed. With optional, such a store is left out.
func (b *bench) preflight(ctx context.Context, stores []store, optional bool) error {
	for _, s := range stores {
		b.progress("trying " + s.name)
		opened, err := b.try(ctx, s)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if optional && (errors.Is(err, repo.ErrUnavailable) || errors.Is(err, repo.ErrInvalid)) {
			b.file.LeftOut = append(b.file.LeftOut, s.name+": "+err.Error())
			continue
		}
		if err != nil {
			return fmt.Errorf("store %s: %w", s.name, err)
		}
		id := s.name + "/" + opened.Class
		if opened.Class != b.Class {
			return invalid("store %s gives class %s, but the comparison is of class %s", s.name, opened.Class, b.Class)
		}
		url, err := driver.ParseURL(s.url)
		if err != nil {
			return err
		}
		b.subjects = append(b.subjects, contender{id, s})
		b.file.Subjects = append(b.file.Subjects, result.Subject{
			ID: id, Backend: opened.Backend, Class: opened.Class, URL: redacted(url, s.url), Processes: opened.Processes,
		})
	}
	if len(b.subjects) == 0 {
		return &unavailable{"no store can be opened: " + strings.Join(b.file.LeftOut, "; ")}
	}
	return nil
}

// redacted returns a URL with its parameters, which driver.URL leaves out in case
// they are secret; those of a subject are what the comparison is about, so they
// are kept unless there is a user name.
func redacted(u *driver.URL, raw string) string {
	if _, query, has := strings.Cut(raw, "?"); has && u.User == nil {
		return u.String() + "?" + query
	}
	return u.String()
}

// An unavailable says that nothing could be opened. It is repo.ErrUnavailable.
type unavailable struct{ why string }

func (e *unavailable) Error() string { return e.why }
func (e *unavailable) Unwrap() error { return repo.ErrUnavailable }

func (b *bench) try(ctx context.Context, s store) (o subject.Opened, err error) {
	dir, err := os.MkdirTemp(b.dir, "try-")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	url, err := s.at(dir, b.Class)
	if err != nil {
		return o, err
	}
	p, err := subject.Start(b.Subject)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	spec := b.spec(b.Workloads[0], b.Seed)
	if err := p.Prepare(ctx, spec); err != nil {
		return o, err
	}
	return p.Open(ctx, url)
}

func (b *bench) spec(workload string, seed uint64) subject.Spec {
	return subject.Spec{Workload: workload, Rows: b.Rows, Seed: seed, Input: b.Input}
}

func (b *bench) rounds(ctx context.Context) error {
	order := rand.New(rand.NewPCG(b.Seed, 0))
	for round := 1; round <= b.Rounds; round++ {
		for _, w := range b.Workloads {
			h := &heat{bench: b, workload: w, round: round, seed: b.Seed<<16 + uint64(round)}
			for _, i := range order.Perm(len(b.subjects)) {
				h.runs = append(h.runs, &run{heat: h, contender: b.subjects[i], order: len(h.runs) + 1})
			}
			if err := h.run(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// progress says what is being done now.
func (b *bench) progress(what string) { b.report(Progress{What: what}) }

// step says that a step has ended.
func (b *bench) step(outcome string) {
	b.done++
	b.report(Progress{What: outcome, Finished: outcome})
}

func (b *bench) report(p Progress) {
	p.Done, p.Total = b.done, 2*b.Rounds*len(b.Workloads)*len(b.subjects)
	if b.done > 0 {
		p.Left = time.Since(b.started) * time.Duration(p.Total-p.Done) / time.Duration(p.Done)
	}
	b.Progress(p)
}
