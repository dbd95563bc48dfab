package subject

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"trihold/bench/input"
	"trihold/bench/load"
	"trihold/bench/proc"
	"trihold/bench/result"
	"trihold/bench/workload"
	"trihold/repo"
)

// Serve does what it reads from in and answers on out, until in ends or a close
// was asked for. It then closes the store, if it is open.
func Serve(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	requests := make(chan request)
	go func() {
		defer close(requests)
		dec := json.NewDecoder(in)
		for {
			var r request
			if err := dec.Decode(&r); err != nil {
				cancel() // whoever asked is gone: stop what is under way
				return
			}
			requests <- r
		}
	}()
	s := &server{out: json.NewEncoder(out)}
	defer func() { err = errors.Join(err, s.close()) }()
	for r := range requests {
		result, err := s.do(ctx, r)
		if ctx.Err() != nil {
			return nil
		}
		answer := reply{}
		if err != nil {
			answer.Error = newFailure(err)
		} else if answer.Result, err = json.Marshal(result); err != nil {
			return fmt.Errorf("%s: %w", r.Do, err)
		}
		if err := s.out.Encode(answer); err != nil {
			return fmt.Errorf("%s: answer: %w", r.Do, err)
		}
	}
	return nil
}

// A server is the state of a subject process.
type server struct {
	out    *json.Encoder
	target load.Target
}

var errOrder = errors.New("asked for in the wrong order")

func (s *server) do(ctx context.Context, r request) (any, error) {
	if s.target.Session == nil && r.Do != doPrepare {
		return nil, errOrder
	}
	if s.target.Store == nil && r.Do != doPrepare && r.Do != doOpen {
		return nil, errOrder
	}
	switch r.Do {
	case doPrepare:
		return with(r, func(spec Spec) (any, error) { return nil, s.prepare(spec) })
	case doOpen:
		return with(r, func(url string) (any, error) { return s.open(ctx, url) })
	case doLoad:
		return s.load(ctx)
	case doClosed:
		return with(r, func(a Clients) (any, error) {
			s.target.Seed = a.Seed
			return load.Closed(ctx, s.target, a.Clients, a.Duration)
		})
	case doPaced:
		return with(r, func(a Paced) (any, error) {
			s.target.Seed = a.Seed
			return load.Open(ctx, s.target, load.Pacer{PerSecond: a.PerSecond}, a.Duration)
		})
	case doSettle:
		runtime.GC() // what finalizers keep is free only after a second one
		debug.FreeOSMemory()
		return nil, nil
	case doVerify:
		v, err := s.target.Session.Verify(ctx, s.target.Store)
		return Verified{v, v.Probes}, err
	case doCheck:
		return with(r, func(e Expected) (any, error) { return nil, s.check(ctx, e) })
	case doClose:
		return nil, s.close()
	}
	return nil, fmt.Errorf("no such request: %q", r.Do)
}

// with decodes the arguments of a request.
func with[A any](r request, fn func(A) (any, error)) (any, error) {
	var args A
	if err := json.Unmarshal(r.Args, &args); err != nil {
		return nil, fmt.Errorf("%s: arguments: %w", r.Do, err)
	}
	return fn(args)
}

func (s *server) prepare(spec Spec) (err error) {
	if s.target.Session != nil {
		return errOrder
	}
	p := workload.Params{Rows: spec.Rows, Seed: spec.Seed}
	if in := spec.Input; in != nil {
		if p.File, err = input.Scan(in.Path, in.Key, in.Group, spec.Rows); err != nil {
			return err
		}
	}
	if s.target.Workload, err = workload.Lookup(spec.Workload); err != nil {
		return err
	}
	s.target.Session, err = s.target.Workload.Open(p)
	runtime.GC()
	debug.FreeOSMemory()
	return err
}

func (s *server) open(ctx context.Context, url string) (Opened, error) {
	if s.target.Store != nil {
		return Opened{}, errOrder
	}
	store, err := repo.Open(ctx, url, s.target.Session.Schema())
	if err != nil {
		return Opened{}, err
	}
	s.target.Store = store
	status, err := store.Status(ctx)
	if err != nil {
		return Opened{}, err
	}
	o := Opened{Backend: status.Backend, Class: string(status.Class)}
	for _, pid := range status.PIDs {
		p, err := describe(pid)
		if err != nil {
			return o, err
		}
		o.Processes = append(o.Processes, p)
	}
	return o, nil
}

// describe says what program a process runs. The version of one that was built
// by Go stands in the program.
func describe(pid int) (result.Process, error) {
	path, err := proc.Exe(pid)
	if err != nil {
		return result.Process{}, fmt.Errorf("describe process %d: %w", pid, err)
	}
	p := result.Process{Program: filepath.Base(path)}
	b, err := buildinfo.ReadFile(path)
	if err != nil {
		return p, nil // not built by Go
	}
	p.Module, p.Version = b.Main.Path, b.Main.Version
	for _, m := range b.Deps {
		// A command of another module is built as one of its packages.
		if strings.HasPrefix(b.Path+"/", m.Path+"/") {
			p.Module, p.Version = m.Path, m.Version
		}
	}
	return p, nil
}

func (s *server) load(ctx context.Context) (result.Load, error) {
	l := result.Load{Rows: s.target.Session.Rows()}
	var failed error
	start := time.Now()
	err := s.target.Session.Load(ctx, s.target.Store, func(rows int64) {
		failed = errors.Join(failed, s.out.Encode(reply{Rows: &rows}))
	})
	l.Seconds = time.Since(start).Seconds()
	return l, errors.Join(err, failed)
}

func (s *server) check(ctx context.Context, e Expected) error {
	for _, p := range e.Probes {
		if err := s.target.Session.Check(ctx, s.target.Store, p); err != nil {
			return err
		}
	}
	if e.Digest == "" {
		return nil
	}
	d, err := s.target.Store.Digest(ctx)
	if err == nil && d.Sum != e.Digest {
		finding := fmt.Sprintf("the digest after the restart is %s, before it was %s", d.Sum, e.Digest)
		err = &workload.Mismatch{Findings: []string{finding}, Count: 1}
	}
	return err
}

func (s *server) close() (err error) {
	if s.target.Store != nil {
		err = s.target.Store.Close()
	}
	if s.target.Session != nil {
		err = errors.Join(err, s.target.Session.Close())
	}
	s.target = load.Target{}
	return err
}
