package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/fault/traffic"
	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// The test program is its own node.
func TestMain(m *testing.M) {
	driver.Register("model", func(_ context.Context, u *driver.URL) (driver.Store, error) {
		if u.Path == "corrupt" {
			return nil, fmt.Errorf("open model: %w", driver.ErrCorrupt)
		}
		return repotest.NewModel(), u.Params.Err()
	})
	if os.Getenv("NODE_TEST") == "node" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("NODE_TEST", "node")
	os.Exit(m.Run())
}

func start(t *testing.T, c Config) *Node {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Command, c.Name, c.Setup = exec.Command(exe), "n1", traffic.DefaultSetup
	if c.URL == "" {
		c.URL = "model:x"
	}
	n, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Kill(); err != nil {
			t.Error(err)
		}
		if left, err := n.Tree().PIDs(); err != nil || len(left) > 0 {
			t.Errorf("processes %v are left, %v", left, err)
		}
	})
	return n
}

func open(t *testing.T, n *Node) {
	t.Helper()
	if o, err := n.Open(t.Context()); err != nil || o.Backend == "" {
		t.Fatalf("opened %+v, %v", o, err)
	}
	if err := n.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestManyOperationsAreUnderWayAtOnceAndAllAreThereInTheEnd(t *testing.T) {
	n := start(t, Config{})
	open(t, n)
	var wait sync.WaitGroup
	for i := range int64(20) {
		wait.Go(func() {
			o := history.Op{ID: i + 1, Kind: history.Note, Begin: 7}
			if !n.Do(t.Context(), &o, time.Minute) || o.Outcome != history.OK || o.Begin != 7 {
				t.Errorf("operation %+v", o)
			}
		})
	}
	wait.Wait()
	f, err := n.Final(t.Context())
	if err != nil || len(f.Ledger) != 20 || f.Node != "n1" {
		t.Fatalf("the ledger is %v, %v", f.Ledger, err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
}

func TestAnOperationOfAKilledNodeIsUnknownAndOneAfterwardsIsNotSent(t *testing.T) {
	n := start(t, Config{})
	open(t, n)
	if err := n.Tree().Stop(); err != nil { // so that the answer cannot come first
		t.Fatal(err)
	}
	done := make(chan history.Op)
	go func() {
		o := history.Op{ID: 1, Kind: history.Note}
		n.Do(t.Context(), &o, time.Minute)
		done <- o
	}()
	for {
		n.mu.Lock()
		waiting := len(n.waiting)
		n.mu.Unlock()
		if waiting == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	if o := <-done; o.Outcome != history.Unknown {
		t.Errorf("the operation is %+v", o)
	}
	o := history.Op{ID: 2, Kind: history.Note}
	if n.Do(t.Context(), &o, time.Minute) {
		t.Errorf("an operation was sent to a node that is gone: %+v", o)
	}
}

func TestAnErrorOfOpeningIsWhatItWas(t *testing.T) {
	n := start(t, Config{URL: "model:corrupt"})
	if _, err := n.Open(t.Context()); !errors.Is(err, repo.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	o := history.Op{ID: 1, Kind: history.Note}
	if !n.Do(t.Context(), &o, time.Minute) || o.Outcome != history.Failed {
		t.Errorf("an operation on no store is %+v", o)
	}
}

func TestAnEarlyNodeAnswersWhatItHasNotDone(t *testing.T) {
	n := start(t, Config{Early: true})
	open(t, n)
	o := history.Op{ID: 1, Kind: history.Note}
	if !n.Do(t.Context(), &o, time.Minute) || o.Outcome != history.OK {
		t.Fatalf("operation %+v", o)
	}
	if f, err := n.Final(t.Context()); err != nil || len(f.Ledger) != 0 {
		t.Errorf("the ledger is %v, %v: it is there already", f.Ledger, err)
	}
}
