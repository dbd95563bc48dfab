package inmem

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trihold/repo/driver"
)

// trioNames are the nodes of a trio. The first one is in the process of the test.
var trioNames = []string{"n1", "n2", "n3"}

// Trios are clusters of three nodes, each in a process of its own: two processes
// run the second and the third node of all the clusters of a test.
type trios struct {
	helpers []*helper
	leader  string // which node is to lead

	mu        sync.Mutex
	addresses map[string][]string // by directory; guarded by mu
	opened    int                 // guarded by mu
	moved     int                 // stores that were closed under another leader; guarded by mu
}

func newTrios(t testing.TB, leader string) *trios {
	return &trios{helpers: []*helper{startHelper(t), startHelper(t)}, leader: leader, addresses: map[string][]string{}}
}

// open opens the cluster that is kept in dir; Prepare has it meet.
func (c *trios) open(t testing.TB, dir string) *trio {
	t.Helper()
	c.mu.Lock()
	addresses := c.addresses[dir]
	if addresses == nil {
		addresses = freeAddresses(t, len(trioNames))
		c.addresses[dir] = addresses
	}
	c.opened++
	key := fmt.Sprintf("%s#%d", dir, c.opened)
	c.mu.Unlock()
	for i, p := range c.helpers {
		if err := p.call("Open", OpenCall{key, trioURL(dir, addresses, i+1)}, nil); err != nil {
			t.Fatalf("open %s: %v", trioNames[i+1], err)
		}
	}
	s, err := openNode(trioURL(dir, addresses, 0))
	if err != nil {
		t.Fatalf("open %s: %v", trioNames[0], err)
	}
	return &trio{Store: s, all: c, key: key, met: make(chan struct{})}
}

func trioURL(dir string, addresses []string, i int) string {
	peers := make([]string, len(trioNames))
	for i, name := range trioNames {
		peers[i] = name + "@" + addresses[i]
	}
	return fmt.Sprintf("inmem:%s?node=%s&listen=%s&peers=%s&election=300ms", filepath.Join(dir, trioNames[i]), trioNames[i], addresses[i], strings.Join(peers, ","))
}

// A trio is one cluster as its first node.
type trio struct {
	*Store
	all *trios
	key string
	met chan struct{} // closed when the nodes have met, under the right leader

	closing sync.Once
	err     error // of Close
}

// Prepare prepares all nodes at once, and has the right one lead.
func (c *trio) Prepare(ctx context.Context, schema *driver.Schema) error {
	call := PrepareCall{Key: c.key}
	if schema != nil {
		call.Schema = schema.Describe()
	}
	others := make(chan error, len(c.all.helpers))
	for _, p := range c.all.helpers {
		go func() { others <- p.call("Prepare", call, nil) }()
	}
	if err := c.Store.Prepare(ctx, schema); err != nil {
		return err
	}
	for range c.all.helpers {
		if err := <-others; err != nil {
			return fmt.Errorf("prepare another node: %w", err)
		}
	}
	if err := c.lead(ctx, c.all.leader); err != nil {
		return err
	}
	close(c.met)
	return nil
}

// lead has a node lead.
func (c *trio) lead(ctx context.Context, name string) error {
	var err error
	for range 1000 {
		status, statusErr := c.Store.ClusterStatus(ctx)
		switch {
		case statusErr != nil:
			return statusErr
		case status.Leader == name && (status.Role == RoleLeader) == (name == trioNames[0]):
			return nil
		case status.Leader == trioNames[0]:
			err = c.Store.Transfer(ctx, name)
		case status.Leader == trioNames[1]:
			err = c.all.helpers[0].call("Transfer", TransferCall{c.key, name}, nil)
		case status.Leader == trioNames[2]:
			err = c.all.helpers[1].call("Transfer", TransferCall{c.key, name}, nil)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s does not become the leader: %w", name, err)
}

// Close closes the first node, compares what the others hold, and closes them.
func (c *trio) Close() error {
	c.closing.Do(func() { c.err = c.close() })
	return errors.Join(c.err, c.Store.Close())
}

func (c *trio) close() error {
	var errs []error
	met := false
	select {
	case <-c.met:
		met = true
		status, err := c.Store.ClusterStatus(context.Background())
		errs = append(errs, err)
		if status.Leader != c.all.leader {
			c.all.mu.Lock()
			c.all.moved++
			c.all.mu.Unlock()
		}
	default:
	}
	errs = append(errs, c.Store.Close())
	if met {
		errs = append(errs, c.compare())
	}
	for _, p := range c.all.helpers {
		errs = append(errs, p.call("Close", c.key, nil))
	}
	return errors.Join(errs...)
}

// compare checks that the two nodes that are left hold the same, and what the first
// one held when it was closed, unless they have got on.
func (c *trio) compare() error {
	var all [2]Content
	for i, p := range c.all.helpers {
		if err := p.call("Content", c.key, &all[i]); err != nil {
			return fmt.Errorf("content of %s: %w", trioNames[i+1], err)
		}
	}
	last := c.Store.published.Load()
	switch {
	case all[0] != all[1]:
		return fmt.Errorf("the second node holds %v, the third one %v", all[0], all[1])
	case all[0].Rev < last.rev:
		return fmt.Errorf("the second node is at revision %d, the first one had published %d", all[0].Rev, last.rev)
	}
	return nil
}
