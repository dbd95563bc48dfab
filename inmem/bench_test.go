package inmem

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/btree"
	"golang.org/x/sys/unix"

	"trihold/repo"
	"trihold/repo/driver"
)

type person struct {
	ID      string    `db:"id"`
	Email   string    `db:"email"`
	City    string    `db:"city"`
	Score   int64     `db:"score"`
	Created time.Time `db:"created"`
}

var (
	persons       = repo.NewTable("person", func(p *person) *string { return &p.ID })
	personByEmail = repo.NewUnique1(persons, func(p *person) *string { return &p.Email })
	personByCity  = repo.NewIndex2(persons, func(p *person) (*string, *time.Time) { return &p.City, &p.Created })
	personByScore = repo.NewIndex1(persons, func(p *person) *int64 { return &p.Score })
	personSchema  = repo.NewSchema(persons, personByEmail, personByCity, personByScore)
)

func newPerson(i int) person {
	return person{
		ID:      personID(i),
		Email:   fmt.Sprintf("user%d@example.com", i),
		City:    fmt.Sprintf("city-%03d", i%997),
		Score:   int64(i*7919) % 100_000,
		Created: time.UnixMicro(int64(i) * 1_000_003).UTC(),
	}
}

func personID(i int) string { return fmt.Sprintf("user%d", uint64(i)*0x9E3779B97F4A7C15) }

func openPersons(b *testing.B, c Config, rows int) *repo.Store {
	b.Helper()
	c.Logger = quiet
	d, err := Open(c)
	if err != nil {
		b.Fatal(err)
	}
	s, err := repo.New(b.Context(), d, personSchema)
	if err != nil {
		b.Fatal(err)
	}
	const batch = 5000
	for i := 0; i < rows; i += batch {
		err := s.Update(b.Context(), func(tx *repo.Tx) error {
			for j := i; j < min(i+batch, rows); j++ {
				if err := persons.Put(tx, newPerson(j)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkUpdate writes rows with distinct keys from several goroutines, and
// reports the median latency beside that of appending 4 KiB with fdatasync.
func BenchmarkUpdate(b *testing.B) {
	for _, clients := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := openPersons(b, Config{Dir: filepath.Join(b.TempDir(), "s")}, 1000)
			var next atomic.Int64
			next.Store(1000)
			latencies := make([][]time.Duration, clients)
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					for {
						i := int(next.Add(1))
						if i > 1000+b.N {
							return
						}
						start := time.Now()
						err := s.Update(context.Background(), func(tx *repo.Tx) error { return persons.Insert(tx, newPerson(i)) })
						if err != nil {
							b.Error(err)
							return
						}
						latencies[c] = append(latencies[c], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(latencies...)
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(appendSync(b).Microseconds()), "F-us")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// appendSync returns the median of appending 4 KiB to a file with fdatasync.
func appendSync(b *testing.B) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4096)
	var all []time.Duration
	for range 500 {
		start := time.Now()
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

const million = 1_000_000

// BenchmarkRead compares reads of a million rows with a map under a lock.
func BenchmarkRead(b *testing.B) {
	start := time.Now()
	s := openPersons(b, Config{Class: driver.Memory}, million)
	b.Logf("loaded in %v", time.Since(start))
	ctx := b.Context()
	ids := make([]string, 1<<16)
	for i := range ids {
		ids[i] = personID(rand.IntN(million))
	}
	m := make(map[string]*person, million)
	for i := range million {
		p := newPerson(i)
		m[p.ID] = &p
	}
	var mu sync.RWMutex
	var sink person
	runtime.GC() // of what loading left
	i := 0
	next := func() string { i++; return ids[i%len(ids)] }
	b.Run("map", func(b *testing.B) {
		for b.Loop() {
			mu.RLock()
			sink = *m[next()]
			mu.RUnlock()
		}
	})
	b.Run("driver", func(b *testing.B) {
		b.ReportAllocs()
		t := personSchema.Driver().Tables[0]
		for b.Loop() {
			snap, err := s.Driver().Begin(ctx, driver.Mode{})
			if err != nil {
				b.Fatal(err)
			}
			key := driver.Key(driver.AppendKeyText(nil, next()))
			row, err := snap.Get(ctx, t, key)
			if err != nil {
				b.Fatal(err)
			}
			sink = *row.Value.(*person)
			_ = snap.Close()
		}
	})
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			err := s.View(ctx, func(tx *repo.ReadTx) (err error) {
				sink, err = persons.Get(tx, next())
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("span100", func(b *testing.B) {
		n := 0
		for b.Loop() {
			err := s.View(ctx, func(tx *repo.ReadTx) error {
				for p, err := range personByScore.From(rand.Int64N(99_000)).Rows(tx) {
					if err != nil {
						return err
					}
					sink = p
					if n++; n%100 == 0 {
						break
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
	})
	_ = sink
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpen opens a store of a million rows from a snapshot.
func BenchmarkOpen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "s")
	s := openPersons(b, Config{Dir: dir, Class: driver.Process, SnapshotBytes: 1 << 40}, million)
	st := s.Driver().(*Store)
	if _, err := writeSnapshot(st.c.FS, nameOf(st.published.Load()).path(dir), st.snapshots.id, st.published.Load(), st.recent); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		s := openPersons(b, Config{Dir: dir, Class: driver.Process}, 0)
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkBody loads the body of a snapshot of a million rows, beside decoding the
// same rows and doing nothing with them.
func BenchmarkBody(b *testing.B) {
	schema := personSchema.Driver()
	r := newRoot(schema)
	t := &r.tables[0]
	var plain []byte
	for i := range million {
		p := newPerson(i)
		t.orders[0].Load(&row{driver.Rev(i + 1), &p})
		before := len(plain)
		plain = t.def.Encode(append(plain, 0, 0, 0, 0), &p)
		binary.LittleEndian.PutUint32(plain[before:], uint32(len(plain)-before-4))
	}
	r.rev = million
	var body bytes.Buffer
	none := newRecent()
	none.begin(r.rev)
	if err := writeBody(&body, bodyID, r, none); err != nil {
		b.Fatal(err)
	}
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			rows := make([]any, 0, t.len())
			for from := plain; len(from) > 0; {
				n := 4 + binary.LittleEndian.Uint32(from)
				v, err := t.def.Decode(from[4:n])
				if err != nil {
					b.Fatal(err)
				}
				rows, from = append(rows, v), from[n:]
			}
			runtime.KeepAlive(rows) // as a store would
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := readBody(bytes.NewReader(body.Bytes()), bodyID, schema, false); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDegree compares degrees of the tree of one index of a million rows, in rounds
// that alternate: seeking a row, walking to the next one, and writing a row (which moves
// it in the index) in batches of 1 and of 64. Each batch begins with a copy of the tree,
// which shares its nodes until they are written. Times are of the processor, for one row,
// so that other programs disturb them less.
func BenchmarkDegree(b *testing.B) {
	degrees := []int{16, 32, 64, 128}
	o := &order{def: personSchema.Driver().Tables[0], n: 3}
	rows := make([]*row, million)
	for i := range rows {
		p := newPerson(i)
		rows[i] = &row{driver.Rev(i + 1), &p}
	}
	trees := make([]degreeTree, len(degrees))
	size := make([]float64, len(degrees))
	for d, degree := range degrees {
		before := heapNow()
		t := btree.NewBTreeGOptions(o.less, btree.Options{Degree: degree, NoLocks: true})
		for _, r := range rows {
			t.Set(r)
		}
		size[d] = float64(heapNow()-before) / million
		trees[d] = degreeTree{t, slices.Clone(rows)}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := map[string][]float64{}
	for b.Loop() {
		for d, degree := range degrees {
			times, garbage := trees[d].round()
			for op, ns := range times {
				name := fmt.Sprintf("%s-%d-ns", op, degree)
				took[name] = append(took[name], ns)
			}
			for batch, bytes := range garbage {
				name := fmt.Sprintf("alloc%d-%d-B", batch, degree)
				took[name] = append(took[name], bytes)
			}
		}
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name)
	}
	for d, degree := range degrees {
		b.ReportMetric(size[d], fmt.Sprintf("size-%d-B", degree))
	}
}

// A degreeTree is a tree and the rows in it.
type degreeTree struct {
	tree *tree
	rows []*row
}

// round measures a tree once: times in nanoseconds for one row, and the bytes that a write
// of one row allocates, by batch.
func (t *degreeTree) round() (took map[string]float64, garbage map[int]float64) {
	const seeks, walks, length, writes = 10_000, 200, 100, 1024
	any := func() int { return rand.IntN(len(t.rows)) }
	took, garbage = map[string]float64{}, map[int]float64{}
	start := threadTime()
	for range seeks {
		_, _ = t.tree.Get(t.rows[any()])
	}
	took["seek"] = float64(threadTime()-start) / seeks
	start = threadTime()
	for range walks {
		n := 0
		t.tree.Ascend(t.rows[any()], func(*row) bool { n++; return n < length })
	}
	took["walk"] = float64(threadTime()-start) / (walks * length)
	for _, batch := range []int{1, 64} {
		allocated := allocatedNow()
		start = threadTime()
		for range writes / batch {
			working := t.tree.Copy()
			for range batch {
				i := any()
				p := *t.rows[i].value.(*person)
				p.Score = rand.Int64N(100_000)
				working.Delete(t.rows[i])
				t.rows[i] = &row{t.rows[i].rev + million, &p}
				working.Set(t.rows[i])
			}
			t.tree = working
		}
		took[fmt.Sprintf("write%d", batch)] = float64(threadTime()-start) / writes
		garbage[batch] = float64(allocatedNow()-allocated) / writes
	}
	return took, garbage
}

// threadTime returns the processor time that this thread has taken, in nanoseconds.
func threadTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return t.Nano()
}

func heapNow() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func allocatedNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
