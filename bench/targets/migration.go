package targets

import (
	"context"
	"errors"
	"fmt"

	"os"
	"path/filepath"
	"slices"
	"time"

	"trihold/bench/fault"
	"trihold/bench/machine"
	"trihold/bench/report"
	"trihold/bench/result"
	"trihold/repo/migrate"
)

const migration = "migration"

var migrationRows = []Row{
	{
		Backend: migration, Figure: "backfill rows/s into sqlite / bare bulk insert of the same rows", Target: ">= 0.7",
		Reference: "raw: bulk insert through modernc.org/sqlite, the same columns and indices", limits: []limit{atLeast(0.7)}, measure: backfill,
	},
	{
		Backend: migration, Figure: "writes paused at cutover, 1k writes/s running, 1M rows", Target: "<= 100 ms, and no write fails",
		Reference: "none; the longest of the cutovers from inmem to sqlite, and the rollbacks", limits: []limit{atMost(100)}, measure: cutoverPause,
	},
	{
		Backend: migration, Figure: "foreground p99 while migrating, throttled / before", Target: "<= 1.2",
		Reference: "p99 of the same 1k writes/s without a migration", limits: []limit{atMost(1.2)}, measure: foreground,
	},
	{
		Backend: migration, Figure: "extra memory while migrating", Target: "<= 64 MB + what the target itself needs",
		Reference: "highest PSS under the same load before, and that of a process with nothing but the target", limits: []limit{atMost(64)}, measure: extraMemory,
	},
	{
		Backend: migration, Figure: "random kills around the cutover with two accepted histories or a lost commit", Target: "0 of 1,000",
		Reference: "none; what is wrong / kills, which grow with the rounds", limits: []limit{atMost(0), atLeast(1000)}, measure: killedMoves,
	},
}

// someItems is how many rows are moved where a million would only take longer.
const someItems = 200_000

func (l *lab) someItems() int64 { return min(someItems, l.Rows) }

// backfill measures copying alone: from the first chunk to the last one.
func backfill(ctx context.Context, l *lab) ([]float64, error) {
	rows := l.someItems()
	return l.compare(ctx, "rows/s",
		func() (perSecond float64, err error) {
			dir, err := l.directory()
			if err != nil {
				return 0, err
			}
			perSecond, err = bulkRate(ctx, filepath.Join(dir, "bare.db"), rows)
			return perSecond, errors.Join(err, os.RemoveAll(dir))
		},
		func() (perSecond float64, err error) {
			err = l.withService(ctx, itemSchema, func(s *service) error {
				if err := loadItems(ctx, s.store, rows); err != nil {
					return err
				}
				if err := s.start(ctx, migrate.Options{}); err != nil {
					return err
				}
				perSecond, err = s.copied(ctx)
				return err
			})
			return perSecond, err
		})
}

// cutoverPause moves the service and moves it back, several times, while it is
// written to, and looks in the end whether everything is there that was written.
func cutoverPause(ctx context.Context, l *lab) ([]float64, error) {
	var pauses []float64
	var longest time.Duration
	err := l.withTraffic(ctx, l.Rows, func(s *service) error {
		for range min(moves, l.Rounds) {
			if _, err := s.whileWriting(ctx, func() error { return s.follow(ctx) }); err != nil {
				return err
			}
			var cuts []migrate.Cut
			write, err := s.whileWriting(ctx, func() (err error) {
				cuts, err = s.thereAndBack(ctx)
				return err
			})
			if err != nil {
				return err
			}
			for _, c := range cuts {
				pauses = append(pauses, c.PauseMs)
			}
			longest = max(longest, write)
		}
		_, err := s.traffic.Session.Verify(ctx, s.store)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.absolute = append(l.absolute, fmt.Sprintf("%d rows; the longest write in the seconds around %d cutovers took %s ms",
		l.Rows, len(pauses), number(longest.Seconds()*1000)))
	return []float64{slices.Max(pauses)}, nil
}

// moves is how often the service is moved there and back to measure the pause.
const moves = 2

// foreground measures writes while rows are copied no faster than throttled.
func foreground(ctx context.Context, l *lab) ([]float64, error) {
	p99 := func(before, after func(*service) error) measurement {
		return func() (us float64, err error) {
			err = l.withTraffic(ctx, l.someItems(), func(s *service) error {
				if err := before(s); err != nil {
					return err
				}
				op, err := s.write(ctx, 8*l.Duration)
				us = machine.Micros(op.P99)
				return errors.Join(err, after(s))
			})
			return us, err
		}
	}
	nothing := func(*service) error { return nil }
	start := func(s *service) error { return s.start(ctx, migrate.Options{RowsPerSecond: throttled}) }
	goesOn := func(s *service) error {
		st, err := s.do(ctx, migrate.DoStatus)
		if err == nil && (st.Phase != migrate.Copying || st.Rows == 0) {
			err = fmt.Errorf("%d rows were copied and the migration is %s when the writes end", st.Rows, st.Phase)
		}
		return err
	}
	return l.compare(ctx, "us", p99(nothing, nothing), p99(start, goesOn))
}

// throttled is how many rows a second are copied beside a service that is not to
// notice: a million in less than four minutes.
const throttled = 5000

// extraMemory measures processes of their own. What the migration takes is the
// difference between the highest PSS with and without it, under the same load; what
// the target itself needs is the highest PSS of a process that has nothing but the
// same rows in such a store, under that load.
func extraMemory(ctx context.Context, l *lab) ([]float64, error) {
	m := memory{lab: l, rows: l.someItems()}
	target, err := m.alone(ctx)
	if err != nil {
		return nil, err
	}
	before, while, err := m.moving(ctx)
	if err != nil {
		return nil, err
	}
	l.absolute = append(l.absolute, fmt.Sprintf("%d rows; %s MB before, %s MB while migrating, of which the target needs %s MB",
		m.rows, number(before), number(while), number(target)))
	return []float64{while - before - target}, nil
}

// killedMoves runs the migrations of the fault suite, and counts what must not be.
func killedMoves(ctx context.Context, l *lab) ([]float64, error) {
	c := l.Fault
	c.Migrations, c.Rounds, c.Dir, c.Out = true, l.Rounds, l.dir, l.dir
	f, err := fault.Run(ctx, c)
	if err != nil {
		return nil, err
	}
	var sum result.Migration
	wrong := 0
	for _, cell := range f.Cells {
		if !cell.Verdict.Good() {
			return nil, errors.New(report.CellLine(cell))
		}
		if !cell.Control && cell.Migration != nil {
			sum.Add(cell.Migration)
			wrong += cell.Lost
		}
	}
	if sum.Struck() == 0 {
		return nil, errors.New("nothing was killed")
	}
	l.absolute = append(l.absolute, fmt.Sprintf("%d kills at all steps of moves between all backends, %d cutovers, %d rollbacks",
		sum.Struck(), sum.Cutovers, sum.Rollbacks))
	return []float64{float64(wrong + sum.Doubled + sum.Histories), float64(sum.Struck())}, nil
}
