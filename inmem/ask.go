package inmem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"trihold/repo/driver"
)

// ErrNobody is the error of Ask when no process serves the socket of a directory.
var ErrNobody = errors.New("no running node has this directory open")

// Ask sends a command to the node that has a directory open. For a backup, ask with
// AskBackup.
func Ask(ctx context.Context, dir string, c Command) (a Answer, err error) {
	err = post(ctx, dir, c, func(resp *http.Response) error {
		return json.NewDecoder(resp.Body).Decode(&a)
	})
	return a, err
}

// AskBackup writes a backup of the cluster that a directory's node is a member of to w.
// Only after it has returned without an error is the backup complete.
func AskBackup(ctx context.Context, dir string, w io.Writer) error {
	return post(ctx, dir, Command{Do: DoBackup}, func(resp *http.Response) error {
		if _, err := io.Copy(w, resp.Body); err != nil {
			return err
		}
		text := resp.Trailer.Get(refusalTrailer)
		if text == "" {
			return nil
		}
		var f Refusal
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return err
		}
		return f.err()
	})
}

// post sends a command to the node of a directory, and calls read with an answer that
// is not a refusal. Refusals are returned as they are, because they say who refuses.
func post(ctx context.Context, dir string, c Command, read func(*http.Response) error) error {
	asking := func(kind, err error) error { return driver.Failed("ask the node in "+dir, kind, err) }
	body, err := json.Marshal(c)
	if err != nil {
		return asking(nil, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+clusterPath, bytes.NewReader(body))
	if err != nil {
		return asking(nil, err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialAdmin(ctx, dir) }
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // the rest of it names an address that means nothing to anybody
		}
		if errors.Is(err, driver.ErrUnavailable) {
			return asking(nil, err)
		}
		return asking(driver.ErrUncertain, err)
	}
	defer resp.Body.Close() // read as far as it is needed
	if resp.StatusCode != http.StatusOK {
		var f Refusal
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
			return asking(driver.ErrUncertain, fmt.Errorf("it answers with status %d: %w", resp.StatusCode, err))
		}
		return f.err()
	}
	err = read(resp)
	if err == nil || errors.As(err, new(refused)) {
		return err
	}
	return asking(driver.ErrUncertain, err)
}

// dialAdmin connects to the socket of a directory. Its errors are ErrUnavailable:
// nothing was sent.
func dialAdmin(ctx context.Context, dir string) (net.Conn, error) {
	d, address, err := adminAddress(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, nobody(err))
	}
	defer d.Close() // it was opened for reading
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, nobody(err))
	}
	return conn, nil
}

// nobody tells a socket that is not there, or that nobody serves, from one that this
// user may not use.
func nobody(err error) error {
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return ErrNobody
	}
	return err
}
