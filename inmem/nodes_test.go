package inmem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"trihold/internal/digest"
	"trihold/internal/verify"
	"trihold/repo/driver"
)

// nodesEnv is set in the environment of a process that runs nodes for a test.
const nodesEnv = "TRIHOLD_INMEM_NODES"

func TestMain(m *testing.M) {
	if os.Getenv(nodesEnv) != "" {
		serveNodes()
		return
	}
	os.Exit(m.Run())
}

// serveNodes runs nodes for the process at the other end of standard input and
// output, and returns when that has ended.
func serveNodes() {
	s := rpc.NewServer()
	if err := s.Register(&Nodes{open: map[string]*node{}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s.ServeConn(pipe{os.Stdin, os.Stdout})
}

// A pipe is the two ends of a process as one connection.
type pipe struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipe) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

// Nodes are the stores that a process has open, each by a key that the test chose.
type Nodes struct {
	mu   sync.Mutex
	open map[string]*node // guarded by mu
}

type node struct {
	store *Store
	ctx   context.Context // ends when the store is to be closed
	end   context.CancelFunc
}

func (n *Nodes) node(key string) (*node, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if found := n.open[key]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("no node %s is open", key)
}

// An OpenCall says which store to open.
type OpenCall struct{ Key, URL string }

// Open opens a store; the next call for it is Prepare.
func (n *Nodes) Open(c OpenCall, _ *struct{}) error {
	s, err := openNode(c.URL)
	if err != nil {
		return err
	}
	opened := &node{store: s}
	opened.ctx, opened.end = context.WithCancel(context.Background())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open[c.Key] = opened
	return nil
}

// openNode opens a member of a cluster, and does not prepare it. Nodes that come and go
// are to be expected, so it logs nothing.
func openNode(url string) (*Store, error) {
	u, err := driver.ParseURL(url)
	if err != nil {
		return nil, err
	}
	c := Config{Dir: u.Path, Logger: quiet}
	if err := c.Cluster.parse(&u.Params); err != nil {
		return nil, err
	}
	return Open(c)
}

// A PrepareCall has the description of the schema; empty is none.
type PrepareCall struct {
	Key    string
	Schema string
}

// Prepare prepares a store.
func (n *Nodes) Prepare(c PrepareCall, _ *struct{}) error {
	d, err := n.node(c.Key)
	if err != nil {
		return err
	}
	var schema *driver.Schema
	if c.Schema != "" {
		if schema, err = driver.ParseSchema(c.Schema); err != nil {
			return err
		}
	}
	return d.store.Prepare(d.ctx, schema)
}

// A TransferCall says which member is to lead.
type TransferCall struct{ Key, To string }

// Transfer hands leadership over.
func (n *Nodes) Transfer(c TransferCall, _ *struct{}) error {
	d, err := n.node(c.Key)
	if err != nil {
		return err
	}
	return d.store.Transfer(d.ctx, c.To)
}

// Status tells how a node sees its cluster.
func (n *Nodes) Status(key string, s *ClusterStatus) error {
	d, err := n.node(key)
	if err != nil {
		return err
	}
	*s, err = d.store.ClusterStatus(d.ctx)
	return err
}

// Content checks a store and tells what it holds, as of a linearisable read.
func (n *Nodes) Content(key string, c *Content) error {
	d, err := n.node(key)
	if err != nil {
		return err
	}
	*c, err = contentOf(d.ctx, d.store)
	return err
}

// Close closes a store, prepared or not.
func (n *Nodes) Close(key string, _ *struct{}) error {
	d, err := n.node(key)
	if err != nil {
		return err
	}
	n.mu.Lock()
	delete(n.open, key)
	n.mu.Unlock()
	d.end()
	return d.store.Close()
}

// Content identifies what a store holds.
type Content struct {
	Rev driver.Rev
	Sum string
}

func contentOf(ctx context.Context, s *Store) (c Content, err error) {
	status, err := s.Status(ctx)
	if err != nil {
		return c, err
	}
	schema := status.Schema
	if err := verify.Store(ctx, s, schema); err != nil && !errors.Is(err, driver.ErrMoved) {
		return c, err
	}
	snap, err := s.Begin(ctx, driver.Mode{Closed: true})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	var names []string
	var sums []digest.Sum
	var buf []byte
	for _, t := range schema.Stored() {
		var sum digest.Sum
		for row, err := range snap.Scan(ctx, driver.Span{Table: t}) {
			if err != nil {
				return c, err
			}
			buf = fmt.Appendf(buf[:0], "%d ", row.Rev)
			sum.Add(row.Canonical(buf, t))
		}
		names, sums = append(names, t.Name), append(sums, sum)
	}
	return Content{Rev: snap.Rev(), Sum: digest.Whole(names, sums).String()}, nil
}

// A helper is a process of this test that runs nodes. It is used by one test, and does
// not outlive it.
type helper struct {
	*rpc.Client
	cmd *exec.Cmd
}

func startHelper(t testing.TB) *helper {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodesEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a process for nodes: %v", err)
	}
	p := &helper{rpc.NewClient(pipe{out, in}), cmd}
	t.Cleanup(p.kill)
	return p
}

// kill ends the process with SIGKILL. It may have ended before.
func (p *helper) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.Client.Close()
	_ = p.cmd.Wait()
}

// call is Call with a deadline.
func (p *helper) call(method string, args, reply any) error {
	call := p.Go("Nodes."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(time.Minute):
		return fmt.Errorf("%s: no answer from process %d within a minute", method, p.cmd.Process.Pid)
	}
}

// freeAddresses returns loopback addresses nobody listens on. They are below the
// ports that systems give to those who ask for any, so they stay free.
func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	var all []string
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err != nil {
			continue
		}
		defer l.Close() // all are held until there are enough, so that they differ
		if all = append(all, l.Addr().String()); len(all) == n {
			return all
		}
	}
	t.Fatal("no free port")
	return nil
}
