package targets

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"trihold/bench"
	"trihold/bench/fault"
	"trihold/bench/report"
	"trihold/bench/result"
)

const suite = "suite"

var suiteRows = []Row{
	{
		Backend: suite, Figure: "`trihold bench --quick` (build aside), 2 cores", Target: "<= 5 min", Reference: "none; minutes, three times one round",
		limits: []limit{atMost(5)}, measure: quickMinutes,
	},
	{
		Backend: suite, Figure: "`trihold fault --quick`", Target: "<= 8 min", Reference: "none; minutes",
		limits: []limit{atMost(8)}, measure: faultMinutes,
	},
	{
		Backend: suite, Figure: "load generator's own send lag p99", Target: "<= 1 ms, else the run is marked invalid", Reference: "none; milliseconds, median of the runs of one round",
		limits: []limit{atMost(1)}, measure: sendLag,
	},
	{Backend: suite, Figure: "A/A comparison (same subject twice) called different", Target: "<= 5 % of runs", Reference: "none"},
	{Backend: suite, Figure: "planted 10 % slowdown found in a standard run", Target: ">= 95 %", Reference: "none"},
	{Backend: suite, Figure: "checked operations in a standard fault run", Target: `>= 1.5 M, verdict "unknown": 0`, Reference: "none"},
	{Backend: suite, Figure: "seeded mutants of our own store found by the suite", Target: "25 of 25", Reference: "none"},
	{
		Backend: suite, Figure: "HTML report", Target: "one file, offline, <= 3 MB", Reference: "none; megabytes",
		limits: []limit{atMost(3)}, measure: reportSize,
	},
}

// quickRound runs one round of what bench --quick runs, once for all rows.
func (l *lab) quickRound(ctx context.Context) (*result.File, error) {
	if l.quick != nil {
		return l.quick, nil
	}
	c := bench.Quick()
	c.Rounds, c.Subject, c.Dir = 1, l.Subject, l.dir
	f, err := bench.Run(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, r := range f.Runs {
		if r.Failed != "" {
			return nil, errors.New(r.Workload + " on " + r.Subject + ": " + r.Failed)
		}
	}
	l.quick = f
	return f, nil
}

// quickFaults runs what fault --quick runs, once for all rows.
func (l *lab) quickFaults(ctx context.Context) (*result.File, error) {
	if l.faults != nil {
		return l.faults, nil
	}
	c := l.Fault
	c.Quick, c.Dir, c.Out = true, l.dir, l.dir
	f, err := fault.Run(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, cell := range f.Cells {
		if !cell.Verdict.Good() {
			return nil, errors.New(report.CellLine(cell))
		}
	}
	l.faults = f
	return f, nil
}

func faultMinutes(ctx context.Context, l *lab) ([]float64, error) {
	f, err := l.quickFaults(ctx)
	if err != nil {
		return nil, err
	}
	return []float64{f.Suite.WallS / 60}, nil
}

// lostByRqlite counts commits, of faults that rqlite promises to bear.
func lostByRqlite(ctx context.Context, l *lab) ([]float64, error) {
	f, err := l.quickFaults(ctx)
	if err != nil {
		return nil, err
	}
	lost, cells := 0, 0
	for _, c := range f.Cells {
		if strings.HasPrefix(c.Subject, "rqlite/") && !c.Control && c.Expected == "" && c.Verdict != result.Skipped {
			lost += c.Lost
			cells++
		}
	}
	if cells == 0 {
		return nil, errors.New("no fault was run on rqlite")
	}
	return []float64{float64(lost)}, nil
}

func quickMinutes(ctx context.Context, l *lab) ([]float64, error) {
	f, err := l.quickRound(ctx)
	if err != nil {
		return nil, err
	}
	return []float64{f.Suite.WallS / 60 * float64(bench.Quick().Rounds)}, nil
}

func sendLag(ctx context.Context, l *lab) ([]float64, error) {
	f, err := l.quickRound(ctx)
	if err != nil {
		return nil, err
	}
	var lags []float64
	for _, r := range f.Runs {
		lags = append(lags, r.Open.LagP99.Seconds()*1000)
	}
	return []float64{result.Median(lags)}, nil
}

func reportSize(ctx context.Context, l *lab) ([]float64, error) {
	f, err := l.quickRound(ctx)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := report.HTML(&page, f); err != nil {
		return nil, err
	}
	return []float64{float64(page.Len()) / 1e6}, nil
}
