package rqlitebackend

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

type thing struct {
	ID   string `db:"id"`
	Text string `db:"text"`
}

var (
	things      = repo.NewTable("thing", func(t *thing) *string { return &t.ID })
	thingSchema = repo.NewSchema(things)
	thingTable  = thingSchema.Driver().Tables[0]
	payload     = strings.Repeat("p", 100)
)

const thingRows = 10_000

// A bench is a managed rqlite with a trihold store and, for comparison, a plain
// table that is used through the raw API.
type bench struct {
	store *Store
	raw   http.Client
	next  atomic.Int64
}

func newBench(b *testing.B) *bench {
	b.Helper()
	s := openManaged(b, b.TempDir())
	b.Cleanup(func() { _ = s.Close() })
	if err := s.Prepare(b.Context(), thingSchema.Driver()); err != nil {
		b.Fatal(err)
	}
	x := &bench{store: s, raw: http.Client{Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512}}}
	x.mustRaw(b, "/db/execute", []any{`CREATE TABLE raw (id TEXT PRIMARY KEY NOT NULL, v TEXT NOT NULL)`})
	for from := 0; from < thingRows; from += 1000 {
		var writes []driver.Write
		var rows []any
		for i := from; i < from+1000; i++ {
			writes = append(writes, thingWrite(driver.Insert, thingID(i)))
			rows = append(rows, []any{`INSERT INTO raw VALUES (?, ?)`, thingID(i), payload})
		}
		x.mustRaw(b, "/db/execute?transaction", rows)
		if _, err := s.Commit(b.Context(), &driver.Commit{ID: newID(), Writes: writes}); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

// newID returns an ID as package repo makes them: ordered by time.
func newID() (id driver.CommitID) {
	binary.BigEndian.PutUint64(id[:8], uint64(time.Now().UnixMilli())<<16)
	if _, err := rand.Read(id[6:]); err != nil {
		panic(err) // crypto/rand never returns an error
	}
	return id
}

func thingID(i int) string { return fmt.Sprintf("thing-%08d", i%thingRows) }

func thingKey(id string) driver.Key { return driver.Key(driver.AppendKeyText(nil, id)) }

func thingWrite(kind driver.WriteKind, id string) driver.Write {
	data := thingTable.Encode(nil, &thing{ID: id, Text: payload})
	return driver.Write{Kind: kind, Table: thingTable, Key: thingKey(id), Data: data}
}

// mustRaw sends a request as a plain program would.
func (x *bench) mustRaw(b *testing.B, path string, statements any) {
	if err := x.send(path, statements); err != nil {
		b.Fatal(err)
	}
}

func (x *bench) send(path string, statements any) error {
	body, err := json.Marshal(statements)
	if err != nil {
		return err
	}
	host, _ := x.store.client.peers.now()
	resp, err := x.raw.Post("http://"+host+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Results []struct{ Error string }
		Error   string
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	for _, r := range answer.Results {
		if r.Error != "" {
			return errors.New(r.Error)
		}
	}
	return nil
}

// What is measured. Each works on a row of its own.

func (x *bench) rawInsert(context.Context) error {
	n := x.next.Add(1)
	return x.send("/db/execute", []any{[]any{`INSERT INTO raw VALUES (?, ?)`, fmt.Sprintf("new-%d", n), payload}})
}

func (x *bench) rawQuery(context.Context) error {
	n := x.next.Add(1)
	return x.send("/db/query?level=linearizable", []any{[]any{`SELECT id, v FROM raw WHERE id = ?`, thingID(int(n * 7919))}})
}

func (x *bench) view(ctx context.Context) error {
	snap, err := x.store.Begin(ctx, driver.Mode{})
	if err != nil {
		return err
	}
	defer snap.Close()
	_, err = snap.Get(ctx, thingTable, thingKey(thingID(int(x.next.Add(1)*7919))))
	return err
}

// insert is a commit with one check, of a row that is absent, and one write.
func (x *bench) insert(ctx context.Context) error {
	id := fmt.Sprintf("new-%d", x.next.Add(1))
	_, err := x.store.Commit(ctx, &driver.Commit{
		ID:     newID(),
		Checks: driver.Checks{Rows: []driver.RowCheck{{Table: thingTable, Key: thingKey(id)}}},
		Writes: []driver.Write{thingWrite(driver.Insert, id)},
	})
	return err
}

// insertAfter20 is insert with 20 rows checked.
func (x *bench) insertAfter20(ctx context.Context) error {
	n := x.next.Add(1)
	id := fmt.Sprintf("new-%d", n)
	c := &driver.Commit{ID: newID(), Writes: []driver.Write{thingWrite(driver.Insert, id)}}
	for i := range 20 {
		c.Checks.Rows = append(c.Checks.Rows, driver.RowCheck{Table: thingTable, Key: thingKey(fmt.Sprintf("none-%d-%d", n, i))})
	}
	_, err := x.store.Commit(ctx, c)
	return err
}

// refused is a commit that meets a conflict.
func (x *bench) refused(ctx context.Context) error {
	c := &driver.Commit{ID: newID(), Writes: []driver.Write{thingWrite(driver.Put, thingID(1))}}
	c.Checks.Rows = []driver.RowCheck{{Table: thingTable, Key: thingKey(thingID(1)), Rev: 1 << 40}}
	if _, err := x.store.Commit(ctx, c); !errors.Is(err, driver.ErrConflict) {
		return fmt.Errorf("got %v, want a conflict", err)
	}
	return nil
}

// update reads a row and overwrites it.
func (x *bench) update(ctx context.Context) error {
	id := thingID(int(x.next.Add(1)))
	snap, err := x.store.Begin(ctx, driver.Mode{})
	if err != nil {
		return err
	}
	defer snap.Close()
	row, err := snap.Get(ctx, thingTable, thingKey(id))
	if err != nil {
		return err
	}
	_, err = x.store.Commit(ctx, &driver.Commit{
		ID: newID(), Read: snap.Rev(),
		Checks: driver.Checks{Rows: []driver.RowCheck{{Table: thingTable, Key: thingKey(id), Rev: row.Rev}}},
		Writes: []driver.Write{thingWrite(driver.Put, id)},
	})
	return err
}

// A load is an operation with a number of callers.
type load struct {
	name    string
	callers int
	do      func(ctx context.Context) error
	took    []time.Duration
	rate    []float64 // of each round
}

// round runs a load for a while.
func (l *load) round(b *testing.B, d time.Duration) {
	var wg sync.WaitGroup
	var done atomic.Int64
	began := time.Now()
	for range l.callers {
		wg.Go(func() {
			for time.Since(began) < d {
				if err := l.do(b.Context()); err != nil {
					b.Errorf("%s: %v", l.name, err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	l.rate = append(l.rate, float64(done.Load())/time.Since(began).Seconds())
}

func median[T float64 | time.Duration](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// throughput runs loads in turn, many times, and reports the median rate of each,
// and that divided by the first one's.
func throughput(b *testing.B, loads ...*load) {
	for b.Loop() {
		for range 9 {
			for _, l := range loads {
				if l.round(b, 200*time.Millisecond); b.Failed() {
					return
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, l := range loads {
		b.ReportMetric(median(l.rate), l.name+"/s")
		b.ReportMetric(median(l.rate)/median(loads[0].rate), l.name+"/"+loads[0].name)
	}
}

// latency runs loads in turn, one operation of each, and reports the median time
// of each, and that divided by the first one's. The order is random, because an
// operation is slower behind one that has written more.
func latency(b *testing.B, rounds int, loads ...*load) {
	for b.Loop() {
		for range rounds {
			for _, i := range mathrand.Perm(len(loads)) {
				l := loads[i]
				start := time.Now()
				if err := l.do(b.Context()); err != nil {
					b.Fatalf("%s: %v", l.name, err)
				}
				l.took = append(l.took, time.Since(start))
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, l := range loads {
		b.ReportMetric(float64(median(l.took).Microseconds()), l.name+"-us")
		b.ReportMetric(float64(median(l.took))/float64(median(loads[0].took)), l.name+"/"+loads[0].name)
	}
}

func BenchmarkCommit1(b *testing.B) {
	x := newBench(b)
	latency(b, 1500,
		&load{name: "raw", do: x.rawInsert},
		&load{name: "commit", do: x.insert},
		&load{name: "update", do: x.update},
		&load{name: "checks20", do: x.insertAfter20},
		&load{name: "refused", do: x.refused})
}

func BenchmarkCommits(b *testing.B) {
	x := newBench(b)
	throughput(b,
		&load{name: "raw64", callers: 64, do: x.rawInsert},
		&load{name: "commit64", callers: 64, do: x.insert},
		&load{name: "commit256", callers: 256, do: x.insert},
		&load{name: "update64", callers: 64, do: x.update},
		&load{name: "update256", callers: 256, do: x.update})
}

func BenchmarkView1(b *testing.B) {
	x := newBench(b)
	latency(b, 1500,
		&load{name: "raw", do: x.rawQuery},
		&load{name: "view", do: x.view})
}

func BenchmarkViews(b *testing.B) {
	x := newBench(b)
	throughput(b,
		&load{name: "raw64", callers: 64, do: x.rawQuery},
		&load{name: "view64", callers: 64, do: x.view},
		&load{name: "view256", callers: 256, do: x.view})
}

// BenchmarkLarge commits 10,000 rows at once, the most that one commit may write.
func BenchmarkLarge(b *testing.B) {
	x := newBench(b)
	ids := func() []string {
		ids := make([]string, driver.MaxWrites)
		for i := range ids {
			ids[i] = fmt.Sprintf("new-%d", x.next.Add(1))
		}
		return ids
	}
	raw := func(context.Context) error {
		var statements []any
		for _, id := range ids() {
			statements = append(statements, []any{`INSERT INTO raw VALUES (?, ?)`, id, payload})
		}
		return x.send("/db/execute?transaction", statements)
	}
	commit := func(ctx context.Context) error {
		c := &driver.Commit{ID: newID()}
		for _, id := range ids() {
			c.Writes = append(c.Writes, thingWrite(driver.Insert, id))
		}
		_, err := x.store.Commit(ctx, c)
		return err
	}
	latency(b, 7, &load{name: "raw", do: raw}, &load{name: "commit", do: commit})
}

// BenchmarkLoad loads 5,000 rows at once, alone and along with the 5,000 commits
// that wrote them.
func BenchmarkLoad(b *testing.B) {
	const rows = 5000
	x := newBench(b)
	fence, err := thingSchema.Driver().PutState(driver.FenceRow, driver.Fence{By: "bench"}, 1)
	if err != nil {
		b.Fatal(err)
	}
	rev, err := x.store.Commit(b.Context(), &driver.Commit{Writes: []driver.Write{fence}, Load: &driver.Load{}})
	if err != nil {
		b.Fatal(err)
	}
	next := func(grow driver.Rev) *driver.Commit {
		c := &driver.Commit{Load: &driver.Load{}}
		for range rows {
			rev += grow
			w := thingWrite(driver.Put, fmt.Sprintf("new-%d", x.next.Add(1)))
			w.Rev = rev
			c.Writes = append(c.Writes, w)
			if grow > 0 {
				c.Load.Changes = append(c.Load.Changes, driver.Change{Rev: rev, ID: newID(), Keys: []driver.ChangedKey{{Table: w.Table, Key: w.Key}}})
			}
		}
		return c
	}
	loads := []*load{
		{name: "fill", do: func(ctx context.Context) error {
			_, err := x.store.Commit(ctx, next(0))
			return err
		}},
		{name: "follow", do: func(ctx context.Context) error {
			_, err := x.store.Commit(ctx, next(1))
			return err
		}},
	}
	latency(b, 11, loads...)
	for _, l := range loads {
		b.ReportMetric(rows/median(l.took).Seconds(), l.name+"-rows/s")
	}
}
