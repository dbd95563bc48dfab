package history

import "time"

// A Kind says what an operation does. Those that write add a row to the ledger in
// the same transaction.
type Kind string

// The kinds of operation.
const (
	// Read reads register Key into Saw[0]. A register never written reads as 0.
	Read Kind = "read"
	// Write sets register Key to Value. Values are never zero, and no two
	// operations write the same one.
	Write Kind = "write"
	// CAS sets register Key to Value if it holds Expect, and is refused otherwise;
	// Saw[0] is what it held.
	CAS Kind = "cas"
	// Transfer moves Value from account Key to account Other, and is refused if Key
	// has less; Saw is what Key and Other had before.
	Transfer Kind = "transfer"
	// Audit reads all accounts in order into Saw.
	Audit Kind = "audit"
	// Lists runs Steps: reads of whole lists, and appends of Value, which no two
	// operations append alike. With no append in it nothing is written.
	Lists Kind = "lists"
	// Claim inserts a row with a unique Name, and is refused if the name is taken.
	Claim Kind = "claim"
	// Move puts item Key into group Value.
	Move Kind = "move"
	// Group reads the items of group Value through the index, ascending, into Saw.
	Group Kind = "group"
	// Note adds a row to the ledger and does nothing else.
	Note Kind = "note"
)

// Writes reports whether an operation of the kind writes, unless it is refused.
// One of kind Lists does if it has an append.
func (k Kind) Writes() bool {
	switch k {
	case Read, Audit, Group, Lists:
		return false
	}
	return true
}

// An Outcome is what is known about an operation.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"      // it was answered
	Failed  Outcome = "failed"  // it was answered with an error that says that nothing was written
	Unknown Outcome = "unknown" // it was not answered, or with an error that leaves it open
)

// Never is the End of an operation whose outcome is unknown.
const Never = time.Duration(1<<63 - 1)

// An Op is one operation.
type Op struct {
	ID     int64  `json:"id"` // its row in the ledger, if it writes; from 1
	Client int    `json:"client"`
	Kind   Kind   `json:"kind"`
	Key    int64  `json:"key,omitempty"`
	Other  int64  `json:"other,omitempty"`
	Value  int64  `json:"value,omitempty"`
	Expect int64  `json:"expect,omitempty"`
	Name   string `json:"name,omitempty"`
	Steps  []Step `json:"steps,omitempty"`

	Begin   time.Duration `json:"begin"` // since the start of the run
	End     time.Duration `json:"end"`   // Never if Outcome is Unknown
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"` // kind and text, unless OK

	// Set if the outcome is OK.
	Refused bool    `json:"refused,omitempty"` // it found that it has nothing to do, and wrote nothing
	Saw     []int64 `json:"saw,omitempty"`     // what it read, see Kind; Steps have their own
	Rev     int64   `json:"rev,omitempty"`     // of the state that it read, if it wrote nothing
}

// A Step is a part of an operation of kind Lists.
type Step struct {
	List   int64   `json:"list"`
	Append int64   `json:"append,omitempty"` // the value to append; 0 for a read
	Saw    []int64 `json:"saw,omitempty"`    // of a read: the list, with the appends of earlier steps
}

// Wrote reports whether the operation adds a row to the ledger if it takes effect.
func (o *Op) Wrote() bool {
	if o.Refused {
		return false
	}
	if o.Kind == Lists {
		for _, s := range o.Steps {
			if s.Append != 0 {
				return true
			}
		}
	}
	return o.Kind.Writes()
}
