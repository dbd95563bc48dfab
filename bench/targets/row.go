package targets

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Row is one figure and its target.
type Row struct {
	Backend   string // or what else it is about: repo, suite, migration
	Figure    string
	Target    string
	Reference string // what the figure is measured against
	limits    []limit
	measure   func(context.Context, *lab) ([]float64, error) // nil: not built
}

// A limit is what one value of a figure must not pass.
type limit struct {
	value float64
	least bool // the value is a minimum
}

func atMost(v float64) limit  { return limit{value: v} }
func atLeast(v float64) limit { return limit{value: v, least: true} }

func (l limit) keeps(v float64) bool {
	if l.least {
		return v >= l.value
	}
	return v <= l.value
}

// A State is how a row came out.
type State string

// The states of a row.
const (
	StateReached  State = "reached"
	StateMissed   State = "missed"
	StateNotBuilt State = "not built"
)

// A Reached is a row with its outcome.
type Reached struct {
	Backend   string    `json:"backend"`
	Figure    string    `json:"figure"`
	Target    string    `json:"target"`
	Reached   string    `json:"reached"` // empty if it was not measured
	Reference string    `json:"reference"`
	State     State     `json:"state"`
	Values    []float64 `json:"values,omitempty"`
	Note      string    `json:"note,omitempty"` // what ratios were made of, or why it could not be measured
}

// outcome judges what was measured.
func (r Row) outcome(values []float64, err error) Reached {
	out := Reached{Backend: r.Backend, Figure: r.Figure, Target: r.Target, Reference: r.Reference, State: StateNotBuilt}
	switch {
	case r.measure == nil:
		return out
	case err != nil:
		out.State, out.Note = StateMissed, err.Error()
		return out
	}
	out.State, out.Values = StateReached, values
	for i, v := range values {
		if !r.limits[i].keeps(v) {
			out.State = StateMissed
		}
	}
	out.Reached = numbers(values)
	return out
}

func numbers(values []float64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = number(v)
	}
	return strings.Join(texts, " / ")
}

// number formats a value with three digits.
func number(v float64) string {
	switch {
	case v >= 99.95 || v <= -99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995 || v <= -9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Rows returns all rows, in the order in which they are measured and shown.
func Rows() []Row {
	return slices.Concat(interfaceRows, inmemRows, sqliteRows, rqliteRows, suiteRows, migrationRows)
}

// Backends returns what rows can be about, in their order.
func Backends() []string {
	var names []string
	for _, r := range Rows() {
		if !slices.Contains(names, r.Backend) {
			names = append(names, r.Backend)
		}
	}
	return names
}
