package fault

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"trihold/bench/fault/check"
	"trihold/bench/report"
	"trihold/bench/result"
)

//go:embed faults.md.tmpl
var documentText string

// A document is what docs/faults.md is made of.
type document struct {
	Checkers []check.Checker
	Numbers  []documentNumber
	Run, Sum string
	Subjects []string
	Rows     []documentRow
	Findings []documentFinding
}

type documentNumber struct {
	Number
	Built string // names of faults
}

type documentRow struct {
	Fault    string
	Verdicts []string
}

type documentFinding struct {
	Fault, Subject, Times, Expected, Seen, Replay string
}

// Document writes docs/faults.md from the results of a run.
func Document(w io.Writer, f *result.File) error {
	t, err := template.New("faults.md").Parse(documentText)
	if err != nil {
		return fmt.Errorf("read the template of docs/faults.md: %w", err)
	}
	s, m := f.Suite, f.Machine
	faults, subjects, verdicts := report.Matrix(f)
	notes := report.CellNotes(f)
	d := document{
		Checkers: check.All(), Numbers: documentNumbers(), Subjects: subjects, Findings: documentFindings(f),
		Run: fmt.Sprintf("`%s`, seed %d, on %d cores of an %s, Linux %s, %s; privilege: %s.", commandOf(s.Command), s.Seed, m.Cores, m.CPU, m.Kernel, m.Filesystem, s.Tier),
		Sum: notes[len(notes)-1] + ".",
	}
	for _, name := range faults {
		row := documentRow{Fault: name}
		for _, subject := range subjects {
			row.Verdicts = append(row.Verdicts, verdicts(name, subject))
		}
		d.Rows = append(d.Rows, row)
	}
	return t.Execute(w, d)
}

// commandOf is a command without the path of the program.
func commandOf(line string) string {
	program, rest, _ := strings.Cut(line, " ")
	return program[strings.LastIndex(program, "/")+1:] + " " + rest
}

func documentNumbers() []documentNumber {
	var out []documentNumber
	for _, n := range Numbers() {
		var built []string
		for _, f := range Catalogue() {
			if slices.Contains(strings.Fields(f.Numbers), n.ID) {
				built = append(built, f.Name)
			}
		}
		if len(built) > 4 {
			built = append(built[:3], fmt.Sprintf("and %d more", len(built)-3))
		}
		out = append(out, documentNumber{n, strings.Join(built, ", ")})
	}
	return out
}

// documentFindings returns one finding for each fault and subject.
func documentFindings(f *result.File) []documentFinding {
	var out []documentFinding
	cells := map[[2]string]int{}
	for _, c := range f.Cells {
		cells[[2]string{c.Fault, c.Subject}]++
	}
	seen := map[[2]string]int{}
	for _, c := range f.Cells {
		if c.Verdict != result.Finding {
			continue
		}
		at := [2]string{c.Fault, c.Subject}
		if seen[at]++; seen[at] == 1 {
			out = append(out, documentFinding{Fault: c.Fault, Subject: c.Subject, Expected: c.Expected, Seen: seenIn(c), Replay: c.Replay})
		}
	}
	for i := range out {
		at := [2]string{out[i].Fault, out[i].Subject}
		out[i].Times = fmt.Sprintf("%d of %d cells", seen[at], cells[at])
	}
	return out
}

// seenIn says what a cell has seen, without what differs from run to run.
func seenIn(c result.Cell) string {
	if c.Lost > 0 {
		return fmt.Sprintf("%d acknowledged commits were lost without an error", c.Lost)
	}
	var bad []string
	for _, k := range c.Checks {
		if k.Result != string(check.OK) {
			bad = append(bad, k.Name)
		}
	}
	if len(bad) > 0 {
		return "the checkers " + strings.Join(bad, ", ") + " refuse what was served"
	}
	why := c.Why
	if len(why) > 200 {
		why = strings.ToValidUTF8(why[:200], "") + " …"
	}
	return strings.ReplaceAll(why, "\"", "")
}
