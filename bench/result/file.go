package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"trihold/bench/machine"
)

// Schema is the version of the format.
const Schema = 1

// A File is the result of one command.
type File struct {
	Schema    int          `json:"schema"`
	Suite     Suite        `json:"suite"`
	Machine   machine.Info `json:"machine"`
	Workloads []Workload   `json:"workloads"`
	Subjects  []Subject    `json:"subjects"`
	LeftOut   []string     `json:"left_out,omitempty"` // stores that could not take part, and why
	Summaries []Summary    `json:"summaries"`
	Runs      []Run        `json:"runs"`
	Cells     []Cell       `json:"cells,omitempty"` // of the verb fault
}

// A Suite says what was run, and how to run it again.
type Suite struct {
	Verb     string            `json:"verb"` // bench or fault
	Version  string            `json:"version"`
	Revision string            `json:"revision,omitempty"`
	Command  string            `json:"command"`        // runs the same again
	Tier     string            `json:"tier,omitempty"` // what the user's privilege allowed, of fault
	Seed     uint64            `json:"seed"`
	Rows     int64             `json:"rows"`
	Clients  int               `json:"clients"`
	LoopS    float64           `json:"loop_s"` // how long each loop lasts
	Rounds   int               `json:"rounds"`
	Started  time.Time         `json:"started"`
	WallS    float64           `json:"wall_s"`
	Modules  map[string]string `json:"modules"`
}

// A Workload describes a workload that was run.
type Workload struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// A Subject is a store in one configuration and durability class.
type Subject struct {
	ID        string    `json:"id"` // name/class
	Backend   string    `json:"backend"`
	Class     string    `json:"class"`
	URL       string    `json:"url"` // with {dir} for the fresh directory of each run, and without secrets
	Processes []Process `json:"processes,omitempty"`
}

// A Process is a program that a subject runs besides the measuring one.
type Process struct {
	Program string `json:"program"`
	Module  string `json:"module,omitempty"`
	Version string `json:"version,omitempty"`
}

// A Run is one workload on one subject in one round: a fresh process on a fresh
// directory.
type Run struct {
	Workload string   `json:"workload"`
	Subject  string   `json:"subject"`
	Round    int      `json:"round"` // from 1
	Order    int      `json:"order"` // the place among the subjects of the round, from 1
	Seed     uint64   `json:"seed"`
	Failed   string   `json:"failed,omitempty"`  // why there are no numbers
	Invalid  []string `json:"invalid,omitempty"` // why the numbers do not count

	Load     *Load     `json:"load,omitempty"`
	Closed   *Loop     `json:"closed,omitempty"`
	Open     *Loop     `json:"open,omitempty"`
	Verified *Verified `json:"verified,omitempty"`
	Memory   *Memory   `json:"memory,omitempty"`
	Disk     int64     `json:"disk_bytes,omitempty"` // allocated
	Recovery *Recovery `json:"recovery,omitempty"`
}

// OK reports whether the run has numbers that count.
func (r Run) OK() bool { return r.Failed == "" && len(r.Invalid) == 0 }

// A Load is the filling of an empty store, in large transactions.
type Load struct {
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"`
}

// Verified is what the comparison of the store with the writes has found equal.
type Verified struct {
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"`
	Rev    int64  `json:"rev"`
}

// Memory is the PSS of all processes of a subject, in bytes.
type Memory struct {
	Base    int64 `json:"base_bytes"`    // before the store was opened: the generator
	Settled int64 `json:"settled_bytes"` // after the loops and a garbage collection
	Peak    int64 `json:"peak_bytes"`    // the highest of ten samples a second
}

// Recovery is what a start after kill -9 of all processes of a subject takes.
type Recovery struct {
	FirstRead time.Duration `json:"first_read_ns"` // from starting the process to the first correct read
	Verified  bool          `json:"verified"`      // the digest is the one before the kill
}

// A Loop is what a closed or open loop has measured.
type Loop struct {
	Seconds   float64          `json:"seconds"`
	Clients   int              `json:"clients,omitempty"`         // of a closed loop
	Offered   float64          `json:"offered_per_s,omitempty"`   // of an open loop
	Rate      float64          `json:"achieved_per_s"`            // operations that succeeded
	Done      int64            `json:"done"`                      // the same, as a number
	Failed    int64            `json:"failed"`                    // Errors says why
	Overflow  int64            `json:"overflow,omitempty"`        // of those, not sent because too many were under way
	Errors    map[string]int64 `json:"errors,omitempty"`          // by kind
	Conflicts int64            `json:"conflicts"`                 // how often a transaction had to run again
	LagP99    time.Duration    `json:"send_lag_p99_ns,omitempty"` // the generator's own delay, of an open loop
	Repeats   int              `json:"repeats,omitempty"`         // how often the loop was run again because of the lag
	Ops       map[string]Op    `json:"ops"`
}

// An Op is the latency of one kind of operation: its response time from the
// moment it was meant to be sent, and its service time from the moment it was. In
// a closed loop the two are the same.
type Op struct {
	Count      int64         `json:"count"`
	P50        time.Duration `json:"p50_ns"`
	P99        time.Duration `json:"p99_ns"`
	P999       time.Duration `json:"p999_ns"`
	Max        time.Duration `json:"max_ns"`
	ServiceP50 time.Duration `json:"service_p50_ns"`
	ServiceP99 time.Duration `json:"service_p99_ns"`
	Response   string        `json:"response_hdr"`
	Service    string        `json:"service_hdr"`
}

// Write writes the file atomically, making its directory if needed.
func (f *File) Write(path string) error {
	text, err := f.JSON()
	if err != nil {
		return err
	}
	return WriteFile(path, text)
}

// JSON returns the file as it is written.
func (f *File) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode results: %w", err)
	}
	return append(text, '\n'), nil
}

// WriteFile writes a file so that it is there whole or not at all, and makes its
// directory if needed.
func WriteFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(tmp.Name()))
	}
	return nil
}

// Read reads a results file.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var f File
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	if f.Schema < 1 || f.Schema > Schema {
		return nil, fmt.Errorf("read results %s: its schema is %d, this program reads up to %d: use the trihold that wrote it, or a newer one", path, f.Schema, Schema)
	}
	return &f, nil
}
