package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"trihold/bench/report"
	"trihold/repo/driver"
	"trihold/repo/migrate"
)

func printPlan(out io.Writer, p *migrate.Plan) {
	fmt.Fprintf(out, "from     %s, class %s, revision %d\n", shown(p.Source), p.SourceClass, p.Rev)
	fmt.Fprintf(out, "to       %s, class %s\n", shown(p.Target), p.TargetClass)
	for _, t := range p.Tables {
		fmt.Fprintf(out, "table    %s: %s rows, %s\n", t.Table, count(t.Rows), report.Bytes(t.Bytes))
	}
	free := "how much is free is not known"
	if p.DiskFree >= 0 {
		free = report.Bytes(p.DiskFree) + " are free"
	}
	fmt.Fprintf(out, "disk     about %s, %s\n", report.Bytes(p.DiskNeeded), free)
	fmt.Fprintf(out, "memory   about %s, if the target keeps its rows there\n", report.Bytes(p.RAMNeeded))
	fmt.Fprintf(out, "copying  about %v\n", seconds(p.CopyS))
	for _, lost := range p.Lost {
		fmt.Fprintf(out, "lost     %s\n", lost)
	}
	for _, step := range p.Steps {
		fmt.Fprintf(out, "step     %s\n", step)
	}
	printRefusals(out, p)
}

func printRefusals(out io.Writer, p *migrate.Plan) {
	for _, why := range p.Refusals {
		fmt.Fprintf(out, "refused  %s\n", why)
	}
}

func printStatus(out io.Writer, s *migrate.Status) {
	fmt.Fprintf(out, "migration  %s, since %s\n", s.ID, s.Started.Format(time.RFC3339))
	fmt.Fprintf(out, "from       %s\n", shown(s.Source))
	fmt.Fprintf(out, "to         %s\n", shown(s.Target))
	fmt.Fprintf(out, "live       %s\n", shown(s.Live))
	fmt.Fprintf(out, "is         %s\n", statusLine(s))
	switch {
	case s.Verified > 0:
		fmt.Fprintf(out, "compared   %s rows at revision %d, %v ago, and every commit since; %d rows differ\n", count(s.Compared), s.Verified, seconds(s.VerifiedS), s.Differing)
	case s.Differing > 0:
		fmt.Fprintf(out, "compared   %d rows differ\n", s.Differing)
	}
	for _, cut := range s.Cuts {
		fmt.Fprintf(out, "cutover    to %s at revision %d: pause %.1f ms, %d writes waited, digests %s\n", shown(cut.To), cut.Rev, cut.PauseMs, cut.Waiting, digestsOf(cut))
	}
	if s.Error != "" {
		fmt.Fprintf(out, "error      %s\n", s.Error)
	}
}

// digestsOf compares what a cutover has found on the two sides.
func digestsOf(c migrate.Cut) string {
	if slices.Equal(c.Source, c.Copy) {
		return "equal"
	}
	return "DIFFER"
}

// statusLine says how a migration is in one line.
func statusLine(s *migrate.Status) string {
	phase := string(s.Phase)
	if s.Paused {
		phase += " (paused)"
	}
	parts := []string{phase, count(s.Rows) + " rows", report.Bytes(s.Bytes)}
	if s.Phase == migrate.Copying {
		if s.Total > 0 {
			parts[1] = fmt.Sprintf("%s of about %s rows, %.0f%%", count(s.Rows), count(s.Total), min(100, 100*float64(s.Rows)/float64(s.Total)))
		}
		parts = append(parts, report.Rate(s.Rate)+" rows/s")
		if s.ETAs > 0 {
			parts = append(parts, fmt.Sprintf("%v left", seconds(s.ETAs)))
		}
	}
	if !s.Phase.Over() {
		parts = append(parts, fmt.Sprintf("lag %d commits, %.1f s", s.Lag, s.LagS))
	}
	parts = append(parts, fmt.Sprintf("foreground p99 %.2f ms", s.P99Ms))
	if s.Error != "" {
		parts = append(parts, "error: "+s.Error)
	}
	return strings.Join(parts, "; ")
}

func count(n int64) string { return report.Count(float64(n)) }

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}

// classed returns a store's URL with its class, for people.
func classed(name string, class driver.Class) string {
	scheme, _, _ := strings.Cut(name, ":")
	return scheme + "/" + string(class)
}
