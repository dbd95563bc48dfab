package result

import "time"

// A Cell is one fault on one subject.
type Cell struct {
	ID       string   `json:"id"`     // fault@subject@seed
	Replay   string   `json:"replay"` // the command that runs it again
	Fault    string   `json:"fault"`
	Subject  string   `json:"subject"`
	Seed     uint64   `json:"seed"`
	Control  bool     `json:"control,omitempty"` // a negative control, which must fail
	Verdict  Verdict  `json:"verdict"`
	Why      string   `json:"why,omitempty"`      // why it is not simply passed
	Expected string   `json:"expected,omitempty"` // what the documentation of a library lets expect, if that is less than the contract
	Observed int64    `json:"observed"`           // how often the fault was seen to strike
	Damage   []string `json:"damage,omitempty"`   // what was changed at rest

	Injected    time.Duration  `json:"injected_ns"` // since the first operation
	Healed      time.Duration  `json:"healed_ns"`
	Recovery    time.Duration  `json:"recovery_ns"`      // from healing to the next operation that was answered
	WritesGap   time.Duration  `json:"writes_gap_ns"`    // the longest time from the fault on without an acknowledged write
	ReadsGap    time.Duration  `json:"reads_gap_ns"`     // the same of reads
	Ops         int            `json:"ops"`              // operations sent
	Acked       int            `json:"acked"`            // answered
	Failed      int            `json:"failed"`           // answered with an error: nothing was written
	Unknown     int            `json:"unknown"`          // outcome not known when the answer should have come
	Errors      map[string]int `json:"errors,omitempty"` // of Failed and Unknown, by kind
	Lost        int            `json:"lost"`             // acknowledged commits that are gone
	LostFor     time.Duration  `json:"lost_for_ns,omitempty"`
	PeakBytes   int64          `json:"peak_bytes"` // PSS of all processes
	Checks      []Check        `json:"checks,omitempty"`
	Simulations *Simulations   `json:"simulations,omitempty"` // of a cell that runs in this process on a simulated disk
	Migration   *Migration     `json:"migration,omitempty"`   // of a cell that moves its store
	Artefacts   []string       `json:"artefacts,omitempty"`   // what was kept
	Wall        time.Duration  `json:"wall_ns"`
}

// A Verdict is the outcome of a cell.
type Verdict string

// The verdicts.
const (
	// Passed: nothing acknowledged was lost and nothing wrong was served.
	Passed Verdict = "passed"
	// Detected: the store refused to serve what was damaged, and said so.
	Detected Verdict = "detected"
	// Finding: less than the contract, in a library, where its documentation
	// promises no more, or promises it.
	Finding Verdict = "finding"
	// Bad: less than the contract, in our code.
	Bad Verdict = "failed"
	// Skipped: it cannot run here, or has no meaning for the subject.
	Skipped Verdict = "skipped"
	// Red: a negative control that was found out, as it must be.
	Red Verdict = "red"
	// NotRed: a negative control that went unnoticed: the suite is blind there.
	NotRed Verdict = "not red"
)

// Good reports whether the verdict leaves the exit code alone.
func (v Verdict) Good() bool { return v != Bad && v != NotRed }

// A Check is what one checker found.
type Check struct {
	Name   string        `json:"name"`
	Result string        `json:"result"` // ok, illegal, or unknown: not proved
	Detail string        `json:"detail,omitempty"`
	Ops    int           `json:"ops"`
	Took   time.Duration `json:"took_ns"`
}

// Simulations are many short lives of a store on a simulated disk.
type Simulations struct {
	Iterations int   `json:"iterations"`
	Injected   int64 `json:"injected"`
	Acked      int64 `json:"acked"`
	Detected   int   `json:"detected"`
	Repaired   int   `json:"repaired"`
	Unaffected int   `json:"unaffected"`
	Silent     int   `json:"silent"`
}
