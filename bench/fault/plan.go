package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"trihold/bench/fault/node"
	"trihold/bench/fault/simulate"
	"trihold/bench/fault/traffic"
	"trihold/bench/result"
)

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
	for i, s := range subjects {
		if s.To != "" && i > 0 && r.config.Quick {
			break // whoever is blind for one move is for all
		}
		for _, k := range controls(s) {
			trials = append(trials, &trial{fault: k.of, subject: s, seed: cellSeed(r.config.Seed, k.name, s.Name, 0), control: &k})
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
	var out []Subject
	for _, s := range subjects {
		if len(r.config.Faults) == 0 && f.Nodes.unfit(s) != "" {
			continue // nobody has asked for this pair
		}
		if len(r.config.Stores) == 0 && f.Fits != nil && f.Fits(s) != "" {
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
var defaults = []string{"inmem/disk", "sqlite/disk", "rqlite/disk", "inmem/quorum"}

// subjects returns those to break, having opened each once.
func (r *run) subjects(ctx context.Context) ([]Subject, error) {
	names := r.config.Stores
	if len(names) == 0 {
		names = defaults
	}
	if len(r.config.Stores) == 0 && r.config.Migrations {
		names = []string{liveBackend}
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
	if s.Nodes > 1 {
		c := &Cell{Subject: s, Dir: dir, Rand: rand.New(rand.NewPCG(1, 1)), run: r, volume: r.volume(s), crowd: &traffic.Crowd{Setup: traffic.DefaultSetup}}
		if err := c.prepareMembers(); err != nil {
			return errors.Join(err, c.putAway())
		}
		ctx, cancel := context.WithTimeoutCause(ctx, gateWait, fmt.Errorf("it is not open after %v", gateWait))
		defer cancel()
		return errors.Join(c.Start(ctx), c.cleanUp())
	}
	urls := []string{s.at(dir)}
	if s.To != "" {
		urls = append(urls, strings.ReplaceAll(placeURL(s.To, "target"), dirMark, dir))
	}
	for _, url := range urls {
		n, err := node.Start(node.Config{Command: r.config.Node(nil), Name: "n1", URL: url, Setup: traffic.DefaultSetup})
		if err != nil {
			return err
		}
		if _, err := n.Open(ctx); err != nil {
			return errors.Join(err, n.Kill())
		}
		if err := n.Stop(); err != nil {
			return err
		}
	}
	return nil
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
	for _, k := range controls(t.subject) {
		if k.name == parts[0] {
			t.control, t.fault = &k, k.of
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
