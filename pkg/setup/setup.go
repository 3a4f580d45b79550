// Package setup makes and wraps the encryption key of a registry.
package setup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"tklbam/pkg/keypacket"
	"tklbam/pkg/registry"
)

// Init makes the secret and its key packet unless there is one, and reports
// whether it made it. A key packet that got lost is made again.
func Init(r *registry.Registry, rand io.Reader) (made bool, err error) {
	_, err = r.Secret()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		secret, err := keypacket.NewSecret(rand)
		if err != nil {
			return false, err
		}
		if err := r.SetSecret(string(secret)); err != nil {
			return false, err
		}
		made = true
	case err != nil:
		return false, err
	}
	if _, err := r.Key(); made || errors.Is(err, fs.ErrNotExist) {
		return made, SetPassphrase(r, nil, rand)
	}
	return made, nil
}

// SetPassphrase wraps the registry's secret anew; an empty passphrase is none.
func SetPassphrase(r *registry.Registry, passphrase []byte, rand io.Reader) error {
	secret, err := r.Secret()
	if err != nil {
		return err
	}
	key, err := keypacket.Seal([]byte(secret), passphrase, rand)
	if err != nil {
		return err
	}
	return r.SetKey(key)
}

// A Format is a form of escrow files.
type Format string

// The formats: TKLBAM's own, and one that stock age opens.
const (
	Packet Format = "tklbam"
	Age    Format = "age"
)

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); f == Packet || f == Age {
		return f, nil
	}
	return "", fmt.Errorf("unknown format %q: tklbam or age", s)
}

// Escrow makes the content of an escrow file; an empty passphrase is none.
func Escrow(secret, passphrase []byte, f Format, rand io.Reader) (string, error) {
	switch {
	case f == Packet:
		key, err := keypacket.Seal(secret, passphrase, rand)
		return key + "\n", err
	case len(passphrase) == 0:
		return keypacket.SealPlain(secret)
	}
	return keypacket.SealAge(secret, passphrase)
}
