package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"trihold/bench/result"
	"trihold/bench/workload"
	"trihold/repo"
)

// parts is how many parts a recorder has, so that few clients meet in one.
const parts = 4

// A recorder collects what operations took and how they ended. It is safe for
// concurrent use, and allocates nothing while operations succeed.
type recorder struct {
	parts [parts]recorderPart
}

type recorderPart struct {
	sync.Mutex
	ops       map[workload.Kind]latencies
	errors    map[string]int64
	conflicts int64
	_         [64]byte // keeps neighbours off one cache line
}

// latencies are those of one kind of operation.
type latencies struct {
	response *hdrhistogram.Histogram // from the moment it was meant to be sent
	service  *hdrhistogram.Histogram // from the moment it was sent
}

func newRecorder(mix []workload.Share) *recorder {
	r := &recorder{}
	for i := range r.parts {
		p := &r.parts[i]
		p.ops = map[workload.Kind]latencies{}
		p.errors = map[string]int64{}
		for _, s := range mix {
			p.ops[s.Kind] = latencies{result.NewHistogram(), result.NewHistogram()}
		}
	}
	return r
}

// record records one operation. who spreads callers over the parts.
func (r *recorder) record(who int, kind workload.Kind, response, service time.Duration, attempts int, err error) {
	p := &r.parts[who%parts]
	p.Lock()
	defer p.Unlock()
	p.conflicts += int64(max(attempts-1, 0))
	if err != nil {
		p.errors[errorKind(err)]++
		return
	}
	result.RecordLatency(p.ops[kind].response, response)
	result.RecordLatency(p.ops[kind].service, service)
}

// loop returns everything that was recorded.
func (r *recorder) loop(took time.Duration) (*result.Loop, error) {
	out := &result.Loop{Seconds: took.Seconds(), Errors: map[string]int64{}, Ops: map[string]result.Op{}}
	for i := range r.parts {
		p := &r.parts[i]
		for kind, n := range p.errors {
			out.Errors[kind] += n
			out.Failed += n
		}
		out.Conflicts += p.conflicts
	}
	for kind, sum := range r.parts[0].ops {
		for i := 1; i < parts; i++ {
			sum.response.Merge(r.parts[i].ops[kind].response)
			sum.service.Merge(r.parts[i].ops[kind].service)
		}
		op, err := result.NewOp(sum.response, sum.service)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		out.Ops[kind.String()] = op
		out.Done += op.Count
	}
	out.Rate = float64(out.Done) / took.Seconds()
	return out, nil
}

// errorKind names an error by its sentinel.
func errorKind(err error) string {
	for _, kind := range []error{
		repo.ErrUncertain, repo.ErrConflict, repo.ErrUnavailable, repo.ErrReadOnly, repo.ErrMoved, repo.ErrExists, repo.ErrTooLarge,
		repo.ErrInvalid, repo.ErrNotFound, repo.ErrCorrupt, repo.ErrCompacted, repo.ErrClosed, context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "other: " + err.Error()
}
