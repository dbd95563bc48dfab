package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trihold/bench/proc"
	"trihold/bench/subject"
	"trihold/repo/migrate"
)

// A memory measures what a store of items needs under a load, in a process of its
// own.
type memory struct {
	lab  *lab
	rows int64
}

// with starts a process with such a store, and ends it afterwards. The memory that it
// needs to make the load is given to fn.
func (m memory) with(ctx context.Context, url string, fn func(p *subject.Process, dir string, base int64) error) (err error) {
	dir, err := m.lab.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := subject.Start(m.lab.Subject)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := p.Prepare(ctx, subject.Spec{Workload: "items", Rows: m.rows, Seed: 1}); err != nil {
		return err
	}
	base, err := p.Tree().PSS()
	if err != nil {
		return err
	}
	if _, err := p.Open(ctx, strings.ReplaceAll(url, "{dir}", dir)); err != nil {
		return err
	}
	if _, err := p.Load(ctx, nil); err != nil {
		return err
	}
	if err := p.Settle(ctx); err != nil {
		return err
	}
	return fn(p, dir, base)
}

// peak returns the highest PSS while operations are carried out until over returns
// true, and for as long as it takes the collector to have been around.
func (m memory) peak(ctx context.Context, p *subject.Process, over func() (bool, error)) (int64, error) {
	s := proc.Sample(p.Tree())
	var failed error
	for done := false; !done && failed == nil; {
		loop, err := p.Paced(ctx, subject.Paced{PerSecond: writesPerSecond, Duration: 10 * time.Second, Seed: uint64(time.Now().UnixNano())})
		if err == nil && loop.Failed > 0 {
			err = fmt.Errorf("%d operations failed: %v", loop.Failed, loop.Errors)
		}
		if failed = err; failed == nil {
			done, failed = over()
		}
	}
	peak, err := s.Stop()
	return peak, errors.Join(failed, err)
}

func once() (bool, error) { return true, nil }

// alone returns what the target needs, in megabytes.
func (m memory) alone(ctx context.Context) (mb float64, err error) {
	err = m.with(ctx, sqliteDisk, func(p *subject.Process, _ string, base int64) error {
		peak, err := m.peak(ctx, p, once)
		mb = float64(peak-base) / 1e6
		return err
	})
	return mb, err
}

// moving returns what the service needs before and while it is moved, in megabytes.
func (m memory) moving(ctx context.Context) (before, while float64, err error) {
	err = m.with(ctx, "live:inmem:{dir}/source?class=disk&admin={dir}/admin", func(p *subject.Process, dir string, _ int64) error {
		peak, err := m.peak(ctx, p, once)
		if err != nil {
			return err
		}
		before = float64(peak) / 1e6
		ask := func(c migrate.Command) (migrate.Answer, error) {
			return migrate.Ask(ctx, filepath.Join(dir, "admin"), c)
		}
		to := "sqlite:" + filepath.Join(dir, "target.db") + "?class=disk"
		// It takes as long as the operations do that are measured.
		o := migrate.Options{RowsPerSecond: int(m.rows / 8)}
		if _, err := ask(migrate.Command{Do: migrate.DoStart, To: to, Options: o}); err != nil {
			return err
		}
		peak, err = m.peak(ctx, p, func() (bool, error) {
			a, err := ask(migrate.Command{Do: migrate.DoStatus})
			if err != nil {
				return false, err
			}
			return a.Status.Phase != migrate.Copying, nil
		})
		while = float64(peak) / 1e6
		return err
	})
	return before, while, err
}
