package subject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"trihold/bench/proc"
	"trihold/bench/workload"
	"trihold/repo"
	"trihold/repo/driver"
	"trihold/repo/repotest"
)

// The test program is its own subject process, and a process that starts one.
func TestMain(m *testing.M) {
	driver.Register("model", func(_ context.Context, u *driver.URL) (driver.Store, error) {
		switch u.Path {
		case "panics":
			panic("as asked")
		case "forgets":
			return forgetful{repotest.NewModel()}, u.Params.Err()
		}
		return repotest.NewModel(), u.Params.Err()
	})
	switch os.Getenv("SUBJECT_TEST") {
	case "subject":
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "parent":
		os.Setenv("SUBJECT_TEST", "subject")
		p, err := Start(self())
		if err != nil {
			panic(err)
		}
		fmt.Println(p.Tree().Root)
		select {}
	}
	os.Setenv("SUBJECT_TEST", "subject")
	os.Exit(m.Run())
}

// A forgetful store acknowledges every tenth commit without doing it.
type forgetful struct{ *repotest.Model }

func (f forgetful) Commit(ctx context.Context, c *driver.Commit) (driver.Rev, error) {
	if len(c.Writes) == 1 && c.ID[15]%10 == 0 {
		return c.Read + 1, nil
	}
	return f.Model.Commit(ctx, c)
}

func self() Command {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Command{Path: exe}
}

func start(t *testing.T) *Process {
	t.Helper()
	p, err := Start(self())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if left, err := p.Tree().PIDs(); err != nil || len(left) > 0 {
			t.Errorf("processes %v are left, %v", left, err)
		}
	})
	return p
}

func prepare(t *testing.T, p *Process) {
	t.Helper()
	if err := p.Prepare(t.Context(), Spec{Workload: "ycsb-a", Rows: 200, Seed: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestASubjectIsLoadedDrivenAndVerified(t *testing.T) {
	p := start(t)
	prepare(t, p)
	o, err := p.Open(t.Context(), "model:x")
	if err != nil || o.Backend == "" || o.Class == "" {
		t.Fatalf("opened %+v, %v", o, err)
	}
	var seen int64
	l, err := p.Load(t.Context(), func(rows int64) { seen = rows })
	if err != nil || l.Rows != 200 || seen != 200 {
		t.Fatalf("loaded %+v, progress to %d, %v", l, seen, err)
	}
	closed, err := p.Closed(t.Context(), Clients{Clients: 4, Duration: 200 * time.Millisecond, Seed: 1})
	if err != nil || closed.Done == 0 || closed.Failed > 0 || closed.Ops["update"].Count == 0 {
		t.Fatalf("closed loop %+v, %v", closed, err)
	}
	paced, err := p.Paced(t.Context(), Paced{PerSecond: 200, Duration: 500 * time.Millisecond, Seed: 2})
	if err != nil || paced.Done != 100 || paced.Failed > 0 {
		t.Fatalf("open loop %+v, %v", paced, err)
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := p.Verify(t.Context())
	if err != nil || v.Rows != 200 || v.Digest == "" || len(v.Probes) == 0 {
		t.Fatalf("verified %+v, %v", v, err)
	}
	if err := p.Check(t.Context(), Expected{Probes: v.Probes, Digest: v.Digest}); err != nil {
		t.Error(err)
	}
	var m *workload.Mismatch
	if err := p.Check(t.Context(), Expected{Digest: "another"}); !errors.As(err, &m) {
		t.Errorf("check of another digest: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatForgetsIsFound(t *testing.T) {
	p := start(t)
	prepare(t, p)
	if _, err := p.Open(t.Context(), "model:forgets"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Load(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Closed(t.Context(), Clients{Clients: 1, Duration: 200 * time.Millisecond, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Verify(t.Context())
	if m := (*workload.Mismatch)(nil); !errors.As(err, &m) || !strings.Contains(err.Error(), "overwritten, or failed") {
		t.Errorf("verify: %v", err)
	}
}

func TestErrorsKeepTheirKindBetweenProcesses(t *testing.T) {
	p := start(t)
	prepare(t, p)
	if _, err := p.Open(t.Context(), "model:x?unknown=1"); !errors.Is(err, repo.ErrInvalid) || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("open: %v", err)
	}
	if _, err := p.Load(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "wrong order") {
		t.Errorf("load of what is not open: %v", err)
	}
}

func TestAPanicIsQuoted(t *testing.T) {
	p := start(t)
	prepare(t, p)
	_, err := p.Open(t.Context(), "model:panics")
	if err == nil || !strings.Contains(err.Error(), "panic: as asked") || strings.Contains(err.Error(), "\n") {
		t.Errorf("open: %v", err)
	}
}

func TestKillEndsAProcessInTheMiddleOfSomething(t *testing.T) {
	p := start(t)
	prepare(t, p)
	if _, err := p.Open(t.Context(), "model:x"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Closed(ctx, Clients{Clients: 1, Duration: time.Hour}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("closed loop: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Closed(t.Context(), Clients{Clients: 1, Duration: time.Second}); err == nil || !strings.Contains(err.Error(), "died") {
		t.Errorf("a dead process answered: %v", err)
	}
}

func TestASubjectDoesNotOutliveWhoStartedIt(t *testing.T) {
	cmd := exec.Command(self().Path)
	cmd.Env = append(os.Environ(), "SUBJECT_TEST=parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the subject is not there: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := proc.Wait([]int{pid}, 5*time.Second); err != nil {
		t.Error(err)
	}
}
