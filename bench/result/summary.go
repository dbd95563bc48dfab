package result

import (
	"slices"
	"time"
)

// A Summary is what the rounds of one workload on one subject come to. Rates,
// memory, disk and recovery are medians over the rounds; percentiles are those of
// all rounds together. A subject none of whose rounds counts has Rounds zero and
// no numbers.
type Summary struct {
	Workload string           `json:"workload"`
	Subject  string           `json:"subject"`
	Rounds   int              `json:"rounds"` // that count
	Failed   []string         `json:"failed,omitempty"`
	Invalid  []string         `json:"invalid,omitempty"`
	Closed   float64          `json:"closed_per_s"`
	Ratio    float64          `json:"closed_ratio"` // to the first subject, median of the ratios inside each round
	Spread   [2]float64       `json:"closed_min_max_per_s"`
	Offered  float64          `json:"open_offered_per_s"`
	Achieved float64          `json:"open_achieved_per_s"`
	Ops      map[string]Op    `json:"open_ops"`
	Errors   map[string]int64 `json:"errors"`    // of both loops, by kind
	Conflict int64            `json:"conflicts"` // transactions that had to run again

	Memory   Memory        `json:"memory"`
	Disk     int64         `json:"disk_bytes"`
	Recovery time.Duration `json:"recovery_ns"`
}

// Summarize computes the summaries, by workload and then by subject, in the
// order in which the file lists them.
func (f *File) Summarize() error {
	f.Summaries = nil
	for _, w := range f.Workloads {
		for _, s := range f.Subjects {
			sum, err := f.summarize(w.Name, s.ID)
			if err != nil {
				return err
			}
			f.Summaries = append(f.Summaries, sum)
		}
	}
	return nil
}

func (f *File) summarize(workload, subject string) (Summary, error) {
	s := Summary{Workload: workload, Subject: subject, Ops: map[string]Op{}, Errors: map[string]int64{}}
	var ok []Run
	for _, r := range f.Runs {
		if r.Workload != workload || r.Subject != subject {
			continue
		}
		if r.Failed != "" {
			s.Failed = append(s.Failed, r.Failed)
		}
		s.Invalid = append(s.Invalid, r.Invalid...)
		if r.OK() {
			ok = append(ok, r)
		}
	}
	if s.Rounds = len(ok); s.Rounds == 0 || len(s.Failed) > 0 {
		s.Rounds = 0 // a subject that lost data once has no numbers at all
		return s, nil
	}
	rate := func(r Run) float64 { return r.Closed.Rate }
	s.Closed = median(ok, rate)
	s.Ratio = median(ok, func(r Run) float64 {
		first := f.Run(workload, f.Subjects[0].ID, r.Round)
		if first == nil || !first.OK() || first.Closed.Rate == 0 {
			return 0
		}
		return r.Closed.Rate / first.Closed.Rate
	})
	s.Spread = [2]float64{rate(slices.MinFunc(ok, byRate)), rate(slices.MaxFunc(ok, byRate))}
	s.Offered = median(ok, func(r Run) float64 { return r.Open.Offered })
	s.Achieved = median(ok, func(r Run) float64 { return r.Open.Rate })
	bytes := func(of func(Run) int64) int64 {
		return int64(median(ok, func(r Run) float64 { return float64(of(r)) }))
	}
	s.Memory = Memory{
		Base:    bytes(func(r Run) int64 { return r.Memory.Base }),
		Settled: bytes(func(r Run) int64 { return r.Memory.Settled }),
		Peak:    bytes(func(r Run) int64 { return r.Memory.Peak }),
	}
	s.Disk = bytes(func(r Run) int64 { return r.Disk })
	s.Recovery = time.Duration(bytes(func(r Run) int64 {
		if r.Recovery == nil {
			return 0
		}
		return int64(r.Recovery.FirstRead)
	}))
	for _, r := range ok {
		for _, l := range []*Loop{r.Closed, r.Open} {
			for kind, n := range l.Errors {
				s.Errors[kind] += n
			}
			s.Conflict += l.Conflicts
		}
	}
	return s, s.mergeOps(ok)
}

// mergeOps merges the open loops' histograms of all rounds.
func (s *Summary) mergeOps(runs []Run) error {
	for name := range runs[0].Open.Ops {
		response, service := NewHistogram(), NewHistogram()
		for _, r := range runs {
			more, moreService, err := r.Open.Ops[name].Histograms()
			if err != nil {
				return err
			}
			response.Merge(more)
			service.Merge(moreService)
		}
		op, err := NewOp(response, service)
		if err != nil {
			return err
		}
		s.Ops[name] = op
	}
	return nil
}

// Run returns a run of the file, or nil.
func (f *File) Run(workload, subject string, round int) *Run {
	for i := range f.Runs {
		if r := &f.Runs[i]; r.Workload == workload && r.Subject == subject && r.Round == round {
			return r
		}
	}
	return nil
}

func byRate(a, b Run) int {
	switch {
	case a.Closed.Rate < b.Closed.Rate:
		return -1
	case a.Closed.Rate > b.Closed.Rate:
		return 1
	}
	return 0
}

func median(runs []Run, of func(Run) float64) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	return Median(values)
}

// Median returns the median, or 0 of nothing. It sorts the values.
func Median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
