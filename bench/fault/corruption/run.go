package corruption

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"trihold/bench/fault/simulate"
	"trihold/internal/simdisk"
	"trihold/repo"
	"trihold/repo/driver"
)

// A Config says what to run.
type Config struct {
	// Open opens the store under test. Log files and snapshots should be small, so
	// that there are several.
	Open simulate.Open
	Seed uint64
	// Cases is how many at least; the default is 10,000. The images that were begun
	// are finished.
	Cases int
	// PerImage is how many cases an image is used for at most; the default is all.
	PerImage int
	// Workers is how many images are worked on at a time; the default is one for each
	// processor.
	Workers int
	// Patience is how long one case may take; the default is a minute.
	Patience time.Duration
}

// enough is how many failures end a run.
const enough = 20

// Run damages images until there were enough cases.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Open == nil {
		return nil, fmt.Errorf("corruption: no store to open: %w", driver.ErrInvalid)
	}
	if c.Cases == 0 {
		c.Cases = 10_000
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	total := &Result{}
	began := time.Now()
	var mu sync.Mutex // guards what follows, and total
	var failed error
	next := c.Seed
	var workers sync.WaitGroup
	for range c.Workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				seed := next
				next++
				end := total.Cases >= c.Cases || len(total.Failures) >= enough || failed != nil
				mu.Unlock()
				if end {
					return
				}
				r, err := c.images(ctx, seed)
				mu.Lock()
				total.add(r)
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	total.Took = time.Since(began)
	total.sort()
	return total, errors.Join(failed, ctx.Err())
}

// images runs the cases of the images of one seed.
func (c Config) images(ctx context.Context, seed uint64) (*Result, error) {
	r := &Result{}
	images, err := build(ctx, c.Open, seed)
	for _, im := range images {
		if err != nil {
			return r, err
		}
		err = c.image(ctx, im, r)
	}
	return r, err
}

func (c Config) image(ctx context.Context, im *image, r *Result) error {
	rng := rand.New(rand.NewPCG(im.seed, uint64(len(im.ends))))
	all, err := targets(rng, im.disk)
	if err != nil {
		return err
	}
	if c.PerImage > 0 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(c.PerImage, len(all))]
	}
	for _, t := range all {
		if len(r.Failures) >= enough || ctx.Err() != nil {
			return ctx.Err()
		}
		disk := im.disk.Clone()
		d, err := t.strike(rng, disk)
		if err != nil {
			return fmt.Errorf("%s %s: %w", t.damage, t.file, err)
		}
		if !d.changed {
			continue
		}
		caseCtx, cancel := context.WithTimeout(ctx, c.Patience)
		o, why := c.judge(caseCtx, im, disk, d, rng.IntN(8) == 0)
		cancel()
		r.count(t, o)
		if !o.good() {
			r.Failures = append(r.Failures, Failure{im.seed, im.ends, o, d.what, why})
		}
	}
	return nil
}

// judge starts a damaged store, and says what it makes of it. Thorough goes on with
// what has started, and undoes what was refused.
func (c Config) judge(ctx context.Context, im *image, disk *simdisk.Disk, d done, thorough bool) (Outcome, string) {
	b := &builder{open: c.Open, rng: rand.New(rand.NewPCG(im.seed, 11))}
	s, err := b.start(ctx, disk)
	switch {
	case errors.Is(err, driver.ErrCorrupt) && !d.helpful(err):
		return Unhelpful, err.Error()
	case errors.Is(err, driver.ErrCorrupt):
		if !thorough {
			return Refused, ""
		}
		if err := disk.Restore(im.disk, d.files...); err != nil {
			return Broken, "undo the damage: " + err.Error()
		}
		if s, err = b.start(ctx, disk); err != nil {
			return Broken, "refused, and after the damage was undone: " + err.Error()
		}
		return c.holds(ctx, b, im, s, disk, Refused, true)
	case err != nil:
		return Misreported, err.Error()
	}
	return c.holds(ctx, b, im, s, disk, Unharmed, thorough)
}

// holds compares a store that has started with its image, and closes it.
func (c Config) holds(ctx context.Context, b *builder, im *image, s *repo.Store, disk *simdisk.Disk, o Outcome, goOn bool) (Outcome, string) {
	got, err := contentOf(ctx, s.Driver(), schema.Driver())
	switch {
	case err != nil:
		return Silent, errors.Join(err, s.Close()).Error()
	case got != im.want:
		return Silent, fmt.Sprintf("it holds %v, and had %v; close: %v", got, im.want, s.Close())
	case !goOn:
		if err := s.Close(); err != nil {
			return Broken, "close: " + err.Error()
		}
		return o, ""
	}
	err = b.work(ctx, s, 3)
	if err == nil {
		got, err = contentOf(ctx, s.Driver(), schema.Driver())
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return Broken, "going on: " + err.Error()
	}
	if s, err = b.start(ctx, disk); err != nil {
		return Broken, "after going on and a restart: " + err.Error()
	}
	again, err := contentOf(ctx, s.Driver(), schema.Driver())
	if err = errors.Join(err, s.Close()); err != nil {
		return Broken, "after going on and a restart: " + err.Error()
	}
	if again != got {
		return Silent, fmt.Sprintf("after going on and a restart it holds %v, and had %v", again, got)
	}
	return o, ""
}
