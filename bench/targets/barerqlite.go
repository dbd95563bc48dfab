package targets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"trihold/bench/proc"
)

// A bareRqlite is an rqlited that is used as a careful program without this
// project would: connections that are kept, parameters, one request for each
// statement.
type bareRqlite struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	client *http.Client
	base   string
	next   atomic.Int64
}

// startBareRqlite starts the program of a running process with the same options,
// but with addresses and a directory of its own.
func startBareRqlite(ctx context.Context, pid int, dir string) (*bareRqlite, error) {
	exe, err := proc.Exe(pid)
	if err != nil {
		return nil, fmt.Errorf("find rqlited: %w", err)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, fmt.Errorf("find the options of rqlited: %w", err)
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")[1:]
	b := &bareRqlite{ended: make(chan struct{})}
	for i, arg := range args {
		if arg == "-http-addr" || arg == "-raft-addr" {
			if args[i+1], err = freeAddress(); err != nil {
				return nil, err
			}
		}
		if arg == "-http-addr" {
			b.base = "http://" + args[i+1]
		}
	}
	args[len(args)-1] = dir
	b.cmd = exec.Command(exe, args...)
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	b.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the starting thread ends
		defer runtime.UnlockOSThread()
		err := b.cmd.Start()
		started <- err
		if err == nil {
			_ = b.cmd.Wait() // it is killed
			close(b.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start a bare rqlited: %w", err)
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

// freeAddress returns an address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// startWait is how long rqlited may take to start.
const startWait = 20 * time.Second

func (b *bareRqlite) prepare(ctx context.Context) error {
	for deadline := time.Now().Add(startWait); ; time.Sleep(20 * time.Millisecond) {
		err := b.post(ctx, "/db/execute", `CREATE TABLE notes (id TEXT PRIMARY KEY, owner INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID`)
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
	}
}

func (b *bareRqlite) stop() error {
	err := b.cmd.Process.Kill()
	<-b.ended
	b.client.CloseIdleConnections()
	return err
}

// nextNote returns a note that has not been inserted yet.
func (b *bareRqlite) nextNote() note { return newNote(int(b.next.Add(1) - 1)) }

func (b *bareRqlite) insert(ctx context.Context, n note) error {
	return b.post(ctx, "/db/execute", `INSERT INTO notes VALUES (?, ?, ?, ?)`, n.ID, n.Owner, n.Title, n.Body)
}

// query reads a row with the level that a View has.
func (b *bareRqlite) query(ctx context.Context, id string) error {
	return b.post(ctx, "/db/query?level=linearizable", `SELECT id, owner, title, body FROM notes WHERE id = ?`, id)
}

// post sends one statement and decodes the answer.
func (b *bareRqlite) post(ctx context.Context, path string, statement ...any) error {
	body, err := json.Marshal([]any{statement})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	var answer struct {
		Results []struct {
			Values [][]any `json:"values"`
			Error  string  `json:"error"`
		} `json:"results"`
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("rqlite answers %s: %s", resp.Status, text)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("rqlite answers %q: %w", text, err)
	}
	if len(answer.Results) != 1 || answer.Results[0].Error != "" {
		return fmt.Errorf("rqlite answers %s", text)
	}
	return nil
}
