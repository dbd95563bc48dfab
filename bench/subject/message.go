package subject

import (
	"encoding/json"
	"errors"
	"time"

	"trihold/bench/remote"
	"trihold/bench/result"
	"trihold/bench/workload"
)

// A request tells a subject process to do one thing. It does one at a time.
type request struct {
	Do   verb            `json:"do"`
	Args json.RawMessage `json:"args,omitempty"`
}

type verb string

const (
	doPrepare verb = "prepare"
	doOpen    verb = "open"
	doLoad    verb = "load"
	doClosed  verb = "closed"
	doPaced   verb = "paced"
	doSettle  verb = "settle"
	doVerify  verb = "verify"
	doCheck   verb = "check"
	doClose   verb = "close"
)

// A reply answers a request, or tells how far it is.
type reply struct {
	Rows   *int64          `json:"rows,omitempty"` // so far; more replies follow
	Error  *failure        `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// A Spec says which workload a subject process is to run.
type Spec struct {
	Workload string `json:"workload"`
	Rows     int64  `json:"rows"`
	Seed     uint64 `json:"seed"`
	Input    *Input `json:"input,omitempty"` // for the workload records
}

// An Input names a user's records.
type Input struct {
	Path  string `json:"path"`
	Key   string `json:"key"`
	Group string `json:"group"`
}

// Opened describes a store that was opened.
type Opened struct {
	Backend   string           `json:"backend"`
	Class     string           `json:"class"`
	Processes []result.Process `json:"processes,omitempty"`
}

// Paced are the arguments of an open loop.
type Paced struct {
	PerSecond float64       `json:"per_s"`
	Duration  time.Duration `json:"duration_ns"`
	Seed      uint64        `json:"seed"`
}

// Clients are the arguments of a closed loop.
type Clients struct {
	Clients  int           `json:"clients"`
	Duration time.Duration `json:"duration_ns"`
	Seed     uint64        `json:"seed"`
}

// Expected is what a process must find in a store that an earlier one left.
type Expected struct {
	Probes []workload.Probe `json:"probes"`
	Digest string           `json:"digest"` // compared by Check if it is set
}

// Verified is the outcome of a verification that found nothing wrong.
type Verified struct {
	workload.Verdict
	Probes []workload.Probe `json:"probes"`
}

// A failure is an error on its way between processes.
type failure struct {
	remote.Failure
	Findings []string `json:"findings,omitempty"` // of a mismatch
	Count    int      `json:"count,omitempty"`
}

func newFailure(err error) *failure {
	f := &failure{Failure: *remote.NewFailure(err)}
	if m := (*workload.Mismatch)(nil); errors.As(err, &m) {
		f.Findings, f.Count = m.Findings, m.Count
	}
	return f
}

func (f *failure) error() error {
	if f.Count > 0 {
		return &workload.Mismatch{Findings: f.Findings, Count: f.Count}
	}
	return &f.Failure
}
