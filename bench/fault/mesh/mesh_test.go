package mesh

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"trihold/bench/fault/proxy"
)

// A peer answers each line with its name.
func peer(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, name)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func newMesh(t *testing.T) *Mesh {
	t.Helper()
	var nodes []Node
	for _, name := range []string{"n1", "n2", "n3"} {
		nodes = append(nodes, Node{name, peer(t, name)})
	}
	m, err := New(Config{Nodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// A dialled is a connection on which one node has dialled another one.
type dialled struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, m *Mesh, from, to string) *dialled {
	t.Helper()
	c, err := net.Dial("tcp", m.Via(from, to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &dialled{c, bufio.NewReader(c)}
}

// asks reports whether a question is answered in the time given.
func (d *dialled) asks(t *testing.T, within time.Duration) bool {
	t.Helper()
	if _, err := fmt.Fprintln(d, "?"); err != nil {
		t.Fatal(err)
	}
	return d.hears(within)
}

func (d *dialled) hears(within time.Duration) bool {
	_ = d.SetReadDeadline(time.Now().Add(within))
	_, err := d.lines.ReadString('\n')
	return err == nil
}

const (
	long  = 5 * time.Second
	short = 50 * time.Millisecond
)

func TestADirectionIsBrokenOnTheConnectionsOfBothNodes(t *testing.T) {
	m := newMesh(t)
	forth, back, other := dial(t, m, "n1", "n2"), dial(t, m, "n2", "n1"), dial(t, m, "n2", "n3")
	for _, d := range []*dialled{forth, back, other} {
		if !d.asks(t, long) {
			t.Fatal("nothing comes through a mesh that is whole")
		}
	}
	m.Set([]Pair{{"n1", "n2"}}, proxy.Flow{Silence: true})
	if forth.asks(t, short) || back.asks(t, short) {
		t.Error("n1 reaches n2")
	}
	if !other.asks(t, long) {
		t.Error("n2 does not reach n3")
	}
	// What n2 has asked has come to n1, and what n1 has asked has not come to n2.
	if c := m.Counts(Pair{"n2", "n1"}); c.Held > 0 {
		t.Errorf("bytes from n2 to n1 are held: %+v", c)
	}
	if c := m.Counts(Pair{"n1", "n2"}); c.Held == 0 || m.Struck() == 0 {
		t.Errorf("no bytes from n1 to n2 are held: %+v", c)
	}
	m.Heal()
	if !forth.hears(long) || !back.hears(long) {
		t.Error("what was held does not arrive after the heal")
	}
}

func TestPairsAreThoseOfANode(t *testing.T) {
	m := newMesh(t)
	for _, c := range []struct {
		what  string
		pairs []Pair
		want  string
	}{
		{"into", m.Into("n1"), "[{n2 n1} {n3 n1}]"},
		{"out of", m.OutOf("n1"), "[{n1 n2} {n1 n3}]"},
		{"around", m.Around("n1"), "[{n1 n2} {n1 n3} {n2 n1} {n3 n1}]"},
		{"between", m.Between([]string{"n1", "n2"}), "[{n1 n3} {n2 n3} {n3 n1} {n3 n2}]"},
		{"besides", m.Besides("n1"), "[{n2 n3} {n3 n2}]"},
	} {
		if got := fmt.Sprint(c.pairs); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	if len(m.All()) != 6 {
		t.Errorf("all: %v", m.All())
	}
}

func TestABridgeLetsTwoNodesMeetAThirdAndNotEachOther(t *testing.T) {
	m := newMesh(t)
	m.Set(m.Besides("n2"), proxy.Flow{Drop: true})
	for _, c := range []struct {
		from, to string
		want     bool
	}{{"n1", "n2", true}, {"n2", "n1", true}, {"n3", "n2", true}, {"n1", "n3", false}, {"n3", "n1", false}} {
		within := long
		if !c.want {
			within = short
		}
		if got := dial(t, m, c.from, c.to).asks(t, within); got != c.want {
			t.Errorf("%s reaches %s: %v", c.from, c.to, got)
		}
	}
}
