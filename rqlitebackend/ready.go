package rqlitebackend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"trihold/repo/driver"
)

// becomeReady waits until the node answers and has applied its whole log. It
// reports false if the context ended first.
func (n *node) becomeReady(ctx context.Context, pid int) bool {
	c := newClient(ctx, nil, "", "", 0)
	defer c.transport.CloseIdleConnections()
	for pause := time.Millisecond; ; pause = min(pause*5/4, 20*time.Millisecond) {
		if c.probe(ctx, n.http) == nil && c.isProcess(ctx, n.http, pid) {
			return true
		}
		if !sleep(ctx, pause) {
			return false
		}
	}
}

// errNotReady means that rqlite is there but cannot serve yet.
var errNotReady = errors.New("not ready yet")

// probe returns nil if the node at host has a leader and has applied everything
// that is committed, errNotReady if it may have in a moment, and else why it cannot
// be used.
func (c *client) probe(ctx context.Context, host string) error {
	status, version, body, err := c.get(ctx, host, "/readyz?sync")
	switch {
	case err != nil:
		return err
	case status == http.StatusOK && version != "":
		return checkVersion(host, version)
	case status >= 500 && version != "": // 500 while it opens its store
		return fmt.Errorf("%w: %s", errNotReady, body)
	case status == http.StatusOK:
		return driver.Failed("reach rqlite", driver.ErrInvalid, fmt.Errorf("what answers at %s is not rqlite", host))
	}
	_, err = judgeStatus(host, status, []byte(body))
	return err
}

// isProcess reports whether the rqlite at host is the given process, and not
// another program's that was faster to take the port.
func (c *client) isProcess(ctx context.Context, host string, pid int) bool {
	status, _, body, err := c.get(ctx, host, "/status?key=os")
	var about struct {
		PID int `json:"pid"`
	}
	return err == nil && status == http.StatusOK &&
		json.Unmarshal([]byte(body), &about) == nil && about.PID == pid
}

// get makes one GET request.
func (c *client) get(ctx context.Context, host, path string) (status int, version, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return 0, "", "", err
	}
	req.Header = c.header
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, resp.Header.Get("X-Rqlite-Version"), strings.Join(strings.Fields(string(b)), " "), err
}
