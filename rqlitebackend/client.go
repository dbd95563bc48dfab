package rqlitebackend

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"trihold/repo/driver"
)

// answerTimeout ends an attempt that gets no answer at all. Commits are then
// sent again.
const answerTimeout = 30 * time.Second

// A route is an endpoint of rqlite's HTTP API with its parameters.
type route struct{ path, query string }

var (
	// executeAtomic is the only endpoint that rolls everything back whatever
	// fails. /db/request commits the rest after some errors, and so does this one
	// without noparse if a statement has a RETURNING clause.
	executeAtomic = route{"/db/execute", "transaction&noparse"}
	// executeApart executes each statement for itself.
	executeApart = route{"/db/execute", "noparse"}
	// queryLatest sees everything acknowledged before. Each statement sees a state
	// of its own.
	queryLatest = route{"/db/query", "level=linearizable"}
	// querySnapshot is queryLatest with one state for all statements.
	querySnapshot = route{"/db/query", "level=linearizable&transaction"}
)

// queryStale sees a state that may be up to maxAge old. Without freshness_strict
// the bound is on the time since the leader was heard of, and not on the data.
func queryStale(maxAge time.Duration) route {
	return route{"/db/query", "level=none&transaction&freshness_strict&freshness=" + maxAge.String()}
}

// writes reports whether requests to the route can have an effect.
func (r route) writes() bool { return r.path == executeAtomic.path }

// A fate is what is known after one attempt.
type fate int

const (
	answered fate = iota
	notYet        // nothing was done; it may work in a moment
	refused       // nothing was done, and trying again does not help
	unknown       // it was sent; whether it was done is not known
)

// A client sends requests to rqlite. It is safe for concurrent use.
type client struct {
	transport *http.Transport
	header    http.Header // of every request; read only
	peers     *peers
	// patience is how long a request without a deadline is tried again.
	patience time.Duration
	life     context.Context // that of the store
	// diagnose returns why rqlite may not answer, if that can be seen from here.
	diagnose func() error
	// troubled is told that rqlite could not execute, for reasons of its own, what
	// it has in its log.
	troubled func(message string)
}

func newClient(life context.Context, p *peers, user, password string, patience time.Duration) *client {
	c := &client{
		// Requests go through the transport alone, which follows no redirects: one
		// turns a POST into a GET, which rqlite answers with an empty success.
		transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConns:          512,
			MaxIdleConnsPerHost:   256, // the default of 2 would close most after use
			IdleConnTimeout:       90 * time.Second,
			ResponseHeaderTimeout: answerTimeout,
			DisableCompression:    true,
		},
		header:   http.Header{"Content-Type": {"application/json"}},
		peers:    p,
		patience: patience,
		life:     life,
		diagnose: func() error { return nil },
		troubled: func(string) {},
	}
	if user != "" {
		c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	return c
}

// A request is one or more statements to send.
type request struct {
	route   route
	body    []byte
	columns [][]driver.Column // of the rows, for each statement of a query
}

// do sends a request until it is answered, refused for good, or the context ends;
// a context without a deadline ends after the client's patience. Sending again is
// harmless: a commit carries its ID.
//
// The error is of kind ErrUncertain if an attempt may have had an effect. resent
// reports that an attempt before the answered one may have had an effect, or may
// still have one.
func (c *client) do(ctx context.Context, r *request) (a answer, resent bool, err error) {
	f := notYet
	if host, ok := c.peers.now(); ok && ctx.Err() == nil {
		if a, f, err = c.attempt(ctx, host, r); f == answered || f == refused {
			return a, false, err
		}
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.patience, fmt.Errorf("no answer for %v", c.patience))
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(driver.ErrClosed) })()
	resent = f == unknown && r.route.writes()
	for pause := time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		if !sleep(ctx, pause) {
			return a, resent, c.gaveUp(ctx, resent, err)
		}
		host, down := c.peers.current(ctx)
		if host == "" {
			return a, resent, c.gaveUp(ctx, resent, errors.Join(err, down))
		}
		a, f, err = c.attempt(ctx, host, r)
		switch {
		case f == answered, f == refused && !resent:
			return a, resent, err
		case f == refused:
			return a, resent, c.gaveUp(ctx, resent, err)
		case f == unknown && r.route.writes():
			resent = true
		}
		c.peers.failed(host)
	}
}

// gaveUp returns the error of a request that has no answer.
func (c *client) gaveUp(ctx context.Context, uncertain bool, cause error) error {
	err := oneLine(errors.Join(context.Cause(ctx), c.diagnose(), cause))
	if uncertain {
		return driver.Failed("commit", driver.ErrUncertain, err)
	}
	return driver.Failed("reach rqlite", driver.ErrUnavailable, err)
}

// attempt sends a request once.
func (c *client) attempt(ctx context.Context, host string, r *request) (answer, fate, error) {
	sent := false // a connection was there to send on
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           &url.URL{Scheme: "http", Host: host, Path: r.route.path, RawQuery: r.route.query},
		Header:        c.header,
		Body:          r.reader(),
		GetBody:       func() (io.ReadCloser, error) { return r.reader(), nil },
		ContentLength: int64(len(r.body)),
	}).WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent = true },
	}))
	resp, err := c.transport.RoundTrip(req)
	if err != nil && !sent {
		return answer{}, notYet, err
	}
	if err != nil {
		return answer{}, unknown, fmt.Errorf("%s: %w", host, err)
	}
	defer resp.Body.Close()
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooledBody {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return answer{}, unknown, fmt.Errorf("%s: %w", host, err)
	}
	if resp.StatusCode != http.StatusOK {
		f, err := judgeStatus(host, resp.StatusCode, buf.Bytes())
		return answer{}, f, err
	}
	a, err := readAnswer(buf.Bytes(), r.columns)
	if err != nil {
		return a, unknown, fmt.Errorf("%s: %w", host, err)
	}
	if a.err != "" {
		if r.route.writes() && isTrouble(a.err) {
			c.troubled(a.err)
		}
		f, err := judgeError(a.err)
		return a, f, fmt.Errorf("rqlite at %s: %w", host, err)
	}
	return a, answered, nil
}

func (r *request) reader() io.ReadCloser { return io.NopCloser(bytes.NewReader(r.body)) }

// bodies holds buffers for the bodies of responses, none of them larger than
// maxPooledBody.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBody = 1 << 20

// judgeStatus says what a status other than 200 means.
func judgeStatus(host string, status int, body []byte) (fate, error) {
	text := strings.Join(strings.Fields(string(body[:min(len(body), 200)])), " ")
	switch {
	case status == http.StatusUnauthorized:
		return refused, driver.Failed("reach rqlite", driver.ErrInvalid, fmt.Errorf(
			"%s refuses the user; check user and password in the URL, and that the user may execute, query and ready", host))
	case status == http.StatusServiceUnavailable, strings.Contains(text, "leader address:"):
		return notYet, fmt.Errorf("rqlite at %s: %s", host, text)
	case status >= 500:
		return unknown, fmt.Errorf("rqlite at %s: HTTP status %d: %s", host, status, text)
	}
	return refused, driver.Failed("reach rqlite", driver.ErrInvalid, fmt.Errorf(
		"%s answers with HTTP status %d (%s); is it really rqlite?", host, status, text))
}

// errStale means that a node has no state as fresh as was asked for.
var errStale = errors.New("stale read")

// judgeError says what the error of a whole request means. Whatever is not known
// to have had no effect may have had one: a leader that loses its majority, for
// example, says "leadership lost while committing log", and the others may still
// commit.
func judgeError(text string) (fate, error) {
	if strings.Contains(text, "stale read") {
		return refused, errStale
	}
	if strings.Contains(text, "cannot start a transaction within a transaction") {
		return notYet, errors.New("another client has left a transaction open; send it a ROLLBACK")
	}
	for _, harmless := range []string{
		"not leader", "leader not found", "store not open", "store not ready",
		"timed out enqueuing operation", "pool get:",
	} {
		if strings.Contains(text, harmless) {
			return notYet, errors.New(text)
		}
	}
	return unknown, errors.New(text)
}

// oneLine makes an error's text one line.
func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return flat{err}
}

type flat struct{ err error }

func (f flat) Error() string { return strings.ReplaceAll(f.err.Error(), "\n", ": ") }
func (f flat) Unwrap() error { return f.err }

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
