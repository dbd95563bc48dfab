package corruption

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"trihold/internal/anatomy"
)

// An Outcome is what a store made of a damage.
type Outcome string

// The outcomes. All but the first two are failures.
const (
	Refused     Outcome = "refused"     // it does not start, and says why and what to do
	Unharmed    Outcome = "unharmed"    // it starts with exactly what it had
	Silent      Outcome = "silent"      // it starts with something else
	Unhelpful   Outcome = "unhelpful"   // it does not say what is damaged, or what to do
	Misreported Outcome = "misreported" // it does not start, with another error than ErrCorrupt
	Broken      Outcome = "broken"      // it does not go on, or not once the damage is undone
)

func (o Outcome) good() bool { return o == Refused || o == Unharmed }

// A Result is what a run found.
type Result struct {
	Cases    int             `json:"cases"`
	Outcomes map[Outcome]int `json:"outcomes"`
	Tallies  []*Tally        `json:"tallies"`
	Failures []Failure       `json:"failures"`
	Took     time.Duration   `json:"took"`
}

// A Subject is what was damaged.
type Subject struct {
	Name   string  `json:"name"`
	Result *Result `json:"result"`
}

// A Tally counts the outcomes of one damage to one part of one kind of file.
type Tally struct {
	File     string          `json:"file"`
	Part     string          `json:"part"`
	Damage   Damage          `json:"damage"`
	Cases    int             `json:"cases"`
	Outcomes map[Outcome]int `json:"outcomes"`
}

// A Failure is a case that went wrong.
type Failure struct {
	Seed    uint64  `json:"seed"` // of the image
	Image   string  `json:"image"`
	Outcome Outcome `json:"outcome"`
	What    string  `json:"what"`
	Why     string  `json:"why"`
}

func (f Failure) String() string {
	return fmt.Sprintf("%s: seed %d, %s, %s: %s", f.Outcome, f.Seed, f.Image, f.What, f.Why)
}

// OK reports whether nothing went wrong.
func (r *Result) OK() bool { return len(r.Failures) == 0 && r.Outcomes[Silent] == 0 }

// count takes note of a case.
func (r *Result) count(t target, o Outcome) {
	r.tally(anatomy.Kind(t.file), t.part, t.damage).add(1, map[Outcome]int{o: 1})
	r.Cases++
	if r.Outcomes == nil {
		r.Outcomes = map[Outcome]int{}
	}
	r.Outcomes[o]++
}

func (r *Result) tally(file, part string, damage Damage) *Tally {
	for _, t := range r.Tallies {
		if t.File == file && t.Part == part && t.Damage == damage {
			return t
		}
	}
	t := &Tally{File: file, Part: part, Damage: damage, Outcomes: map[Outcome]int{}}
	r.Tallies = append(r.Tallies, t)
	return t
}

func (t *Tally) add(cases int, outcomes map[Outcome]int) {
	t.Cases += cases
	for o, n := range outcomes {
		t.Outcomes[o] += n
	}
}

// add adds another result.
func (r *Result) add(o *Result) {
	r.Cases += o.Cases
	if r.Outcomes == nil {
		r.Outcomes = map[Outcome]int{}
	}
	for outcome, n := range o.Outcomes {
		r.Outcomes[outcome] += n
	}
	for _, t := range o.Tallies {
		r.tally(t.File, t.Part, t.Damage).add(t.Cases, t.Outcomes)
	}
	r.Failures = append(r.Failures, o.Failures...)
}

func (r *Result) sort() {
	slices.SortFunc(r.Tallies, func(a, b *Tally) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Part, b.Part),
			cmp.Compare(slices.Index(Damages(), a.Damage), slices.Index(Damages(), b.Damage)))
	})
}

// Table writes the outcomes of subjects by kind of file and damage, and a line for the
// whole of each.
func Table(w io.Writer, subjects ...Subject) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "subject\tfile\tdamage\tcases\trefused\tunharmed\tsilent\tother")
	for _, s := range subjects {
		byDamage := &Result{}
		for _, t := range s.Result.Tallies {
			byDamage.tally(t.File, "", t.Damage).add(t.Cases, t.Outcomes)
		}
		byDamage.sort()
		for _, t := range append(byDamage.Tallies, &Tally{File: "all", Damage: "all", Cases: s.Result.Cases, Outcomes: s.Result.Outcomes}) {
			other := t.Cases - t.Outcomes[Refused] - t.Outcomes[Unharmed] - t.Outcomes[Silent]
			fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", s.Name, t.File, t.Damage, t.Cases, t.Outcomes[Refused], t.Outcomes[Unharmed], t.Outcomes[Silent], other)
		}
	}
	return tw.Flush()
}
