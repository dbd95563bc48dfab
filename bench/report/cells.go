package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"trihold/bench/result"
)

// CellLine says in one line how a cell ended.
func CellLine(c result.Cell) string {
	line := fmt.Sprintf("%s on %s: %s", c.Fault, c.Subject, c.Verdict)
	if c.Why != "" {
		line += ": " + shorten(c.Why, 160)
	}
	return line
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " …"
}

// CellsText writes the matrix of faults and subjects, and what is behind it.
func CellsText(w io.Writer, f *result.File) error {
	var b strings.Builder
	for _, line := range CellsHead(f) {
		b.WriteString(line + "\n")
	}
	if err := matrix(&b, f); err != nil {
		return err
	}
	if err := cellTable(&b, f); err != nil {
		return err
	}
	for _, line := range MigrationLines(f) {
		b.WriteString(line + "\n")
	}
	for _, line := range CellNotes(f) {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// CellsHead returns lines that say what was broken and on what machine.
func CellsHead(f *result.File) []string {
	s, m := f.Suite, f.Machine
	lines := []string{
		fmt.Sprintf("trihold %s   %s   seed %d, %s", s.Verb, s.Started.Format(time.DateTime), s.Seed, plural(s.Rounds, "round")),
		fmt.Sprintf("machine       %s, %s, %s, %s %s, %s", m.CPU, plural(m.Cores, "core"), Bytes(m.MemoryMiB<<20), m.OS, m.Kernel, m.Go),
		"disk          " + m.Filesystem,
		"privilege     " + f.Suite.Tier,
	}
	for _, sub := range f.Subjects {
		lines = append(lines, fmt.Sprintf("subject       %s is %s", sub.ID, sub.URL))
	}
	return append(lines, "")
}

// A tally is the worst verdict of the cells of one fault on one subject, and their
// number.
type tally struct {
	verdict result.Verdict
	cells   int
}

// worst orders verdicts from good to bad.
var worst = []result.Verdict{result.Skipped, result.Passed, result.Red, result.Detected, result.Finding, result.NotRed, result.Bad}

// Matrix returns the faults and subjects of a run, in the order of their first
// cells, and a function that says how their cells ended.
func Matrix(f *result.File) (faults, subjects []string, verdict func(fault, subject string) string) {
	faults, subjects, cells := tallies(f)
	return faults, subjects, func(fault, subject string) string { return cells[[2]string{fault, subject}].String() }
}

func matrix(b *strings.Builder, f *result.File) error {
	faults, subjects, verdict := Matrix(f)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "fault\t"+strings.Join(subjects, "\t"))
	for _, fault := range faults {
		line := fault
		for _, s := range subjects {
			line += "\t" + verdict(fault, s)
		}
		fmt.Fprintln(t, line)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func (t tally) String() string {
	switch {
	case t.cells == 0 || t.verdict == result.Skipped:
		return "-"
	case t.cells > 1:
		return fmt.Sprintf("%s (%d)", t.verdict, t.cells)
	}
	return string(t.verdict)
}

// tallies returns faults and subjects in the order of their first cells.
func tallies(f *result.File) (faults, subjects []string, cells map[[2]string]tally) {
	cells = map[[2]string]tally{}
	for _, c := range f.Cells {
		if !slices.Contains(faults, c.Fault) {
			faults = append(faults, c.Fault)
		}
		if !slices.Contains(subjects, c.Subject) {
			subjects = append(subjects, c.Subject)
		}
		at := [2]string{c.Fault, c.Subject}
		t := cells[at]
		if t.cells == 0 || slices.Index(worst, c.Verdict) > slices.Index(worst, t.verdict) {
			t.verdict = c.Verdict
		}
		t.cells++
		cells[at] = t
	}
	return faults, subjects, cells
}

func cellTable(b *strings.Builder, f *result.File) error {
	var aligned strings.Builder
	t := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', tabwriter.AlignRight)
	width := 0
	for _, c := range f.Cells {
		width = max(width, len(c.Fault)+len(c.Subject)+4)
	}
	fmt.Fprintln(t, pad("cell", width)+"\tstruck\trecovery\tno write for\tno read for\tacked\tfailed\tunknown\tlost\tpeak\t")
	for _, c := range f.Cells {
		if c.Verdict == result.Skipped {
			continue
		}
		name := pad(c.Fault+" on "+c.Subject, width)
		if s := c.Simulations; s != nil {
			fmt.Fprintf(t, "%s\t%s\t\t\t\t%s\t\t\t%s\t\t\n", name, Count(float64(s.Injected)), Count(float64(s.Acked)), Count(float64(c.Lost)))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, Count(float64(c.Observed)), Duration(c.Recovery), Duration(c.WritesGap), Duration(c.ReadsGap),
			Count(float64(c.Acked)), Count(float64(c.Failed)), Count(float64(c.Unknown)), Count(float64(c.Lost)), Bytes(c.PeakBytes))
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

// CellNotes returns lines that say what was found, and how to see it again.
func CellNotes(f *result.File) []string {
	var lines []string
	good, ops := map[result.Verdict]int{}, 0
	for _, c := range f.Cells {
		good[c.Verdict]++
		ops += c.Ops
		switch c.Verdict {
		case result.Bad, result.NotRed, result.Finding:
			lines = append(lines, fmt.Sprintf("%-9s %s", strings.ToUpper(string(c.Verdict)), shorten(CellLine(c), 600)))
			if c.Verdict == result.Finding {
				lines = append(lines, "          expected: "+c.Expected)
			}
			for _, a := range c.Artefacts {
				lines = append(lines, "          kept:     "+a)
			}
			lines = append(lines, "          replay:   "+c.Replay)
		}
	}
	skipped := map[string][]string{}
	var reasons []string
	for _, c := range f.Cells {
		if c.Verdict != result.Skipped {
			continue
		}
		at := c.Fault + " on " + c.Subject
		if skipped[c.Why] == nil {
			reasons = append(reasons, c.Why)
		}
		if !slices.Contains(skipped[c.Why], at) {
			skipped[c.Why] = append(skipped[c.Why], at)
		}
	}
	for _, why := range reasons {
		lines = append(lines, "SKIPPED   "+why+": "+strings.Join(skipped[why], ", "))
	}
	for _, why := range f.LeftOut {
		lines = append(lines, "LEFT OUT  "+why)
	}
	var sum []string
	for _, v := range worst {
		if good[v] > 0 {
			sum = append(sum, fmt.Sprintf("%d %s", good[v], v))
		}
	}
	return append(lines, fmt.Sprintf("%s in %v: %s; %s operations checked", plural(len(f.Cells), "cell"),
		time.Duration(f.Suite.WallS*float64(time.Second)).Round(time.Second), strings.Join(sum, ", "), Count(float64(ops))))
}
