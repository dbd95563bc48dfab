package fault

import (
	"context"
	"fmt"
	"time"

	"trihold/bench/fault/simulate"
	"trihold/bench/result"
)

// A Simulated is a store that can be opened on a simulated disk, in this process:
// thousands of short lives take minutes.
type Simulated struct {
	Subject   string // the subject that it stands for
	Open      simulate.Open
	Unchecked simulate.Open // with its checksums switched off, for a control
}

// simulatedPrefix begins the names of campaigns on a simulated disk.
const simulatedPrefix = "simulated-"

// iterations of a campaign; of one that must be found out, a few are enough.
const (
	quickIterations    = 300
	standardIterations = 2500
	controlIterations  = 60
)

// A simulation is a campaign in the place of a script.
type simulation struct {
	campaign   simulate.Campaign
	control    simulate.Control // simulate.None unless it must be found out
	iterations int
}

func (s *simulation) name() string {
	if s.control != simulate.None {
		return "control-" + string(s.control)
	}
	return simulatedPrefix + s.campaign.Name
}

// simulations returns the cells on a simulated disk, controls first.
func (r *run) simulations(subjects []Subject, faults []Fault) []*trial {
	sim := r.config.Simulated
	iterations := standardIterations
	if r.config.Quick {
		iterations = quickIterations
	}
	var controls, cells []*trial
	for _, s := range subjects {
		if sim == nil || s.Name != sim.Subject {
			continue
		}
		for _, f := range faults {
			if f.campaign == nil {
				continue
			}
			for _, k := range f.campaign.Controls {
				controls = append(controls, r.simulated(s, &simulation{*f.campaign, k, controlIterations}))
			}
			cells = append(cells, r.simulated(s, &simulation{*f.campaign, simulate.None, iterations}))
		}
	}
	return append(controls, cells...)
}

func (r *run) simulated(s Subject, sim *simulation) *trial {
	seed := cellSeed(r.config.Seed, sim.campaign.Name, s.Name, 0)
	return &trial{fault: Fault{Name: sim.name()}, subject: s, seed: seed, simulation: sim}
}

// simulatedFaults are campaigns on a simulated disk.
func simulatedFaults() []Fault {
	numbers := map[string]string{"powercut": "F26 F27 F28 F43", "damage": "F29 F30 F31", "sweep": "F05 F43", "ioerror": "F20 F23 F24 F25"}
	var faults []Fault
	for _, campaign := range simulate.Campaigns() {
		faults = append(faults, Fault{
			Name: simulatedPrefix + campaign.Name, About: "on a simulated disk: " + campaign.Why, Numbers: numbers[campaign.Name], Quick: true, campaign: &campaign,
		})
	}
	return faults
}

// simulate runs a campaign.
func (r *run) simulate(ctx context.Context, t *trial) result.Cell {
	began := time.Now()
	s := t.simulation
	out := result.Cell{ID: t.id(), Replay: r.replayLine(t), Fault: s.name(), Subject: t.subject.Name, Seed: t.seed, Control: s.control != simulate.None}
	c := simulate.Config{Open: r.config.Simulated.Open, Unchecked: r.config.Simulated.Unchecked, Seed: t.seed, Iterations: s.iterations, Control: s.control}
	if s.campaign.Name == "sweep" && s.iterations > 1 {
		c.Seed, c.Iterations = 0, 0 // seeds are positions, all of them
	}
	got, err := s.campaign.Run(ctx, c)
	out.Observed, out.Lost, out.Wall = int64(got.Injected), got.Lost, time.Since(began)
	out.Acked, out.Ops = int(got.Acked), int(got.Acked)
	out.Simulations = &result.Simulations{Iterations: got.Iterations, Injected: int64(got.Injected), Acked: got.Acked,
		Detected: got.Detected, Repaired: got.Repaired, Unaffected: got.Unaffected, Silent: got.Silent}
	for i, f := range got.Failures {
		if i == 0 {
			out.Why = fmt.Sprintf("%d of %d went wrong, the first: %s", len(got.Failures), got.Iterations, f.What)
			out.Replay = fmt.Sprintf("trihold fault --replay %s@%s@%d", s.name(), t.subject.Name, f.Seed)
		}
	}
	switch {
	case err != nil:
		out.Verdict, out.Why = result.Bad, oneLine(err)
	case out.Control && got.OK():
		out.Verdict = result.NotRed
	case out.Control:
		out.Verdict = result.Red
	case !got.OK():
		out.Verdict = result.Bad
	case got.Injected == 0:
		out.Verdict, out.Why = result.Bad, "the fault was not observed: it has struck nothing"
	default:
		out.Verdict = result.Passed
	}
	return out
}
