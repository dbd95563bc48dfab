package migrate

import (
	"time"

	"trihold/repo/driver"
)

// RecordRow is the name of the row of a store's state that holds its Record.
const RecordRow = "migration"

// A Phase says how far a migration is.
type Phase string

// The phases, in their order. Completed and RolledBack are the end.
const (
	Copying    Phase = "copying"     // rows are copied, commits followed
	Tailing    Phase = "tailing"     // all rows are there; commits are followed
	Verified   Phase = "verified"    // and both sides were proved equal
	Cutting    Phase = "cutting"     // the fence is up in the source
	Switched   Phase = "switched"    // the target is live, the source follows it
	Completed  Phase = "completed"   // the target is live, nothing follows
	RolledBack Phase = "rolled back" // the source is live, nothing follows
)

// Over reports whether nothing more will happen.
func (p Phase) Over() bool { return p == "" || p == Completed || p == RolledBack }

// A Record is what a store remembers about a migration, as a row of its state. Each
// of the two stores has one of its own, changed in one commit with whatever it is
// about. Whoever changes it checks that it is as it was read, so of two programs
// that run a migration at once one finds that it has been taken over.
type Record struct {
	ID     string `json:"id"`
	Phase  Phase  `json:"phase"`
	Source string `json:"source"` // name or URL, without secrets
	Target string `json:"target"`
	Runner string `json:"runner"` // the program that runs it: its host and admin socket

	Started time.Time  `json:"started"`
	Base    driver.Rev `json:"base,omitempty"` // the first revision that the target has
	Turn    int        `json:"turn,omitempty"` // how often the live store has changed
	Cuts    []Cut      `json:"cutovers,omitempty"`

	// Of the store that follows the other one.
	Follows bool       `json:"follows,omitempty"`
	Applied driver.Rev `json:"applied,omitempty"` // the other one's commits up to here are in
	Table   int        `json:"table,omitempty"`   // being copied
	Key     []byte     `json:"key,omitempty"`     // the last one of it that was copied
	Rows    int64      `json:"rows,omitempty"`    // copied
	Bytes   int64      `json:"bytes,omitempty"`   // of their canonical form
}
