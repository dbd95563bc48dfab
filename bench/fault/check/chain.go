package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"trihold/bench/fault/history"
)

// chains finds an order of the operations of a register, or why there is none. It
// needs every value to be written by one operation only, and tells if that is not so.
//
// Whoever saw a value came after its writer and before the next one. So a write and
// those who saw its value are one block, in any order, and a compare-and-set ties the
// block of the value that it found to the block of the value that it wrote. These
// chains come one after the other, as wholes. One must come before another if any
// operation of it ended before any of the other began. If no two chains must come
// before each other, no more of them do in a circle: among those, the one with the
// earliest end would have to come before each, and so the one before it would be in
// conflict with it. (This is the idea of Gibbons and Korach, Testing Shared Memories,
// SIAM Journal on Computing 26(4), 1997.)
func chains(all []access) (order []access, c *conflict, unique bool) {
	values, c, unique := blocks(all)
	if c != nil || !unique {
		return nil, c, unique
	}
	list := []*chain{newChain(values, values[0])}
	linked := len(list[0].values)
	for _, a := range all {
		if a.op.Kind == history.Write {
			list = append(list, newChain(values, values[a.op.Value]))
			linked += len(list[len(list)-1].values)
		}
	}
	for _, ch := range list {
		if c := ch.contradiction(); c != nil {
			return nil, c, true
		}
	}
	if linked < len(values) {
		return nil, circle(list, values), true
	}
	if c := crossing(list); c != nil {
		return nil, c, true
	}
	// A chain that lasts comes when it first must be there, any other one when it can.
	slices.SortStableFunc(list, func(a, b *chain) int {
		return cmp.Or(cmp.Compare(min(a.ends(), a.begins()), min(b.ends(), b.begins())), cmp.Compare(a.lasts(), b.lasts()))
	})
	for _, ch := range list {
		order = append(order, ch.ops...)
	}
	return order, nil, true
}

// A conflict is some operations that have no order, and why.
type conflict struct {
	ops    []access
	reason string
}

// A block is a value of the register, and who had to do with it.
type block struct {
	value   int64
	writer  access // none for 0, which is there at first
	seen    []access
	changed access // the compare-and-set that expected it and wrote another, if any
}

// blocks sorts operations by the values that they saw.
func blocks(all []access) (values map[int64]*block, c *conflict, unique bool) {
	values = map[int64]*block{0: {}}
	for _, a := range all {
		if a.op.Wrote() {
			if values[a.op.Value] != nil {
				return nil, nil, false
			}
			values[a.op.Value] = &block{value: a.op.Value, writer: a}
		}
	}
	for _, a := range all {
		if a.op.Kind == history.Write {
			continue
		}
		saw := a.saw()
		b, changes := values[saw], a.op.Kind == history.CAS && !a.op.Refused
		switch {
		case b == nil:
			return nil, &conflict{[]access{a}, a.found() + ", which nobody wrote"}, true
		case a.op.Kind == history.CAS && changes != (saw == a.op.Expect):
			return nil, &conflict{[]access{a}, fmt.Sprintf("%s, and refused is %v", a.found(), a.op.Refused)}, true
		case changes && b.changed.op != nil:
			ops := append(lineage(values, b), a, b.changed)
			return nil, &conflict{ops, fmt.Sprintf("%s, and so did %s, after which it was another value", a.found(), describe(b.changed.op))}, true
		case changes:
			b.changed = a
		default:
			b.seen = append(b.seen, a)
		}
	}
	return values, nil, true
}

// lineage returns the operations by which a register came to its value.
func lineage(values map[int64]*block, b *block) (ops []access) {
	for range len(values) {
		if b == nil || b.writer.op == nil {
			break
		}
		ops = append(ops, b.writer)
		if b.writer.op.Kind == history.Write {
			break
		}
		b = values[b.writer.op.Expect]
	}
	return ops
}

// saw returns the value that an operation found in the register. It is not a write.
func (a access) saw() int64 {
	if a.op.Outcome == history.OK {
		return a.op.Saw[0]
	}
	return a.op.Expect // it took effect, so that is what it found
}

// found says what an operation found in the register.
func (a access) found() string {
	who := "the final content"
	if a.op.ID != 0 {
		who = describe(a.op)
	}
	if a.op.Kind == history.Write {
		return who
	}
	return fmt.Sprintf("%s found %d (from %s to %s)", who, a.saw(), at(a.op.Begin), at(a.end))
}

// A chain is blocks that follow each other because compare-and-sets say so.
type chain struct {
	values      []*block
	ops         []access // in an order that the chain allows
	first, last access   // the one that ended first, and the one that began last; none if there are no ops
}

// newChain returns the chain that begins with a block.
func newChain(values map[int64]*block, b *block) *chain {
	ch := &chain{}
	for b != nil {
		ch.values = append(ch.values, b)
		if b.writer.op != nil {
			ch.ops = append(ch.ops, b.writer)
		}
		slices.SortStableFunc(b.seen, func(a, b access) int { return cmp.Compare(a.op.Begin, b.op.Begin) })
		ch.ops = append(ch.ops, b.seen...)
		if b.changed.op == nil {
			break
		}
		b = values[b.changed.op.Value]
	}
	for i, a := range ch.ops {
		if i == 0 || a.end < ch.first.end {
			ch.first = a
		}
		if i == 0 || a.op.Begin > ch.last.op.Begin {
			ch.last = a
		}
	}
	return ch
}

// initial reports whether the chain begins with the register as it was at first.
func (ch *chain) initial() bool { return ch.values[0].writer.op == nil }

// ends returns when the chain has certainly begun to be there: at the first end.
func (ch *chain) ends() time.Duration {
	if ch.initial() {
		return -1
	}
	return ch.first.end
}

// begins returns until when the chain must have been there: the last begin.
func (ch *chain) begins() time.Duration {
	if len(ch.ops) == 0 {
		return -1
	}
	return ch.last.op.Begin
}

// lasts tells chains that must be there for some time, 1, from those for which one
// moment is enough, 0.
func (ch *chain) lasts() int {
	if ch.ends() < ch.begins() {
		return 1
	}
	return 0
}

// contradiction returns a conflict inside of the chain: an operation that ended
// before one began that comes earlier in it. The former is no write: at most the first
// of a chain is.
func (ch *chain) contradiction() *conflict {
	var latest access
	for i, a := range ch.ops {
		if i > 0 && a.end < latest.op.Begin {
			reason := fmt.Sprintf("%s, and that value was over: %s", latest.found(), a.found())
			if latest.op.Wrote() && a.saw() == latest.op.Value {
				reason = fmt.Sprintf("%s, which %s began to write at %s", a.found(), describe(latest.op), at(latest.op.Begin))
			} else if latest.op.Kind == history.Write {
				reason = fmt.Sprintf("%s, which comes after %s, begun at %s", a.found(), describe(latest.op), at(latest.op.Begin))
			}
			return &conflict{ch.ops[:i+1], reason}
		}
		if i == 0 || a.op.Begin > latest.op.Begin {
			latest = a
		}
	}
	return nil
}

// circle returns the conflict of compare-and-sets of which each expects what the
// next one wrote. The values in the chains are not part of it.
func circle(list []*chain, values map[int64]*block) *conflict {
	linked := map[int64]bool{}
	for _, ch := range list {
		for _, b := range ch.values {
			linked[b.value] = true
		}
	}
	var left []int64
	for value := range values {
		if !linked[value] {
			left = append(left, value)
		}
	}
	b := values[slices.Min(left)]
	// Enough steps back, and it is one of the circle itself, not one that hangs on it.
	for range left {
		b = values[b.writer.op.Expect]
	}
	var ops []access
	for start := b.value; len(ops) == 0 || b.value != start; b = values[b.writer.op.Expect] {
		ops = append(ops, b.writer)
	}
	return &conflict{ops, fmt.Sprintf("%s, which is written only by what comes after that", ops[0].found())}
}

// crossing returns two chains of which each must come before the other, or nil.
func crossing(list []*chain) *conflict {
	byEnd := slices.SortedStableFunc(slices.Values(list), func(a, b *chain) int { return cmp.Compare(a.ends(), b.ends()) })
	// The two chains that begin last, among the first so many.
	type pair struct{ last, second *chain }
	latest := make([]pair, len(byEnd)+1)
	for i, ch := range byEnd {
		p := latest[i]
		switch {
		case p.last == nil || ch.begins() > p.last.begins():
			p = pair{ch, p.last}
		case p.second == nil || ch.begins() > p.second.begins():
			p.second = ch
		}
		latest[i+1] = p
	}
	var best *conflict
	for _, b := range list {
		before, _ := slices.BinarySearchFunc(byEnd, b.begins(), func(ch *chain, begins time.Duration) int { return cmp.Compare(ch.ends(), begins) })
		a := latest[before].last
		if a == b {
			a = latest[before].second
		}
		if a != nil && b.ends() < a.begins() && (best == nil || len(a.ops)+len(b.ops) < len(best.ops)) {
			best = &conflict{slices.Concat(a.ops, b.ops), crossed(a, b)}
		}
	}
	return best
}

// crossed says why two chains have no order.
func crossed(a, b *chain) string {
	for _, wrote := range []bool{true, false} { // a write in between says more than a read
		for _, pair := range [][2]*chain{{a, b}, {b, a}} {
			if reason := pair[0].interrupted(pair[1], wrote); reason != "" {
				return reason
			}
		}
	}
	if b.initial() {
		a, b = b, a
	}
	return fmt.Sprintf("%s, though %s had ended at %s; and %s, %s; so %s and %s are each before the other",
		a.last.found(), describe(b.first.op), at(b.first.end), b.last.found(), a.after(), a.span(), b.span())
}

// interrupted looks for one operation of another chain that was done while this
// chain must have been there, and says so.
func (ch *chain) interrupted(other *chain, wrote bool) string {
	for _, x := range other.ops {
		if x.op.Wrote() != wrote || x.op.Begin <= ch.ends() {
			continue
		}
		for _, a := range ch.ops {
			if a.op.Begin > x.end {
				return fmt.Sprintf("%s, though %s had been done from %s to %s, %s", a.found(), describe(x.op), at(x.op.Begin), at(x.end), ch.after())
			}
		}
	}
	return ""
}

// after says since when the chain has been there.
func (ch *chain) after() string {
	if ch.initial() {
		return "since it was empty at first"
	}
	return fmt.Sprintf("after %s had ended at %s", describe(ch.first.op), at(ch.first.end))
}

// span names the values of a chain.
func (ch *chain) span() string {
	first, last := ch.values[0].value, ch.values[len(ch.values)-1].value
	if first == last {
		return fmt.Sprintf("the value %d", first)
	}
	return fmt.Sprintf("the values %d to %d", first, last)
}
