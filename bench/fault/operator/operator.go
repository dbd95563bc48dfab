package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"

	"trihold/bench/remote"
	"trihold/repo"
)

// A Verb is something that can be asked of a node.
type Verb string

// The verbs. What is the leader's to do is sent on by whoever is asked.
const (
	Ask      Verb = "status"
	Promote  Verb = "promote"
	Remove   Verb = "remove"
	Transfer Verb = "transfer"
)

// A Command asks a node for one thing.
type Command struct {
	Do   Verb   `json:"do"`
	Name string `json:"name,omitempty"` // of the member that is meant; of Transfer, empty is anyone
}

// Leads is the role of a leader.
const Leads = "leader"

// A Status is what a node knows of itself and of the cluster.
type Status struct {
	Name     string   `json:"name"`
	ID       string   `json:"id"`
	Role     string   `json:"role"`
	Term     uint64   `json:"term"`
	Leader   string   `json:"leader"` // its name; empty if none is known
	Rev      int64    `json:"rev"`
	Applied  uint64   `json:"applied_index"`
	FirstLog uint64   `json:"first_log_index"`
	LastLog  uint64   `json:"last_log_index"`
	Snapshot Snapshot `json:"snapshot"`
	Fsync    Fsync    `json:"fsync"`
	Members  []Member `json:"members"`
	ReadOnly string   `json:"read_only"` // why no commit is taken
	Failed   string   `json:"failed"`    // why the node takes no part any more
}

// A Snapshot is the newest one of a node.
type Snapshot struct {
	Index uint64 `json:"index"`
}

// Fsync is how often a node has written and synced its log.
type Fsync struct {
	Count int64 `json:"count"`
}

// A Member is one member of the cluster as a node sees it.
type Member struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	Voter bool   `json:"voter"`
	Self  bool   `json:"self"` // it is the node that was asked
	Lag   int64  `json:"lag"`  // log entries behind the leader, as the leader knows it; -1 is unknown
	// ContactMs is how long ago the leader has heard of it; -1 is unknown.
	ContactMs float64 `json:"contact_ms"`
}

// socketName is the name of the socket in a node's directory.
const socketName = "admin.sock"

// Send sends a command to the node that has a directory. Only Ask has an answer.
func Send(ctx context.Context, dir string, c Command) (s Status, err error) {
	// A socket's address is short, and a path may be long.
	d, err := os.Open(dir)
	if err != nil {
		return s, fmt.Errorf("%s: %w: %w", c.Do, repo.ErrUnavailable, err)
	}
	defer d.Close()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName))
	}
	body, err := json.Marshal(c)
	if err != nil {
		return s, fmt.Errorf("%s: %w", c.Do, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/cluster", bytes.NewReader(body))
	if err != nil {
		return s, fmt.Errorf("%s: %w", c.Do, err)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return s, fmt.Errorf("%s: %w: %w", c.Do, repo.ErrUncertain, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var r refusal
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			return s, fmt.Errorf("%s: it answers with status %d: %w", c.Do, resp.StatusCode, err)
		}
		return s, fmt.Errorf("%s: %w", c.Do, &remote.Failure{Text: r.Error, Kind: r.Kind})
	}
	answer := struct {
		Status *Status `json:"status"`
	}{&s}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return s, fmt.Errorf("%s: %w: %w", c.Do, repo.ErrUncertain, err)
	}
	return s, nil
}

// A refusal is an error on its way.
type refusal struct {
	Kind  string `json:"kind"`
	Error string `json:"error"`
}
