package inmem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"trihold/repo/driver"
)

// A Verb is something that can be asked of a member.
type Verb string

// The verbs.
const (
	DoStatus   Verb = "status"
	DoPromote  Verb = "promote"  // make a non-voter a voter
	DoRemove   Verb = "remove"   // take a member out of the cluster
	DoLeave    Verb = "leave"    // take this node out of the cluster
	DoTransfer Verb = "transfer" // make another voter the leader
	DoSnapshot Verb = "snapshot" // write a snapshot now
	DoBackup   Verb = "backup"   // send a backup; the answer is its bytes
)

// A Command asks a member for one thing. Any member can be asked: what is the
// leader's to do is sent on.
type Command struct {
	Do Verb `json:"do"`
	// Name is that of the member to promote or remove, or that shall lead; empty is
	// anyone, for transfer.
	Name string `json:"name,omitempty"`
}

// An Answer is what came of a command.
type Answer struct {
	Status *ClusterStatus `json:"status,omitempty"`
}

// A Refusal is an error on its way.
type Refusal struct {
	Kind  string `json:"kind,omitempty"` // the text of the sentinel that it is
	Error string `json:"error"`
}

// administered is what the admin socket can do; a Store in a cluster is it.
type administered interface {
	ClusterStatus(ctx context.Context) (ClusterStatus, error)
	Promote(ctx context.Context, name string) error
	Remove(ctx context.Context, name string) error
	Leave(ctx context.Context) error
	Transfer(ctx context.Context, to string) error // "" is anyone
	SnapshotNow(ctx context.Context) error
	Backup(ctx context.Context, w io.Writer) error
}

const (
	adminName   = "admin.sock"
	clusterPath = "/cluster" // where commands are posted
	// refusalTrailer holds the Refusal that a backup ended with after it had begun.
	refusalTrailer = "Trihold-Refusal"
)

// An admin answers commands on the Unix socket in a member's directory: HTTP, a
// Command as JSON in the body of a POST, an Answer or a Refusal as JSON back. Only the
// user that the node runs as can connect.
type admin struct {
	server *http.Server
	dir    *os.File      // keeps the address valid, by which the socket is removed
	done   chan struct{} // closed when nothing is served any more
}

// serveAdmin makes the socket in a directory, whose lock the caller holds, and serves
// it until close.
func serveAdmin(dir string, a administered) (*admin, error) {
	listening := func(err error) error {
		return driver.Failed("listen on "+filepath.Join(dir, adminName), driver.ErrUnavailable, err)
	}
	// Whoever made a socket before is gone, or the lock would be taken.
	if err := os.Remove(filepath.Join(dir, adminName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, listening(err)
	}
	d, address, err := adminAddress(dir)
	if err != nil {
		return nil, listening(err)
	}
	config := net.ListenConfig{Control: private}
	ln, err := config.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, errors.Join(listening(err), d.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+clusterPath, func(w http.ResponseWriter, r *http.Request) { serveCommand(a, w, r) })
	s := &admin{&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, d, make(chan struct{})}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(ln) // ends when it is closed
	}()
	return s, nil
}

// adminAddress returns the address of the socket in a directory, which holds while the
// directory that is returned with it is open. A socket address has at most 107 bytes,
// and paths may be longer, so it goes by the descriptor of the directory.
func adminAddress(dir string) (*os.File, string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, "", err
	}
	return d, fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), adminName), nil
}

// private gives a socket, before it has a name, the mode that its file shall have.
func private(_, _ string, c syscall.RawConn) error {
	var err error
	ctlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(ctlErr, err)
}

// close ends commands under way with their contexts, and removes the socket.
func (s *admin) close() error {
	err := s.server.Close()
	<-s.done
	return errors.Join(err, s.dir.Close())
}

func serveCommand(a administered, w http.ResponseWriter, r *http.Request) {
	var c Command
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&c); err != nil {
		respond(w, http.StatusBadRequest, Refusal{Kind: driver.ErrInvalid.Error(), Error: err.Error()})
		return
	}
	if c.Do == DoBackup {
		serveBackup(a, w, r)
		return
	}
	answer, err := carryOut(r.Context(), a, c)
	if err != nil {
		respond(w, http.StatusConflict, refusalOf(err))
		return
	}
	respond(w, http.StatusOK, answer)
}

// carryOut does what a command asks for, except a backup.
func carryOut(ctx context.Context, a administered, c Command) (Answer, error) {
	switch c.Do {
	case DoStatus:
		s, err := a.ClusterStatus(ctx)
		return Answer{Status: &s}, err
	case DoPromote:
		return Answer{}, a.Promote(ctx, c.Name)
	case DoRemove:
		return Answer{}, a.Remove(ctx, c.Name)
	case DoLeave:
		return Answer{}, a.Leave(ctx)
	case DoTransfer:
		return Answer{}, a.Transfer(ctx, c.Name)
	case DoSnapshot:
		return Answer{}, a.SnapshotNow(ctx)
	}
	return Answer{}, driver.Failed(string(c.Do), driver.ErrInvalid, errors.New("no such command"))
}

// serveBackup sends a backup. An error before its first byte is a Refusal, as always;
// a later one comes in the trailer.
func serveBackup(a administered, w http.ResponseWriter, r *http.Request) {
	body := &backupBody{response: w}
	err := a.Backup(r.Context(), body)
	switch {
	case err == nil:
		body.begin()
	case !body.begun:
		respond(w, http.StatusConflict, refusalOf(err))
	default:
		refusal, err := json.Marshal(refusalOf(err))
		if err != nil {
			panic(http.ErrAbortHandler) // the connection breaks, so the other side knows
		}
		w.Header().Set(refusalTrailer, string(refusal))
	}
}

// A backupBody begins a response with the first byte written to it.
type backupBody struct {
	response http.ResponseWriter
	begun    bool
}

func (b *backupBody) begin() {
	if !b.begun {
		b.begun = true
		b.response.Header().Set("Content-Type", "application/octet-stream")
		b.response.Header().Set("Trailer", refusalTrailer)
		b.response.WriteHeader(http.StatusOK)
	}
}

func (b *backupBody) Write(p []byte) (int, error) {
	b.begin()
	return b.response.Write(p)
}

// respond sends an answer. If it cannot be sent there is nobody to hear of that.
func respond(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

// refusable are the sentinels that keep their meaning on the way.
var refusable = []error{
	driver.ErrInvalid, driver.ErrNotFound, driver.ErrExists, driver.ErrConflict, driver.ErrMoved, driver.ErrCorrupt, driver.ErrReadOnly,
	driver.ErrClosed, driver.ErrUncertain, driver.ErrUnavailable,
}

func refusalOf(err error) Refusal {
	f := Refusal{Error: err.Error()}
	for _, kind := range refusable {
		if errors.Is(err, kind) {
			f.Kind = kind.Error()
			break
		}
	}
	return f
}

// err returns the error that was refused with.
func (f Refusal) err() error {
	for _, kind := range refusable {
		if f.Kind == kind.Error() {
			return refused{f.Error, kind}
		}
	}
	return errors.New(f.Error)
}

// A refused is an error that came from another process.
type refused struct {
	text string
	kind error
}

func (r refused) Error() string { return r.text }
func (r refused) Unwrap() error { return r.kind }
