package traffic

import (
	"fmt"
	"math/rand/v2"

	"trihold/bench/fault/history"
)

// DefaultSetup is small enough for clients to meet each other all the time, and
// large enough for most transactions to get through.
var DefaultSetup = history.Setup{Registers: 64, Accounts: 16, Balance: 1000, Lists: 48, Items: 400, Groups: 20, Names: 4000}

// A Source makes the operations of the client in one slot of a crowd. It is used
// by one goroutine.
type Source struct {
	setup       history.Setup
	rng         *rand.Rand
	slot, slots int
	reads       bool // it writes nothing
	made        int64
	lastSeen    map[int64]int64 // registers, as this client last saw them
}

// NewSource returns the source of a slot. The same seed and slot make the same
// operations, but for what a compare-and-set expects: that depends on what the
// client has seen.
func NewSource(setup history.Setup, seed uint64, slot, slots int) *Source {
	return &Source{setup: setup, rng: rand.New(rand.NewPCG(seed, uint64(slot))), slot: slot, slots: slots, lastSeen: map[int64]int64{}}
}

// mix is how many of a hundred operations are of each kind.
var mix = []struct {
	kind  history.Kind
	share int
}{
	{history.Read, 16}, {history.Write, 10}, {history.CAS, 8},
	{history.Transfer, 14}, {history.Audit, 5},
	{history.Lists, 22},
	{history.Claim, 8}, {history.Move, 8}, {history.Group, 5},
	{history.Note, 4},
}

// Next returns the next operation.
func (s *Source) Next() history.Op {
	o := s.any()
	for s.reads && o.Wrote() {
		o = s.any()
	}
	return o
}

func (s *Source) any() history.Op {
	o := history.Op{ID: s.made*int64(s.slots) + int64(s.slot) + 1}
	s.made++
	n := s.rng.IntN(100)
	for _, m := range mix {
		if n -= m.share; n < 0 {
			o.Kind = m.kind
			break
		}
	}
	switch o.Kind {
	case history.Read:
		o.Key = s.below(s.setup.Registers)
	case history.Write:
		o.Key, o.Value = s.below(s.setup.Registers), o.ID
	case history.CAS:
		o.Key, o.Value = s.below(s.setup.Registers), o.ID
		o.Expect = s.lastSeen[o.Key]
	case history.Transfer:
		o.Key = s.below(s.setup.Accounts)
		o.Other = (o.Key + 1 + s.below(s.setup.Accounts-1)) % int64(s.setup.Accounts)
		o.Value = 1 + s.below(int(s.setup.Balance)/4)
	case history.Lists:
		s.steps(&o)
	case history.Claim:
		o.Name = fmt.Sprintf("name%d", s.rng.IntN(s.setup.Names))
	case history.Move:
		o.Key, o.Value = s.below(s.setup.Items), s.below(s.setup.Groups)
	case history.Group:
		o.Value = s.below(s.setup.Groups)
	}
	return o
}

// maxSteps is the most steps of an operation of kind Lists; values that it appends
// are its ID times this, and a number below it.
const maxSteps = 4

func (s *Source) steps(o *history.Op) {
	for i := range 1 + s.rng.IntN(maxSteps) {
		st := history.Step{List: s.below(s.setup.Lists)}
		if s.rng.IntN(2) == 0 {
			st.Append = o.ID*maxSteps + int64(i)
		}
		o.Steps = append(o.Steps, st)
	}
}

// Learn takes note of what an operation of this source saw.
func (s *Source) Learn(o *history.Op) {
	switch {
	case o.Outcome != history.OK:
	case o.Kind == history.Read, o.Kind == history.CAS && o.Refused:
		s.lastSeen[o.Key] = o.Saw[0]
	case o.Kind == history.Write, o.Kind == history.CAS:
		s.lastSeen[o.Key] = o.Value
	}
}

func (s *Source) below(n int) int64 { return s.rng.Int64N(int64(n)) }
