package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "trihold/inmem"
	"trihold/internal/verify"
	"trihold/repo"
	"trihold/repo/driver"
	_ "trihold/rqlitebackend"
	_ "trihold/sqlitebackend"
)

type run struct {
	ID      string `db:"id"`
	Channel string `db:"channel"`
	Number  int64  `db:"number"`
	Note    string `db:"note"`
}

type counter struct {
	Name  string `db:"name"`
	Value int64  `db:"value"`
}

var (
	runs     = repo.NewTable("runs", func(r *run) *string { return &r.ID })
	byNumber = repo.NewUnique2(runs, func(r *run) (*string, *int64) { return &r.Channel, &r.Number })
	counters = repo.NewTable("counters", func(c *counter) *string { return &c.Name })
	schema   = repo.NewSchema(runs, byNumber, counters)
)

// place returns the URL of an empty store of a backend.
func place(t *testing.T, backend string) string {
	dir := t.TempDir()
	switch backend {
	case "inmem":
		return "inmem:" + dir
	case "sqlite":
		return "sqlite:" + filepath.Join(dir, "app.db")
	}
	if _, err := os.Stat("../../bin/rqlited"); err != nil && os.Getenv("TRIHOLD_RQLITED") == "" {
		t.Skip("no rqlited: make bin/rqlited makes one, with a C compiler")
	}
	return "rqlite:" + filepath.Join(dir, "rq") + "?managed=1"
}

// A service is a program with a live store and a load on it.
type service struct {
	*testing.T
	url   string
	live  *Live
	store *repo.Store

	stop  context.CancelFunc
	work  sync.WaitGroup
	acked atomic.Int64 // commits that were acknowledged
}

func open(t *testing.T, source string) *service {
	t.Helper()
	sign := "?"
	if strings.Contains(source, "?") {
		sign = "&"
	}
	s := &service{T: t, url: "live:" + source + sign + "admin=" + filepath.Join(t.TempDir(), "s")}
	s.reopen()
	t.Cleanup(func() { s.close() })
	return s
}

func (s *service) reopen() {
	s.Helper()
	store, err := repo.Open(s.Context(), s.url, schema)
	if err != nil {
		s.Fatal(err)
	}
	s.store, s.live = store, store.Driver().(*Live)
}

func (s *service) close() {
	s.quiet()
	if err := s.store.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
}

// busy begins a load of several writers.
func (s *service) busy(writers int) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for w := range writers {
		s.work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := s.write(fmt.Sprintf("w%d", w), n); err != nil {
					s.Errorf("a write failed: %v", err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}

func (s *service) quiet() {
	if s.stop != nil {
		s.stop()
		s.work.Wait()
	}
}

// write counts up, and inserts, moves and deletes runs.
func (s *service) write(who string, n int) error {
	err := s.store.Update(context.Background(), func(tx *repo.Tx) error {
		c, err := counters.Get(tx, who)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		c.Name, c.Value = who, c.Value+1
		if err := counters.Put(tx, c); err != nil {
			return err
		}
		id := fmt.Sprintf("%s-%d", who, n)
		if n%3 == 2 {
			if err := runs.Delete(tx, fmt.Sprintf("%s-%d", who, n-2)); err != nil {
				return err
			}
		}
		return runs.Put(tx, run{ID: id, Channel: who, Number: c.Value, Note: "live"})
	})
	if err == nil {
		s.acked.Add(1)
	}
	return err
}

func (s *service) fill(rows int) {
	s.Helper()
	for from := 0; from < rows; from += 1000 {
		err := s.store.Update(s.Context(), func(tx *repo.Tx) error {
			for i := from; i < min(rows, from+1000); i++ {
				if err := runs.Insert(tx, run{ID: fmt.Sprintf("r%06d", i), Channel: "fill", Number: int64(i), Note: "filled"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.Fatal(err)
		}
	}
}

func (s *service) must(c Command) Answer {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := s.live.Do(ctx, c)
	if err != nil {
		s.Fatalf("%s: %v; status %+v", c.Do, err, a.Status)
	}
	return a
}

func (s *service) await(p Phase) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		st := s.must(Command{Do: DoStatus}).Status
		if st.Phase == p {
			return
		}
		if time.Now().After(deadline) || st.Error != "" && !passing(errors.New(st.Error)) && time.Now().After(deadline.Add(-50*time.Second)) {
			s.Fatalf("the migration is %+v, want it %s", st, p)
		}
	}
}

// complete checks that the store holds every acknowledged commit once.
func (s *service) complete() {
	s.Helper()
	var sum int64
	err := s.store.View(s.Context(), func(tx *repo.ReadTx) error {
		for c, err := range counters.All().Rows(tx) {
			if err != nil {
				return err
			}
			sum += c.Value
		}
		return nil
	})
	if err != nil || sum != s.acked.Load() {
		s.Errorf("%d commits are in the store, %v; %d were acknowledged", sum, err, s.acked.Load())
	}
	if err := verify.Store(s.Context(), s.live, s.live.schema); err != nil {
		s.Error(err)
	}
}

func TestAStoreMovesBetweenAnyTwoBackendsAndBackWhileItIsWritten(t *testing.T) {
	backends := []string{"inmem", "sqlite", "rqlite"}
	for _, from := range backends {
		for _, to := range backends {
			if from == to {
				continue
			}
			t.Run(from+" to "+to, func(t *testing.T) {
				s := open(t, place(t, from))
				s.fill(3000)
				s.busy(4)
				changes := s.subscribe()
				target := place(t, to)
				s.must(Command{Do: DoStart, To: target})
				s.await(Tailing)
				s.must(Command{Do: DoVerify})
				a := s.must(Command{Do: DoCutover})
				t.Logf("pause %.1f ms, %d waited", a.Certificate.Cutovers[0].PauseMs, a.Certificate.Cutovers[0].Waiting)
				time.Sleep(100 * time.Millisecond)
				a = s.must(Command{Do: DoRollback})
				t.Logf("pause %.1f ms, %d waited", a.Certificate.Cutovers[1].PauseMs, a.Certificate.Cutovers[1].Waiting)
				time.Sleep(100 * time.Millisecond)
				s.quiet()
				s.complete()
				st, err := s.store.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				changes(st.Rev)
			})
		}
	}
}

// subscribe follows the changes from now on. The function that it returns waits for a
// revision, and checks that each came once.
func (s *service) subscribe() func(driver.Rev) {
	st, err := s.store.Status(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var last atomic.Int64
	last.Store(int64(st.Rev))
	go func() {
		for c, err := range s.store.Changes(ctx, st.Rev) {
			if ctx.Err() != nil {
				return
			}
			if err != nil || int64(c.Rev) != last.Load()+1 {
				s.Errorf("change %d, %v, after %d", c.Rev, err, last.Load())
				return
			}
			last.Store(int64(c.Rev))
		}
	}()
	s.Cleanup(cancel)
	return func(to driver.Rev) {
		for deadline := time.Now().Add(10 * time.Second); last.Load() < int64(to); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				s.Errorf("changes end with %d, want %d", last.Load(), to)
				return
			}
		}
		cancel()
	}
}
