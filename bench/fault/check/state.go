package check

import (
	"fmt"
	"maps"
	"slices"

	"trihold/bench/fault/history"
)

// A state is what a store should hold after some operations, one after the other.
type state struct {
	registers map[int64]int64
	accounts  []int64
	lists     map[int64][]int64
	claims    map[string]int64 // name to operation
	items     []history.ItemRow
	groups    map[int64][]int64 // items, ascending
	ledger    map[int64]int     // operation to client
}

// newState returns the state after the setup.
func newState(setup history.Setup) *state {
	s := &state{registers: map[int64]int64{}, lists: map[int64][]int64{}, claims: map[string]int64{}, groups: map[int64][]int64{}, ledger: map[int64]int{}}
	for range setup.Accounts {
		s.accounts = append(s.accounts, setup.Balance)
	}
	for i := range int64(setup.Items) {
		g := firstGroup(setup, i)
		s.items = append(s.items, history.ItemRow{ID: i, Group: g})
		s.groups[g] = append(s.groups[g], i)
	}
	return s
}

// apply lets an operation take effect. It returns why the operation could not have
// done so in this state, or "".
func (s *state) apply(o *history.Op) (impossible string) {
	s.ledger[o.ID] = o.Client
	switch o.Kind {
	case history.CAS:
		if had := s.registers[o.Key]; had != o.Expect {
			impossible = fmt.Sprintf("the register held %d", had)
		}
		s.registers[o.Key] = o.Value
	case history.Write:
		s.registers[o.Key] = o.Value
	case history.Transfer:
		if !s.hasAccounts(o) {
			return "there are no such accounts"
		}
		if had := s.accounts[o.Key]; had < o.Value {
			impossible = fmt.Sprintf("account %d had %d", o.Key, had)
		}
		s.accounts[o.Key] -= o.Value
		s.accounts[o.Other] += o.Value
	case history.Lists:
		for _, step := range o.Steps {
			if step.Append != 0 {
				s.lists[step.List] = append(s.lists[step.List], step.Append)
			}
		}
	case history.Claim:
		if by, taken := s.claims[o.Name]; taken {
			return fmt.Sprintf("op %d had the name", by)
		}
		s.claims[o.Name] = o.ID
	case history.Move:
		if o.Key < 0 || o.Key >= int64(len(s.items)) {
			return "there is no such item"
		}
		s.move(o)
	}
	return impossible
}

func (s *state) hasAccounts(o *history.Op) bool {
	n := int64(len(s.accounts))
	return o.Key >= 0 && o.Key < n && o.Other >= 0 && o.Other < n
}

func (s *state) move(o *history.Op) {
	row := &s.items[o.Key]
	from := s.groups[row.Group]
	if i, ok := slices.BinarySearch(from, row.ID); ok {
		s.groups[row.Group] = slices.Delete(from, i, i+1)
	}
	row.Group, row.Op = o.Value, o.ID
	to := s.groups[o.Value]
	i, _ := slices.BinarySearch(to, row.ID)
	s.groups[o.Value] = slices.Insert(to, i, row.ID)
}

// compare returns how the answer to an operation differs from the one that this
// state gives, or "". The operation was answered.
func (s *state) compare(o *history.Op) string {
	switch o.Kind {
	case history.Read:
		return differs(o.Saw, s.registers[o.Key])
	case history.CAS:
		had := s.registers[o.Key]
		if o.Refused != (had != o.Expect) {
			return fmt.Sprintf("the register held %d, refused is %v", had, o.Refused)
		}
		return differs(o.Saw, had)
	case history.Transfer:
		if !s.hasAccounts(o) {
			return "there are no such accounts"
		}
		if had := s.accounts[o.Key]; o.Refused != (had < o.Value) {
			return fmt.Sprintf("account %d had %d, refused is %v", o.Key, had, o.Refused)
		}
		return differs(o.Saw, s.accounts[o.Key], s.accounts[o.Other])
	case history.Audit:
		return differs(o.Saw, s.accounts...)
	case history.Lists:
		return s.compareLists(o)
	case history.Claim:
		if by, taken := s.claims[o.Name]; taken != o.Refused {
			return fmt.Sprintf("the name was held by op %d (0 is none), refused is %v", by, o.Refused)
		}
	case history.Group:
		return differs(o.Saw, s.groups[o.Value]...)
	}
	return ""
}

func (s *state) compareLists(o *history.Op) string {
	own := map[int64][]int64{}
	for _, step := range o.Steps {
		if step.Append != 0 {
			own[step.List] = append(own[step.List], step.Append)
			continue
		}
		list := s.lists[step.List]
		n := len(list)
		// Long lists are compared in place, and put together only to be shown.
		if len(step.Saw) != n+len(own[step.List]) || !slices.Equal(step.Saw[:n], list) || !slices.Equal(step.Saw[n:], own[step.List]) {
			return fmt.Sprintf("list %d: %s", step.List, differs(step.Saw, slices.Concat(list, own[step.List])...))
		}
	}
	return ""
}

func differs(saw []int64, want ...int64) string {
	if slices.Equal(saw, want) {
		return ""
	}
	return fmt.Sprintf("saw %s, there was %s", short(saw), short(want))
}

// short writes the end of a list, where lists differ mostly.
func short(list []int64) string {
	const most = 8
	if len(list) <= most {
		return fmt.Sprint(list)
	}
	return fmt.Sprintf("[... %s (%d in all)", fmt.Sprint(list[len(list)-most:])[1:], len(list))
}

// content returns the state as a node would hold it.
func (s *state) content() *history.Final {
	f := &history.Final{Registers: s.registers, Accounts: s.accounts, Lists: s.lists, Items: s.items}
	for name, id := range s.claims {
		f.Claims = append(f.Claims, history.ClaimRow{ID: id, Name: name})
	}
	slices.SortFunc(f.Claims, func(a, b history.ClaimRow) int { return int(a.ID - b.ID) })
	for _, id := range slices.Sorted(maps.Keys(s.ledger)) {
		f.Ledger = append(f.Ledger, history.LedgerRow{ID: id, Client: s.ledger[id]})
	}
	return f
}
