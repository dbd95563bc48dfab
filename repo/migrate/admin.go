package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"trihold/internal/lockfile"
	"trihold/repo/driver"
)

// An admin answers commands on a Unix socket: HTTP, a Command as JSON in the body of
// a POST, an Answer or a Refusal as JSON back.
type admin struct {
	path   string // absolute
	lock   *lockfile.Lock
	server *http.Server // nil before listen
	done   chan struct{}
}

// commandPath is where commands are posted.
const commandPath = "/migrate"

// claim takes the path of a socket.
func claim(path string) (*admin, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	lock, err := lockfile.Acquire(abs+".lock", "the admin socket "+abs)
	if err != nil {
		return nil, err
	}
	return &admin{path: abs, lock: lock}, nil
}

// listen makes the socket and serves it.
func (a *admin) listen(l *Live) error {
	// Whoever made the socket before is gone, or the lock would be taken.
	if err := os.Remove(a.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen on %s: %w", a.path, err)
	}
	ln, err := net.Listen("unix", a.path)
	if err != nil {
		return fmt.Errorf("listen on %s: %w: %w", a.path, driver.ErrInvalid, err)
	}
	if err := os.Chmod(a.path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", a.path, err), ln.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+commandPath, func(w http.ResponseWriter, r *http.Request) { serve(l, w, r) })
	a.server, a.done = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, make(chan struct{})
	go func() {
		defer close(a.done)
		_ = a.server.Serve(ln) // ends when it is closed
	}()
	return nil
}

// identity is the host and the socket: at most one program has both.
func (a *admin) identity() string {
	host, _ := os.Hostname() // without one, the socket alone
	return host + ":" + a.path
}

func (a *admin) close() error {
	var err error
	if a.server != nil {
		err = a.server.Close() // commands under way end with their context
		<-a.done
	}
	return errors.Join(err, a.lock.Release())
}

// A Refusal is an error on its way.
type Refusal struct {
	Kind  string  `json:"kind,omitempty"` // the text of the sentinel that it is
	Error string  `json:"error"`
	Plan  *Plan   `json:"plan,omitempty"`
	State *Status `json:"status,omitempty"`
}

// kinds are the sentinels that keep their meaning on the way.
var kinds = []error{
	driver.ErrInvalid, driver.ErrConflict, driver.ErrMoved, driver.ErrCorrupt, driver.ErrReadOnly, driver.ErrClosed,
	driver.ErrUncertain, driver.ErrTooLarge, driver.ErrCompacted, driver.ErrUnavailable,
}

func serve(l *Live, w http.ResponseWriter, r *http.Request) {
	var c Command
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&c); err != nil {
		respond(w, http.StatusBadRequest, Refusal{Kind: driver.ErrInvalid.Error(), Error: err.Error()})
		return
	}
	a, err := l.Do(r.Context(), c)
	if err == nil {
		respond(w, http.StatusOK, a)
		return
	}
	f := Refusal{Error: err.Error(), Plan: a.Plan, State: a.Status}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			f.Kind = kind.Error()
			break
		}
	}
	respond(w, http.StatusConflict, f)
}

// respond sends an answer. If it cannot be sent there is nobody to hear of that.
func respond(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

// ErrNobody is the error of Ask when no program listens on a socket.
var ErrNobody = errors.New("no program listens there")

// Ask sends a command to the program that listens on a socket.
func Ask(ctx context.Context, socket string, c Command) (a Answer, err error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return a, fmt.Errorf("ask %s: %w: %w", socket, ErrNobody, err)
	}
	_ = conn.Close() // it was only to see whether anybody is there
	body, err := json.Marshal(c)
	if err != nil {
		return a, fmt.Errorf("ask %s: %w", socket, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+commandPath, bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("ask %s: %w", socket, err)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return a, fmt.Errorf("ask %s: %w: %w", socket, driver.ErrUncertain, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			return a, fmt.Errorf("ask %s: %w: %w", socket, driver.ErrUncertain, err)
		}
		return a, nil
	}
	var f Refusal
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		return a, fmt.Errorf("ask %s: it answers with status %d: %w", socket, resp.StatusCode, err)
	}
	a.Plan, a.Status = f.Plan, f.State
	for _, kind := range kinds {
		if f.Kind == kind.Error() {
			return a, refused{f.Error, kind}
		}
	}
	return a, errors.New(f.Error)
}

// A refused is an error that came from another process.
type refused struct {
	text string
	kind error
}

func (r refused) Error() string { return r.text }
func (r refused) Unwrap() error { return r.kind }
