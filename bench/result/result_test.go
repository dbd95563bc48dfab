package result

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trihold/bench/machine"
)

var update = flag.Bool("update", false, "write the golden files")

const golden = "testdata/schema1.json"

// sample returns a result with everything that the schema knows.
func sample(t *testing.T) *File {
	t.Helper()
	f := &File{
		Schema: Schema,
		Suite: Suite{
			Verb: "bench", Version: "v1.2.3", Revision: "0123abcd", Command: "trihold bench --quick -o results.json", Seed: 1, Rows: 10_000, Clients: 16,
			LoopS: 1, Rounds: 2, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), WallS: 12.5, Modules: map[string]string{"modernc.org/sqlite": "v1.61.1"},
		},
		Machine: machine.Info{
			OS: "linux", Arch: "amd64", Kernel: "6.1", CPU: "A CPU", Cores: 2, MemoryMiB: 4096, Load1: 0.25, Dir: "/data", Filesystem: "ext4 (rw,relatime)",
			Go: "go1.26", Env: map[string]string{"GOGC": "50"}, Caveats: []string{"a caveat"},
			Calibration: machine.Calibration{SyncP50: 185.2, SyncP99: 900.1, CreateP50: 400, LoopbackP50: 15.5},
		},
		Workloads: []Workload{{"ycsb-a", "50% read, 50% update, zipfian keys"}, {"ycsb-c", "100% read, zipfian keys"}},
		Subjects: []Subject{
			{ID: "inmem/disk", Backend: "inmem", Class: "disk", URL: "inmem:{dir}/data"},
			{ID: "rqlite/disk", Backend: "rqlite", Class: "disk", URL: "rqlite:{dir}/rqlite?managed=1", Processes: []Process{{"rqlited", "github.com/rqlite/rqlite/v8", "v8.43.4"}}},
		},
		LeftOut: []string{"sqlite: not in this program"},
	}
	for round := 1; round <= 2; round++ {
		for i, s := range f.Subjects {
			f.Runs = append(f.Runs, sampleRun(t, "ycsb-a", s.ID, round, i))
		}
	}
	lost := Run{Workload: "ycsb-c", Subject: "inmem/disk", Round: 1, Order: 1, Seed: 7, Failed: "verification failed: row user7 is lost"}
	late := sampleRun(t, "ycsb-c", "rqlite/disk", 1, 1)
	late.Invalid = []string{"the generator was late: send lag p99 2ms, allowed are 1ms"}
	f.Runs = append(f.Runs, sampleRun(t, "ycsb-c", "inmem/disk", 2, 0), lost, late, sampleRun(t, "ycsb-c", "rqlite/disk", 2, 1))
	if err := f.Summarize(); err != nil {
		t.Fatal(err)
	}
	return f
}

// sampleRun returns a run that is slower the higher the factor, and 10 % faster
// in the second round.
func sampleRun(t *testing.T, workload, subject string, round, factor int) Run {
	t.Helper()
	slow := 1 + 9*float64(factor)
	loop := func(rate float64, base time.Duration) *Loop {
		l := &Loop{Seconds: 1, Rate: rate, Done: int64(rate), Failed: 2, Errors: map[string]int64{"unavailable": 2}, Conflicts: 3, Ops: map[string]Op{}}
		names := []string{"read", "update"}
		if workload == "ycsb-c" {
			names = names[:1]
		}
		for i, name := range names {
			h := NewHistogram()
			for n := range 1000 {
				RecordLatency(h, time.Duration(float64(base)*slow*float64(1+i*20)*(1+float64(n*n)/200_000)))
			}
			op, err := NewOp(h, h)
			if err != nil {
				t.Fatal(err)
			}
			l.Ops[name] = op
		}
		return l
	}
	r := Run{
		Workload: workload, Subject: subject, Round: round, Order: factor + 1, Seed: 7,
		Load:   &Load{Rows: 10_000, Seconds: 0.5},
		Closed: loop(50_000/slow*(1+0.1*float64(round-1)), 20*time.Microsecond), Open: loop(2500, 10*time.Microsecond),
		Verified: &Verified{Rows: 10_000, Digest: "abcd", Rev: 1234},
		Memory:   &Memory{Base: 9 << 20, Settled: int64(40+20*factor) << 20, Peak: int64(60+30*factor) << 20},
		Disk:     int64(12+factor) << 20,
		Recovery: &Recovery{FirstRead: time.Duration(30*slow) * time.Millisecond, Verified: true},
	}
	r.Closed.Clients = 16
	r.Open.Offered, r.Open.LagP99 = 2500, 200*time.Microsecond
	return r
}

// The file is read by other programs and by later versions of this one: a change
// of the golden file is a change of the format.
func TestTheFormatIsTheOneOfSchema1(t *testing.T) {
	got, err := sample(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
}

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	want := sample(t)
	path := filepath.Join(t.TempDir(), "new", "results.json")
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	h, _, err := got.Runs[0].Open.Ops["read"].Histograms()
	if err != nil || h.TotalCount() != 1000 || time.Duration(h.ValueAtPercentile(50)) != got.Runs[0].Open.Ops["read"].P50 {
		t.Errorf("histogram of %d values, %v", h.TotalCount(), err)
	}
}

func TestAFileOfALaterSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	f := sample(t)
	f.Schema = Schema + 1
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "its schema is 2") {
		t.Errorf("got %v", err)
	}
}

func TestASummaryIsTheMedianOfTheRoundsThatCount(t *testing.T) {
	f := sample(t)
	by := map[string]Summary{}
	for _, s := range f.Summaries {
		by[s.Workload+" "+s.Subject] = s
	}
	if s := by["ycsb-a rqlite/disk"]; s.Rounds != 2 || s.Closed != 5250 || s.Ratio != 0.1 || s.Spread != [2]float64{5000, 5500} || s.Ops["read"].Count != 2000 {
		t.Errorf("ycsb-a on rqlite: %+v", s)
	}
	if s := by["ycsb-c inmem/disk"]; s.Rounds != 0 || s.Closed != 0 || len(s.Ops) > 0 || len(s.Failed) != 1 {
		t.Errorf("a subject that failed once has numbers: %+v", s)
	}
	if s := by["ycsb-c rqlite/disk"]; s.Rounds != 1 || s.Closed != 5500 || len(s.Invalid) != 1 {
		t.Errorf("an invalid round counts: %+v", s)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}} {
		if got := Median(c.values); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.values, got, c.want)
		}
	}
}
