package targets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trihold/bench/fault/operator"
	"trihold/bench/result"
	"trihold/bench/subject"
	"trihold/bench/workload"
	"trihold/repo"
)

// electionTimeout is that of the clusters which are measured: the default.
const electionTimeout = time.Second

// A failover is a cluster of three processes: this one, and two that are killed when
// they lead.
type failover struct {
	lab     *lab
	cluster *cluster
	others  []*subject.Process // by member; that of this process is nil
	spec    subject.Spec
	session workload.Session
	updates *workload.Stream
	store   *repo.Store
}

// own is the member that this process is.
const own = 0

// failoverRows is how many items the cluster has.
const failoverRows = 10_000

// failoverOverElection kills the leader, and measures how long it takes until a member
// that was not killed has committed again.
func failoverOverElection(ctx context.Context, l *lab) (out []float64, err error) {
	f, err := openFailover(ctx, l)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	var seconds []float64
	longest := 0.0
	for range l.Rounds {
		took, err := f.kill(ctx)
		if err != nil {
			return nil, err
		}
		seconds = append(seconds, took.Seconds())
		longest = max(longest, took.Seconds())
	}
	l.note("%s s, at most %s s, with an election timeout of %v; kill -9 of one of 3 processes", number(result.Median(seconds)), number(longest), electionTimeout)
	return []float64{result.Median(seconds) / electionTimeout.Seconds()}, nil
}

func openFailover(ctx context.Context, l *lab) (f *failover, err error) {
	f = &failover{lab: l, spec: subject.Spec{Workload: "items", Rows: failoverRows, Seed: 1}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	w, err := workload.Lookup(f.spec.Workload)
	if err != nil {
		return nil, err
	}
	w.Mix = []workload.Share{{Kind: workload.Update, Percent: 100}}
	if f.session, err = w.Open(workload.Params{Rows: f.spec.Rows, Seed: f.spec.Seed}); err != nil {
		return nil, err
	}
	f.updates = f.session.Stream(1)
	if f.cluster, err = l.newCluster(3); err != nil {
		return nil, err
	}
	f.others = make([]*subject.Process, len(f.cluster.urls))
	err = f.cluster.all(func(n int) (err error) {
		if n == own {
			f.store, err = repo.Open(ctx, f.cluster.urls[n], f.session.Schema())
			return err
		}
		return f.start(ctx, n)
	})
	if err != nil {
		return nil, err
	}
	return f, f.session.Load(ctx, f.store, func(int64) {})
}

// start starts the process of a member.
func (f *failover) start(ctx context.Context, n int) (err error) {
	f.others[n], err = startMember(ctx, f.lab, f.spec, f.cluster.urls[n])
	return err
}

// startMember starts a process that opens a member of a cluster.
func startMember(ctx context.Context, l *lab, spec subject.Spec, url string) (*subject.Process, error) {
	p, err := subject.Start(l.Subject)
	if err != nil {
		return nil, err
	}
	if err := p.Prepare(ctx, spec); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	if _, err := p.Open(ctx, url); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

// kill kills the leader, returns how long nothing could be committed, and starts the
// process again.
func (f *failover) kill(ctx context.Context) (time.Duration, error) {
	leader, err := f.elsewhere(ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := f.others[leader].Kill(); err != nil {
		return 0, err
	}
	f.others[leader] = nil
	for {
		_, err := f.session.Do(ctx, f.store, f.updates.Next())
		if err == nil {
			break
		}
		if ctx.Err() != nil || time.Since(start) > clusterWait {
			return 0, fmt.Errorf("update after the leader was killed: %w", err)
		}
	}
	took := time.Since(start)
	return took, f.start(ctx, leader)
}

// elsewhere waits until the cluster is whole and led by another process, and returns
// which member that is.
func (f *failover) elsewhere(ctx context.Context) (int, error) {
	for range 10 {
		leader, err := f.cluster.level(ctx)
		if err != nil || leader != own {
			return leader, err
		}
		if _, err := operator.Send(ctx, f.cluster.dirs[own], operator.Command{Do: operator.Transfer}); err != nil {
			return 0, fmt.Errorf("make another member the leader: %w", err)
		}
	}
	return 0, errors.New("leadership has come back to the same member each time it was transferred")
}

func (f *failover) close() (err error) {
	for _, p := range f.others {
		if p != nil {
			err = errors.Join(err, p.Kill())
		}
	}
	if f.store != nil {
		err = errors.Join(err, f.store.Close())
	}
	if f.cluster != nil {
		err = errors.Join(err, f.cluster.remove())
	}
	if f.session != nil {
		err = errors.Join(err, f.session.Close())
	}
	return err
}
