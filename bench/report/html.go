package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"

	"trihold/bench/result"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"bytes": Bytes, "duration": Duration, "rate": Rate, "ratio": ratio,
	"barStart": func() float64 { return barStart },
	"barWidth": func(w float64) float64 { return w * barRoom / 100 },
	"barEnd":   func(w float64) float64 { return barStart + w*barRoom/100 + 1 },
}).Parse(page))

// Bars begin behind the names, and leave room for a number; in percent.
const barStart, barRoom = 18, 68

// HTML writes the report: one page with its charts inside.
func HTML(w io.Writer, f *result.File) error {
	data := struct {
		File   *result.File
		Head   []string
		Notes  []string
		Blocks []pageBlock
	}{File: f, Head: Head(f), Notes: Notes(f)}
	colors := map[string]string{}
	for i, s := range f.Subjects {
		colors[s.ID] = palette[i%len(palette)]
	}
	for _, wl := range f.Workloads {
		b := pageBlock{Workload: wl}
		for _, s := range f.Summaries {
			if s.Workload == wl.Name {
				b.Rows = append(b.Rows, pageRow{Summary: s, Color: colors[s.Subject], Ops: slices.Sorted(maps.Keys(s.Ops))})
			}
		}
		b.scale()
		charts, err := spectra(b.Rows)
		if err != nil {
			return fmt.Errorf("draw %s: %w", wl.Name, err)
		}
		b.Charts = charts
		data.Blocks = append(data.Blocks, b)
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, data); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := out.WriteTo(w)
	return err
}

// palette has colours that people who do not tell red from green can tell apart
// (Okabe and Ito).
var palette = []string{"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"}

// A pageBlock is one workload.
type pageBlock struct {
	Workload result.Workload
	Rows     []pageRow
	Charts   []chart
}

// A pageRow is one subject.
type pageRow struct {
	result.Summary
	Color string
	Width float64 // of the throughput bar, percent
	Ops   []string
}

// Op returns the figures of one kind of operation.
func (r pageRow) Op(name string) result.Op { return r.Summary.Ops[name] }

// scale sets the widths of the throughput bars.
func (b *pageBlock) scale() {
	highest := 0.0
	for _, r := range b.Rows {
		highest = max(highest, r.Closed)
	}
	for i := range b.Rows {
		if highest > 0 {
			b.Rows[i].Width = 100 * b.Rows[i].Closed / highest
		}
	}
}
