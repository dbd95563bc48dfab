package port_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// transport is Raft's own, on a port.
func transport(t *testing.T, p *port.Port) *raft.NetworkTransport {
	tr := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                p.Stream(),
		ServerAddressProvider: p.Provider(),
		MaxPool:               3,
		Timeout:               time.Second,
	})
	t.Cleanup(func() { tr.Close() })
	return tr
}

// raftPair opens two members, with or without certificates, whose Raft transports
// know each other. The second one answers votes.
func raftPair(t *testing.T, withTLS bool) (p, q *port.Port, tr *raft.NetworkTransport, to raft.ServerAddress) {
	one, two := member("n1"), member("n2")
	c, d := one.config(), two.config()
	if withTLS {
		dir := certified(t, "n1", "n2")
		c.TLS, d.TLS = load(t, dir+"/n1"), load(t, dir+"/n2")
	}
	q = open(t, d)
	c.AddressOf = func(id string) (string, bool) { return q.Addr(), id == "n2/aaaa" }
	p = open(t, c)
	other := transport(t, q)
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case rpc := <-other.Consumer():
				if rpc.Reader != nil {
					_, _ = io.Copy(io.Discard, rpc.Reader)
					rpc.Respond(&raft.InstallSnapshotResponse{Success: true}, nil)
					continue
				}
				rpc.Respond(&raft.RequestVoteResponse{Term: 7, Granted: true}, nil)
			case <-done:
				return
			}
		}
	}()
	return p, q, transport(t, p), raft.ServerAddress(q.Addr())
}

func TestRaftRunsOnThePort(t *testing.T) {
	for name, withTLS := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			_, _, tr, to := raftPair(t, withTLS)
			var vote raft.RequestVoteResponse
			if err := tr.RequestVote("n2/aaaa", to, &raft.RequestVoteRequest{Term: 7}, &vote); err != nil || !vote.Granted {
				t.Fatalf("%+v, %v", vote, err)
			}
			var installed raft.InstallSnapshotResponse
			body := bytes.Repeat([]byte("snapshot"), 1<<20)
			if err := tr.InstallSnapshot("n2/aaaa", to, &raft.InstallSnapshotRequest{Size: int64(len(body))}, &installed, bytes.NewReader(body)); err != nil || !installed.Success {
				t.Fatalf("%+v, %v", installed, err)
			}
			err := tr.RequestVote("n3/aaaa", to, &raft.RequestVoteRequest{}, &vote)
			if !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("to a node whose address is not known: %v", err)
			}
		})
	}
}

func TestASeveredPortCutsRaftsStreams(t *testing.T) {
	_, q, tr, to := raftPair(t, false)
	var vote raft.RequestVoteResponse
	if err := tr.RequestVote("n2/aaaa", to, &raft.RequestVoteRequest{}, &vote); err != nil {
		t.Fatal(err)
	}
	q.Sever()
	for range 3 {
		if err := tr.RequestVote("n2/aaaa", to, &raft.RequestVoteRequest{}, &vote); err == nil {
			t.Error("a vote after that")
		}
	}
}

func TestStreamsAreRefusedUntilRaftIsStarted(t *testing.T) {
	p, q := open(t, member("n1").config()), open(t, member("n2").config())
	_, err := p.Stream().Dial(port.RaftAddress("n2/aaaa", q.Addr()), time.Second)
	if !errors.Is(err, driver.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	layer := q.Stream()
	conn, err := p.Stream().Dial(port.RaftAddress("n2/aaaa", q.Addr()), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := layer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(other, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := layer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := layer.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
}

func TestARaftAddressHoldsIDAndAddress(t *testing.T) {
	for _, address := range []string{"127.0.0.1:7001", "[::1]:7001", "host.example:7001"} {
		if id, a := port.ParseRaftAddress(port.RaftAddress("n1/aaaa", address)); id != "n1/aaaa" || a != address {
			t.Errorf("%s, %s", id, a)
		}
		if id, a := port.ParseRaftAddress(raft.ServerAddress(address)); id != "" || a != address {
			t.Errorf("%s, %s", id, a)
		}
	}
	p := open(t, member("n1").config())
	if a, err := p.Provider().ServerAddr("n1/aaaa"); err != nil || a != port.RaftAddress("n1/aaaa", p.Addr()) {
		t.Errorf("its own: %s, %v", a, err)
	}
}
