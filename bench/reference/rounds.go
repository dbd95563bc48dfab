package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// A cluster is what is loaded.
type cluster interface {
	// write makes one value durable. It is called by many clients at once.
	write(ctx context.Context, client, i int) error
	close() error
}

// A plan says how a cluster is loaded.
type plan struct {
	nodes    int
	clients  int
	size     int // of a value, in bytes
	rounds   int
	duration time.Duration
	dir      string
	ask      bool
}

func parsePlan(name string, args []string, nodes, clients int) (*plan, error) {
	p := &plan{}
	fl := flag.NewFlagSet(name, flag.ContinueOnError)
	fl.IntVar(&p.nodes, "nodes", nodes, "nodes, all in this process")
	fl.IntVar(&p.clients, "clients", clients, "clients that write at the same time")
	fl.IntVar(&p.size, "size", 256, "bytes of a value")
	fl.IntVar(&p.rounds, "rounds", 5, "rounds")
	fl.DurationVar(&p.duration, "duration", 500*time.Millisecond, "how long a round lasts")
	fl.StringVar(&p.dir, "dir", "", "where the directories of the nodes are made (default: that of temporary files)")
	fl.BoolVar(&p.ask, "ask", false, "measure a round for each line on the standard input, not -rounds of them")
	if err := fl.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case fl.NArg() > 0:
		return nil, fmt.Errorf("%s takes no arguments, but has %q", name, fl.Args())
	case p.nodes < 1 || p.clients < 1 || p.rounds < 1:
		return nil, errors.New("-nodes, -clients and -rounds must be at least 1")
	case p.size < 16:
		return nil, errors.New("-size must be at least 16")
	case p.duration <= 0:
		return nil, errors.New("-duration must be positive")
	}
	return p, nil
}

// A description is the first line of the output.
type description struct {
	Reference string   `json:"reference"`
	Versions  []string `json:"versions"`
	Nodes     int      `json:"nodes"`
	Clients   int      `json:"clients"`
	Size      int      `json:"size"`
}

// A round is one measurement.
type round struct {
	Ops   int     `json:"ops"`
	PerS  float64 `json:"per_s"`
	P50US float64 `json:"p50_us"`
	P99US float64 `json:"p99_us"`
}

// measure opens a cluster in a fresh directory, measures the rounds of a plan, and
// removes it.
func (p *plan) measure(ctx context.Context, name string, modules []string, open func(ctx context.Context, p *plan, dir string) (cluster, error)) (err error) {
	dir, err := os.MkdirTemp(p.dir, "reference-")
	if err != nil {
		return fmt.Errorf("make a directory for the nodes: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := open(ctx, p, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(description{Reference: name, Versions: versions(modules), Nodes: p.nodes, Clients: p.clients, Size: p.size}); err != nil {
		return fmt.Errorf("describe what is measured: %w", err)
	}
	next := bufio.NewScanner(os.Stdin)
	for n := 0; ctx.Err() == nil; n++ {
		if p.ask && !next.Scan() || !p.ask && n == p.rounds {
			return next.Err()
		}
		r, err := p.round(ctx, c)
		if err != nil {
			return fmt.Errorf("round %d of %s: %w", n+1, name, err)
		}
		if err := out.Encode(r); err != nil {
			return fmt.Errorf("report round %d of %s: %w", n+1, name, err)
		}
	}
	return context.Cause(ctx)
}

// versions returns what this program was built from.
func versions(modules []string) (out []string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, m := range info.Deps {
		if slices.Contains(modules, m.Path) {
			out = append(out, m.Path+" "+m.Version)
		}
	}
	return out
}

// round lets all clients write for a while, each its next value as soon as the one
// before is durable.
func (p *plan) round(ctx context.Context, c cluster) (round, error) {
	took := make([][]time.Duration, p.clients)
	failed := make([]error, p.clients)
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(p.duration)
	for client := range p.clients {
		wg.Go(func() {
			for i, now := 0, time.Now(); now.Before(end); i++ {
				if failed[client] = c.write(ctx, client, i); failed[client] != nil {
					return
				}
				done := time.Now()
				took[client] = append(took[client], done.Sub(now))
				now = done
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	all := slices.Concat(took...)
	if err := errors.Join(failed...); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return round{}, errors.New(first)
	}
	slices.Sort(all)
	at := func(percent int) float64 { return float64(all[(len(all)-1)*percent/100]) / 1000 }
	return round{Ops: len(all), PerS: float64(len(all)) / elapsed.Seconds(), P50US: at(50), P99US: at(99)}, nil
}
