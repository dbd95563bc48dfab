package inmem

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// A ClusterConfig makes a store a member of a cluster.
type ClusterConfig struct {
	// Node is the name of this node. A store without one is that of a single node.
	Node string
	// Listen is the host:port on which the node listens for the others.
	Listen string
	// Advertise is the host:port that the others dial; the default is Listen.
	Advertise string
	// Peers are the nodes that begin a cluster together, this one included. They are
	// looked at only while the directory is empty, and must be the same on all.
	Peers []Peer
	// Join are addresses of a cluster that takes this node in. They are looked at
	// only while the directory is empty.
	Join []string
	// Via holds, by name of a node, the address to dial instead of the node's own.
	Via map[string]string
	// NonVoter keeps a node that joins from becoming a voter.
	NonVoter bool
	// Election is how long a node that hears nothing of a leader waits before it wants
	// to be one, and how long an election may take; the default is 1 s.
	Election time.Duration
	// Stable is how long a node that has joined must have kept up before it becomes a
	// voter; the default is 10 s.
	Stable time.Duration
	// Patience is how long an operation whose context has no deadline waits for a
	// majority; the default is 30 s.
	Patience time.Duration
	// Stall is how long a write of the log may take before the node takes no part any
	// more; the default is 10 s.
	Stall time.Duration
	// Reserve is how many free bytes the disk must have for commits to be taken; the
	// default is 64 MiB.
	Reserve int64
	// TLS is a directory with ca.pem, node.pem and node-key.pem. With it every
	// connection is encrypted, and both ends must have certificates of that authority
	// which bear the names of their nodes.
	TLS string
	// Reads is the highest format of the cluster that this program takes itself to
	// read, for tests of upgrades; the default is the highest that it reads.
	Reads uint32
}

// A Peer is a node of a cluster that is to begin.
type Peer struct{ Name, Address string }

func (p Peer) String() string { return p.Name + "@" + p.Address }

// parse takes the parameters of a URL.
func (c *ClusterConfig) parse(p *driver.Params) error {
	c.Node = p.String("node", "")
	c.Listen = p.String("listen", "")
	c.Advertise = p.String("advertise", "")
	c.Join = split(p.String("join", ""))
	c.NonVoter = !p.Bool("voter", true)
	c.Election = p.Duration("election", 0)
	c.Stable = p.Duration("stable", 0)
	c.Patience = p.Duration("patience", 0)
	c.Stall = p.Duration("stall", 0)
	c.Reserve = int64(p.Int("reserve", 0))
	c.TLS = p.String("tls", "")
	var err error
	if c.Peers, err = parsePeers("peers", p.String("peers", "")); err != nil {
		return err
	}
	via, err := parsePeers("via", p.String("via", ""))
	if err != nil {
		return err
	}
	for _, v := range via {
		if c.Via == nil {
			c.Via = map[string]string{}
		}
		c.Via[v.Name] = v.Address
	}
	return nil
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// parsePeers reads name@host:port,name@host:port.
func parsePeers(parameter, list string) ([]Peer, error) {
	var peers []Peer
	for _, item := range split(list) {
		name, address, ok := strings.Cut(item, "@")
		if !ok || name == "" || address == "" {
			return nil, fmt.Errorf("%s=%s: %q is not like n1@host:7001: %w", parameter, list, item, driver.ErrInvalid)
		}
		peers = append(peers, Peer{name, address})
	}
	return peers, nil
}

// validate checks a ClusterConfig and fills in its defaults.
func (c *ClusterConfig) validate() error {
	if c.Node == "" {
		if c.Listen != "" || c.Advertise != "" || c.TLS != "" || len(c.Peers)+len(c.Join)+len(c.Via) > 0 {
			return fmt.Errorf("a member of a cluster needs a name, such as node=n1: %w", driver.ErrInvalid)
		}
		return nil
	}
	if err := port.CheckName(c.Node); err != nil {
		return err
	}
	switch {
	case c.Listen == "":
		return fmt.Errorf("node %s needs an address, such as listen=127.0.0.1:7001: %w", c.Node, driver.ErrInvalid)
	case len(c.Peers) > 0 && len(c.Join) > 0:
		return fmt.Errorf("peers begin a cluster and join enters one: give one of them: %w", driver.ErrInvalid)
	case len(c.Peers) > 0 && !slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.Name == c.Node }):
		return fmt.Errorf("node %s is not among its peers %v: %w", c.Node, c.Peers, driver.ErrInvalid)
	case c.Election < 0 || c.Stable < 0 || c.Patience < 0 || c.Stall < 0 || c.Reserve < 0:
		return fmt.Errorf("times and sizes of a cluster are not negative: %w", driver.ErrInvalid)
	}
	for i, p := range c.Peers {
		if slices.ContainsFunc(c.Peers[:i], func(q Peer) bool { return q.Name == p.Name || q.Address == p.Address }) {
			return fmt.Errorf("%v is among its peers twice: %w", p, driver.ErrInvalid)
		}
	}
	c.fill()
	return nil
}

// fill fills in the defaults.
func (c *ClusterConfig) fill() {
	orElse := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	orElse(&c.Election, time.Second)
	orElse(&c.Stable, 10*time.Second)
	orElse(&c.Patience, 30*time.Second)
	orElse(&c.Stall, 10*time.Second)
	if c.Advertise == "" {
		c.Advertise = c.Listen
	}
	if c.Reserve == 0 {
		c.Reserve = 64 << 20
	}
	if c.Reads == 0 {
		c.Reads = clusterReads
	}
}
