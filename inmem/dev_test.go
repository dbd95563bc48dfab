package inmem

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"trihold/repo/driver"
)

func ports(t *testing.T, n int) []string {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l.Addr().String())
		defer l.Close()
	}
	return out
}

func TestDevThree(t *testing.T) {
	addrs := ports(t, 3)
	var peers []Peer
	for i, a := range addrs {
		peers = append(peers, Peer{fmt.Sprintf("n%d", i+1), a})
	}
	dir := t.TempDir()
	stores := make([]*Store, 3)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range stores {
		s, err := Open(Config{Dir: filepath.Join(dir, peers[i].Name), Cluster: ClusterConfig{Node: peers[i].Name, Listen: addrs[i], Peers: peers, Election: 200 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		stores[i] = s
		wg.Go(func() {
			if err := s.Prepare(context.Background(), noteSchema.Driver()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Log("prepared", time.Since(begin))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for i, s := range stores {
		snap, err := s.Begin(ctx, driver.Mode{})
		if err != nil {
			t.Fatal(i, err)
		}
		t.Log("read", i, time.Since(begin), snap.Rev())
		st, _ := s.ClusterStatus(ctx)
		t.Logf("%+v", st)
	}
	for i, s := range stores {
		b := time.Now()
		c := &driver.Commit{ID: driver.CommitID{byte(i + 1)}}
		w, err := noteSchema.Driver().PutState("x", i, 0)
		if err != nil {
			t.Fatal(err)
		}
		c.Writes = append(c.Writes, w)
		rev, err := s.Commit(ctx, c)
		if err != nil {
			t.Fatal(i, err)
		}
		t.Log("commit", i, rev, time.Since(b))
		b = time.Now()
		snap, err := s.Begin(ctx, driver.Mode{})
		t.Log("read", i, time.Since(b), snap.Rev(), err)
	}
	for i, s := range stores {
		b := time.Now()
		t.Log("close", i, s.Close(), time.Since(b))
	}
}
