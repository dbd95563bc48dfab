package check

import (
	"context"
	"slices"
)

// A graph is a directed graph of transactions, with edges of several kinds. Nodes
// from txns on are barriers: moments of real time that cost nothing to pass, so
// that the order of time needs edges in proportion to the transactions only.
type graph struct {
	txns  int
	edges [][]edge // of each node

	// A search leaves its number in the nodes it came by, and how it came there.
	search int32
	by     []int32
	from   []step
	left   int // edges that searches may still look at
}

// An edge says that its node comes before another one.
type edge struct {
	to    int32
	kind  kinds
	list  int64 // that tells so
	value int64 // in that list, 0 if none
}

// kinds are a set of kinds of edges.
type kinds uint8

const (
	ww kinds = 1 << iota // overwrites: appends next after
	wr                   // is read by
	rw                   // reads what was there before
	rt                   // ends before it begins
)

func (k kinds) String() string {
	switch k {
	case ww:
		return "ww"
	case wr:
		return "wr"
	case rw:
		return "rw"
	}
	return "rt"
}

// A step is an edge and the node that it starts at.
type step struct {
	at int32
	edge
}

// graphEffort bounds the choice of the smallest cycle of one kind.
const graphEffort = 10_000_000

func newGraph(txns int) *graph {
	return &graph{txns: txns, edges: make([][]edge, txns, 2*txns)}
}

func (g *graph) add(from, to int, e edge) {
	if from != to {
		e.to = int32(to)
		g.edges[from] = append(g.edges[from], e)
	}
}

// barrier adds a moment of real time.
func (g *graph) barrier() int {
	g.edges = append(g.edges, nil)
	return len(g.edges) - 1
}

// components returns the strongly connected components with more than one node of
// the graph that has edges of some kinds only, after Tarjan. It numbers them from 1
// in of; 0 is no such component.
func (g *graph) components(allowed kinds) (all [][]int32, of []int32) {
	n := len(g.edges)
	index, low, next := make([]int32, n), make([]int32, n), make([]int32, n)
	of = make([]int32, n)
	onStack := make([]bool, n)
	var count int32
	var stack, path []int32
	for root := range g.edges {
		if index[root] != 0 {
			continue
		}
		path = append(path[:0], int32(root))
		for len(path) > 0 {
			v := path[len(path)-1]
			if index[v] == 0 {
				count++
				index[v], low[v], onStack[v] = count, count, true
				stack = append(stack, v)
			}
			if i := next[v]; int(i) < len(g.edges[v]) {
				next[v]++
				switch e := g.edges[v][i]; {
				case e.kind&allowed == 0:
				case index[e.to] == 0:
					path = append(path, e.to)
				case onStack[e.to]:
					low[v] = min(low[v], index[e.to])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				p := path[len(path)-1]
				low[p] = min(low[p], low[v])
			}
			if low[v] != index[v] {
				continue
			}
			i := slices.Index(stack, v)
			component := slices.Clone(stack[i:])
			stack = stack[:i]
			for _, w := range component {
				onStack[w] = false
			}
			if len(component) > 1 {
				all = append(all, component)
				for _, w := range component {
					of[w] = int32(len(all))
				}
			}
		}
	}
	return all, of
}

// cycle returns a smallest cycle of edges of the allowed kinds, or nil. With one,
// the cycle has besides these exactly one edge of kind rw.
func (g *graph) cycle(ctx context.Context, allowed kinds, one bool) []step {
	if one {
		allowed |= rw
	}
	g.left = graphEffort
	all, of := g.components(allowed)
	slices.SortStableFunc(all, func(a, b []int32) int { return len(a) - len(b) })
	var best []step
	for _, component := range all {
		for _, v := range component {
			if int(v) >= g.txns {
				continue
			}
			if best != nil && (g.left <= 0 || ctx.Err() != nil || len(best) == 2) {
				return best
			}
			if !one {
				best = shorter(best, g.path(v, v, allowed, of, best))
				continue
			}
			for _, e := range g.edges[v] {
				if e.kind != rw || of[e.to] != of[v] || g.left <= 0 {
					continue
				}
				if back := g.path(e.to, v, allowed&^rw, of, best); back != nil {
					best = shorter(best, append([]step{{v, e}}, back...))
				}
			}
		}
	}
	return best
}

func shorter(a, b []step) []step {
	if a == nil || b != nil && len(b) < len(a) {
		return b
	}
	return a
}

// path returns a shortest path between two transactions of one component, which may
// be the same, without its barriers; or nil if there is none. It gives up on paths
// that are not shorter than the best.
func (g *graph) path(from, to int32, allowed kinds, of []int32, best []step) []step {
	if g.by == nil || len(g.by) < len(g.edges) {
		g.by, g.from = make([]int32, len(g.edges)), make([]step, len(g.edges))
	}
	g.search++
	now, next := []int32{from}, []int32(nil)
	for length := 1; len(now) > 0 && (best == nil || length < len(best)); length++ {
		for len(now) > 0 {
			v := now[len(now)-1]
			now = now[:len(now)-1]
			for _, e := range g.edges[v] {
				g.left--
				if e.kind&allowed == 0 || of[e.to] != of[from] {
					continue
				}
				if e.to == to {
					g.from[to] = step{v, e}
					return g.trace(from, to)
				}
				if g.by[e.to] == g.search {
					continue
				}
				g.by[e.to] = g.search
				g.from[e.to] = step{v, e}
				if int(e.to) >= g.txns {
					now = append(now, e.to) // passing a barrier is not a step
				} else {
					next = append(next, e.to)
				}
			}
		}
		now, next = next, now
	}
	return nil
}

// trace follows the last search back, leaving out barriers.
func (g *graph) trace(from, to int32) []step {
	var path []step
	for v := to; ; {
		s := g.from[v]
		end := v
		for int(s.at) >= g.txns {
			s = g.from[s.at]
		}
		s.to = end
		path = append(path, s)
		if v = s.at; v == from {
			break
		}
	}
	slices.Reverse(path)
	return path
}
