package packages

import (
	"bytes"
	"crypto/md5"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
)

// Where update-ca-certificates(8) takes certificates from, if a package
// shipped them, and where it makes links to them and a bundle of them.
const (
	certificateDir   = "usr/share/ca-certificates"
	certificateLinks = "etc/ssl/certs"
	bundlePath       = certificateLinks + "/ca-certificates.crt"
	maxBundle        = 16 << 20 // bytes; the usual one has 200 KB
)

// proveCertificates looks at the links to certificates, which are named after
// them, and at the links to those links, which are named by a hash.
func (l *loader) proveCertificates() error {
	names, err := l.names(certificateLinks)
	if err != nil {
		return err
	}
	for _, name := range names {
		l.prove(certificateLinks+"/"+name, Generated, func(target string) bool {
			return strings.HasPrefix(target, certificateDir+"/") && l.b.hasFile(target) &&
				name == linkName(target)
		})
	}
	direct := maps.Clone(l.b.links)
	for _, name := range names {
		if isHash(name) {
			l.prove(certificateLinks+"/"+name, Generated, func(target string) bool {
				_, ok := direct[target]
				return ok && path.Dir(target) == certificateLinks
			})
		}
	}
	return nil
}

// linkName is the name of the link to a certificate.
func linkName(certificate string) string {
	base := strings.TrimSuffix(path.Base(certificate), ".crt")
	return strings.NewReplacer(" ", "_", "(", "=", ")", "=", ",", "_").Replace(base) + ".pem"
}

// isHash reports whether a name is eight hexadecimal digits, a dot and a
// number.
func isHash(name string) bool {
	hash, number, ok := strings.Cut(name, ".")
	return ok && len(hash) == 8 && strings.Trim(hash, "0123456789abcdef") == "" &&
		number != "" && strings.Trim(number, "0123456789") == ""
}

// sameCertificates reports whether a bundle holds all the certificates that
// packages shipped, as they shipped them, and no other.
func (b *Baseline) sameCertificates(open func() (io.ReadCloser, error)) (bool, error) {
	bundle := map[Sum]bool{}
	whole, err := addCertificates(bundle, bundlePath, open)
	if err != nil || !whole {
		return false, err
	}
	all := map[Sum]bool{}
	for p := range b.files {
		if !strings.HasPrefix(p, certificateDir+"/") || path.Ext(p) != ".crt" {
			continue
		}
		if !b.unchanged(p) {
			return false, nil
		}
		if whole, err := addCertificates(all, p, b.open(p)); err != nil || !whole {
			return false, err
		}
	}
	return len(all) > 0 && maps.Equal(bundle, all), nil
}

// addCertificates adds the sums of the certificates in a file to a set. It
// reports false if there is more in the file than it can tell.
func addCertificates(set map[Sum]bool, name string, open func() (io.ReadCloser, error)) (bool, error) {
	f, err := open()
	if err != nil {
		return false, fmt.Errorf("open %q: %w", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBundle))
	if err != nil {
		return false, fmt.Errorf("read %q: %w", name, err)
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return len(text) < maxBundle && len(bytes.TrimSpace(rest)) == 0, nil
		}
		set[md5.Sum(block.Bytes)] = true
		text = rest
	}
}
