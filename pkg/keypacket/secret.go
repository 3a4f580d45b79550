package keypacket

import (
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// NewSecret makes the secret of a new backup: 160 bits, as 27 letters, digits,
// "+" and "/".
func NewSecret(rand io.Reader) ([]byte, error) {
	var random [32]byte
	if _, err := io.ReadFull(rand, random[:]); err != nil {
		return nil, fmt.Errorf("make secret: %w", err)
	}
	sum := sha1.Sum(random[:])
	return base64.RawStdEncoding.AppendEncode(nil, sum[:]), nil
}

// Generated reports whether a secret looks like one that NewSecret made, and
// so needs no protection against being guessed.
func Generated(secret []byte) bool {
	raw, err := base64.RawStdEncoding.DecodeString(string(secret))
	return err == nil && len(raw) == sha1.Size
}

// RandomPassphrase makes a passphrase of 80 bits that can be written down:
// XXXX-XXXX-XXXX-XXXX in upper-case letters and the digits 2 to 7.
func RandomPassphrase(rand io.Reader) (string, error) {
	var random [10]byte
	if _, err := io.ReadFull(rand, random[:]); err != nil {
		return "", fmt.Errorf("make passphrase: %w", err)
	}
	s := base32.StdEncoding.EncodeToString(random[:])
	return strings.Join([]string{s[:4], s[4:8], s[8:12], s[12:]}, "-"), nil
}
