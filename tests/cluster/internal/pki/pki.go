// Package pki makes the throwaway certificate authorities and certificates of
// one test run.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"cutover.dev/tests/cluster/internal/proc"
)

// Nothing made here is meant to live longer than a test environment does.
const lifetime = 365 * 24 * time.Hour

// CA signs certificates.
type CA struct {
	CertFile string
	CertPEM  []byte
	cert     *x509.Certificate
	key      crypto.Signer
}

// Pair is a certificate and its key, in memory and in files.
type Pair struct {
	CertFile, KeyFile string
	CertPEM, KeyPEM   []byte
}

// NewCA makes an authority and writes dir/name.crt and dir/name.key.
func NewCA(dir, name string) (*CA, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	template := template(name, nil)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pair := Pair{CertPEM: encode("CERTIFICATE", der), KeyPEM: keyPEM}
	if err := pair.write(dir, name); err != nil {
		return nil, err
	}
	return parseCA(pair, key)
}

// LoadCA reads what NewCA wrote; the error is os.ErrNotExist if it has not.
func LoadCA(dir, name string) (*CA, error) {
	pair := Pair{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
	var err error
	if pair.CertPEM, err = os.ReadFile(pair.CertFile); err != nil {
		return nil, err
	}
	if pair.KeyPEM, err = os.ReadFile(pair.KeyFile); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(pair.KeyPEM)
	if block == nil {
		return nil, fmt.Errorf("%s: no key in PEM", pair.KeyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pair.KeyFile, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: not a signing key", pair.KeyFile)
	}
	return parseCA(pair, signer)
}

func parseCA(pair Pair, key crypto.Signer) (*CA, error) {
	block, _ := pem.Decode(pair.CertPEM)
	if block == nil {
		return nil, fmt.Errorf("%s: no certificate in PEM", pair.CertFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pair.CertFile, err)
	}
	return &CA{CertFile: pair.CertFile, CertPEM: pair.CertPEM, cert: cert, key: key}, nil
}

// Client makes a client certificate. Kubernetes reads the common name as the
// user and the organizations as the user's groups.
func (ca *CA) Client(dir, file, user string, groups ...string) (Pair, error) {
	template := template(user, groups)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.issue(template, dir, file)
}

// Server makes a server's certificate for these names and addresses.
func (ca *CA) Server(dir, file, name string, hosts ...string) (Pair, error) {
	return ca.issue(serverTemplate(name, hosts), dir, file)
}

// Peer makes a certificate for a server that is a client of its like as well.
func (ca *CA) Peer(dir, file, name string, hosts ...string) (Pair, error) {
	template := serverTemplate(name, hosts)
	template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	return ca.issue(template, dir, file)
}

func (ca *CA) issue(template *x509.Certificate, dir, file string) (Pair, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return Pair{}, err
	}
	pair := Pair{CertPEM: encode("CERTIFICATE", der), KeyPEM: keyPEM}
	return pair, pair.write(dir, file)
}

// NewKeyPair writes a key without any certificate: dir/name.key and its public
// half, dir/name.pub.
func NewKeyPair(dir, name string) error {
	key, keyPEM, err := newKey()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := proc.WriteFile(filepath.Join(dir, name+".key"), keyPEM, 0o600); err != nil {
		return err
	}
	return proc.WriteFile(filepath.Join(dir, name+".pub"), encode("PUBLIC KEY", der), 0o644)
}

func (p *Pair) write(dir, name string) error {
	p.CertFile = filepath.Join(dir, name+".crt")
	p.KeyFile = filepath.Join(dir, name+".key")
	// The key first: whoever sees the certificate can rely on its key.
	if err := proc.WriteFile(p.KeyFile, p.KeyPEM, 0o600); err != nil {
		return err
	}
	return proc.WriteFile(p.CertFile, p.CertPEM, 0o644)
}

func template(name string, groups []string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand's reader never fails
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func serverTemplate(name string, hosts []string) *x509.Certificate {
	template := template(name, nil)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template
}

// newKey makes a key in PKCS #8, the one form that every client reads.
func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, encode("PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
