package inmem

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"trihold/repo/driver"
)

// The three nodes of these benchmarks share a process and a disk.

func BenchmarkClusterUpdate(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		leader := leaderOf(b, newCluster(b, nodes))
		var n atomic.Uint64
		for _, clients := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", nodes, clients), func(b *testing.B) {
				b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						i := n.Add(1)
						c := &driver.Commit{Writes: []driver.Write{noteWrite(int64(i))}}
						binary.LittleEndian.PutUint64(c.ID[:], i)
						if _, err := leader.Commit(context.Background(), c); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkClusterView(b *testing.B) {
	stores := newCluster(b, 3)
	leader := leaderOf(b, stores)
	for i, s := range stores {
		role := "follower"
		if s == leader {
			role = "leader"
		}
		b.Run(fmt.Sprintf("%s=n%d", role, i+1), func(b *testing.B) {
			for b.Loop() {
				snap, err := s.Begin(context.Background(), driver.Mode{})
				if err != nil {
					b.Fatal(err)
				}
				if err := snap.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
