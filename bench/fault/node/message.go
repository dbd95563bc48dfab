package node

import (
	"encoding/json"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/remote"
)

type verb string

const (
	doOpen  verb = "open"
	doFill  verb = "fill"
	doOp    verb = "op"
	doFinal verb = "final"
	doClose verb = "close"
)

// A request asks for one thing. Requests are served at the same time.
type request struct {
	ID   int64           `json:"id"`
	Do   verb            `json:"do"`
	Args json.RawMessage `json:"args,omitempty"`
}

// A reply answers the request with its ID.
type reply struct {
	ID     int64           `json:"id"`
	Error  *remote.Failure `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// openArgs are the arguments of doOpen.
type openArgs struct {
	URL   string        `json:"url"`
	Setup history.Setup `json:"setup"`
	Early bool          `json:"early,omitempty"`
}

// Opened describes a store that was opened.
type Opened struct {
	Backend   string   `json:"backend"`
	Class     string   `json:"class"`
	Rev       int64    `json:"rev"`
	Addresses []string `json:"addresses,omitempty"` // of the store's own processes
}

// opArgs are the arguments of doOp.
type opArgs struct {
	Op      history.Op    `json:"op"`
	Timeout time.Duration `json:"timeout"`
}
