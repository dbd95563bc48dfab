package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"trihold/bench"
	"trihold/bench/fault"
	"trihold/bench/subject"
)

// A Config says what to measure. The zero value of a field means its default.
type Config struct {
	// Subject starts a subject process. There is no default.
	Subject subject.Command
	// Fault says how to start what is broken. There is no default.
	Fault fault.Config
	// Reference is the program that measures bare Raft and etcd: bench/reference. The
	// rows that need it are missed if it is not there.
	Reference string
	// Backend is what the rows are about; default: everything.
	Backend string
	// Rounds is how often each figure and its reference are measured; default 5.
	Rounds int
	// Duration is how long throughput is measured in a round; default 500ms.
	Duration time.Duration
	// Rows is the size of the large store; default 1,000,000, which is what the
	// targets are for.
	Rows int64
	// Dir is where the directories are made; default that of temporary files.
	Dir string
	// Progress is told what is measured and how a row came out.
	Progress func(bench.Progress)
}

func (c *Config) complete() error {
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.Duration == 0 {
		c.Duration = 500 * time.Millisecond
	}
	if c.Rows == 0 {
		c.Rows = 1_000_000
	}
	if c.Progress == nil {
		c.Progress = func(bench.Progress) {}
	}
	switch {
	case c.Backend != "" && !slices.Contains(Backends(), c.Backend):
		return &bench.Invalid{Why: fmt.Sprintf("no targets for %q; there are some for: %s", c.Backend, strings.Join(Backends(), ", "))}
	case c.Rounds < 1:
		return &bench.Invalid{Why: fmt.Sprintf("--rounds is %d; it must be at least 1", c.Rounds)}
	case c.Rows < 1000:
		return &bench.Invalid{Why: fmt.Sprintf("--rows is %d; it must be at least 1000", c.Rows)}
	case c.Duration < 10*time.Millisecond:
		return &bench.Invalid{Why: fmt.Sprintf("--duration is %v; it must be at least 10ms", c.Duration)}
	}
	return nil
}

// Run measures the rows that are built. A row that cannot be measured here is
// missed, and says why.
func Run(ctx context.Context, c Config) (out []Reached, err error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	rows := Rows()
	if c.Backend != "" {
		rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Backend != c.Backend })
	}
	dir, err := os.MkdirTemp(c.Dir, "trihold-targets-")
	if err != nil {
		return nil, &bench.Invalid{Why: fmt.Sprintf("cannot make a directory for the stores: %v: name one that exists and is writable with --dir", errors.Unwrap(err))}
	}
	l := &lab{Config: c, dir: dir}
	defer func() { err = errors.Join(err, l.dropItems(), os.RemoveAll(dir)) }()
	started := time.Now()
	for i, row := range rows {
		p := bench.Progress{Done: i, Total: len(rows), What: row.Backend + ": " + row.Figure}
		c.Progress(p)
		var values []float64
		var failed error
		l.absolute = nil
		if row.measure != nil {
			values, failed = row.measure(ctx, l)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		reached := row.outcome(values, failed)
		if failed == nil {
			reached.Note = strings.Join(l.absolute, "; ")
		}
		out = append(out, reached)
		if row.Backend == inMemory && (i+1 == len(rows) || rows[i+1].Backend != inMemory) {
			if err := l.dropItems(); err != nil {
				return nil, err
			}
		}
		p.Done = i + 1
		p.Finished = fmt.Sprintf("%s %s: %s (target %s)", reached.State, p.What, reached.Reached, row.Target)
		p.Left = time.Since(started) * time.Duration(len(rows)-p.Done) / time.Duration(p.Done)
		c.Progress(p)
	}
	return out, nil
}
