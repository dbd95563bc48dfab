package targets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"trihold/bench/subject"
)

const (
	// heapRows is how many items make a heap of 4 GB, roughly, as a multiple of the rows
	// of the large store.
	heapRows = 6
	// heapBytes is what a row takes of the memory of a process that is loaded, garbage
	// and what the process remembers for itself included.
	heapBytes = 1600
	// collecting is how long nodes are collected.
	collecting = 20 * time.Second
)

// A heap is a cluster of three processes with as many rows as the memory allows.
type heap struct {
	cluster *cluster
	members []*subject.Process
}

// electionsUnderGC counts the elections while a cluster is filled, and then written to
// through one follower while the two other members do nothing but collect garbage.
func electionsUnderGC(ctx context.Context, l *lab) (out []float64, err error) {
	if err := l.dropItems(); err != nil {
		return nil, err
	}
	rows, err := heapSize(heapRows * l.Rows)
	if err != nil {
		return nil, err
	}
	h := &heap{members: make([]*subject.Process, 3)}
	if h.cluster, err = l.newCluster(len(h.members)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	err = h.cluster.all(func(n int) (err error) {
		h.members[n], err = startMember(ctx, l, subject.Spec{Workload: "items", Rows: rows, Seed: 1}, h.cluster.urls[n])
		return err
	})
	if err != nil {
		return nil, err
	}
	leader, before, err := h.cluster.leader(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := h.members[leader].Load(ctx, nil); err != nil {
		return nil, err
	}
	collections, err := h.collect(ctx, leader)
	if err != nil {
		return nil, err
	}
	_, after, err := h.cluster.leader(ctx)
	if err != nil {
		return nil, err
	}
	size, err := h.members[leader].Tree().PSS()
	if err != nil {
		return nil, err
	}
	l.note("%d items, %s GB in the leader's process after a collection; %d collections in %v; term %d before, %d after",
		rows, number(float64(size)/1e9), collections, collecting, before.Term, after.Term)
	return []float64{float64(after.Term - before.Term)}, nil
}

// heapSize returns how many rows three processes can have, at most those that are
// wanted.
func heapSize(wanted int64) (int64, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, fmt.Errorf("read the free memory: %w", err)
	}
	info, err := fs.Meminfo()
	if err != nil || info.MemAvailable == nil {
		return 0, fmt.Errorf("read the free memory: %w", err)
	}
	return min(wanted, int64(*info.MemAvailable<<10)/heapBytes/3), nil
}

// collect writes through one follower, while the leader and the other follower collect
// garbage without a pause. It returns how often the leader did.
func (h *heap) collect(ctx context.Context, leader int) (collections int, err error) {
	writer := (leader + 1) % len(h.members)
	over := make(chan struct{})
	counts := make([]int, len(h.members))
	errs := make([]error, len(h.members))
	var wg sync.WaitGroup
	for n, p := range h.members {
		if n == writer {
			continue
		}
		wg.Go(func() {
			for ; errs[n] == nil; counts[n]++ {
				select {
				case <-over:
					return
				default:
					errs[n] = p.Settle(ctx)
				}
			}
		})
	}
	loop, err := h.members[writer].Paced(ctx, subject.Paced{PerSecond: writesPerSecond, Duration: collecting, Seed: 1})
	close(over)
	wg.Wait()
	if err == nil && loop.Done == 0 {
		err = fmt.Errorf("none of %d operations succeeded: %v", loop.Failed, loop.Errors)
	}
	return counts[leader], errors.Join(append(errs, err)...)
}

func (h *heap) close() (err error) {
	for _, p := range h.members {
		if p != nil {
			err = errors.Join(err, p.Kill())
		}
	}
	return errors.Join(err, h.cluster.remove())
}
