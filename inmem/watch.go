package inmem

import (
	"fmt"
	"math"
	"sync"
	"time"

	"trihold/repo/driver"
)

// watchPause is how often a member looks after itself.
const watchPause = 100 * time.Millisecond

// watchLoop looks after the member's disk, and has snapshots written when they are due.
func (m *member) watchLoop() {
	t := time.NewTicker(watchPause)
	defer t.Stop()
	astray, write := 0, stalling{}
	for {
		select {
		case <-t.C:
		case <-m.life.Done():
			return
		}
		if watched := write.watch(m.files.log.Busy()); watched > m.c.Stall {
			// The node might hang for hours and still be taken for a healthy leader: its
			// heartbeats do not wait for the disk.
			m.fail(fmt.Errorf("a write of the log has taken more than %v: the disk hangs: %w", m.c.Stall, driver.ErrUnavailable))
			return
		}
		if astray = m.watchIndex(astray); astray > maxAstray {
			m.fail(fmt.Errorf("raft has lost track of its log after a snapshot was installed: %w", driver.ErrUnavailable))
			return
		}
		m.watchSpace()
		m.watchLog()
	}
}

// A stalling is for how long a write of the log has been seen to take. The time that has
// passed does not count, because the whole process may have been stopped meanwhile, and
// its disk with it.
type stalling struct {
	busy    time.Duration // of the write, when it was looked at last
	watched time.Duration
}

// watch takes note of how long the running write has taken, and returns for how much of
// that it was watched.
func (s *stalling) watch(busy time.Duration) time.Duration {
	if busy == 0 || busy < s.busy { // none, or another one
		s.watched = 0
	} else {
		s.watched += min(busy-s.busy, 2*watchPause)
	}
	s.busy = busy
	return s.watched
}

// maxAstray is how many times in a row Raft may take its log for longer than it is: it
// does so for a moment whenever it takes entries back.
const maxAstray = 50

// watchIndex counts for how long Raft has taken its log for longer than it is. After it
// has installed a snapshot in the place of a longer log, it does so for good (as of
// v1.8.0), and refuses everything that the leader sends; opening the store again helps.
func (m *member) watchIndex(times int) int {
	last, err := m.files.log.LastIndex()
	if err != nil || m.raft.LastIndex() <= last {
		return 0
	}
	if snapshot, _ := m.newestSnapshot(); m.raft.LastIndex() <= snapshot { // this one opens files
		return 0
	}
	return times + 1
}

// watchSpace makes the store read-only while its disk is nearly full: a leader whose log
// cannot grow is none.
func (m *member) watchSpace() {
	free := m.free()
	low := m.lowDisk.Load() != nil
	switch {
	case free < 0:
	case free < m.c.Reserve && !low:
		m.lowDisk.Store(driver.Failed("commit", driver.ErrUnavailable,
			fmt.Errorf("the disk of %s has %d bytes left, %d are kept in reserve; the store is read-only until some space is freed", m.store.c.Dir, free, m.c.Reserve)))
		m.log.Warn("inmem: the disk is nearly full", "node", m.c.Node, "free", free)
	case free >= m.c.Reserve && low:
		m.lowDisk.Store(nil)
		m.log.Info("inmem: the disk has space again", "node", m.c.Node, "free", free)
	}
}

// watchLog starts to write a snapshot if enough has been applied since the last one: so
// much that reading it back takes as long as reading the snapshot.
func (m *member) watchLog() {
	if m.logged.Load() < max(m.store.c.SnapshotBytes, m.snapshotted.Load()) || !m.snapshotting.TryLock() {
		return
	}
	m.logged.Store(0)
	m.background.Go(func() {
		defer m.snapshotting.Unlock()
		if err := m.snapshot(); err != nil {
			m.log.Warn("inmem: no snapshot could be written", "node", m.c.Node, "err", err)
		}
	})
}

// retain keeps the log behind the oldest snapshot, which is as good as the newest with it.
func (m *member) retain() error {
	m.files.log.Retain(m.files.snapshots.OldestIndex() + 1)
	newest, err := m.files.snapshots.List()
	if err != nil || len(newest) == 0 {
		return err
	}
	m.snapshotted.Store(newest[0].Size)
	return nil
}

// snapshotStatus describes the newest snapshot. Its age is that of the state in it.
func (m *member) snapshotStatus() SnapshotStatus {
	r := m.newest.Load()
	if r == nil {
		return SnapshotStatus{}
	}
	st := SnapshotStatus{Rev: int64(r.rev), Index: r.index, AgeS: -1, Bytes: m.snapshotSize()}
	if r.time > 0 {
		st.AgeS = time.Since(time.UnixMicro(r.time)).Seconds()
	}
	return st
}

// snapshotSize returns the size of the newest snapshot; 0 if there is none.
func (m *member) snapshotSize() int64 {
	all, err := m.files.snapshots.List()
	if err != nil || len(all) == 0 {
		return 0
	}
	return all[0].Size
}

// syncTimes counts how long writes of the log took, by powers of two of a microsecond.
type syncTimes struct {
	mu      sync.Mutex
	buckets [26]int64 // guarded by mu: the last one is beyond 33 s
	count   int64
	sum     time.Duration
	longest time.Duration
}

// observe adds a write.
func (t *syncTimes) observe(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := 0
	for b < len(t.buckets)-1 && d > time.Microsecond<<b {
		b++
	}
	t.buckets[b]++
	t.count++
	t.sum += d
	t.longest = max(t.longest, d)
}

// status returns what has been counted.
func (t *syncTimes) status() FsyncStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := FsyncStatus{Count: t.count, MaxUs: micros(t.longest), SumUs: micros(t.sum)}
	var sum int64
	for b, n := range t.buckets {
		sum += n
		upTo := float64(int64(1) << b)
		if n > 0 {
			st.Buckets = append(st.Buckets, FsyncBucket{UpToUs: upTo, Count: sum})
		}
		if st.P50Us == 0 && 2*sum >= t.count && t.count > 0 {
			st.P50Us = min(upTo, st.MaxUs)
		}
		if st.P99Us == 0 && float64(sum) >= math.Ceil(0.99*float64(t.count)) && t.count > 0 {
			st.P99Us = min(upTo, st.MaxUs)
		}
	}
	return st
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
