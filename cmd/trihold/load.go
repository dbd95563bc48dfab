package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/bench/steady"
)

type loadFlags struct {
	rate float64
	rows int64
	dur  time.Duration
	json bool
}

func newLoad(c console) *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load STORE",
		Short: "write to a store at a steady rate, and account for every commit at the end",
		Long: `load opens a store with the schema that is stored there, or, if it is empty, with
that of cmd/example. It adds rows to the first table until there are as many as --rows
says, and then writes at a steady rate: each commit inserts one row and replaces
another. Every second it prints what the commits of that second took, from when each
was due.

At the end, after --for or an interrupt, it looks for every commit that was
acknowledged: each must be there exactly once, and none that failed.

With the URL of a switchable store, such as live:inmem:data?admin=app.sock, it is a
program whose store can be moved: see trihold migrate.

` + exitCodes,
		Example: `  trihold load sqlite:app.db --rate 200 --for 10s
  trihold load 'live:inmem:data?admin=app.sock' --rows 1000000 --rate 1000`,
		Args: named("STORE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), c, args[0]) },
	}
	fl := cmd.Flags()
	fl.Float64Var(&f.rate, "rate", 100, "commits a second")
	fl.Int64Var(&f.rows, "rows", 0, "rows that the table has at least before writing begins")
	fl.DurationVar(&f.dur, "for", 0, "how long to write (default: until interrupted)")
	fl.BoolVar(&f.json, "json", false, "print a JSON object a line")
	return cmd
}

// A loadEvent is a line of JSON that load prints.
type loadEvent struct {
	Filled *loadFilled    `json:"filled,omitempty"` // writing begins
	Second *steady.Sample `json:"second,omitempty"`
	End    *loadEnd       `json:"end,omitempty"`
}

type loadFilled struct {
	Added int64   `json:"added"`
	S     float64 `json:"s"`
}

type loadEnd struct {
	steady.Counts
	Faults *steady.Faults `json:"faults"`
	Error  string         `json:"error,omitempty"` // the first one that a commit met
}

func (f *loadFlags) run(ctx context.Context, c console, name string) (err error) {
	if f.rate <= 0 || f.rows < 0 || f.dur < 0 {
		return &usageError{"--rate must be positive, --rows and --for not negative: see trihold load --help"}
	}
	store, err := steady.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	shown := newProgress(c.err)
	start := time.Now()
	added, err := store.Fill(ctx, f.rows, func(rows int64) {
		if shown.terminal != nil {
			shown.draw("filling: " + report.Count(float64(rows)) + " rows")
		}
	})
	shown.clear()
	if err != nil {
		return err
	}
	f.print(c, loadEvent{Filled: &loadFilled{added, time.Since(start).Seconds()}})
	l := steady.Load{Store: store, Rate: f.rate, For: f.dur, Shown: func(s steady.Sample) { f.print(c, loadEvent{Second: &s}) }}
	ledger, counts, failure := l.Run(ctx)
	end := &loadEnd{Counts: counts}
	if failure != nil {
		end.Error = failure.Error()
	}
	// An interrupt is how it ends: it is still to be checked.
	if end.Faults, err = ledger.Check(context.WithoutCancel(ctx), store); err != nil {
		return err
	}
	f.print(c, loadEvent{End: end})
	if end.Faults.Any() {
		return errReported
	}
	return nil
}

func (f *loadFlags) print(c console, e loadEvent) {
	if f.json {
		_ = json.NewEncoder(c.out).Encode(e) // whoever has stopped to listen has what it wants
		return
	}
	switch {
	case e.Filled != nil:
		fmt.Fprintf(c.out, "added %s rows in %.1f s\n", report.Count(float64(e.Filled.Added)), e.Filled.S)
	case e.Second != nil:
		s := e.Second
		fmt.Fprintf(c.out, "%4.0f s  %7s/s  p50 %7.2f ms  p99 %7.2f ms  max %7.2f ms  failed %d  uncertain %d\n",
			s.At, report.Rate(s.Rate), s.P50Ms, s.P99Ms, s.MaxMs, s.Failed, s.Uncertain)
	default:
		fmt.Fprintf(c.out, "%s commits acknowledged, %d failed, %d uncertain\n", report.Count(float64(e.End.Acknowledged)), e.End.Failed, e.End.Uncertain)
		if e.End.Error != "" {
			fmt.Fprintf(c.out, "the first failure: %s\n", e.End.Error)
		}
		if e.End.Faults.Any() {
			fmt.Fprintln(c.out, "WRONG: "+e.End.Faults.String())
		} else {
			fmt.Fprintln(c.out, "every acknowledged commit is there exactly once")
		}
	}
}
