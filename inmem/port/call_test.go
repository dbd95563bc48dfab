package port_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

func TestManyCallsShareAConnection(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := pair(t, one, two)
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for j := range 50 {
				size := 1 << (j % 12)
				if j == 0 && i < 4 {
					size = 1 << 20
				}
				payload := bytes.Repeat([]byte{byte(i), byte(j)}, size)
				answer, err := p.Call(soon(t), to, echo, payload)
				if err != nil || !bytes.Equal(answer, payload) {
					t.Errorf("call %d of %d: %d bytes back of %d, %v", j, i, len(answer), len(payload), err)
					return
				}
			}
		})
	}
	callers.Wait()
}

func TestALargeCallPassesAndATooLargeOneIsNotSent(t *testing.T) {
	p, _, to := pair(t, member("n1"), member("n2"))
	payload := bytes.Repeat([]byte("x"), port.MaxPayload)
	if answer, err := p.Call(soon(t), to, echo, payload); err != nil || !bytes.Equal(answer, payload) {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
	_, err := p.Call(soon(t), to, echo, append(payload, 'x'))
	if !errors.Is(err, port.ErrNotSent) || !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestACallThatIsAbandonedEndsOnTheOtherSideToo(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := pair(t, one, two)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-two.begun
		stop()
	}()
	_, err := p.Call(ctx, to, hang, nil)
	if !errors.Is(err, port.ErrLost) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	arrives(t, two.ended, "end of the call")
	if _, err := p.Call(soon(t), to, echo, nil); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
}

func TestMoreCallsThanMayBeUnderWayWait(t *testing.T) {
	one, two := member("n1"), member("n2")
	two.begun, two.ended = make(chan struct{}, 2000), make(chan struct{}, 2000)
	p, _, to := pair(t, one, two)
	ctx, stop := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer stop()
	for range 1024 {
		callers.Go(func() { _, _ = p.Call(ctx, to, hang, nil) })
	}
	for range 1024 {
		arrives(t, two.begun, "beginning of the call")
	}
	short, end := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer end()
	if _, err := p.Call(short, to, echo, nil); !errors.Is(err, port.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	stop()
	if _, err := p.Call(soon(t), to, echo, nil); err != nil {
		t.Error(err)
	}
}

// A relay stands between two ports and can cut and stall what passes.
type relay struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	conns   []net.Conn
	stalled bool // what passes is thrown away
	held    bool // nothing that comes back is read
}

func newRelay(t *testing.T, to string) *relay {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: listener, to: to}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, in, out)
			r.mu.Unlock()
			go r.pass(in, out, true)
			go r.pass(out, in, false)
		}
	}()
	t.Cleanup(func() { listener.Close(); r.cut() })
	return r
}

func (r *relay) pass(to io.WriteCloser, from io.Reader, back bool) {
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		for back && r.holds() {
			time.Sleep(5 * time.Millisecond)
		}
		n, err := from.Read(b)
		r.mu.Lock()
		stalled := r.stalled
		r.mu.Unlock()
		if !stalled {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

func (r *relay) hold(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = on
}

func (r *relay) holds() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

func (r *relay) stall(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled = on
}

// through opens two members with a relay between them.
func through(t *testing.T, one, two *node) (*port.Port, *relay, port.Target) {
	q := open(t, two.config())
	r := newRelay(t, q.Addr())
	c := one.config()
	c.Dead = 300 * time.Millisecond
	return open(t, c), r, port.Target{Address: r.listener.Addr().String(), ID: two.hello.ID()}
}

func TestACutConnectionLosesTheCallsThatWereSent(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, r, to := through(t, one, two)
	lost := make(chan error, 10)
	for range cap(lost) {
		go func() {
			_, err := p.Call(soon(t), to, hang, nil)
			lost <- err
		}()
	}
	for range cap(lost) {
		arrives(t, two.begun, "beginning of the call")
	}
	r.cut()
	for range cap(lost) {
		if err := <-lost; !errors.Is(err, port.ErrLost) || errors.Is(err, port.ErrNotSent) {
			t.Errorf("got %v", err)
		}
		arrives(t, two.ended, "end of the call")
	}
	if _, err := p.Call(soon(t), to, echo, nil); err != nil {
		t.Errorf("the next call takes no new connection: %v", err)
	}
}

// What is called not sent must not have been handled, and what was handled must
// have been answered or called lost.
func TestCallsUnderCutsAreNeverHandledAndCalledNotSent(t *testing.T) {
	one, two := member("n1"), member("n2")
	var mu sync.Mutex
	handled := map[string]bool{}
	d := two.config()
	d.Handle = func(_ context.Context, _ port.Peer, _ uint8, payload []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		handled[string(payload)] = true
		return payload, nil
	}
	q := open(t, d)
	r := newRelay(t, q.Addr())
	p := open(t, one.config())
	to := port.Target{Address: r.listener.Addr().String(), ID: "n2/aaaa"}
	end := time.Now().Add(time.Second)
	outcomes := map[string]error{}
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for j := 0; time.Now().Before(end); j++ {
				key := fmt.Sprint(i, "-", j)
				_, err := p.Call(soon(t), to, echo, []byte(key))
				mu.Lock()
				outcomes[key] = err
				mu.Unlock()
			}
		})
	}
	for time.Now().Before(end) {
		time.Sleep(5 * time.Millisecond)
		r.cut()
	}
	callers.Wait()
	q.Close()
	answered := 0
	for key, err := range outcomes {
		switch {
		case err == nil && !handled[key]:
			t.Errorf("%s was answered, but not handled", key)
		case errors.Is(err, port.ErrNotSent) && handled[key]:
			t.Errorf("%s was handled: %v", key, err)
		case err == nil:
			answered++
		case !errors.Is(err, port.ErrNotSent) && !errors.Is(err, port.ErrLost):
			t.Errorf("%s: %v", key, err)
		}
	}
	if answered == 0 {
		t.Error("no call was answered")
	}
	t.Logf("%d of %d calls answered", answered, len(outcomes))
}

func TestACallToASilentNodeIsLostAfterAWhile(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, r, to := through(t, one, two)
	if _, err := p.Call(soon(t), to, echo, nil); err != nil {
		t.Fatal(err)
	}
	r.stall(true)
	start := time.Now()
	_, err := p.Call(soon(t), to, echo, nil)
	if !errors.Is(err, port.ErrLost) || !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took < 250*time.Millisecond || took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	r.stall(false)
	if _, err := p.Call(soon(t), to, echo, nil); err != nil {
		t.Error(err)
	}
}

func TestANodeThatTakesNoAnswersIsGivenUp(t *testing.T) {
	one, two := member("n1"), member("n2")
	d := two.config()
	d.Dead = 300 * time.Millisecond
	q := open(t, d)
	r := newRelay(t, q.Addr())
	p := open(t, one.config())
	to := port.Target{Address: r.listener.Addr().String(), ID: "n2/aaaa"}
	ctx, stop := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer r.hold(false)
	defer stop()
	callers.Go(func() { _, _ = p.Call(ctx, to, hang, nil) })
	arrives(t, two.begun, "beginning of the call")
	r.hold(true)
	start := time.Now()
	for range 40 {
		callers.Go(func() { _, _ = p.Call(ctx, to, echo, make([]byte, 1<<20)) })
	}
	arrives(t, two.ended, "end of the call")
	if took := time.Since(start); took > 2*time.Second { // the other side would give up after 3 s
		t.Errorf("it took %v", took)
	}
}

func TestALongCallOutlivesTheSilence(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := through(t, one, two)
	ctx, stop := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer stop()
	if _, err := p.Call(ctx, to, hang, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestASeveredPortTakesNoPartAnyMore(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, q, to := pair(t, one, two)
	lost := make(chan error)
	go func() {
		_, err := p.Call(soon(t), to, hang, nil)
		lost <- err
	}()
	arrives(t, two.begun, "beginning of the call")
	q.Sever()
	if err := <-lost; !errors.Is(err, port.ErrLost) {
		t.Errorf("the call under way: %v", err)
	}
	arrives(t, two.ended, "end of the call")
	refused(t, p, to, driver.ErrUnavailable)
	refused(t, q, port.Target{Address: p.Addr(), ID: "n1/aaaa"}, driver.ErrUnavailable, "takes no part")
	if _, err := q.Stream().Dial(port.RaftAddress("n1/aaaa", p.Addr()), time.Second); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a stream for Raft: %v", err)
	}
	q.Sever()
}

func TestAClosedPortCallsNobody(t *testing.T) {
	p, _, to := pair(t, member("n1"), member("n2"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, p, to, driver.ErrClosed)
}
