package mesh

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"trihold/bench/fault/proxy"
)

// A Node is what others dial.
type Node struct {
	Name    string
	Address string
}

// A Config says what a mesh lies between.
type Config struct {
	Nodes []Node
	Seed  uint64 // decides about jitter and flipped bits
}

// A Pair is a direction in which bytes flow.
type Pair struct{ From, To string }

// A Mesh is the proxies between nodes. Its methods may be called concurrently.
type Mesh struct {
	nodes   []Node
	proxies map[Pair]*proxy.Proxy // by who dials whom

	mu    sync.Mutex
	flows map[Pair]proxy.Flow // what is broken; guarded by mu
}

// New starts the proxies. The caller closes the mesh.
func New(c Config) (*Mesh, error) {
	m := &Mesh{nodes: c.Nodes, proxies: map[Pair]*proxy.Proxy{}, flows: map[Pair]proxy.Flow{}}
	for _, to := range c.Nodes {
		for i, from := range c.Nodes {
			if from == to {
				continue
			}
			p, err := proxy.Listen(proxy.Config{Target: to.Address, Seed: c.Seed + uint64(i)})
			if err != nil {
				return nil, errors.Join(fmt.Errorf("start the proxy from %s to %s: %w", from.Name, to.Name, err), m.Close())
			}
			m.proxies[Pair{from.Name, to.Name}] = p
		}
	}
	return m, nil
}

// Via returns the address at which one node dials another one.
func (m *Mesh) Via(from, to string) string { return m.proxies[Pair{from, to}].Addr() }

// Set breaks directions, all in the same way, and leaves the others as they are.
func (m *Mesh) Set(pairs []Pair, f proxy.Flow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pairs {
		m.flows[p] = f
	}
	for _, p := range pairs {
		back := Pair{p.To, p.From}
		m.proxies[p].Set(proxy.Toxics{Up: m.flows[p], Down: m.flows[back]})
		m.proxies[back].Set(proxy.Toxics{Up: m.flows[back], Down: m.flows[p]})
	}
}

// Heal breaks nothing any more.
func (m *Mesh) Heal() { m.Set(m.All(), proxy.Flow{}) }

// All returns every direction.
func (m *Mesh) All() []Pair {
	return m.where(func(Pair) bool { return true })
}

// Into returns the directions to a node.
func (m *Mesh) Into(name string) []Pair {
	return m.where(func(p Pair) bool { return p.To == name })
}

// OutOf returns the directions from a node.
func (m *Mesh) OutOf(name string) []Pair {
	return m.where(func(p Pair) bool { return p.From == name })
}

// Around returns the directions from and to a node.
func (m *Mesh) Around(name string) []Pair {
	return m.where(func(p Pair) bool { return p.From == name || p.To == name })
}

// Besides returns the directions that a node has no part in: with these gone, it is
// the bridge between all others.
func (m *Mesh) Besides(name string) []Pair {
	return m.where(func(p Pair) bool { return p.From != name && p.To != name })
}

// Between returns the directions between some nodes and all others.
func (m *Mesh) Between(some []string) []Pair {
	return m.where(func(p Pair) bool { return slices.Contains(some, p.From) != slices.Contains(some, p.To) })
}

func (m *Mesh) where(ok func(Pair) bool) []Pair {
	var out []Pair
	for _, from := range m.nodes {
		for _, to := range m.nodes {
			if p := (Pair{from.Name, to.Name}); from != to && ok(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Counts returns what was done to the bytes of a direction, on the connections that
// either of its nodes has dialled.
func (m *Mesh) Counts(p Pair) proxy.FlowCounts {
	up, down := m.proxies[p].Counts().Up, m.proxies[Pair{p.To, p.From}].Counts().Down
	return proxy.FlowCounts{
		Bytes: up.Bytes + down.Bytes, Held: up.Held + down.Held, Dropped: up.Dropped + down.Dropped,
		Delayed: up.Delayed + down.Delayed, Flipped: up.Flipped + down.Flipped,
	}
}

// Struck returns how many bytes were held, lost, delayed or changed so far, and how
// many connections were cut or could not come about.
func (m *Mesh) Struck() (n int64) {
	for _, p := range m.proxies {
		c := p.Counts()
		n += c.Cut + c.Kept
		for _, f := range []proxy.FlowCounts{c.Up, c.Down} {
			n += f.Held + f.Dropped + f.Delayed + f.Flipped
		}
	}
	return n
}

// Carried returns how many bytes the busiest of some directions has carried so far.
func (m *Mesh) Carried(pairs []Pair) int64 {
	var all []int64
	for _, p := range pairs {
		all = append(all, m.Counts(p).Bytes)
	}
	return slices.Max(all)
}

// Close ends all proxies.
func (m *Mesh) Close() error {
	var errs []error
	for _, p := range m.proxies {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
