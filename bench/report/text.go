package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"trihold/bench/result"
)

// Text writes the table.
func Text(w io.Writer, f *result.File) error {
	var b strings.Builder
	head(&b, f)
	for _, wl := range f.Workloads {
		if err := block(&b, f, wl); err != nil {
			return err
		}
	}
	notes(&b, f)
	_, err := io.WriteString(w, b.String())
	return err
}

func head(b *strings.Builder, f *result.File) {
	for _, line := range Head(f) {
		b.WriteString(line + "\n")
	}
}

// Head returns lines that say what was run and on what machine.
func Head(f *result.File) []string {
	s, m := f.Suite, f.Machine
	loop := time.Duration(s.LoopS * float64(time.Second))
	lines := []string{
		fmt.Sprintf("trihold %s   %s   %s rows, %s, seed %d, loops of %v, %d clients in the closed loop",
			s.Verb, s.Started.Format(time.DateTime), Count(float64(s.Rows)), plural(s.Rounds, "round"), s.Seed, loop, s.Clients),
		fmt.Sprintf("machine       %s, %s, %s, %s %s, %s", m.CPU, plural(m.Cores, "core"), Bytes(m.MemoryMiB<<20), m.OS, m.Kernel, m.Go),
		fmt.Sprintf("disk          %s: append 4 KiB + fdatasync p50 %s, p99 %s; create, fsync, rename, fsync p50 %s",
			m.Filesystem, micros(m.Calibration.SyncP50), micros(m.Calibration.SyncP99), micros(m.Calibration.CreateP50)),
		fmt.Sprintf("loopback      TCP round trip p50 %s; load before the run %.2f", micros(m.Calibration.LoopbackP50), m.Load1),
	}
	for _, sub := range f.Subjects {
		line := fmt.Sprintf("subject       %s is %s", sub.ID, sub.URL)
		for _, p := range sub.Processes {
			line += fmt.Sprintf(", with %s %s", p.Program, p.Version)
		}
		lines = append(lines, line)
	}
	return append(lines, "")
}

func block(b *strings.Builder, f *result.File, wl result.Workload) error {
	fmt.Fprintf(b, "%s   %s\n", wl.Name, wl.About)
	width := len("subject")
	for _, s := range f.Subjects {
		width = max(width, len(s.ID))
	}
	var aligned strings.Builder
	t := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, pad("subject", width)+"\tclosed op/s\tratio\topen op/s\t\tp50\tp99\tp99.9\tservice p50\tmemory\tpeak\tdisk\trecovery\t")
	for _, s := range f.Summaries {
		if s.Workload != wl.Name {
			continue
		}
		if s.Rounds == 0 {
			fmt.Fprintf(t, "%s\tno numbers\t\t\t\t\t\t\t\t\t\t\t\t\n", pad(s.Subject, width))
			continue
		}
		first := fmt.Sprintf("%s\t%s\t%s\t%s", pad(s.Subject, width), Rate(s.Closed), ratio(s.Ratio), Rate(s.Achieved))
		last := fmt.Sprintf("%s\t%s\t%s\t%s", Bytes(s.Memory.Settled), Bytes(s.Memory.Peak), Bytes(s.Disk), Duration(s.Recovery))
		for _, name := range slices.Sorted(maps.Keys(s.Ops)) {
			op := s.Ops[name]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", first, name, Duration(op.P50), Duration(op.P99), Duration(op.P999), Duration(op.ServiceP50), last)
			first, last = "\t\t\t", "\t\t\t"
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	b.WriteString("\n")
	return nil
}

// pad makes room on the right: names are aligned on the left, unlike figures.
func pad(s string, width int) string { return fmt.Sprintf("%-*s", width, s) }

func notes(b *strings.Builder, f *result.File) {
	for _, line := range Notes(f) {
		b.WriteString(line + "\n")
	}
}

// Notes returns lines that say how to read the figures, and what is wrong with
// them.
func Notes(f *result.File) []string {
	lines := []string{
		"closed op/s: median of the rounds, each client sends when its last operation has ended; ratio to the first subject, inside each round",
		"p50, p99, p99.9: open loop at one common rate, counted from the intended send time, all rounds together; service p50 without the wait for the generator",
		"memory: PSS of all processes after a collection; peak: the highest of ten samples a second; both hold the load generator" + baseOf(f),
		"recovery: from opening the store after kill -9 of all its processes to the first correct read; every run is verified before and after",
	}
	if f.Suite.Rounds < 5 {
		lines = append(lines, "fewer than 5 rounds: indicative only")
	}
	for _, s := range f.Summaries {
		at := s.Workload + ", " + s.Subject + ": "
		for _, why := range s.Failed {
			lines = append(lines, "FAILED    "+at+why)
		}
		for _, why := range s.Invalid {
			lines = append(lines, "INVALID   "+at+why)
		}
		for _, kind := range slices.Sorted(maps.Keys(s.Errors)) {
			lines = append(lines, fmt.Sprintf("ERRORS    %s%s operations failed: %s", at, Count(float64(s.Errors[kind])), kind))
		}
		if s.Conflict > 0 {
			lines = append(lines, fmt.Sprintf("CONFLICTS %s%s transactions had to run again", at, Count(float64(s.Conflict))))
		}
	}
	for _, why := range f.LeftOut {
		lines = append(lines, "LEFT OUT  "+why)
	}
	for _, why := range f.Machine.Caveats {
		lines = append(lines, "CAVEAT    "+why)
	}
	return lines
}

// baseOf says how much of the memory is not the stores'.
func baseOf(f *result.File) string {
	lo, hi := int64(0), int64(0)
	for _, s := range f.Summaries {
		if base := s.Memory.Base; base > 0 {
			if lo == 0 || base < lo {
				lo = base
			}
			hi = max(hi, base)
		}
	}
	switch {
	case hi == 0:
		return ""
	case Bytes(lo) == Bytes(hi):
		return ", " + Bytes(hi)
	}
	return ", " + Bytes(lo) + " to " + Bytes(hi)
}
