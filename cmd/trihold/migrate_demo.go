package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trihold/bench/report"
	"trihold/repo/driver"
	"trihold/repo/migrate"
)

type demoFlags struct {
	rows int64
	rate float64
	dir  string
	out  string
}

func newMigrateDemo(c console) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "move a store under load through all three backends, and account for every commit",
		Long: `demo starts trihold load on an inmem store in a process of its own, and moves that
store with the commands of trihold migrate: to sqlite with a replica, to rqlite, and
back to another inmem directory. The move from a replica to one disk lowers the
durability class, which --accept-class allows. Without rqlited, rqlite is skipped.

At the end no write may have failed, and every acknowledged commit must be there
exactly once. The stores are removed, the certificates kept.

` + exitCodes,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), c) },
	}
	fl := cmd.Flags()
	fl.Int64Var(&f.rows, "rows", 1_000_000, "rows to begin with")
	fl.Float64Var(&f.rate, "rate", 1000, "commits a second")
	fl.StringVar(&f.dir, "dir", "", "where the directory of the stores is made (default: that of temporary files)")
	fl.StringVarP(&f.out, "out", "o", "migrate-demo", "directory of the certificates")
	return cmd
}

// targetPause is how long writes should wait at most at a cutover, in milliseconds.
const targetPause = 100

func (f *demoFlags) run(ctx context.Context, c console) (err error) {
	dir, err := os.MkdirTemp(f.dir, "trihold-demo-")
	if err != nil {
		return &usageError{fmt.Sprintf("make a directory for the stores: %v: see --dir", err)}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in := func(name string) string { return filepath.Join(dir, name) }
	source := "live:inmem:" + in("first") + "?admin=" + in("admin")
	p, err := startLoad(source, "--rows", strconv.FormatInt(f.rows, 10), "--rate", fmt.Sprint(f.rate))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.kill()) }()
	filled, err := p.filled(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "loading   %s rows in inmem/disk after %.1f s, %s commits a second\n", count(f.rows), filled.S, report.Rate(f.rate))
	d := demo{flags: f, console: c, load: p, operator: &operator{name: source, url: source, socket: in("admin"), asked: true}, progress: newProgress(c.err)}
	defer d.progress.clear()
	targets := []string{
		"sqlite:" + in("app.db") + "?class=replica&replica=file://" + in("replica"),
		"rqlite:" + in("rq") + "?managed=1",
		"inmem:" + in("last"),
	}
	for n, target := range targets {
		if err := d.move(ctx, n+1, target); err != nil {
			return fmt.Errorf("move to %s: %w", shown(target), err)
		}
	}
	return d.account(ctx)
}

// A demo moves the store of a load.
type demo struct {
	*operator
	flags    *demoFlags
	console  console
	load     *loadProcess
	progress *progress
	worst    float64 // the highest p99 of a second, in milliseconds
}

// move moves the store to a target, which then is its own.
func (d *demo) move(ctx context.Context, n int, target string) error {
	start := migrate.Command{Do: migrate.DoStart, To: target}
	began := time.Now()
	a, err := d.do(ctx, start)
	if errors.Is(err, driver.ErrUnavailable) && strings.HasPrefix(target, "rqlite:") {
		fmt.Fprintf(d.console.out, "\nmove %d    skipped: %v\n", n, err) // as everywhere where there is no C compiler
		return nil
	}
	flag := ""
	if err != nil && a.Plan != nil && len(a.Plan.Refusals) > 0 { // the class: the target is empty
		start.Options.AcceptClass, flag = true, ", with --accept-class"
		a, err = d.do(ctx, start)
	}
	if err != nil {
		return err
	}
	p := a.Plan
	fmt.Fprintf(d.console.out, "\nmove %d    %s to %s%s\n", n, classed(p.Source, p.SourceClass), classed(p.Target, p.TargetClass), flag)
	lap := func(what string) {
		fmt.Fprintf(d.console.out, "%-9s %.1f s; p99 of the writes in the worst second %.1f ms\n", what, time.Since(began).Seconds(), d.slowest())
		began = time.Now()
	}
	lap("planning")
	if a, err = d.copied(ctx, d.draw); err != nil {
		return err
	}
	d.progress.clear()
	fmt.Fprintf(d.console.out, "copied    %s rows, %s\n", count(a.Status.Rows), report.Bytes(a.Status.Bytes))
	lap("copying")
	if _, err = d.do(ctx, migrate.Command{Do: migrate.DoVerify}); err != nil {
		return err
	}
	lap("verifying")
	if a, err = d.cutover(ctx); err != nil {
		return err
	}
	cut := a.Certificate.Cutovers[len(a.Certificate.Cutovers)-1]
	judged := "within"
	if cut.PauseMs > targetPause {
		judged = "OVER"
	}
	fmt.Fprintf(d.console.out, "cutover   pause %.1f ms, %s the target of %d ms; %d writes waited; digests %s\n", cut.PauseMs, judged, targetPause, cut.Waiting, digestsOf(cut))
	for _, t := range cut.Copy {
		fmt.Fprintf(d.console.out, "digest    %s: %s rows, %s\n", t.Table, count(t.Rows), t.Sum)
	}
	if a, err = d.do(ctx, migrate.Command{Do: migrate.DoComplete}); err != nil {
		return err
	}
	path := filepath.Join(d.flags.out, fmt.Sprintf("certificate-%d.json", n))
	if err := writeCertificate(path, a.Certificate); err != nil {
		return err
	}
	fmt.Fprintf(d.console.out, "complete  certificate in %s\n", path)
	return nil
}

// slowest returns the highest p99 of a second since it was asked for.
func (d *demo) slowest() float64 {
	p99 := d.load.worst()
	d.worst = max(d.worst, p99)
	return p99
}

// cutover tries again if too many commits were on their way, or it was undone.
func (d *demo) cutover(ctx context.Context) (a migrate.Answer, err error) {
	for range 20 {
		a, err = d.do(ctx, migrate.Command{Do: migrate.DoCutover})
		if err == nil || !errors.Is(err, driver.ErrUnavailable) {
			return a, err
		}
		fmt.Fprintf(d.console.out, "cutover   %s\n", oneLine(err))
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return a, context.Cause(ctx)
		}
	}
	return a, err
}

func (d *demo) draw(s *migrate.Status) {
	if d.progress.terminal != nil {
		d.progress.draw(statusLine(s))
	}
}

// account ends the load and judges what it says.
func (d *demo) account(ctx context.Context) error {
	end, err := d.load.end(ctx)
	if err != nil {
		return err
	}
	d.slowest()
	fmt.Fprintf(d.console.out, "\nend       %s commits acknowledged, %d failed, %d uncertain; p99 in the worst second %.1f ms\n",
		count(end.Acknowledged), end.Failed, end.Uncertain, d.worst)
	switch {
	case end.Faults.Any():
		fmt.Fprintf(d.console.out, "WRONG     %v\n", end.Faults)
		return errReported
	case end.Failed+end.Uncertain > 0:
		fmt.Fprintf(d.console.out, "WRONG     a write failed: %s\n", end.Error)
		return errReported
	}
	fmt.Fprintln(d.console.out, "ledger    no write failed, and every acknowledged commit is there exactly once")
	return nil
}
