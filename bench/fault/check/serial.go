package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"trihold/bench/fault/history"
)

// serial checks that the list transactions are strictly serialisable. The elements
// of a list show in what order they came, so the content of the lists in the end
// tells the order of all that wrote, and each read its place in it. If these orders
// and the order of time form no cycle, then a serial order exists.
func serial(t *trial) {
	if len(t.finals()) == 0 {
		return
	}
	s := &serialisation{
		trial: t, writers: map[element]int{}, undone: map[element]*history.Op{},
		versions: map[int64][]int64{}, place: map[element]int{},
	}
	s.collect()
	for i := range s.txns {
		s.readsOf(i)
	}
	s.order()
	s.compareReads()
	s.compareAppends()
	t.verdict.Ops = len(s.txns)
	if t.findings > 0 {
		return // a cycle would only say the same in more words
	}
	s.dependencies()
	s.time()
	s.cycles()
}

// An element is a value in a list. No two operations append the same.
type element struct{ list, value int64 }

// A serialisation is one run of the checker.
type serialisation struct {
	*trial
	txns    []*history.Op           // that took effect
	writers map[element]int         // the transaction that appended an element
	undone  map[element]*history.Op // appends of those that did not take effect
	reads   []listRead              // each list as it was before a transaction that read it

	versions map[int64][]int64 // each list as it was in the end
	place    map[element]int   // in versions
	graph    *graph
}

// A listRead is a list as a transaction found it, without what it appended itself.
type listRead struct {
	txn  int
	list int64
	saw  []int64
}

func (s *serialisation) collect() {
	for i := range s.evidence.History.Ops {
		o := &s.evidence.History.Ops[i]
		if o.Kind != history.Lists {
			continue
		}
		took := o.Outcome == history.OK && !o.Refused || s.facts.tookEffect(o)
		if took {
			s.txns = append(s.txns, o)
		}
		for _, step := range o.Steps {
			if e := (element{step.List, step.Append}); step.Append == 0 {
			} else if !took {
				s.undone[e] = o
			} else {
				s.writers[e] = len(s.txns) - 1
			}
		}
	}
}

// readsOf collects what a transaction read, and checks that it agrees with itself:
// it must see the same list each time, and its own appends at the end.
func (s *serialisation) readsOf(txn int) {
	o := s.txns[txn]
	if o.Outcome != history.OK {
		return
	}
	own, found := map[int64][]int64{}, map[int64][]int64{}
	for _, step := range o.Steps {
		mine := own[step.List]
		if step.Append != 0 {
			own[step.List] = append(mine, step.Append)
			continue
		}
		n := len(step.Saw) - len(mine)
		if n < 0 || !slices.Equal(step.Saw[n:], mine) {
			s.illegal("internal: T%d read list %d as %s, without its own appends %v at the end", o.ID, step.List, short(step.Saw), mine)
			continue
		}
		before, again := found[step.List]
		if !again {
			found[step.List] = step.Saw[:n]
			s.reads = append(s.reads, listRead{txn: txn, list: step.List, saw: step.Saw[:n]})
		} else if !slices.Equal(before, step.Saw[:n]) {
			s.illegal("internal: T%d found list %d as %s, and then as %s", o.ID, step.List, short(before), short(step.Saw[:n]))
		}
	}
}

// order finds the order of the versions of each list: that of its elements in the
// end, or in a longer read that continues it, if the end of a list was lost.
func (s *serialisation) order() {
	final := s.evidence.Finals[0] // digests compares the other nodes
	from := map[int64]string{}
	for list, values := range final.Lists {
		s.versions[list], from[list] = values, final.Node
	}
	for _, r := range s.reads {
		if v := s.versions[r.list]; len(r.saw) > len(v) && isPrefix(v, r.saw) {
			s.versions[r.list], from[r.list] = r.saw, fmt.Sprintf("T%d", s.txns[r.txn].ID)
		}
	}
	for _, list := range slices.Sorted(maps.Keys(s.versions)) {
		s.known(from[list], list, s.versions[list])
		for i, value := range s.versions[list] {
			e := element{list, value}
			s.place[e] = i
			if w, ok := s.writers[e]; ok && i >= len(final.Lists[list]) {
				s.illegal("lost append: %d of T%d was read in list %d, and is not there in the end", value, s.txns[w].ID, list)
			}
		}
	}
}

// known checks that each element of a list was appended, once, by a transaction
// that took effect.
func (s *serialisation) known(who string, list int64, values []int64) {
	seen := make(map[int64]bool, len(values))
	for _, value := range values {
		e := element{list, value}
		if seen[value] {
			s.illegal("duplicate append: %s has %d twice in list %d", who, value, list)
		}
		seen[value] = true
		if _, ok := s.writers[e]; ok {
			continue
		}
		if o := s.undone[e]; o != nil {
			s.illegal("G1a (aborted read): %s has %d in list %d, of T%d, which did not take effect (%s)", who, value, list, o.ID, o.Outcome)
		} else {
			s.illegal("phantom: %s has %d in list %d, which nobody appended", who, value, list)
		}
	}
}

// compareReads checks each read against the order of the versions.
func (s *serialisation) compareReads() {
	for _, r := range s.reads {
		o, versions := s.txns[r.txn], s.versions[r.list]
		if !isPrefix(r.saw, versions) {
			s.known(fmt.Sprintf("T%d", o.ID), r.list, r.saw)
			s.illegal("incompatible order: T%d found list %d as %s, which is no beginning of %s", o.ID, r.list, short(r.saw), s.around(r, versions))
			continue
		}
		if len(r.saw) == 0 {
			continue
		}
		last := r.saw[len(r.saw)-1]
		w, ok := s.writers[element{r.list, last}]
		if !ok {
			continue
		} else if w == r.txn {
			s.illegal("internal: T%d found %d in list %d before it appended it", o.ID, last, r.list)
			continue
		}
		appended := appendsOf(s.txns[w], r.list)
		if final := appended[len(appended)-1]; final != last {
			s.illegal("G1b (intermediate read): T%d found list %d with %d of T%d at its end, and without its %d", o.ID, r.list, last, s.txns[w].ID, final)
		}
	}
}

// around shows the part of a list where a read first differs.
func (s *serialisation) around(r listRead, versions []int64) string {
	i := 0
	for i < min(len(r.saw), len(versions)) && r.saw[i] == versions[i] {
		i++
	}
	return fmt.Sprintf("%s: element %d is the first that differs", short(versions), i+1)
}

// compareAppends checks that each append is there, after the earlier ones of its
// transaction.
func (s *serialisation) compareAppends() {
	final := s.evidence.Finals[0]
	for _, o := range s.txns {
		if !o.Wrote() || o.Outcome == history.Unknown && !s.facts.inFirst[o.ID] && !s.anyThere(o) {
			continue // one of the latter took effect after the lists were read
		}
		last := map[int64]int{}
		for _, step := range o.Steps {
			if step.Append == 0 {
				continue
			}
			i, ok := s.place[element{step.List, step.Append}]
			if !ok {
				s.illegal("lost append: %d of T%d is not in list %d of %s", step.Append, o.ID, step.List, final.Node)
				continue
			}
			if before, ok := last[step.List]; ok && i < before {
				s.illegal("internal: T%d appended %d to list %d last, and it comes before its other appends", o.ID, step.Append, step.List)
			}
			last[step.List] = i
		}
	}
}

// anyThere reports whether any append of an operation is in its list.
func (s *serialisation) anyThere(o *history.Op) bool {
	return slices.ContainsFunc(o.Steps, func(step history.Step) bool {
		_, ok := s.place[element{step.List, step.Append}]
		return ok
	})
}

func appendsOf(o *history.Op, list int64) []int64 {
	var all []int64
	for _, step := range o.Steps {
		if step.Append != 0 && step.List == list {
			all = append(all, step.Append)
		}
	}
	return all
}

func isPrefix(a, b []int64) bool { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }

// dependencies adds the edges that the lists tell.
func (s *serialisation) dependencies() {
	s.graph = newGraph(len(s.txns))
	for _, list := range slices.Sorted(maps.Keys(s.versions)) {
		values := s.versions[list]
		for i := 1; i < len(values); i++ {
			s.graph.add(s.writers[element{list, values[i-1]}], s.writers[element{list, values[i]}], edge{kind: ww, list: list, value: values[i]})
		}
	}
	for _, r := range s.reads {
		if n := len(r.saw); n > 0 {
			s.graph.add(s.writers[element{r.list, r.saw[n-1]}], r.txn, edge{kind: wr, list: r.list, value: r.saw[n-1]})
		}
		if n := len(r.saw); n < len(s.versions[r.list]) {
			next := s.versions[r.list][n]
			s.graph.add(r.txn, s.writers[element{r.list, next}], edge{kind: rw, list: r.list, value: next})
		}
	}
}

// time adds the order of real time: a chain of barriers, one at each end, that each
// transaction comes before which ended there, and each after that began later.
func (s *serialisation) time() {
	var ended []int
	for i, o := range s.txns {
		if o.Outcome == history.OK {
			ended = append(ended, i)
		}
	}
	slices.SortStableFunc(ended, func(a, b int) int { return cmp.Compare(s.txns[a].End, s.txns[b].End) })
	first := len(s.graph.edges)
	for i, txn := range ended {
		b := s.graph.barrier()
		s.graph.add(txn, b, edge{kind: rt})
		if i > 0 {
			s.graph.add(b-1, b, edge{kind: rt})
		}
	}
	for i, o := range s.txns {
		before := sort.Search(len(ended), func(j int) bool { return s.txns[ended[j]].End >= o.Begin })
		if before > 0 {
			s.graph.add(first+before-1, i, edge{kind: rt})
		}
	}
}

// anomalies are the kinds of cycles, from worst to mildest. Each is looked for only
// if there is none of those before.
var anomalies = []struct {
	name    string
	allowed kinds
	one     bool // and one edge of kind rw
}{
	{"G0 (dirty write)", ww, false},
	{"G1c (circular information flow)", ww | wr, false},
	{"G-single (read skew)", ww | wr, true},
	{"G2 (write skew)", ww | wr | rw, false},
	{"G0-realtime", ww | rt, false},
	{"G1c-realtime", ww | wr | rt, false},
	{"G-single-realtime", ww | wr | rt, true},
	{"G2-realtime", ww | wr | rw | rt, false},
}

func (s *serialisation) cycles() {
	all, _ := s.graph.components(ww | wr | rw | rt)
	if len(all) == 0 {
		return
	}
	for _, a := range anomalies {
		if cycle := s.graph.cycle(s.ctx, a.allowed, a.one); cycle != nil {
			s.illegal("%s: %s", a.name, s.show(cycle))
			return
		}
	}
}

// show writes a cycle, and what each of its edges means.
func (s *serialisation) show(cycle []step) string {
	var line strings.Builder
	var reasons []string
	for _, c := range cycle {
		from, to := s.txns[c.at], s.txns[c.to]
		fmt.Fprintf(&line, "T%d -%s-> ", from.ID, c.kind)
		reason := ""
		switch c.kind {
		case ww:
			reason = fmt.Sprintf("T%d appended %d to list %d next after T%d", to.ID, c.value, c.list, from.ID)
		case wr:
			reason = fmt.Sprintf("T%d found %d of T%d in list %d", to.ID, c.value, from.ID, c.list)
		case rw:
			reason = fmt.Sprintf("T%d found list %d without %d of T%d", from.ID, c.list, c.value, to.ID)
		case rt:
			reason = fmt.Sprintf("T%d ended at %s, T%d began at %s", from.ID, at(from.End), to.ID, at(to.Begin))
		}
		reasons = append(reasons, reason)
	}
	fmt.Fprintf(&line, "T%d (%s)", s.txns[cycle[0].at].ID, strings.Join(reasons, "; "))
	return line.String()
}
