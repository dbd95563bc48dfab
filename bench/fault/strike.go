package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/bench/fault/steps"
	"trihold/bench/proc"
	"trihold/repo/migrate"
)

// A struckProcess is what a strike kills.
type struckProcess string

const (
	program struckProcess = "program" // with everything that it has started
	source  struckProcess = "source"  // a process of the store where the data was
	target  struckProcess = "target"
)

// A strike is a kill that is going to be.
type strike struct {
	verb   migrate.Verb  // during which it is to be
	rule   steps.Rule    // where; without a step, after a delay
	delay  time.Duration // since it was asked for
	victim struckProcess
	early  bool // and once more while the program starts
	done   bool
}

// name says where a strike has hit.
func (s *strike) name() string {
	if s.rule.Step == "" {
		return "during " + string(s.verb)
	}
	if s.rule.After {
		return "after " + string(s.rule.Step)
	}
	return "before " + string(s.rule.Step)
}

// reachable are the steps that each command comes to.
var reachable = map[migrate.Verb][]steps.Rule{
	migrate.DoStart:    {{Step: steps.Start}, {Step: steps.First}, {Step: steps.Chunk, Skip: 8}, {Step: steps.Chunk, Skip: 8}},
	migrate.DoVerify:   {{Step: steps.Tail, Skip: 4}, {Step: steps.Read, Skip: 40}, {Step: steps.Verified}},
	migrate.DoCutover:  cutting,
	migrate.DoRollback: cutting,
	migrate.DoComplete: {{Step: steps.Complete}, {Step: steps.Completed}},
	stay:               {{Step: steps.Tail, Skip: 10}},
}

var cutting = []steps.Rule{{Step: steps.Fence}, {Step: steps.Tail}, {Step: steps.Decide}, {Step: steps.Open}, {Step: steps.Cut}}

// choose chooses one to three strikes, during different commands.
func (m *migration) choose() []*strike {
	r := m.cell.Rand
	verbs := []migrate.Verb{migrate.DoStart, migrate.DoVerify, migrate.DoCutover, migrate.DoCutover, migrate.DoRollback, migrate.DoComplete, stay}
	r.Shuffle(len(verbs), func(i, j int) { verbs[i], verbs[j] = verbs[j], verbs[i] })
	var out []*strike
	for _, verb := range verbs[:3+r.IntN(3)] {
		s := &strike{verb: verb, victim: program, early: r.IntN(4) == 0}
		if rules := reachable[verb]; r.IntN(4) > 0 {
			s.rule = rules[r.IntN(len(rules))]
			s.rule.Skip = r.IntN(s.rule.Skip + 1)
			s.rule.After = r.IntN(2) == 0 && s.rule.Step != steps.Read
		}
		s.delay = m.cell.Between(0, 120*time.Millisecond)
		if r.IntN(3) == 0 && m.cell.Subject.From == "rqlite" {
			s.victim = source
		} else if r.IntN(3) == 0 && m.cell.Subject.To == "rqlite" {
			s.victim = target
		}
		out = append(out, s)
	}
	return out
}

// due returns the strike that is to be during a command; nil if there is none.
func (m *migration) due(verb migrate.Verb) *strike {
	i := slices.IndexFunc(m.strikes, func(s *strike) bool { return s.verb == verb && !s.done })
	if i < 0 {
		return nil
	}
	m.strikes[i].done = true
	return m.strikes[i]
}

// stepWait is how long a step may take to come after the answer to the command: what
// follows goes on behind it.
const stepWait = time.Second

// do asks for something, and strikes if that is due.
func (m *migration) do(ctx context.Context, verb migrate.Verb) error {
	s := m.due(verb)
	if s == nil {
		return m.judge(ctx, verb, <-m.ask(ctx, verb))
	}
	var struck <-chan error
	var elapsed <-chan time.Time
	if s.rule.Step == "" {
		elapsed = time.After(s.delay)
	} else {
		var err error
		if struck, err = m.arm(ctx, s.rule); err != nil {
			return err
		}
	}
	answered := m.ask(ctx, verb)
	var late <-chan time.Time
	for {
		select {
		case <-elapsed:
			return m.strike(ctx, s, answered)
		case err := <-struck:
			if err != nil {
				return fmt.Errorf("wait for the step %s: %w", s.rule.Step, err)
			}
			return m.strike(ctx, s, answered)
		case err := <-answered:
			switch {
			case err != nil || elapsed != nil || verb != migrate.DoStart && verb != stay:
				m.counts.Missed++
				return errors.Join(m.cell.current().Arm(ctx, steps.Rule{}), m.judge(ctx, verb, err))
			}
			late, answered = time.After(stepWait), nil
		case <-late:
			m.counts.Missed++
			return m.cell.current().Arm(ctx, steps.Rule{})
		}
	}
}

// arm puts a rule in force, and returns where its strike will be told.
func (m *migration) arm(ctx context.Context, r steps.Rule) (<-chan error, error) {
	n := m.cell.current()
	if err := n.Arm(ctx, r); err != nil {
		return nil, err
	}
	struck := make(chan error, 1)
	go func() { struck <- n.Await(ctx) }()
	return struck, nil
}

// strike strikes, and waits until what was asked for has ended, one way or the other.
func (m *migration) strike(ctx context.Context, s *strike, answered <-chan error) error {
	if err := m.hit(ctx, s, s.name()); err != nil {
		return err
	}
	if m.undoes(s) {
		m.counts.Undone++
	}
	if answered == nil {
		return nil
	}
	err := <-answered
	if err != nil && s.victim != program && strings.Contains(err.Error(), "undone") {
		m.counts.Undone++
	}
	return nil // whoever answers was hit: what came of it is seen by the status
}

// undoes reports whether a program that was killed there must have undone a cutover
// when it is started.
func (m *migration) undoes(s *strike) bool {
	r := s.rule
	return s.victim == program && (r.Step == steps.Fence && r.After || r.Step == steps.Decide && !r.After)
}

// hit kills a process.
func (m *migration) hit(ctx context.Context, s *strike, where string) error {
	c := m.cell
	if s.victim != program {
		pids, err := m.processes(s.victim)
		if err != nil {
			return err
		}
		if len(pids) > 0 {
			m.count(fmt.Sprintf("%s, the %s's process", where, s.victim))
			for _, pid := range pids {
				err = errors.Join(err, proc.Tree{Root: pid}.Kill())
			}
			return errors.Join(err, c.current().Release(ctx))
		}
	}
	m.count(where)
	if err := c.Kill(); err != nil {
		return err
	}
	if s.early {
		m.count("while starting")
		if err := c.StartAndKill(ctx, c.Between(time.Millisecond, 80*time.Millisecond)); err != nil {
			return err
		}
	}
	return c.Start(ctx)
}

func (m *migration) count(where string) {
	m.counts.Strikes[where]++
	m.cell.Observe(1)
}

// processes returns the processes of one of the two stores.
func (m *migration) processes(of struckProcess) ([]int, error) {
	place := m.places[0]
	if of == target {
		place = m.places[1]
	}
	_, path, _ := strings.Cut(place, m.cell.Dir)
	path, _, _ = strings.Cut(path, "?")
	all, err := m.cell.current().Tree().PIDs()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, pid := range all[1:] {
		args, err := proc.Args(pid)
		if err == nil && strings.Contains(strings.Join(args, " "), m.cell.Dir+path+"/") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
