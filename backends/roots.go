package backends

import (
	"crypto/x509"
	"fmt"
	"os"
)

// LoadRoots returns the certificates in a PEM file, to be trusted instead of
// the system's; nil, for those, if no file is named.
func LoadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA certificates: %q holds none in PEM", file)
	}
	return roots, nil
}
