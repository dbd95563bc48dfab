package port_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

func TestMembersCallEachOther(t *testing.T) {
	one, two := member("n1"), member("n2")
	p, _, to := pair(t, one, two)
	for method, want := range map[uint8]string{echo: "hello", who: "n1/aaaa member"} {
		answer, err := p.Call(soon(t), to, method, []byte("hello"))
		if err != nil || string(answer) != want {
			t.Errorf("method %d: %q, %v; want %q", method, answer, err, want)
		}
	}
}

func TestANodeOfAnotherClusterIsRefused(t *testing.T) {
	one, two := member("n1"), member("n2")
	one.hello.Cluster[0] = 9
	p, _, to := pair(t, one, two)
	refused(t, p, to, driver.ErrInvalid, "n1/aaaa", "n2/aaaa", "cluster 09")
	two.log.says(t, "belongs to cluster")
}

func TestANodeThatTheRecoveryLeftBehindIsRefusedByBothSides(t *testing.T) {
	one, two := member("n1"), member("n2")
	two.hello.Epoch = 2
	p, q, to := pair(t, one, two)
	refused(t, p, to, driver.ErrInvalid, "recovered without n1/aaaa", "empty directory")
	refused(t, q, port.Target{Address: p.Addr(), ID: "n1/aaaa"}, driver.ErrInvalid, "recovered without n1/aaaa")
}

func TestOnlyTheNodeThatIsMeantAnswers(t *testing.T) {
	p, _, to := pair(t, member("n1"), member("n2"))
	to.ID = "n2/bbbb"
	refused(t, p, to, driver.ErrInvalid, "another directory now", "remove n2/bbbb")
	to.ID = "n3/aaaa"
	refused(t, p, to, driver.ErrInvalid, "n2/aaaa is at this address")
}

func TestAProgramThatCannotReadTheClustersFormatIsRefused(t *testing.T) {
	one, two := member("n1"), member("n2")
	two.hello.Writes, two.hello.Reads = 2, 2
	p, _, to := pair(t, one, two)
	refused(t, p, to, driver.ErrInvalid, "format 2", "upgrade that program")
	to.ID = ""
	refused(t, p, to, driver.ErrInvalid, "upgrade that program")
}

func TestAdmitRefusesOnBothSides(t *testing.T) {
	for _, side := range []string{"n1", "n2"} {
		t.Run(side, func(t *testing.T) {
			one, two := member("n1"), member("n2")
			c, d := one.config(), two.config()
			no := func(p port.Peer) error {
				return fmt.Errorf("%s was removed: %w", p.ID(), driver.ErrInvalid)
			}
			if side == "n1" {
				c.Admit = no
			} else {
				d.Admit = no
			}
			p, q := open(t, c), open(t, d)
			refused(t, p, port.Target{Address: q.Addr(), ID: "n2/aaaa"}, driver.ErrInvalid, "was removed")
		})
	}
}

func TestANodeWithoutAClusterIsOnlyIntroduced(t *testing.T) {
	one, two := member("n1"), member("n2")
	one.hello.Cluster = [16]byte{}
	p, q, to := pair(t, one, two)
	for _, to := range []port.Target{to, {Address: q.Addr()}} {
		answer, err := p.Call(soon(t), to, who, nil)
		if err != nil || string(answer) != "n1/aaaa introduction" {
			t.Errorf("%q, %v", answer, err)
		}
	}
	p.Stream()
	q.Stream()
	_, err := p.Stream().Dial(port.RaftAddress("n2/aaaa", q.Addr()), time.Second)
	if !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), "no cluster yet") {
		t.Errorf("a stream for Raft: %v", err)
	}
}

func TestTheAddressToDialCanBeReplacedByName(t *testing.T) {
	one, two := member("n1"), member("n2")
	q := open(t, two.config())
	c := one.config()
	c.Via = map[string]string{"n2": q.Addr()}
	p := open(t, c)
	if _, err := p.Call(soon(t), port.Target{Address: "192.0.2.1:1", ID: "n2/aaaa"}, echo, nil); err != nil {
		t.Fatal(err)
	}
}

func TestNobodyListeningIsNotSent(t *testing.T) {
	p := open(t, member("n1").config())
	refused(t, p, port.Target{Address: "127.0.0.1:1", ID: "n2/aaaa"}, driver.ErrUnavailable, "127.0.0.1:1")
}

func TestASilentListenerIsNotSentInTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := member("n1").config()
	c.Handshake = 100 * time.Millisecond
	refused(t, open(t, c), port.Target{Address: listener.Addr().String(), ID: "n2/aaaa"}, driver.ErrUnavailable, "no handshake in time")
}

// A connection that is no node's must not be answered, kept or fatal, whether it
// sends junk, part of a greeting or nothing.
func TestStrangersLeaveNothingBehind(t *testing.T) {
	n := member("n1")
	c := n.config()
	c.Handshake = 100 * time.Millisecond
	p := open(t, c)
	before := runtime.NumGoroutine()
	for _, said := range []string{"", "t", "GET / HTTP/1.1\r\n\r\n", "triholdP", "triholdP\x01\x00\x01\x00\xff\xff\xff\xff", "\x16\x03\x01", strings.Repeat("\xff", 1000)} {
		for range 10 {
			conn, err := net.Dial("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte(said)); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.log.says(t, "no greeting of a trihold node")
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d now", before, runtime.NumGoroutine())
		}
	}
	q := open(t, member("n2").config())
	if _, err := q.Call(soon(t), port.Target{Address: p.Addr(), ID: "n1/aaaa"}, echo, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAVersionThatIsTooNewIsRefusedReadably(t *testing.T) {
	n := member("n1")
	p := open(t, n.config())
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := []byte("triholdP")
	b = binary.LittleEndian.AppendUint16(b, 7)
	b = binary.LittleEndian.AppendUint16(b, 5)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = append(b, "new"...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "speaks version 7") || !strings.Contains(string(answer), "upgrade its program") {
		t.Errorf("%q, %v", answer, err)
	}
	n.log.says(t, "speaks version 7")
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*port.Config){
		"no name":                    func(c *port.Config) { c.Self = func() port.Hello { return port.Hello{} } },
		"a name with a slash":        func(c *port.Config) { c.Self = func() port.Hello { return port.Hello{Name: "n1/x"} } },
		"an address nobody can dial": func(c *port.Config) { c.Listen = ":0" },
	} {
		t.Run(name, func(t *testing.T) {
			c := member("n1").config()
			change(&c)
			if _, err := port.Open(c); !errors.Is(err, driver.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}
