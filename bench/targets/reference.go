package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"trihold/bench/proc"
)

// A reference is the program of bench/reference at work on one cluster: bare Raft or
// etcd.
type reference struct {
	child *proc.Child
	lines chan json.RawMessage
	// What it says of itself.
	Versions []string `json:"versions"`
	Nodes    int      `json:"nodes"`
	Size     int      `json:"size"`
}

// referenceWait is how long the program may take to start a cluster, or for a round
// beyond what that lasts.
const referenceWait = time.Minute

// withReference starts the program, and ends it afterwards.
func (l *lab) withReference(ctx context.Context, kind string, nodes, clients int, fn func(r *reference) error) (err error) {
	if _, err := os.Stat(l.Reference); errors.Is(err, fs.ErrNotExist) || l.Reference == "" {
		return fmt.Errorf("there is no %q to measure %s with: build it with: make bin/reference", l.Reference, kind)
	}
	cmd := exec.Command(l.Reference, kind, "-ask", "-nodes", strconv.Itoa(nodes), "-clients", strconv.Itoa(clients),
		"-size", strconv.Itoa(referenceBytes), "-duration", l.Duration.String(), "-dir", l.dir)
	r := &reference{lines: make(chan json.RawMessage)}
	if r.child, err = proc.StartChild(cmd, r.read); err != nil {
		return fmt.Errorf("reference %s: %w", kind, err)
	}
	defer func() {
		go func() { // so that what it still says does not keep it from ending
			for range r.lines {
			}
		}()
		err = errors.Join(err, r.child.Stop())
	}()
	if err := r.next(ctx, referenceWait, r); err != nil {
		return fmt.Errorf("start reference %s: %w", kind, err)
	}
	return fn(r)
}

// read passes on what the program says until it closes its output.
func (r *reference) read(out io.Reader) {
	defer close(r.lines)
	dec := json.NewDecoder(out)
	for {
		var line json.RawMessage
		if err := dec.Decode(&line); err != nil {
			return
		}
		r.lines <- line
	}
}

// next decodes the next line into v.
func (r *reference) next(ctx context.Context, wait time.Duration, v any) error {
	select {
	case line, ok := <-r.lines:
		if !ok {
			return fmt.Errorf("it died: %s", r.child.LastWords())
		}
		return json.Unmarshal(line, v)
	case <-time.After(wait):
		return fmt.Errorf("it has said nothing for %v", wait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// perSecond measures one round.
func (r *reference) perSecond(ctx context.Context, lasts time.Duration) measurement {
	return func() (float64, error) {
		if _, err := io.WriteString(r.child.In, "\n"); err != nil {
			return 0, fmt.Errorf("ask the reference for a round: %w", err)
		}
		var round struct {
			PerS float64 `json:"per_s"`
		}
		if err := r.next(ctx, referenceWait+lasts, &round); err != nil {
			return 0, fmt.Errorf("a round of the reference: %w", err)
		}
		return round.PerS, nil
	}
}

// String describes what is measured.
func (r *reference) String() string {
	return fmt.Sprintf("%s; %d B values, nodes in one process: %d", strings.Join(r.Versions, ", "), r.Size, r.Nodes)
}
