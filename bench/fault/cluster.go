package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"trihold/bench/fault/history"
	"trihold/bench/fault/mesh"
	"trihold/bench/fault/operator"
	"trihold/bench/fault/proxy"
)

// prepareCluster makes the members of a subject that has several, and one to spare,
// which a script may let in.
func (c *Cell) prepareCluster() error {
	var nodes []mesh.Node
	for i := range c.Subject.Nodes + 1 {
		m := &Member{Name: fmt.Sprintf("n%d", i+1), cell: c, in: i < c.Subject.Nodes, joins: i >= c.Subject.Nodes}
		m.Dir = filepath.Join(c.Dir, m.Name)
		if err := os.Mkdir(m.Dir, 0o777); err != nil {
			return fmt.Errorf("make the directory of %s: %w", m.Name, err)
		}
		var err error
		if m.address, err = freeAddress(); err != nil {
			return err
		}
		c.members = append(c.members, m)
		nodes = append(nodes, mesh.Node{Name: m.Name, Address: m.address})
	}
	c.routes = make([]route, c.volume.clients)
	for slot := range c.routes {
		r := &c.routes[slot]
		r.at, r.loyal = slot%c.Subject.Nodes, slot/c.Subject.Nodes%2 == 0 || slot >= c.volume.clients-c.volume.readers
	}
	var err error
	c.mesh, err = mesh.New(mesh.Config{Nodes: nodes, Seed: c.Rand.Uint64()})
	return err
}

// freeAddress returns an address that nobody listens at. Its port is none of those
// that the kernel gives to whoever dials, or it might be taken while a node is down.
func freeAddress() (string, error) {
	const lowest, ports, attempts = 15000, 17000, 100
	for range attempts {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(ports))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %d attempts have failed", attempts)
}

// clusterURL returns the URL with which a member opens its store.
func (c *Cell) clusterURL(m *Member) string {
	var peers, via, join []string
	for _, other := range c.members {
		if other.address != "" && slices.Index(c.members, other) < c.Subject.Nodes {
			peers = append(peers, other.Name+"@"+other.address)
		}
		if other == m {
			continue
		}
		dialled := c.mesh.Via(m.Name, other.Name)
		via = append(via, other.Name+"@"+dialled)
		if other.in {
			join = append(join, dialled)
		}
	}
	url := c.Subject.at(m.Dir) + "&node=" + m.Name + "&listen=" + m.address + "&via=" + strings.Join(via, ",")
	if m.reader {
		url += "&voter=0"
	}
	if m.joins {
		return url + "&join=" + strings.Join(join, ",")
	}
	return url + "&peers=" + strings.Join(peers, ",")
}

// A route is where the client in one slot of the crowd sends its operations. It
// belongs to that client's goroutine, but for to.
type route struct {
	at int                    // the member
	to atomic.Pointer[Member] // where a script wants it to go; nil if nowhere
	// A loyal client comes back to its member, however often that does not answer
	// well, and goes elsewhere only while it is not there; those who only read are
	// loyal. Another one leaves at the first bad answer, and after some good ones, too.
	// So there is somebody who asks a member that is cut off, and does not wait for a
	// write there; somebody who makes progress; and somebody who asks a member that is
	// new.
	loyal bool
	asked int // since it came
}

// stayFor is how many operations in a row a client that is not loyal sends to a member.
const stayFor = 100

// next says where to send to after a member has answered.
func (r *route) next(at, members int, outcome history.Outcome) {
	if r.loyal {
		return
	}
	if at != r.at {
		r.at, r.asked = at, 0
	}
	if r.asked++; r.asked >= stayFor || outcome != history.OK {
		r.at, r.asked = (at+1)%members, 0
	}
}

// do sends an operation to a node, if there is one.
func (c *Cell) do(ctx context.Context, o *history.Op, timeout time.Duration) (sent bool) {
	if len(c.members) == 1 {
		return c.members[0].do(ctx, o, timeout)
	}
	r := &c.routes[o.Client%len(c.routes)]
	if to := r.to.Swap(nil); to != nil {
		r.at = slices.Index(c.members, to)
	}
	for i := range c.members {
		at := (r.at + i) % len(c.members)
		if c.members[at].do(ctx, o, timeout) {
			r.next(at, len(c.members), o.Outcome)
			return true
		}
	}
	return false
}

// Mesh is what lies between the members.
func (c *Cell) Mesh() *mesh.Mesh { return c.mesh }

// leaderWait is how long a cluster may be without a leader: an election takes
// several times as long on a machine that is busy with other things.
const leaderWait = 15 * time.Second

// Leader waits until the members that run, or those of them that are named, agree on
// a leader among them.
func (c *Cell) Leader(ctx context.Context, among ...*Member) (*Member, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, leaderWait, fmt.Errorf("no leader in %v", leaderWait))
	defer cancel()
	if len(among) == 0 {
		among = c.running()
	}
	for {
		if l := leaderOf(c.statuses(ctx, among)); l != nil {
			return l, nil
		}
		if err := c.Hold(ctx, 10*time.Millisecond); err != nil {
			return nil, fmt.Errorf("wait for a leader: %w", err)
		}
	}
}

// statuses asks some members at once; who does not answer is left out.
func (c *Cell) statuses(ctx context.Context, of []*Member) map[*Member]operator.Status {
	answers := make([]operator.Status, len(of))
	_ = each(of, func(m *Member) error { // whoever has an error has no name
		s, err := m.Status(ctx)
		if err == nil {
			answers[slices.Index(of, m)] = s
		}
		return nil
	})
	out := map[*Member]operator.Status{}
	for i, s := range answers {
		if s.Name != "" {
			out[of[i]] = s
		}
	}
	return out
}

// leaderOf returns the member of the highest term that says it leads, if all those
// who answered follow it.
func leaderOf(statuses map[*Member]operator.Status) (leader *Member) {
	var term uint64
	for m, s := range statuses {
		term = max(term, s.Term)
		if s.Role == operator.Leads && s.Term == term {
			leader = m
		}
	}
	if leader == nil || statuses[leader].Term != term {
		return nil
	}
	for _, s := range statuses {
		if s.Leader != leader.Name {
			return nil
		}
	}
	return leader
}

// Others returns the members that run, but for one.
func (c *Cell) Others(than *Member) []*Member {
	return c.part(func(m *Member) bool { return m != than && m.current() != nil })
}

// Follower returns one of the members that run and do not lead.
func (c *Cell) Follower(ctx context.Context) (*Member, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	others := c.Others(leader)
	return others[c.Rand.IntN(len(others))], nil
}

// One returns the leader or a follower, as the seed has it.
func (c *Cell) One(ctx context.Context) (*Member, error) {
	if c.Rand.IntN(2) == 0 {
		return c.Leader(ctx)
	}
	return c.Follower(ctx)
}

// Gone is how a direction is broken that lets nothing through: what was sent arrives
// after the heal, or, as the seed has it, never does and its connection with it.
func (c *Cell) Gone() proxy.Flow {
	if c.Rand.IntN(2) == 0 {
		return proxy.Flow{Drop: true}
	}
	return proxy.Flow{Silence: true}
}

// order asks the cluster for a change, through any member that runs, and again while
// nobody can do it.
func (c *Cell) order(ctx context.Context, command operator.Command) error {
	ctx, cancel := context.WithTimeoutCause(ctx, orderWait, fmt.Errorf("not done in %v", orderWait))
	defer cancel()
	for {
		var err error
		for _, m := range c.running() {
			if _, err = operator.Send(ctx, m.Dir, command); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil || !passing(err) {
			return fmt.Errorf("%s %s: %w", command.Do, command.Name, err)
		}
		if err := c.Hold(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%s %s: %w", command.Do, command.Name, err)
		}
	}
}

// orderWait is how long the cluster may take to do what an operator asks for.
const orderWait = 10 * time.Second
