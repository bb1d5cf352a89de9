package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
)

func TestServerCertificateVerifies(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadCA(dir, "ca"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LoadCA before NewCA: %v; want os.ErrNotExist", err)
	}
	if _, err := NewCA(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	ca, err := LoadCA(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server(dir, "server", "test", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CertPEM)
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "127.0.0.2": false, "example.org": false} {
		_, err := loaded.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
		if (err == nil) != want {
			t.Errorf("for %s: %v", host, err)
		}
	}
}
