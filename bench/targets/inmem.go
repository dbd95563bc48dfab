package targets

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"trihold/bench/machine"
	"trihold/bench/result"
	"trihold/bench/subject"
	"trihold/repo"
)

const inMemory = "inmem"

var inmemRows = []Row{
	{
		Backend: inMemory, Figure: "Update p50, 1 client, one node, class disk / F", Target: "<= 1.0", Reference: "F",
		limits: []limit{atMost(1)}, measure: updateOverF(inmemDisk),
	},
	{
		Backend: inMemory, Figure: "Update p50, 1 client, 3 nodes, class quorum / F", Target: "<= 3", Reference: "F",
		limits: []limit{atMost(3)}, measure: quorumUpdateOverF,
	},
	{
		Backend: inMemory, Figure: "linearisable View at the leader of 3, 1 client / T", Target: "<= 2.5", Reference: "T",
		limits: []limit{atMost(2.5)}, measure: quorumViewOverT,
	},
	{
		Backend: inMemory, Figure: "Updates/s, one node, 256 clients, distinct keys / raw hashicorp/raft Apply at 256 clients", Target: ">= 1.5",
		Reference: "raw: hashicorp/raft Apply, raft-wal", limits: []limit{atLeast(1.5)}, measure: updatesOver(1, 256, "raft"),
	},
	{
		Backend: inMemory, Figure: "Updates/s, 3 nodes, 256 clients / raw hashicorp/raft Apply at 256 clients", Target: ">= 1.5",
		Reference: "raw: hashicorp/raft Apply, raft-wal, 3 nodes", limits: []limit{atLeast(1.5)}, measure: updatesOver(3, 256, "raft"),
	},
	{
		Backend: inMemory, Figure: "Updates/s, 3 nodes, 64 clients / etcd 3 members put, 64 clients", Target: ">= 4",
		Reference: "raw: etcd put, 3 members", limits: []limit{atLeast(4)}, measure: updatesOver(3, 64, "etcd"),
	},
	{
		Backend: inMemory, Figure: "View with one Get, one node / M", Target: "<= 5, stretch 2.5 (hash primary key)", Reference: "M",
		limits: []limit{atMost(5)}, measure: viewOverM,
	},
	{
		Backend: inMemory, Figure: "span of 100 rows, per row / one Get", Target: "<= 0.3", Reference: "View with one Get",
		limits: []limit{atMost(0.3)}, measure: spanOverGet,
	},
	{
		Backend: inMemory, Figure: "bytes per row (PSS slope, 3 indices) / SQLite file bytes per row", Target: "<= 2.0", Reference: "the same rows in sqlite",
		limits: []limit{atMost(2)}, measure: bytesPerRow,
	},
	{
		Backend: inMemory, Figure: "restart with 1M rows, 3 indices / plain read of the snapshot file + decode", Target: "<= 3; and <= 1.5 s per million rows on 2 cores",
		Reference: "reading a file of the same rows and decoding each", limits: []limit{atMost(3), atMost(1.5)}, measure: restart,
	},
	{
		Backend: inMemory, Figure: "longest write stall while a snapshot of 1M rows is written / normal p99", Target: "<= 3", Reference: "p99 of the same writes without a snapshot",
		limits: []limit{atMost(3)}, measure: snapshotStall,
	},
	{
		Backend: inMemory, Figure: "leader killed, first Update succeeds again", Target: "<= 3 x election timeout", Reference: "election timeout",
		limits: []limit{atMost(3)}, measure: failoverOverElection,
	},
	{
		Backend: inMemory, Figure: "elections while nodes with a large heap collect garbage", Target: "0", Reference: "none; elections while 3 nodes are loaded, written to, and collected without a pause",
		limits: []limit{atMost(0)}, measure: electionsUnderGC,
	},
}

// updateOverF measures an Update with one check and one write.
func updateOverF(url string) func(context.Context, *lab) ([]float64, error) {
	return func(ctx context.Context, l *lab) (out []float64, err error) {
		err = l.with(ctx, url, noteSchema, func(s *repo.Store, _ string) (err error) {
			if err := loadNotes(ctx, s, someNotes); err != nil {
				return err
			}
			out, err = l.compare(ctx, "us", l.f, func() (float64, error) {
				return p50(syncs, func(i int) error { return touch(ctx, s, noteID(i)) })
			})
			return err
		})
		return out, err
	}
}

// gets is how many reads a round has: enough that caches are as cold as they will
// be.
const gets = 200_000

func viewOverM(ctx context.Context, l *lab) ([]float64, error) {
	m, s, err := l.items(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.rest(ctx); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 1))
	reads := make([]string, gets)
	for i := range reads {
		reads[i] = m.keys[r.IntN(len(m.keys))]
	}
	return l.compare(ctx, "ns",
		func() (float64, error) { return each(gets, func(i int) error { return m.get(reads[i]) }) },
		func() (float64, error) { return each(gets, func(i int) error { return s.get(ctx, reads[i]) }) })
}

func spanOverGet(ctx context.Context, l *lab) ([]float64, error) {
	m, s, err := l.items(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.rest(ctx); err != nil {
		return nil, err
	}
	const spans, rows = gets / 100, 100
	r := rand.New(rand.NewPCG(2, 2))
	starts := make([]int, spans)
	for i := range starts {
		starts[i] = r.IntN(len(m.keys) - rows)
	}
	return l.compare(ctx, "ns",
		func() (float64, error) {
			return each(spans, func(i int) error { return s.get(ctx, m.keys[starts[i]]) })
		},
		func() (float64, error) {
			v, err := each(spans, func(i int) error {
				n, err := s.span(ctx, m.keys[starts[i]], m.keys[starts[i]+rows-1])
				if err == nil && n != rows {
					err = fmt.Errorf("a span of %d rows has %d", rows, n)
				}
				return err
			})
			return v / rows, err
		})
}

// bytesPerRow fits lines through the sizes of stores of several numbers of rows,
// so that what does not grow does not count.
func bytesPerRow(ctx context.Context, l *lab) ([]float64, error) {
	var rows, memory, file []float64
	for step := 1; step <= 4; step++ {
		n := l.Rows * int64(step) / 20
		var sizes [2]float64
		for i, url := range []string{inmemDisk, "sqlite:{dir}/app.db?class=disk"} {
			pss, bytes, err := l.footprint(ctx, url, n)
			if err != nil {
				return nil, err
			}
			sizes[i] = [2]float64{pss, bytes}[i]
		}
		rows, memory, file = append(rows, float64(n)), append(memory, sizes[0]), append(file, sizes[1])
	}
	return []float64{slope(rows, memory) / slope(rows, file)}, nil
}

// footprint returns the memory and the size of the files of a store of n items,
// in a process of its own.
func (l *lab) footprint(ctx context.Context, url string, n int64) (pss, bytes float64, err error) {
	dir, err := l.directory()
	if err != nil {
		return 0, 0, err
	}
	p, err := subject.Start(l.Subject)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.Stop(), os.RemoveAll(dir)) }()
	if err := p.Prepare(ctx, subject.Spec{Workload: "items", Rows: n, Seed: 1}); err != nil {
		return 0, 0, err
	}
	base, err := p.Tree().PSS()
	if err != nil {
		return 0, 0, err
	}
	if _, err := p.Open(ctx, strings.ReplaceAll(url, "{dir}", dir)); err != nil {
		return 0, 0, err
	}
	if _, err := p.Load(ctx, nil); err != nil {
		return 0, 0, err
	}
	if err := p.Settle(ctx); err != nil {
		return 0, 0, err
	}
	settled, err := p.Tree().PSS()
	if err != nil {
		return 0, 0, err
	}
	if err := p.Close(ctx); err != nil {
		return 0, 0, err
	}
	bytes, err = fileBytes(dir)
	return float64(settled - base), bytes, err
}

func fileBytes(dir string) (sum float64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += float64(info.Size())
		}
		return err
	})
	return sum, err
}

// slope returns the median of the slopes between all pairs of points (Theil and
// Sen), which one bad point does not move.
func slope(x, y []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := range i {
			slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
		}
	}
	return result.Median(slopes)
}

func restart(ctx context.Context, l *lab) ([]float64, error) {
	m, s, err := l.items(ctx)
	if err != nil {
		return nil, err
	}
	plain := filepath.Join(l.dir, "plain")
	if err := m.write(plain); err != nil {
		return nil, err
	}
	var seconds []float64
	ratio, err := l.compare(ctx, "s",
		func() (float64, error) { return readPlain(plain) },
		func() (float64, error) {
			took, err := s.reopen(ctx, m.keys[len(m.keys)/2])
			seconds = append(seconds, took*1e6/float64(len(m.keys)))
			return took, err
		})
	if err != nil {
		return nil, err
	}
	return append(ratio, result.Median(seconds)), nil
}

// A snapshot is seen by the name of its file while it is written.
const snapshotFiles = "data/*/*.snap.tmp"

// snapshotStall writes one row at a time, first alone, and then while a snapshot
// is written, which comes about by writing as much log as the store is large.
func snapshotStall(ctx context.Context, l *lab) ([]float64, error) {
	m, s, err := l.items(ctx)
	if err != nil {
		return nil, err
	}
	write := func() (time.Duration, error) {
		start := time.Now()
		err := s.put(ctx, m.keys[0], "a short body")
		return time.Since(start), err
	}
	return l.compare(ctx, "us",
		func() (float64, error) {
			var normal []time.Duration
			for end := time.Now().Add(l.Duration); time.Now().Before(end); {
				took, err := write()
				if err != nil {
					return 0, err
				}
				normal = append(normal, took)
			}
			return machine.Micros(machine.Percentile(normal, 99)), nil
		},
		func() (float64, error) {
			longest, err := s.duringSnapshot(ctx, m.keys[1], write)
			return machine.Micros(longest), err
		})
}

// writing reports whether a snapshot is being written.
func (s *itemStore) writing() bool {
	found, _ := filepath.Glob(filepath.Join(s.dir, snapshotFiles)) // the pattern is good
	return len(found) > 0
}

// rest waits until no snapshot has been written for a while, and collects the garbage:
// reads are measured alone.
func (s *itemStore) rest(ctx context.Context) error {
	const pause, atMost = 50 * time.Millisecond, time.Minute
	for quiet, waited := 0, time.Duration(0); quiet < 5 && waited < atMost; waited += pause {
		if quiet++; s.writing() {
			quiet = 0
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	runtime.GC()
	return nil
}

// duringSnapshot writes large rows until a snapshot begins, and returns how long
// the longest write took until it was done.
func (s *itemStore) duringSnapshot(ctx context.Context, filler string, write func() (time.Duration, error)) (longest time.Duration, err error) {
	large := strings.Repeat("x", 256<<10)
	for n := 0; !s.writing(); n++ {
		if n > 20_000 {
			return 0, errors.New("no snapshot was written after 5 GiB of log")
		}
		if err := s.put(ctx, filler, large); err != nil {
			return 0, err
		}
	}
	writes := 0
	for ; s.writing(); writes++ {
		took, err := write()
		if err != nil {
			return 0, err
		}
		longest = max(longest, took)
	}
	if writes < 10 {
		return 0, fmt.Errorf("the snapshot was over after %d writes", writes)
	}
	return longest, nil
}

// A plainItems is a map of items under a lock, with the keys in order: M.
type plainItems struct {
	keys []string
	mu   sync.RWMutex
	rows map[string]*item
}

func (m *plainItems) get(key string) error {
	m.mu.RLock()
	row := m.rows[key]
	m.mu.RUnlock()
	if row == nil {
		return errors.New("the map has lost a row")
	}
	return nil
}

// items returns the large store and the map with the same rows.
func (l *lab) items(ctx context.Context) (*plainItems, *itemStore, error) {
	if l.million != nil {
		return l.plain, l.million, nil
	}
	m := &plainItems{rows: map[string]*item{}}
	for n := range l.Rows {
		row := newItem(n)
		m.keys = append(m.keys, row.ID)
		m.rows[row.ID] = &row
	}
	s, err := openItems(ctx, l, m)
	if err != nil {
		return nil, nil, err
	}
	l.plain, l.million = m, s
	return m, s, nil
}

// dropItems gives the memory of the large store back.
func (l *lab) dropItems() error {
	if l.million == nil {
		return nil
	}
	err := errors.Join(l.million.store.Close(), os.RemoveAll(l.million.dir))
	l.million, l.plain = nil, nil
	runtime.GC()
	return err
}
