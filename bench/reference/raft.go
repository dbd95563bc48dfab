package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

func runRaft(ctx context.Context, args []string) error {
	p, err := parsePlan("raft", args, 1, 256)
	if err != nil {
		return err
	}
	return p.measure(ctx, "hashicorp/raft Apply", []string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-wal"}, openRaft)
}

// A bareRaft is hashicorp/raft as a careful program would use it that has no state:
// the library's own defaults, its log cache, raft-wal for the log, snapshots in
// files.
type bareRaft struct {
	nodes  []*raftNode
	leader *raft.Raft
	value  []byte
}

// A raftNode is one node and what must be closed behind it.
type raftNode struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	log       *wal.WAL
}

// logCache is the size that Consul and Nomad use.
const logCache = 512

const electionWait = 30 * time.Second

func openRaft(ctx context.Context, p *plan, dir string) (_ cluster, err error) {
	b := &bareRaft{value: make([]byte, p.size)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	var servers []raft.Server
	for n := range p.nodes {
		transport, err := raft.NewTCPTransportWithLogger("127.0.0.1:0", nil, 3, 10*time.Second, logger)
		if err != nil {
			return nil, fmt.Errorf("listen for raft node %d: %w", n, err)
		}
		b.nodes = append(b.nodes, &raftNode{transport: transport})
		servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprint("n", n)), Address: transport.LocalAddr()})
	}
	for n, node := range b.nodes {
		c := raft.DefaultConfig()
		c.LocalID, c.Logger = servers[n].ID, logger
		if err := node.open(c, servers, filepath.Join(dir, string(c.LocalID))); err != nil {
			return nil, fmt.Errorf("open raft node %s: %w", c.LocalID, err)
		}
	}
	return b, b.awaitLeader(ctx)
}

func (n *raftNode) open(c *raft.Config, servers []raft.Server, dir string) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o777); err != nil {
		return err
	}
	if n.log, err = wal.Open(filepath.Join(dir, "log"), wal.WithLogger(c.Logger)); err != nil {
		return err
	}
	cached, err := raft.NewLogCache(logCache, n.log)
	if err != nil {
		return err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, c.Logger)
	if err != nil {
		return err
	}
	if err := raft.BootstrapCluster(c, cached, n.log, snapshots, n.transport, raft.Configuration{Servers: servers}); err != nil {
		return err
	}
	n.raft, err = raft.NewRaft(c, empty{}, cached, n.log, snapshots, n.transport)
	return err
}

func (b *bareRaft) awaitLeader(ctx context.Context) error {
	for deadline := time.Now().Add(electionWait); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		for _, n := range b.nodes {
			if n.raft.State() == raft.Leader {
				b.leader = n.raft
				return b.leader.Barrier(electionWait).Error()
			}
		}
	}
	return fmt.Errorf("no raft node was elected within %v", electionWait)
}

func (b *bareRaft) write(context.Context, int, int) error { return b.leader.Apply(b.value, 0).Error() }

func (b *bareRaft) close() (err error) {
	for _, n := range b.nodes {
		if n.raft != nil {
			err = errors.Join(err, n.raft.Shutdown().Error())
		}
	}
	for _, n := range b.nodes {
		err = errors.Join(err, ignoreClosed(n.transport.Close()))
		if n.log != nil {
			err = errors.Join(err, n.log.Close())
		}
	}
	return err
}

// ignoreClosed is for what the library may have closed already.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// An empty state machine takes batches, which is the faster of the two interfaces
// that the library has.
type empty struct{}

func (empty) Apply(*raft.Log) any                  { return nil }
func (empty) ApplyBatch(logs []*raft.Log) []any    { return make([]any, len(logs)) }
func (empty) Snapshot() (raft.FSMSnapshot, error)  { return empty{}, nil }
func (empty) Restore(from io.ReadCloser) error     { return from.Close() }
func (empty) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (empty) Release()                             {}
