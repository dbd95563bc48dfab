package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/fault/steps"
	"trihold/bench/fault/traffic"
	"trihold/bench/remote"
	"trihold/repo"
)

// Serve does what it reads from in and answers on out, until in ends. It then
// closes the store, if it is open.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{enc: json.NewEncoder(out)}
	var under sync.WaitGroup // requests under way
	dec := json.NewDecoder(in)
	for {
		var r request
		if err := dec.Decode(&r); err != nil {
			break // whoever asked is gone, or has closed the input: stop
		}
		switch r.Do {
		case doOp:
			under.Go(func() { s.answer(r.ID, s.op, ctx, r) })
			continue
		case doAwait:
			under.Go(func() {
				s.answer(r.ID, func(ctx context.Context, _ request) (any, error) { return nil, steps.Await(ctx) }, ctx, r)
			})
			continue
		}
		s.answer(r.ID, s.control, ctx, r)
	}
	cancel()
	under.Wait()
	return s.close()
}

// A server is the process's one store.
type server struct {
	mu  sync.Mutex
	enc *json.Encoder // guarded by mu

	// Set by open, before any operation is asked for.
	store *repo.Store
	args  openArgs

	subscription *traffic.Subscription // nil if the changes are not followed
}

// answer serves a request and sends the reply. A reply that cannot be sent has
// nobody to receive it.
func (s *server) answer(id int64, serve func(context.Context, request) (any, error), ctx context.Context, r request) {
	result, err := serve(ctx, r)
	a := reply{ID: id}
	if err == nil {
		a.Result, err = json.Marshal(result)
	}
	if err != nil {
		a.Error = remote.NewFailure(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(a)
}

var errNotOpen = errors.New("the store is not open")

func (s *server) control(ctx context.Context, r request) (any, error) {
	if r.Do == doOpen {
		return s.open(ctx, r)
	}
	if s.store == nil {
		return nil, errNotOpen
	}
	switch r.Do {
	case doArm:
		var rule steps.Rule
		if err := json.Unmarshal(r.Args, &rule); err != nil {
			return nil, fmt.Errorf("%s: arguments: %w", r.Do, err)
		}
		steps.Arm(rule)
		return nil, nil
	case doRelease:
		steps.Release()
		return nil, nil
	case doFollowed:
		return s.followed(ctx, r)
	case doRev:
		st, err := s.store.Status(ctx)
		return int64(st.Rev), err
	case doFill:
		return nil, traffic.Fill(ctx, s.store, s.args.Setup)
	case doFinal:
		var name string
		if err := json.Unmarshal(r.Args, &name); err != nil {
			return nil, fmt.Errorf("%s: arguments: %w", r.Do, err)
		}
		return traffic.ReadFinal(ctx, s.store, name)
	case doClose:
		return nil, s.close()
	}
	return nil, fmt.Errorf("no such request: %q", r.Do)
}

func (s *server) open(ctx context.Context, r request) (o Opened, err error) {
	if err := json.Unmarshal(r.Args, &s.args); err != nil {
		return o, fmt.Errorf("%s: arguments: %w", r.Do, err)
	}
	store, err := repo.Open(ctx, s.args.URL, traffic.Schema)
	if err != nil {
		return o, err
	}
	status, err := store.Status(ctx)
	if err != nil {
		return o, errors.Join(err, store.Close())
	}
	o = Opened{Backend: status.Backend, Class: string(status.Class), Rev: int64(status.Rev), Addresses: status.Addresses}
	if watched, ok := store.Driver().(*steps.Store); ok {
		if o.Fence, err = steps.FenceOf(ctx, watched); err != nil {
			return o, errors.Join(err, store.Close())
		}
	}
	if s.store = store; s.args.Follow {
		s.subscription = traffic.Subscribe(ctx, store, o.Rev)
	}
	return o, nil
}

// followWait is how long a change may take to be told.
const followWait = 10 * time.Second

func (s *server) followed(ctx context.Context, r request) (any, error) {
	var rev int64
	if err := json.Unmarshal(r.Args, &rev); err != nil {
		return nil, fmt.Errorf("%s: arguments: %w", r.Do, err)
	}
	if s.subscription == nil {
		return nil, errors.New("the changes are not followed")
	}
	ctx, cancel := context.WithTimeout(ctx, followWait)
	defer cancel()
	changes, err := s.subscription.UpTo(ctx, rev)
	return Followed{After: s.subscription.After, Changes: changes}, err
}

func (s *server) op(ctx context.Context, r request) (any, error) {
	if s.store == nil {
		return nil, errNotOpen
	}
	var a opArgs
	if err := json.Unmarshal(r.Args, &a); err != nil {
		return nil, fmt.Errorf("%s: arguments: %w", r.Do, err)
	}
	if s.args.Early && a.Op.Wrote() && a.Op.Kind == history.Note {
		go func(o history.Op) { // the negative control: done later, or never
			time.Sleep(earlyBy)
			s.execute(ctx, &o, a.Timeout)
		}(a.Op)
		a.Op.Outcome = history.OK
		return &a.Op, nil
	}
	s.execute(ctx, &a.Op, a.Timeout)
	return &a.Op, nil
}

// earlyBy is how much too early an early node answers.
const earlyBy = 20 * time.Millisecond

func (s *server) execute(ctx context.Context, o *history.Op, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if s.args.Stale {
		traffic.ExecuteStale(ctx, s.store, s.args.Setup, o)
		return
	}
	traffic.Execute(ctx, s.store, s.args.Setup, o)
}

func (s *server) close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}
