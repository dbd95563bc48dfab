package fault

import (
	"slices"
	"strings"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/result"
	"trihold/repo"
)

// summarize counts what became of the operations, and how long nothing was
// answered.
func summarize(out *result.Cell, h *history.History) {
	var reads, writes []time.Duration // when they were answered
	for i := range h.Ops {
		o := &h.Ops[i]
		out.Ops++
		switch o.Outcome {
		case history.OK:
			out.Acked++
			if o.Wrote() {
				writes = append(writes, o.End)
			} else {
				reads = append(reads, o.End)
			}
			continue
		case history.Failed:
			out.Failed++
		default:
			out.Unknown++
		}
		if out.Errors == nil {
			out.Errors = map[string]int{}
		}
		out.Errors[kindOf(o.Error)]++
	}
	out.ReadsGap, out.WritesGap = gap(reads, out.Injected), gap(writes, out.Injected)
	if next := first(append(reads, writes...), out.Healed); next > 0 {
		out.Recovery = next - out.Healed
	}
}

// gap returns the longest time from the fault on in which nothing was answered.
func gap(answered []time.Duration, from time.Duration) (longest time.Duration) {
	slices.Sort(answered)
	last := from
	for _, at := range answered {
		if at > from {
			longest, last = max(longest, at-last), at
		}
	}
	return longest
}

// first returns the first moment after another one; 0 if there is none.
func first(answered []time.Duration, after time.Duration) time.Duration {
	slices.Sort(answered)
	if i, _ := slices.BinarySearch(answered, after); i < len(answered) {
		return answered[i]
	}
	return 0
}

// kindOf returns the kind that an error says it is of.
func kindOf(text string) string {
	for _, kind := range []error{repo.ErrUncertain, repo.ErrUnavailable, repo.ErrConflict, repo.ErrCorrupt, repo.ErrReadOnly, repo.ErrClosed} {
		if strings.Contains(text, kind.Error()) {
			return kind.Error()
		}
	}
	for _, other := range []string{"the node ended before it answered", "deadline exceeded", "canceled"} {
		if strings.Contains(text, other) {
			return other
		}
	}
	return "other"
}
