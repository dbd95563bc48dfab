package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trihold/bench/input"
	"trihold/bench/proc"
	"trihold/bench/result"
	"trihold/bench/subject"
	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// The test program is its own subject process. Its backend is the model of the
// conformance suite: what a real one does, the tests of the command see.
func TestMain(m *testing.M) {
	driver.Register("model", func(_ context.Context, u *driver.URL) (driver.Store, error) {
		class := u.Params.String("class", "disk")
		if u.Path == "missing" {
			return nil, driver.Failed("open", repo.ErrUnavailable, errors.New("it is missing"))
		}
		return claiming{repotest.NewModel(), driver.Class(class)}, u.Params.Err()
	})
	if os.Getenv("BENCH_TEST") == "subject" {
		if err := subject.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("BENCH_TEST", "subject")
	os.Exit(m.Run())
}

// A claiming store says that it gives a class; being in memory, it gives none.
type claiming struct {
	*repotest.Model
	class driver.Class
}

func (c claiming) Status(ctx context.Context) (driver.Status, error) {
	s, err := c.Model.Status(ctx)
	s.Class = c.class
	return s, err
}

func config(t *testing.T) Config {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Subject: subject.Command{Path: exe}, Stores: []string{"model:{dir}/a"}, Class: "memory", Workloads: []string{"ycsb-a"},
		Rows: 100, Clients: 2, Duration: 100 * time.Millisecond, Rounds: 2, Rate: 100, Dir: t.TempDir(),
	}
}

// mustBeClean fails if a run left anything.
func mustBeClean(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
	pids, err := proc.Tree{Root: os.Getpid()}.PIDs()
	if err != nil || len(pids) != 1 {
		t.Errorf("left are processes %v, %v", pids, err)
	}
}

func TestEveryRoundOfEverySubjectIsRunAndVerified(t *testing.T) {
	c := config(t)
	c.Stores = []string{"model:{dir}/a", "model:{dir}/b"}
	c.Workloads = []string{"ycsb-a", "ycsb-e"}
	last := Progress{}
	c.Progress = func(p Progress) { last = p }
	f, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, c.Dir)
	if len(f.Runs) != 8 || len(f.Summaries) != 4 || last.Total != 16 || last.Done != 16 {
		t.Errorf("%d runs, %d summaries, %+v", len(f.Runs), len(f.Summaries), last)
	}
	for _, r := range f.Runs {
		if r.Failed != "" || r.Verified == nil || r.Verified.Rows < 100 || r.Closed.Done == 0 || r.Open.Done == 0 || r.Memory.Peak < r.Memory.Base {
			t.Errorf("run %+v", r)
		}
		if r.Recovery != nil {
			t.Errorf("a store in memory was recovered: %+v", r)
		}
	}
	if got := f.Subjects[1].ID; got != "model:b/memory" {
		t.Errorf("the second subject is %s", got)
	}
}

func TestTheSameSeedGivesTheSameOrderAndContent(t *testing.T) {
	orders := map[string]bool{}
	for range 2 {
		c := config(t)
		c.Stores = []string{"model:{dir}/a", "model:{dir}/b", "model:{dir}/c"}
		c.Workloads, c.Rounds, c.Seed = []string{"ycsb-c"}, 2, 11
		f, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, r := range f.Runs {
			order = append(order, r.Subject, r.Verified.Digest)
		}
		orders[strings.Join(order, " ")] = true
	}
	if len(orders) != 1 {
		t.Errorf("orders: %v", orders)
	}
}

func TestAStoreThatForgetsWhenItIsKilledHasNoNumbers(t *testing.T) {
	c := config(t)
	c.Class, c.Rounds = "disk", 1
	f, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, c.Dir)
	r := f.Runs[0]
	if !strings.Contains(r.Failed, "after kill -9") || r.Closed != nil || r.Open != nil || f.Summaries[0].Rounds != 0 {
		t.Errorf("run %+v, summary %+v", r, f.Summaries[0])
	}
}

func TestAnInterruptLeavesNothing(t *testing.T) {
	c := config(t)
	c.Duration = time.Minute
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	c.Progress = func(p Progress) {
		if strings.Contains(p.What, "closed loop") {
			time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
		}
	}
	start := time.Now()
	if _, err := Run(ctx, c); !errors.Is(err, stop) || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	mustBeClean(t, c.Dir)
}

func TestWhatCannotBeRunIsSaidBeforeAnythingIsMade(t *testing.T) {
	records := filepath.Join(t.TempDir(), "records")
	if err := os.WriteFile(records, []byte("{\"id\":1}\n{\"id\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"rows", func(c *Config) { c.Rows = -1 }, "--rows"},
		{"clients", func(c *Config) { c.Clients = -1 }, "--clients"},
		{"duration", func(c *Config) { c.Duration = 1 }, "--duration"},
		{"rounds", func(c *Config) { c.Rounds = -1 }, "--rounds"},
		{"rate", func(c *Config) { c.Rate = 1e6 }, "--rate"},
		{"workload", func(c *Config) { c.Workloads = []string{"ycsb-z"} }, "no workload"},
		{"workload twice", func(c *Config) { c.Workloads = []string{"ycsb-a", "ycsb-a"} }, "twice"},
		{"records without input", func(c *Config) { c.Workloads = []string{"records"} }, "--input"},
		{"input with workload", func(c *Config) { c.Input = &subject.Input{Path: records} }, "leave out --workloads"},
		{"input without key", func(c *Config) { c.Workloads, c.Input = nil, &subject.Input{Path: records} }, "--key"},
		{"store", func(c *Config) { c.Stores = []string{"nosuch"} }, "nosuch"},
		{"store twice", func(c *Config) { c.Stores = []string{"inmem", "inmem"} }, "twice"},
		{"store without directory", func(c *Config) { c.Stores = []string{"sqlite:app.db"} }, "{dir}"},
		{"parameter", func(c *Config) { c.Stores = []string{"model:{dir}?x=1"} }, `unknown parameter "x"`},
		{"no such class", func(c *Config) { c.Class = "eternal" }, "memory, process, disk, quorum, replica"},
		{"class", func(c *Config) { c.Stores = []string{"model:{dir}?class=process"} }, "says class process"},
		{"backend", func(c *Config) { c.Stores = []string{"nosuch:{dir}"} }, `no backend "nosuch"`},
		{"directory", func(c *Config) { c.Dir = "/does/not/exist" }, "--dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := config(t)
			dir := config.Dir
			c.set(&config)
			_, err := Run(t.Context(), config)
			if !errors.Is(err, repo.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s", err, c.want)
			}
			mustBeClean(t, dir)
		})
	}
	c := config(t)
	c.Workloads, c.Input = nil, &subject.Input{Path: records, Key: "id"}
	var bad *input.Error
	if _, err := Run(t.Context(), c); !errors.As(err, &bad) || bad.Line != 2 {
		t.Errorf("duplicate key: %v", err)
	}
	mustBeClean(t, c.Dir)
}

func TestAStoreThatCannotBeOpenedIsAnErrorIfItWasAskedFor(t *testing.T) {
	c := config(t)
	c.Stores = []string{"model:{dir}/a", "model:missing?x={dir}"}
	if _, err := Run(t.Context(), c); !errors.Is(err, repo.ErrUnavailable) || !strings.Contains(err.Error(), "it is missing") {
		t.Errorf("got %v", err)
	}
	mustBeClean(t, c.Dir)
}

func TestStoresThatWereNotAskedForMayBeMissing(t *testing.T) {
	c := config(t)
	c.Stores = nil // none of the built-in ones is in this program
	if _, err := Run(t.Context(), c); !errors.Is(err, repo.ErrUnavailable) || !strings.Contains(err.Error(), "no store can be opened: inmem") {
		t.Errorf("got %v", err)
	}
	mustBeClean(t, c.Dir)
}

func TestTheCommonRateIsHalfOfTheLowestThroughput(t *testing.T) {
	h := &heat{bench: &bench{}}
	for _, rate := range []float64{9000, 501, 700} {
		h.runs = append(h.runs, &run{heat: h, result: result.Run{Closed: &result.Loop{Rate: rate}}})
	}
	failed := &run{heat: h, result: result.Run{Failed: "x"}}
	h.runs = append(h.runs, failed)
	if got := h.commonRate(); got != 250 {
		t.Errorf("rate %g, want 250", got)
	}
	h.Rate = 33
	if got := h.commonRate(); got != 33 {
		t.Errorf("rate %g, want the one asked for", got)
	}
}

func TestTheDirectoryAndTheClassGoIntoTheURL(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"sqlite:{dir}/app.db", "sqlite:/d/app.db?class=disk"},
		{"sqlite:{dir}/app.db?replica=file://{dir}/r", "sqlite:/d/app.db?replica=file:///d/r&class=disk"},
		{"inmem:{dir}?class=disk", "inmem:/d?class=disk"},
	} {
		if got, err := (store{name: "x", url: c.url}).at("/d", "disk"); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v", c.url, got, err)
		}
	}
}
