package port_test

import (
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trihold/inmem/port"
	"trihold/repo/driver"
)

// certified makes certificates for the names in a directory of their own.
func certified(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := port.MakeCertificates(dir, names...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, dir string) *port.TLS {
	t.Helper()
	cert, err := port.LoadTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// secure opens a port whose certificate lies in the directory.
func secure(t *testing.T, n *node, dir string) *port.Port {
	t.Helper()
	c := n.config()
	c.TLS = load(t, dir)
	return open(t, c)
}

func TestMembersWithCertificatesCallEachOther(t *testing.T) {
	dir := certified(t, "n1", "n2")
	p := secure(t, member("n1"), filepath.Join(dir, "n1"))
	q := secure(t, member("n2"), filepath.Join(dir, "n2"))
	for _, id := range []string{"n2/aaaa", ""} {
		if _, err := p.Call(soon(t), port.Target{Address: q.Addr(), ID: id}, echo, []byte("x")); err != nil {
			t.Errorf("to %q: %v", id, err)
		}
	}
}

func TestANodeThatJoinsLaterHasACertificateOfTheSameAuthority(t *testing.T) {
	dir := certified(t, "n1")
	before := load(t, filepath.Join(dir, "n1"))
	if err := port.MakeCertificates(dir, "n4"); err != nil {
		t.Fatal(err)
	}
	c := member("n1").config()
	c.TLS = before
	p := open(t, c)
	q := secure(t, member("n4"), filepath.Join(dir, "n4"))
	if _, err := q.Call(soon(t), port.Target{Address: p.Addr(), ID: "n1/aaaa"}, echo, nil); err != nil {
		t.Error(err)
	}
	if err := port.MakeCertificates(dir, "n1"); !errors.Is(err, driver.ErrExists) {
		t.Errorf("a certificate is made again: %v", err)
	}
}

func TestWithTLSAPlainNodeIsRefused(t *testing.T) {
	dir := certified(t, "n1", "n2")
	one, two := member("n1"), member("n2")
	p := secure(t, one, filepath.Join(dir, "n1"))
	q := open(t, two.config())
	refused(t, q, port.Target{Address: p.Addr(), ID: "n1/aaaa"}, driver.ErrInvalid, "only connections with TLS")
	one.log.says(t, "only connections with TLS")
	refused(t, p, port.Target{Address: q.Addr(), ID: "n2/aaaa"}, driver.ErrInvalid, "does not speak it")
	two.log.says(t, "uses TLS")
}

func TestACertificateForAnotherNameIsRefusedByBothSides(t *testing.T) {
	dir := certified(t, "n1", "n2", "n3")
	one := member("n1")
	p := secure(t, one, filepath.Join(dir, "n1"))

	c := member("n2").config()
	c.TLS = load(t, filepath.Join(dir, "n3"))
	if _, err := port.Open(c); !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), "does not name node n2") {
		t.Errorf("open with the certificate of another: %v", err)
	}

	// A node that changes its name once its port is open, to steal n2's place.
	thief := member("n3")
	c = thief.config()
	c.TLS = load(t, filepath.Join(dir, "n3"))
	q := open(t, c)
	thief.hello.Name = "n2"
	refused(t, q, port.Target{Address: p.Addr(), ID: "n1/aaaa"}, driver.ErrInvalid, "does not name node n2")
	one.log.says(t, "does not name node n2")
	refused(t, p, port.Target{Address: q.Addr(), ID: "n2/aaaa"}, driver.ErrInvalid, "does not name node n2")
}

func TestACertificateOfAnotherAuthorityIsRefusedByBothSides(t *testing.T) {
	one, two := member("n1"), member("n2")
	p := secure(t, one, filepath.Join(certified(t, "n1"), "n1"))
	q := secure(t, two, filepath.Join(certified(t, "n2"), "n2"))
	refused(t, p, port.Target{Address: q.Addr(), ID: "n2/aaaa"}, driver.ErrInvalid, "TLS", "authority")
	two.log.says(t, "TLS")

	// A client that trusts everybody is refused by the side that it dials.
	dir := filepath.Join(certified(t, "n2"), "n2")
	foreign, err := tls.LoadX509KeyPair(filepath.Join(dir, "node.pem"), filepath.Join(dir, "node-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "of another authority": {foreign}} {
		t.Run(name, func(t *testing.T) {
			raw, err := net.Dial("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, Certificates: certificates})
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_ = conn.Handshake() // TLS 1.3 tells only who reads
			if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 {
				t.Error("the connection is served")
			}
		})
	}
	one.log.says(t, "didn't provide a certificate")
}
