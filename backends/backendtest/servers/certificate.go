package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Certificate writes a certificate that signs itself, for localhost,
// 127.0.0.1 and more addresses, and its key.
func Certificate(t testing.TB, dir string, ips ...string) (cert, key string) {
	t.Helper()
	private, keyErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, keyErr)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	for _, ip := range ips {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	signed, certErr := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	secret, marshalErr := x509.MarshalPKCS8PrivateKey(private)
	check(t, errors.Join(certErr, marshalErr))
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return cert, key
}
