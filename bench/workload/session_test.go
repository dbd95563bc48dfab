package workload

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"trihold/bench/input"
	"trihold/repo"
	"trihold/repo/repotest"
)

func openModel(t *testing.T, s Session) *repo.Store {
	t.Helper()
	store, err := repo.New(t.Context(), repotest.NewModel(), s.Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func mustLoad(t *testing.T, s Session, store *repo.Store) {
	t.Helper()
	var last int64
	if err := s.Load(t.Context(), store, func(n int64) { last = n }); err != nil {
		t.Fatal(err)
	}
	if last != s.Rows() {
		t.Fatalf("loaded %d rows of %d", last, s.Rows())
	}
}

// drive carries out operations by several clients at once.
func drive(t *testing.T, s Session, store *repo.Store, clients, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for c := range clients {
		stream := s.Stream(uint64(c + 1))
		wg.Go(func() {
			for range n {
				if _, err := s.Do(context.Background(), store, stream.Next()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestEveryWorkloadRunsAndIsVerified(t *testing.T) {
	const rows = 500
	for _, w := range append(Workloads(), Records) {
		t.Run(w.Name, func(t *testing.T) {
			p := Params{Rows: rows, Seed: 3}
			if w.Name == Records.Name {
				p.File = testRecords(t, rows)
			}
			s, err := w.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			store := openModel(t, s)
			mustLoad(t, s, store)
			drive(t, s, store, 4, 200)
			v, err := s.Verify(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			if v.Rows < rows || len(v.Probes) == 0 {
				t.Errorf("verdict %+v", v)
			}
			for _, probe := range v.Probes {
				if err := s.Check(t.Context(), store, probe); err != nil {
					t.Error(err)
				}
			}
			probe := v.Probes[0]
			probe.Stamp.Write += 1_000_000
			if err := s.Check(t.Context(), store, probe); !isMismatch(err) {
				t.Errorf("a probe of another write was found: %v", err)
			}
		})
	}
}

// The digest that verification computes is documented in package repo; both
// must come to the same for a store that nobody wrote through a session.
func TestVerifyNoticesARowThatSomebodyElseWrote(t *testing.T) {
	k := newTestSession(t, "ycsb-a", 50)
	store := openModel(t, k)
	mustLoad(t, k, store)
	err := store.Update(t.Context(), func(tx *repo.Tx) error { return k.table.Insert(tx, User{Key: "user1"}) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(t.Context(), store); !isMismatch(err) {
		t.Errorf("verify: %v", err)
	}
}

func TestAReadThatFindsNothingIsAMismatch(t *testing.T) {
	k := newTestSession(t, "ycsb-c", 50)
	store := openModel(t, k)
	mustLoad(t, k, store)
	err := store.Update(t.Context(), func(tx *repo.Tx) error { return k.table.Delete(tx, k.rows.key(7)) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Do(t.Context(), store, Op{Kind: Read, Key: 7}); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("read: %v", err)
	}
	_, err = k.Verify(t.Context(), store)
	if m := (*Mismatch)(nil); !errors.As(err, &m) || m.Count < 2 { // the read, and the row
		t.Errorf("verify: %v", err)
	}
}

// Good histories are verified, and every way of damaging one is found.
func TestDamagedContentIsRejected(t *testing.T) {
	k := newTestSession(t, "ycsb-a", 40)
	h := k.history
	put := func(n int64, err error) write {
		w := h.begin()
		h.end(n, Update, w, err)
		return w
	}
	first := put(3, nil)
	last := put(3, nil)
	refusedWrite := put(5, repo.ErrUnavailable)
	unsure := put(6, repo.ErrUncertain)
	inserted := h.newKey()
	h.end(inserted, Insert, h.begin(), nil)
	refusedInsert := h.newKey()
	h.end(refusedInsert, Insert, h.begin(), repo.ErrUnavailable)

	good := map[int64]Stamp{}
	for n := range k.params.Rows {
		good[n] = Stamp{}
	}
	good[3] = last.stamp
	good[inserted] = Stamp{Write: unsure.stamp.Write + 1}

	cases := []struct {
		name string
		do   func(rows map[int64]Stamp)
		want string // "" is good
	}{
		{"nothing", func(map[int64]Stamp) {}, ""},
		{"an uncertain write happened", func(r map[int64]Stamp) { r[6] = unsure.stamp }, ""},
		{"a loaded row is lost", func(r map[int64]Stamp) { delete(r, 9) }, "is lost"},
		{"an inserted row is lost", func(r map[int64]Stamp) { delete(r, inserted) }, "is lost"},
		{"a value is stale", func(r map[int64]Stamp) { r[3] = first.stamp }, "was overwritten"},
		{"an update is lost", func(r map[int64]Stamp) { r[3] = Stamp{} }, "was overwritten"},
		{"a refused write happened", func(r map[int64]Stamp) { r[5] = refusedWrite.stamp }, "or failed"},
		{"a refused insert happened", func(r map[int64]Stamp) { r[refusedInsert] = Stamp{Write: 99} }, "insert failed"},
		{"a write of another key", func(r map[int64]Stamp) { r[8] = last.stamp }, "was overwritten, or failed"},
		{"a write that nobody made", func(r map[int64]Stamp) { r[8] = Stamp{Write: 1000} }, "never made"},
		{"a key that nobody inserted", func(r map[int64]Stamp) { r[500] = Stamp{} }, "not written by this run"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rows := map[int64]Stamp{}
			for n, s := range good {
				rows[n] = s
			}
			c.do(rows)
			expect(t, k, k.stored(t, rows), c.want)
		})
	}
	t.Run("a row is there twice", func(t *testing.T) {
		all := k.stored(t, good)
		expect(t, k, append(all[:5:5], all[4:]...), "comes after")
	})
	t.Run("rows are out of order", func(t *testing.T) {
		all := k.stored(t, good)
		all[4], all[5] = all[5], all[4]
		expect(t, k, all, "comes after")
	})
	t.Run("a byte of a value is another", func(t *testing.T) {
		all := k.stored(t, good)
		all[10].Field7 = "x" + all[10].Field7[1:]
		expect(t, k, all, "is not as write")
	})
}

func TestALostReadModifyWriteIsFound(t *testing.T) {
	k := newTestSession(t, "ycsb-f", 10)
	h := k.history
	a, b := h.begin(), h.begin() // at the same time
	a.stamp.Count, b.stamp.Count = 1, 1
	h.end(4, RMW, a, nil)
	h.end(4, RMW, b, nil) // both read the loaded row: one of them is lost
	rows := map[int64]Stamp{}
	for n := range k.params.Rows {
		rows[n] = Stamp{}
	}
	rows[4] = b.stamp
	expect(t, k, k.stored(t, rows), "went through 1 read-modify-writes, but 2 were acknowledged")
}

// Writes at the same time may end up in any order; one that began after another
// had ended may not.
func TestOnlyOverlappingWritesMayBeLast(t *testing.T) {
	h := newHistory(1)
	a, b := h.begin(), h.begin()
	h.end(0, Update, a, nil)
	h.end(0, Update, b, nil)
	c := h.begin()
	for _, w := range []write{a, b} {
		if f := h.judge(0, w.stamp); f != "" {
			t.Errorf("write %d: %s", w.stamp.Write, f)
		}
	}
	h.end(0, Update, c, nil)
	for _, w := range []write{a, b} {
		if h.judge(0, w.stamp) == "" {
			t.Errorf("write %d may be last, although a later one was acknowledged", w.stamp.Write)
		}
	}
	if f := h.judge(0, c.stamp); f != "" {
		t.Error(f)
	}
}

// stored returns the rows of a store that holds the given writes, in order.
func (k *keyed[T]) stored(t *testing.T, stamps map[int64]Stamp) []T {
	t.Helper()
	store := openModel(t, &keyed[T]{schema: k.schema})
	err := store.Update(t.Context(), func(tx *repo.Tx) error {
		for n, s := range stamps {
			row, err := k.rows.make(n, s)
			if err == nil {
				err = k.table.Insert(tx, row)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	err = store.View(t.Context(), func(tx *repo.ReadTx) error {
		all = nil
		for row, err := range k.table.All().Rows(tx) {
			if err != nil {
				return err
			}
			all = append(all, row)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func expect(t *testing.T, k *keyed[User], rows []User, want string) {
	t.Helper()
	_, m, err := k.compare(sequence(rows))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case want == "" && m.Count > 0:
		t.Errorf("found wrong: %v", m)
	case want != "" && (m.Count == 0 || !strings.Contains(m.Error(), want)):
		t.Errorf("found %d wrong: %v; want %q", m.Count, m, want)
	}
}

func sequence[T any](rows []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func isMismatch(err error) bool {
	var m *Mismatch
	return errors.As(err, &m)
}

func testRecords(t *testing.T, n int) *input.File {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{ \"id\": %d, \"who\": {\"team\": \"t%d\"}, \"text\": \"\u00e9\\n\\u0000 <&>\", \"n\": 12345678901234567890.5 }\r\n", i, i%7)
	}
	path := filepath.Join(t.TempDir(), "records.ndjson")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := input.Scan(path, "id", "who.team", 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func BenchmarkMakeUser(b *testing.B) {
	u := users{1}
	for b.Loop() {
		_, _ = u.make(12345, Stamp{Write: 7})
	}
}
