package targets

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trihold/bench"
	_ "trihold/inmem" // the rows about the interface are measured on it
	"trihold/repo"
)

func TestARowIsReachedOnlyIfAllItsValuesKeepTheirLimits(t *testing.T) {
	measured := Row{Backend: "b", Figure: "f", Target: "t", Reference: "r", limits: []limit{atMost(1), atLeast(8)}, measure: viewAllocations}
	for _, c := range []struct {
		row    Row
		values []float64
		err    error
		want   Reached
	}{
		{measured, []float64{1, 8}, nil, Reached{State: StateReached, Reached: "1.00 / 8.00"}},
		{measured, []float64{1.001, 8}, nil, Reached{State: StateMissed, Reached: "1.00 / 8.00"}},
		{measured, []float64{0.5, 7.99}, nil, Reached{State: StateMissed, Reached: "0.50 / 7.99"}},
		{measured, nil, errors.New("no disk"), Reached{State: StateMissed, Note: "no disk"}},
		{Row{Backend: "b", Figure: "f", Target: "t", Reference: "r"}, nil, nil, Reached{State: StateNotBuilt}},
	} {
		want := c.want
		want.Backend, want.Figure, want.Target, want.Reference = "b", "f", "t", "r"
		if c.err == nil && c.row.measure != nil {
			want.Values = c.values
		}
		if d := cmp.Diff(want, c.row.outcome(c.values, c.err)); d != "" {
			t.Errorf("%v, %v: %s", c.values, c.err, d)
		}
	}
}

// Figures are told apart by backend and text, and what is built can be judged.
func TestEveryRowIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows() {
		if r.Backend == "" || r.Figure == "" || r.Target == "" || r.Reference == "" || seen[r.Backend+r.Figure] {
			t.Errorf("row %+v", r)
		}
		if (r.measure == nil) != (len(r.limits) == 0) {
			t.Errorf("%s: %s: it has a measurement or limits, but not both", r.Backend, r.Figure)
		}
		seen[r.Backend+r.Figure] = true
	}
	if want := []string{"repo", "inmem", "sqlite", "rqlite", "suite", "migration"}; !cmp.Equal(want, Backends()) {
		t.Errorf("backends %v", Backends())
	}
}

func TestComparisonsAlternateAndTakeTheMedianOfTheRatios(t *testing.T) {
	l := &lab{Config: Config{Rounds: 3}}
	var order strings.Builder
	measure := func(name string, values ...float64) measurement {
		return func() (float64, error) {
			order.WriteString(name)
			v := values[0]
			values = values[1:]
			return v, nil
		}
	}
	got, err := l.compare(t.Context(), "us", measure("r", 1, 2, 4), measure("a", 10, 20, 4), measure("b", 1, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{10, 0.5}; !cmp.Equal(want, got) || order.String() != "rabbarrab" {
		t.Errorf("ratios %v in order %s", got, order.String())
	}
	if want := []string{"10.0 / 1.00 us against 2.00 us"}; !cmp.Equal(want, l.absolute) {
		t.Errorf("values %q", l.absolute)
	}
	failure := errors.New("failed")
	if _, err := l.compare(t.Context(), "us", func() (float64, error) { return 0, failure }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
}

func TestOneBadPointDoesNotMoveASlope(t *testing.T) {
	if got := slope([]float64{1, 2, 3, 4, 5}, []float64{10, 12, 400, 16, 18}); math.Abs(got-2) > 1e-9 {
		t.Errorf("slope %g, want 2", got)
	}
}

func TestRowsAreMeasuredAndShown(t *testing.T) {
	dir := t.TempDir()
	finished := 0
	rows, err := Run(t.Context(), Config{Backend: "repo", Rounds: 1, Duration: 20 * time.Millisecond, Dir: dir, Progress: func(p bench.Progress) {
		if p.Finished != "" {
			finished++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if len(rows) != len(interfaceRows) || finished != len(rows) {
		t.Errorf("%d rows, %d finished", len(rows), finished)
	}
	for _, r := range rows {
		if r.State == StateNotBuilt || len(r.Values) == 0 || r.Values[0] <= 0 {
			t.Errorf("row %+v", r)
		}
	}
	var b bytes.Buffer
	if err := Text(&b, rows); err != nil || !strings.Contains(b.String(), "allocations of a View with one Get\n") || !strings.Contains(b.String(), "target <= 4;") {
		t.Errorf("%v: %s", err, &b)
	}
}

func TestWhatCannotBeMeasuredIsSaid(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Backend: "nosuch"}, `no targets for "nosuch"; there are some for: repo, inmem`},
		{Config{Rounds: -1}, "--rounds"},
		{Config{Rows: 1}, "--rows"},
		{Config{Duration: 1}, "--duration"},
		{Config{Dir: "/does/not/exist"}, "--dir"},
	} {
		if _, err := Run(t.Context(), c.config); !errors.Is(err, repo.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.config, err, c.want)
		}
	}
}
