package migrate

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"trihold/repo"
	"trihold/repo/driver"
)

// server starts a networked store of its own and returns its URL.
func server(t *testing.T) string {
	t.Helper()
	d, err := driver.Open(t.Context(), place(t, "rqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.Prepare(t.Context(), schema.Driver()); err != nil {
		t.Fatal(err)
	}
	st, err := d.Status(t.Context())
	if err != nil || len(st.Addresses) == 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	return "rqlite://" + st.Addresses[0]
}

// Only a networked store can be used by several programs.
func TestOtherProgramsFollowTheStoreThatTheyUse(t *testing.T) {
	source, target := server(t), server(t)
	s := open(t, source)
	s.fill(200)
	other, err := repo.Open(t.Context(), "live:"+source, schema)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	plain, err := repo.Open(t.Context(), source, schema)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()

	// The other program writes and reads all the time: each of its writes must be in
	// its next read, wherever the store is.
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int64)
	go func() {
		n := int64(0)
		for ctx.Err() == nil {
			n++
			err := other.Update(context.Background(), func(tx *repo.Tx) error { return counters.Put(tx, counter{"other", n}) })
			var seen counter
			if err == nil {
				err = other.View(context.Background(), func(tx *repo.ReadTx) (err error) { seen, err = counters.Get(tx, "other"); return err })
			}
			if err != nil || seen.Value != n {
				t.Errorf("the other program wrote %d and reads %d, %v", n, seen.Value, err)
				break
			}
		}
		done <- n
	}()
	s.must(Command{Do: DoStart, To: target})
	s.await(Tailing)
	s.must(Command{Do: DoVerify})
	s.must(Command{Do: DoCutover})
	time.Sleep(100 * time.Millisecond)
	err = plain.Update(t.Context(), func(tx *repo.Tx) error { return counters.Put(tx, counter{"plain", 1}) })
	if !errors.Is(err, repo.ErrMoved) {
		t.Errorf("a program that does not follow: %v, want ErrMoved", err)
	}
	s.must(Command{Do: DoRollback})
	time.Sleep(100 * time.Millisecond)
	stop()
	n := <-done
	err = s.store.View(t.Context(), func(tx *repo.ReadTx) error {
		c, err := counters.Get(tx, "other")
		if err == nil && c.Value != n {
			t.Errorf("%d writes of the other program arrived, want %d", c.Value, n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestASecondMigrationOfOneSourceIsRefused(t *testing.T) {
	source := server(t)
	s := open(t, source)
	s.fill(10)
	s.must(Command{Do: DoStart, To: place(t, "sqlite")})
	if _, err := s.live.Do(t.Context(), Command{Do: DoStart, To: place(t, "inmem")}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a second one of this program: %v", err)
	}
	two := open(t, source)
	if _, err := two.live.Do(t.Context(), Command{Do: DoStart, To: place(t, "inmem")}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("a second one of another program: %v", err)
	}
}

// Hosts may change their names, as containers do.
func TestAMigrationIsTakenUpUnderTheNameOfItsRunner(t *testing.T) {
	s := open(t, place(t, "inmem"))
	s.fill(10)
	s.must(Command{Do: DoStart, To: place(t, "sqlite")})
	s.await(Tailing)
	first := s.live.identity()
	s.close()
	s.url = strings.Replace(s.url, "admin=", "runner=elsewhere&admin=", 1)
	s.reopen()
	_, err := s.live.Do(t.Context(), Command{Do: DoStatus})
	if !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), "runner="+url.QueryEscape(first)) {
		t.Errorf("the migration of another program: %v", err)
	}
	s.close()
	s.url = strings.Replace(s.url, "runner=elsewhere", "runner="+url.QueryEscape(first), 1)
	s.reopen()
	if st := s.must(Command{Do: DoStatus}).Status; st.Phase != Tailing {
		t.Errorf("taken up, it is %+v", st)
	}
}
