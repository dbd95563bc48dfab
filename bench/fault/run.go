package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trihold/bench"
	"trihold/bench/fault/check"
	"trihold/bench/fault/fusefs"
	"trihold/bench/machine"
	"trihold/bench/report"
	"trihold/bench/result"
)

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
	// A run that was killed may have left mounts, which nobody serves.
	if _, err := fusefs.Clean(c.Dir); err != nil {
		return nil, fmt.Errorf("clean up after an earlier run: %w", err)
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
	if file.Cells, err = r.cells(ctx, trials, began); err != nil {
		return nil, err
	}
	file.LeftOut = r.leftOut
	file.Subjects = subjectsOf(trials)
	file.Suite.WallS = time.Since(began).Seconds()
	return file, nil
}

// cells runs the cells, one after the other.
func (r *run) cells(ctx context.Context, trials []*trial, began time.Time) (cells []result.Cell, err error) {
	for i, t := range trials {
		var left time.Duration
		if i > 0 {
			left = time.Since(began) / time.Duration(i) * time.Duration(len(trials)-i)
		}
		r.config.Progress(bench.Progress{Done: i, Total: len(trials), What: t.id(), Left: left})
		cell := r.cell(ctx, t)
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		cells = append(cells, cell)
		r.config.Progress(bench.Progress{Done: i + 1, Total: len(trials), Finished: report.CellLine(cell), Left: left})
	}
	return cells, nil
}

func (r *run) volume(s Subject) volume {
	if s.Nodes > 1 {
		return clusterVolume
	}
	if r.config.Quick || r.config.Migrations {
		return quickVolume
	}
	return standardVolume
}

// replayLine is the command that runs a cell again.
func (r *run) replayLine(t *trial) string {
	line := "trihold fault "
	if r.config.Quick || r.config.Migrations {
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
	if why == "" && t.control == nil {
		why = t.fault.Nodes.unfit(t.subject)
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
	err := errors.Join(os.MkdirAll(r.config.Out, 0o777), os.RemoveAll(to), removeSockets(c.home))
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

// removeSockets removes what cannot be copied.
func removeSockets(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSocket == 0 {
			return err
		}
		return os.Remove(path)
	})
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
