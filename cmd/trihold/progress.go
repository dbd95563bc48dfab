package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"trihold/bench"
	"trihold/bench/report"
)

// A progress shows how far a verb is: on a terminal as one line that changes,
// elsewhere as a line for each step that has ended.
type progress struct {
	out      io.Writer
	terminal *os.File // nil if there is none
	drawn    bool
	rows     int64     // when the rate of loading was last looked at
	at       time.Time // of rows
	rate     float64
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		p.terminal = f
	}
	return p
}

func (p *progress) show(e bench.Progress) {
	place := ""
	if e.Total > 0 {
		place = fmt.Sprintf("[%d/%d] ", e.Done, e.Total)
	}
	if e.Finished != "" {
		p.clear()
		fmt.Fprintf(p.out, "%s%s%s\n", place, e.Finished, left(e.Left))
	}
	if p.terminal == nil {
		return
	}
	p.draw(place + e.What + p.loaded(e.Rows) + left(e.Left))
}

// loaded says how many rows have been loaded and how fast.
func (p *progress) loaded(rows int64) string {
	now := time.Now()
	if rows == 0 || rows < p.rows {
		p.rows, p.at, p.rate = 0, now, 0
	}
	if rows == 0 {
		return ""
	}
	if since := now.Sub(p.at); since > 200*time.Millisecond {
		p.rate = float64(rows-p.rows) / since.Seconds()
		p.rows, p.at = rows, now
	}
	s := " " + report.Count(float64(rows)) + " rows"
	if p.rate > 0 {
		s += ", " + report.Count(p.rate) + "/s"
	}
	return s
}

func left(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf(" (about %v left)", d.Round(time.Second))
}

// draw replaces the line on the terminal.
func (p *progress) draw(line string) {
	if size, err := unix.IoctlGetWinsize(int(p.terminal.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 1 && len(line) >= int(size.Col) {
		line = line[:size.Col-1]
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	p.drawn = true
}

// clear removes the line from the terminal.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}
