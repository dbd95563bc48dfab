package port

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// validity is how long certificates of MakeCertificates hold.
const validity = 10 * 365 * 24 * time.Hour

// MakeCertificates writes dir/<name>/{ca,node,node-key}.pem for each node: a
// fresh certificate authority, the node's certificate and its key. The key of the
// authority is not kept: for another node, make all anew, or use an authority of
// your own.
func MakeCertificates(dir string, names ...string) error {
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "trihold cluster"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the authority's key: %w", err)
	}
	caCert, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("make the authority's certificate: %w", err)
	}
	for i, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
		node := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2),
			Subject:      pkix.Name{CommonName: name},
			NotBefore:    ca.NotBefore,
			NotAfter:     ca.NotAfter,
			DNSNames:     []string{name},
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if err := makeNode(filepath.Join(dir, name), node, ca, caCert, caKey); err != nil {
			return fmt.Errorf("make the certificate of %s: %w", name, err)
		}
	}
	return nil
}

// makeNode writes the three files of a node.
func makeNode(dir string, node, ca *x509.Certificate, caCert []byte, caKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert, err := x509.CreateCertificate(rand.Reader, node, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		name, kind string
		body       []byte
	}{{caFile, "CERTIFICATE", caCert}, {certFile, "CERTIFICATE", cert}, {keyFile, "PRIVATE KEY", keyBytes}} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.body})
		if err := os.WriteFile(filepath.Join(dir, f.name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
