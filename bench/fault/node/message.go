package node

import (
	"encoding/json"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/remote"
	"trihold/repo/driver"
)

type verb string

const (
	doOpen  verb = "open"
	doFill  verb = "fill"
	doOp    verb = "op"
	doFinal verb = "final"
	doClose verb = "close"

	doArm      verb = "arm"
	doAwait    verb = "await"
	doRelease  verb = "release"
	doFollowed verb = "followed"
	doRev      verb = "rev"
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
	Stale bool          `json:"stale,omitempty"`
	// Follow makes the process follow the changes from the beginning.
	Follow bool `json:"follow,omitempty"`
}

// Opened describes a store that was opened.
type Opened struct {
	Backend   string   `json:"backend"`
	Class     string   `json:"class"`
	Rev       int64    `json:"rev"`
	Addresses []string `json:"addresses,omitempty"` // of the store's own processes
	// Fence is that of a store which package steps watches; nil if there is none.
	Fence *driver.Fence `json:"fence,omitempty"`
}

// A Followed is what was told by the change stream, which was followed all the time.
type Followed struct {
	After   int64            `json:"after"` // where it began
	Changes []history.Change `json:"changes"`
}

// opArgs are the arguments of doOp.
type opArgs struct {
	Op      history.Op    `json:"op"`
	Timeout time.Duration `json:"timeout"`
}
