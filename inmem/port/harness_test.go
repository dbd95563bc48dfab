package port_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// Methods that the nodes of the tests answer.
const (
	echo = iota + 1
	hang // until the caller is gone
	fail // with node.err
	who  // tells the caller's ID and purpose
)

// A node is what the tests open a port for.
type node struct {
	hello port.Hello
	err   error
	log   *logged
	begun chan struct{} // a call of hang begins
	ended chan struct{} // and ends
}

// member returns a node of the tests' cluster.
func member(name string) *node {
	return &node{
		hello: port.Hello{Cluster: [16]byte{1}, Epoch: 1, Name: name, Dir: "aaaa", Reads: 1, Writes: 1},
		log:   &logged{},
		begun: make(chan struct{}, 100),
		ended: make(chan struct{}, 100),
	}
}

func (n *node) config() port.Config {
	return port.Config{
		Listen: "127.0.0.1:0",
		Self:   func() port.Hello { return n.hello },
		Handle: n.handle,
		Logger: slog.New(slog.NewTextHandler(n.log, nil)),
	}
}

func (n *node) handle(ctx context.Context, from port.Peer, method uint8, payload []byte) ([]byte, error) {
	switch method {
	case echo:
		return payload, nil
	case hang:
		n.begun <- struct{}{}
		<-ctx.Done()
		n.ended <- struct{}{}
		return nil, ctx.Err()
	case fail:
		return nil, n.err
	case who:
		return fmt.Appendf(nil, "%s %v", from.ID(), from.Purpose), nil
	}
	return nil, driver.Failed("call", driver.ErrInvalid, fmt.Errorf("method %d", method))
}

func open(t testing.TB, c port.Config) *port.Port {
	t.Helper()
	p, err := port.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pair opens two members and returns the first, and how it reaches the second.
func pair(t testing.TB, one, two *node) (*port.Port, *port.Port, port.Target) {
	t.Helper()
	p, q := open(t, one.config()), open(t, two.config())
	return p, q, port.Target{Address: q.Addr(), ID: two.hello.ID()}
}

// refused calls and expects a refusal of the given kind whose text holds words.
func refused(t *testing.T, p *port.Port, to port.Target, kind error, words ...string) {
	t.Helper()
	_, err := p.Call(soon(t), to, echo, nil)
	if !errors.Is(err, port.ErrNotSent) || !errors.Is(err, kind) {
		t.Fatalf("got %v, want a refusal: %v", err, kind)
	}
	for _, w := range words {
		if !bytes.Contains([]byte(err.Error()), []byte(w)) {
			t.Errorf("the refusal does not say %q: %v", w, err)
		}
	}
}

// soon returns a context that ends a test that hangs.
func soon(t testing.TB) context.Context {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(stop)
	return ctx
}

func arrives(t *testing.T, what <-chan struct{}, name string) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", name)
	}
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// says waits until the text has been logged.
func (l *logged) says(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		found := bytes.Contains(l.text.Bytes(), []byte(text))
		l.mu.Unlock()
		if found {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Fatalf("%q was not logged, but:\n%s", text, &l.text)
}
