package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// An authority signs the certificates of one control plane, which lives as long as a test run; nothing is renewed.
type authority struct {
	folder string
	cert   *x509.Certificate
	pem    []byte
	key    crypto.Signer
	serial int64
}

// A subject is who a certificate is for. Each serves and dials: a test cluster gains nothing from telling them apart.
type subject struct {
	file   string
	user   string
	groups []string
	names  []string
	ips    []net.IP
}

const lifetime = 30 * 24 * time.Hour

func newAuthority(folder string) (*authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	a := &authority{folder: folder}
	template := a.template("zenflow test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.key, a.pem = key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := a.write("ca.crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	// The controller manager signs the requests of nodes with it; it insists on having the file.
	return a, a.writeKey("ca.key", key)
}

func (a *authority) template(commonName string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial),
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    time.Now().Add(-time.Hour), // clocks that step back must not make a run fail
		NotAfter:     time.Now().Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) write(name, kind string, der []byte) error {
	return os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (a *authority) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return a.write(name, "EC PRIVATE KEY", der)
}

func (a *authority) issue(to subject) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := a.template(to.user)
	template.Subject.Organization, template.DNSNames, template.IPAddresses = to.groups, to.names, to.ips
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := a.write(to.file+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	return a.writeKey(to.file+".key", key)
}

// tokenKeys writes the pair that signs and checks ServiceAccount tokens.
func (a *authority) tokenKeys() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := a.write("tokens.pub", "PUBLIC KEY", public); err != nil {
		return err
	}
	return a.write("tokens.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

// kubeconfig writes one that needs no other file, so that it can be copied and handed on.
func (a *authority) kubeconfig(path, server, file string) error {
	var data [2]string
	for i, ending := range []string{".crt", ".key"} {
		content, err := os.ReadFile(a.path(file + ending))
		if err != nil {
			return err
		}
		data[i] = base64.StdEncoding.EncodeToString(content)
	}
	const form = `apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {cluster: test, user: %[1]s, namespace: default}
clusters:
- name: test
  cluster: {server: %[2]q, certificate-authority-data: %[3]s}
users:
- name: %[1]s
  user: {client-certificate-data: %[4]s, client-key-data: %[5]s}
`
	text := fmt.Sprintf(form, file, server, base64.StdEncoding.EncodeToString(a.pem), data[0], data[1])
	return os.WriteFile(path, []byte(text), 0o600)
}
