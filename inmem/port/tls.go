package port

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"trihold/repo/driver"
)

// The files of a node's certificate, in the directory given to LoadTLS.
const (
	caFile   = "ca.pem"
	certFile = "node.pem"
	keyFile  = "node-key.pem"
)

// TLS is the certificate of a node, and the authority that must have signed those
// of all others.
type TLS struct {
	node      tls.Certificate
	authority *x509.CertPool
}

// LoadTLS reads ca.pem, node.pem and node-key.pem.
func LoadTLS(dir string) (*TLS, error) {
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	t := &TLS{authority: x509.NewCertPool()}
	if !t.authority.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read the certificate authority: no certificate in %s: %w", filepath.Join(dir, caFile), driver.ErrInvalid)
	}
	t.node, err = tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("read the node's certificate: %w", err)
	}
	return t, nil
}

// check says why this is not the certificate of the node.
func (t *TLS) check(name string) error { return named(t.node.Leaf, name) }

// named says why a certificate is not the one of the node.
func named(c *x509.Certificate, node string) error {
	if slices.Contains(c.DNSNames, node) {
		return nil
	}
	return fmt.Errorf("the certificate is for %q and does not name node %s; issue one with DNS name %s: %w", c.DNSNames, node, node, driver.ErrInvalid)
}

// server is the configuration of the side that was dialed.
func (t *TLS) server() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{t.node},
		ClientCAs:    t.authority,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
}

// client is the configuration of the side that dials. The node's name is not
// known yet if this is an introduction, and is compared with the certificate in
// the handshake of the port in any case. So the standard check of the host name
// is off, and the chain is verified here.
func (t *TLS) client() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{t.node},
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("the other side has no certificate")
			}
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots:         t.authority,
				Intermediates: between,
				KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			return err
		},
	}
}
