package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"trihold/bench/result"
)

// A chart is the latency of one kind of operation over all percentiles.
type chart struct {
	Op  string
	SVG template.HTML
}

// spectra draws one chart for each kind of operation, with a line for each
// subject.
func spectra(rows []pageRow) ([]chart, error) {
	ops := map[string]bool{}
	for _, r := range rows {
		for _, name := range r.Ops {
			if r.Op(name).Count > 0 {
				ops[name] = true
			}
		}
	}
	var out []chart
	for _, name := range slices.Sorted(maps.Keys(ops)) {
		p := newSpectrum(name)
		for _, r := range rows {
			op, has := r.Summary.Ops[name]
			if !has || op.Count == 0 {
				continue
			}
			if err := addSpectrum(p, op, r.Color); err != nil {
				return nil, err
			}
		}
		svg, err := render(p)
		if err != nil {
			return nil, err
		}
		out = append(out, chart{name, svg})
	}
	return out, nil
}

func newSpectrum(op string) *plot.Plot {
	p := plot.New()
	p.Title.Text = op + " latency"
	p.X.Min, p.X.Max = 0, nines(99.99)+0.15 // room for the last label
	p.X.Tick.Marker = plot.ConstantTicks{
		{Value: nines(0), Label: "0 %"}, {Value: nines(50), Label: "50 %"}, {Value: nines(90), Label: "90 %"}, {Value: nines(99), Label: "99 %"},
		{Value: nines(99.9), Label: "99.9 %"}, {Value: nines(99.99), Label: "99.99 %"},
	}
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = latencyTicks{}
	p.Y.Min, p.Y.Max = math.Inf(1), math.Inf(-1)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

// nines places a percentile on an axis on which each further nine is as wide.
func nines(percentile float64) float64 { return -math.Log10(1 - percentile/100) }

// spectrumSteps is how many points a line has.
const spectrumSteps = 80

// addSpectrum draws the percentiles that the number of operations supports.
func addSpectrum(p *plot.Plot, op result.Op, hex string) error {
	h, _, err := op.Histograms()
	if err != nil {
		return err
	}
	supported := min(math.Log10(float64(op.Count)), nines(99.99))
	var line plotter.XYs
	for i := range spectrumSteps + 1 {
		x := supported * float64(i) / spectrumSteps
		ns := max(h.ValueAtPercentile(100*(1-math.Pow(10, -x))), 100)
		line = append(line, plotter.XY{X: x, Y: float64(ns)})
	}
	l, err := plotter.NewLine(line)
	if err != nil {
		return err
	}
	var c color.NRGBA
	if _, err := fmt.Sscanf(hex, "#%02x%02x%02x", &c.R, &c.G, &c.B); err != nil {
		return fmt.Errorf("colour %s: %w", hex, err)
	}
	c.A = 255
	l.Color, l.Width = c, vg.Points(2)
	p.Add(l)
	return nil
}

// latencyTicks marks the powers of ten.
type latencyTicks struct{}

func (latencyTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		at := math.Pow(10, e)
		label := strings.Replace(Duration(time.Duration(at)), ".00", "", 1)
		ticks = append(ticks, plot.Tick{Value: at, Label: strings.Replace(label, ".0", "", 1)})
		for m := 2.0; m < 10; m++ {
			ticks = append(ticks, plot.Tick{Value: m * at})
		}
	}
	return ticks
}

const chartWidth, chartHeight = 420, 250 // points

// render returns a plot as SVG that takes the width it is given.
func render(p *plot.Plot) (template.HTML, error) {
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("write SVG: %w", err)
	}
	svg := b.String()
	svg = svg[strings.Index(svg, "<svg"):] // without the XML declaration
	size := fmt.Sprintf(`width="%dpt" height="%dpt"`, chartWidth, chartHeight)
	return template.HTML(strings.Replace(svg, size, `class="chart"`, 1)), nil
}
