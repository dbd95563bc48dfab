package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"trihold/bench/fault/operator"
	"trihold/repo"
)

// A cluster is where the members of a cluster of inmem stores are, whoever opens them.
type cluster struct {
	dir  string
	dirs []string // by member
	urls []string
}

// clusterWait is how long a cluster may take to have a leader, and a member to catch
// up.
const clusterWait = 60 * time.Second

// newCluster makes the directory for a cluster of so many members that find each other.
func (l *lab) newCluster(nodes int) (*cluster, error) {
	dir, err := l.directory()
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	var names, addresses, peers []string
	for n := range nodes {
		address, err := freeAddress()
		if err != nil {
			return nil, errors.Join(err, c.remove())
		}
		name := fmt.Sprintf("n%d", n+1)
		names, addresses, peers = append(names, name), append(addresses, address), append(peers, name+"@"+address)
	}
	for n, name := range names {
		c.dirs = append(c.dirs, filepath.Join(dir, name))
		url := fmt.Sprintf("inmem:%s?node=%s&listen=%s&election=%v", c.dirs[n], name, addresses[n], electionTimeout)
		if nodes > 1 {
			url += "&peers=" + strings.Join(peers, ",")
		}
		c.urls = append(c.urls, url)
	}
	return c, nil
}

func (c *cluster) remove() error { return os.RemoveAll(c.dir) }

// all calls fn for every member at the same time: none can be opened before a majority
// is.
func (c *cluster) all(fn func(n int) error) error {
	errs := make([]error, len(c.urls))
	var wg sync.WaitGroup
	for n := range c.urls {
		wg.Go(func() { errs[n] = fn(n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// leader waits until a member says that it is the leader, and returns which. Members
// that do not answer are left out.
func (c *cluster) leader(ctx context.Context) (int, *operator.Status, error) {
	var last error
	for deadline := time.Now().Add(clusterWait); time.Now().Before(deadline); {
		for n, dir := range c.dirs {
			status, err := operator.Send(ctx, dir, operator.Command{Do: operator.Ask})
			switch {
			case ctx.Err() != nil:
				return 0, nil, context.Cause(ctx)
			case err != nil:
				last = err
			case status.Role == operator.Leads:
				return n, &status, nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, nil, errors.Join(fmt.Errorf("no member has been the leader for %v", clusterWait), last)
}

// level waits until all members are as far as the leader, and returns which that is.
func (c *cluster) level(ctx context.Context) (int, error) {
	for deadline := time.Now().Add(clusterWait); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		n, status, err := c.leader(ctx)
		if err != nil {
			return 0, err
		}
		level := len(status.Members) == len(c.dirs)
		for _, m := range status.Members {
			// One that has not been heard of has an unknown lag.
			if !m.Self && (m.Lag != 0 || m.ContactMs < 0 || m.ContactMs > float64(electionTimeout/time.Millisecond)) {
				level = false
			}
		}
		if level {
			return n, nil
		}
	}
	return 0, fmt.Errorf("the members of the cluster have not become level in %v", clusterWait)
}

// withNodes opens a cluster in this process, fills it with wide notes, and calls fn with
// the store of the leader.
func (l *lab) withNodes(ctx context.Context, nodes int, fn func(leader *repo.Store) error) (err error) {
	c, err := l.newCluster(nodes)
	if err != nil {
		return err
	}
	stores := make([]*repo.Store, nodes)
	defer func() {
		err = errors.Join(err, c.all(func(n int) error {
			if stores[n] == nil {
				return nil
			}
			return stores[n].Close()
		}), c.remove())
	}()
	err = c.all(func(n int) (err error) {
		stores[n], err = repo.Open(ctx, c.urls[n], noteSchema)
		return err
	})
	if err != nil {
		return err
	}
	n, _, err := c.leader(ctx)
	if err != nil {
		return err
	}
	if err := insertNotes(ctx, stores[n], someNotes, newWideNote); err != nil {
		return err
	}
	return c.asBefore(ctx, func() error { return fn(stores[n]) })
}

// asBefore calls fn, and returns an error if it has not been measured on a leader that
// stayed and was durable.
func (c *cluster) asBefore(ctx context.Context, fn func() error) error {
	_, before, err := c.leader(ctx)
	if err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	_, after, err := c.leader(ctx)
	switch {
	case err != nil:
		return err
	case after.Name != before.Name || after.Term != before.Term:
		return fmt.Errorf("%s led in term %d when it began to be measured, and %s in term %d when it was over", before.Name, before.Term, after.Name, after.Term)
	case after.LastLog > before.LastLog && after.Fsync.Count == before.Fsync.Count:
		return errors.New("the log of the leader has grown, but was not made durable")
	}
	return nil
}

func quorumUpdateOverF(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.withNodes(ctx, 3, func(s *repo.Store) (err error) {
		out, err = l.compare(ctx, "us", l.f, func() (float64, error) {
			return p50(syncs, func(i int) error { return touch(ctx, s, noteID(i)) })
		})
		return err
	})
	l.note("3 nodes in one process on one disk")
	return out, err
}

func quorumViewOverT(ctx context.Context, l *lab) (out []float64, err error) {
	err = l.withNodes(ctx, 3, func(s *repo.Store) (err error) {
		out, err = l.compare(ctx, "us", l.t, func() (float64, error) {
			return p50(roundTrips, func(i int) error { return view(ctx, s, noteID(i)) })
		})
		return err
	})
	l.note("3 nodes in one process")
	return out, err
}

// updatesOver compares the throughput of a cluster with that of a bare one of as many
// nodes, for as many clients.
func updatesOver(nodes, clients int, kind string) func(context.Context, *lab) ([]float64, error) {
	return func(ctx context.Context, l *lab) (out []float64, err error) {
		err = l.withReference(ctx, kind, nodes, clients, func(r *reference) error {
			return l.withNodes(ctx, nodes, func(s *repo.Store) (err error) {
				out, err = l.compare(ctx, "/s", r.perSecond(ctx, l.Duration), l.updates(ctx, s, clients))
				l.note("%v", r)
				return err
			})
		})
		return out, err
	}
}
