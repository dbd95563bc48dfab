package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"trihold/bench"
	"trihold/bench/fault/check"
	"trihold/bench/fault/node"
	"trihold/bench/fault/simulate"
	"trihold/bench/fault/syscalls"
	"trihold/bench/fault/traffic"
	"trihold/bench/machine"
	"trihold/bench/report"
	"trihold/bench/result"
	"trihold/repo"
)

// A Config says what to break. The zero value of a field means its default.
type Config struct {
	// Node makes a command that runs node.Serve on its standard input and output,
	// after a call of syscalls.Install if there is a link. There is no default.
	Node func(*syscalls.Link) *exec.Cmd
	// Stores are subjects, or backends for all of theirs. Default: a subject for
	// each backend that can be opened, in class disk, and for the faults that need
	// it the one with a replica.
	Stores []string
	Faults []string // default: all
	Extra  []Fault  // known besides those of the Catalogue
	// Simulated is a store on a simulated disk; nil leaves those cells out.
	Simulated *Simulated
	Quick     bool   // of all, a dozen that tell most, and less traffic
	Rounds    int    // how often each is run, with another seed; default 1
	Seed      uint64 // default 1
	// Replay is the ID of a cell that is run alone, instead of all this.
	Replay  string
	Dir     string // where the directories are made; default that of temporary files
	Out     string // where what is left of bad cells is kept; default Dir
	Keep    bool   // keep the directories of all cells
	Command string // what the user typed, for the result
	// Progress is told how far it is. It is called by one goroutine at a time.
	Progress func(bench.Progress)
}

// An Invalid is a Config that cannot be run. It is repo.ErrInvalid.
type Invalid struct{ Why string }

func (e *Invalid) Error() string { return e.Why }
func (e *Invalid) Unwrap() error { return repo.ErrInvalid }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// A run is the cells of one Config.
type run struct {
	config  Config
	dir     string // of everything that the run makes
	leftOut []string
}

// Run breaks what the configuration says, and returns what was seen. An error is
// that of the run itself; what the cells found is in the result.
func Run(ctx context.Context, c Config) (_ *result.File, err error) {
	began := time.Now()
	if err := c.complete(); err != nil {
		return nil, err
	}
	r := &run{config: c}
	if r.dir, err = os.MkdirTemp(c.Dir, "trihold-fault-"); err != nil {
		return nil, invalid("cannot make a directory for the stores: %v: name one that exists and is writable with --dir", errors.Unwrap(err))
	}
	defer func() {
		if removeErr := os.RemoveAll(r.dir); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("something holds on to the directory: %w", removeErr))
		}
	}()
	trials, err := r.plan(ctx)
	if err != nil {
		return nil, err
	}
	file := &result.File{Schema: result.Schema, Suite: r.suite(began)}
	if file.Machine, err = machine.Describe(r.dir); err != nil {
		return nil, err
	}
	for i, t := range trials {
		var left time.Duration
		if i > 0 {
			left = time.Since(began) / time.Duration(i) * time.Duration(len(trials)-i)
		}
		c.Progress(bench.Progress{Done: i, Total: len(trials), What: t.id(), Left: left})
		cell := r.cell(ctx, t)
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		file.Cells = append(file.Cells, cell)
		c.Progress(bench.Progress{Done: i + 1, Total: len(trials), Finished: report.CellLine(cell), Left: left})
	}
	file.LeftOut = r.leftOut
	file.Subjects = subjectsOf(trials)
	file.Suite.WallS = time.Since(began).Seconds()
	return file, nil
}

// complete fills in the defaults and checks the configuration.
func (c *Config) complete() error {
	if c.Rounds == 0 {
		c.Rounds = 1
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Out == "" {
		c.Out = c.Dir
	}
	if c.Progress == nil {
		c.Progress = func(bench.Progress) {}
	}
	switch {
	case c.Rounds < 1:
		return invalid("--rounds is %d; it must be at least 1", c.Rounds)
	case c.Replay != "" && (len(c.Stores) > 0 || len(c.Faults) > 0):
		return invalid("a replay names its fault and its store; leave out --faults and --stores")
	}
	return nil
}

// plan returns the cells to run, controls first: if they are not found out, the
// rest proves nothing.
func (r *run) plan(ctx context.Context) ([]*trial, error) {
	if r.config.Replay != "" {
		t, err := r.config.parseTrial(r.config.Replay)
		return []*trial{t}, err
	}
	faults, err := r.config.faults(r.config.Faults)
	if err != nil {
		return nil, err
	}
	subjects, err := r.subjects(ctx)
	if err != nil {
		return nil, err
	}
	var trials []*trial
	for _, s := range subjects {
		for _, k := range controls() {
			trials = append(trials, &trial{fault: Fault{}, subject: s, seed: cellSeed(r.config.Seed, k.name, s.Name, 0), control: &k})
		}
	}
	trials = append(trials, r.simulations(subjects, faults)...)
	for round := range r.config.Rounds {
		for _, f := range faults {
			if f.campaign != nil {
				continue
			}
			for _, s := range r.suitable(f, subjects) {
				trials = append(trials, &trial{fault: f, subject: s, seed: cellSeed(r.config.Seed, f.Name, s.Name, round)})
			}
		}
	}
	return trials, nil
}

// suitable returns the subjects that a fault is run on. If none is named, one with
// a replica takes the place of its backend's default in faults of replicas.
func (r *run) suitable(f Fault, subjects []Subject) []Subject {
	if len(r.config.Stores) > 0 || f.Fits == nil {
		return subjects
	}
	var out []Subject
	for _, s := range subjects {
		if f.Fits(s) != "" {
			i := slices.IndexFunc(Subjects(), func(o Subject) bool { return o.Backend == s.Backend && f.Fits(o) == "" })
			if i >= 0 {
				s = Subjects()[i]
			}
		}
		out = append(out, s)
	}
	return out
}

// defaults are the subjects of a run that names none.
var defaults = []string{"inmem/disk", "sqlite/disk", "rqlite/disk"}

// subjects returns those to break, having opened each once.
func (r *run) subjects(ctx context.Context) ([]Subject, error) {
	names := r.config.Stores
	if len(names) == 0 {
		names = defaults
	}
	found, err := findSubjects(names)
	if err != nil {
		return nil, err
	}
	var out []Subject
	for _, s := range found {
		switch err := r.probe(ctx, s); {
		case err == nil:
			out = append(out, s)
		case len(r.config.Stores) > 0 || ctx.Err() != nil:
			return nil, fmt.Errorf("open %s: %w", s.Name, err)
		default:
			r.leftOut = append(r.leftOut, fmt.Sprintf("%s: %s", s.Name, oneLine(err)))
		}
	}
	return out, nil
}

// probe opens a subject's store once.
func (r *run) probe(ctx context.Context, s Subject) (err error) {
	dir, err := os.MkdirTemp(r.dir, "probe-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	n, err := node.Start(node.Config{Command: r.config.Node(nil), Name: "n1", URL: s.at(dir), Setup: traffic.DefaultSetup})
	if err != nil {
		return err
	}
	if _, err := n.Open(ctx); err != nil {
		return errors.Join(err, n.Kill())
	}
	return n.Stop()
}

// parseTrial returns the cell of an ID.
func (c Config) parseTrial(id string) (*trial, error) {
	parts := strings.Split(id, "@")
	if len(parts) != 3 {
		return nil, invalid("a cell is fault@store@seed, and not %q", id)
	}
	seed, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return nil, invalid("the seed %q of a cell is no number", parts[2])
	}
	subjects, err := findSubjects(parts[1:2])
	if err != nil {
		return nil, err
	}
	t := &trial{subject: subjects[0], seed: seed}
	for _, k := range controls() {
		if k.name == parts[0] {
			t.control = &k
			return t, nil
		}
	}
	faults, err := c.faults(parts[:1])
	if err != nil {
		return nil, err
	}
	t.fault = faults[0]
	if t.fault.campaign != nil {
		if c.Simulated == nil || t.subject.Name != c.Simulated.Subject {
			return nil, invalid("%s is not simulated", t.subject.Name)
		}
		t.simulation = &simulation{*t.fault.campaign, simulate.None, 1}
	}
	return t, nil
}

func (r *run) volume() volume {
	if r.config.Quick {
		return quickVolume
	}
	return standardVolume
}

// replayLine is the command that runs a cell again.
func (r *run) replayLine(t *trial) string {
	line := "trihold fault "
	if r.config.Quick {
		line += "--quick "
	}
	return line + "--replay " + t.id()
}

// cell runs a cell, unless it cannot run here.
func (r *run) cell(ctx context.Context, t *trial) result.Cell {
	if t.simulation != nil {
		return r.simulate(ctx, t)
	}
	why := missing(t.needs())
	if t.fault.Fits != nil && t.fault.Fits(t.subject) != "" {
		why = t.fault.Fits(t.subject)
	}
	if t.needs().Link && t.subject.Linked == "" {
		why = "there is no connection: the store is in the program's own process"
	}
	if why != "" {
		name, _, _ := strings.Cut(t.id(), "@")
		return result.Cell{ID: t.id(), Fault: name, Subject: t.subject.Name, Seed: t.seed, Verdict: result.Skipped, Why: why}
	}
	return r.live(ctx, t)
}

// keep keeps what is left of a bad cell, and removes it otherwise.
func (r *run) keep(out *result.Cell, c *Cell, e *check.Evidence) {
	bad := out.Verdict == result.Bad || out.Verdict == result.Finding
	if !bad && !r.config.Keep {
		if err := os.RemoveAll(c.home); err != nil {
			out.Verdict, out.Why = result.Bad, fmt.Sprintf("something holds on to the directory: %v", err)
		}
		return
	}
	to := filepath.Join(r.config.Out, strings.ReplaceAll(out.ID, "/", "-"))
	err := errors.Join(os.MkdirAll(r.config.Out, 0o777), os.RemoveAll(to))
	if err == nil {
		err = os.CopyFS(to, os.DirFS(c.home)) // Out may be on another file system
	}
	if err == nil && e != nil {
		err = errors.Join(e.History.Write(filepath.Join(to, "history.ndjson.gz")), writeJSON(filepath.Join(to, "finals.json"), e.Finals))
	}
	if err != nil {
		out.Why += fmt.Sprintf(" (what is left could not be kept: %v)", err)
		return
	}
	out.Artefacts = []string{to}
}

func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func (r *run) suite(began time.Time) result.Suite {
	version, revision := machine.Build()
	return result.Suite{Verb: "fault", Version: version, Revision: revision, Modules: machine.Modules(), Command: r.config.Command,
		Tier: tier(), Seed: r.config.Seed, Rounds: r.config.Rounds, Started: began.UTC().Truncate(time.Second)}
}

func subjectsOf(trials []*trial) []result.Subject {
	var out []result.Subject
	for _, t := range trials {
		s := result.Subject{ID: t.subject.Name, Backend: t.subject.Backend, Class: t.subject.Class, URL: t.subject.URL}
		if !slices.ContainsFunc(out, func(o result.Subject) bool { return o.ID == s.ID }) {
			out = append(out, s)
		}
	}
	return out
}
