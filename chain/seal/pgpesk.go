package seal

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/eax"
	"github.com/ProtonMail/go-crypto/ocb"
)

var errShortESK = errors.New("the packet with the session key is too short")

// An esk is a packet from which a passphrase gets the session key (RFC 4880,
// section 5.3): derived from it, or encrypted with what is.
type esk struct {
	version byte
	cipher  cipherID
	mode    aeadMode // version 5
	s2k     s2k
	nonce   []byte // version 5
	sealed  []byte // the encrypted session key; empty if the derived key is it
}

// maxESK is more than any such packet has, in bytes.
const maxESK = 256

// readESK reads the body of a symmetric-key encrypted session key packet.
func readESK(body io.Reader) (*esk, error) {
	b, err := io.ReadAll(io.LimitReader(body, maxESK))
	switch {
	case err != nil:
		return nil, err
	case len(b) < 3:
		return nil, errShortESK
	case len(b) == maxESK:
		return nil, errors.New("the packet with the session key is too long")
	}
	k := &esk{version: b[0], cipher: cipherID(b[1])}
	switch b = b[2:]; k.version {
	case 4:
	case 5:
		k.mode, b = aeadMode(b[0]), b[1:]
	default:
		return nil, fmt.Errorf("OpenPGP session key packet version %d: %w", k.version, errors.ErrUnsupported)
	}
	if k.s2k, b, err = parseS2K(b); err != nil {
		return nil, err
	}
	if k.version == 5 {
		n := k.mode.nonceSize()
		if len(b) < n {
			return nil, errShortESK
		}
		k.nonce, b = b[:n], b[n:]
	}
	k.sealed = b
	return k, nil
}

// sessionKey returns the key that the Opener's secret gets out of k.
func (o *Opener) sessionKey(k *esk) (sessionKey, error) {
	derived := sessionKey{cipher: k.cipher}
	size := k.cipher.keySize()
	if size == 0 {
		return derived, unsupportedCipher(k.cipher)
	}
	var err error
	if derived.key, err = o.deriveKey(k.s2k, size); err != nil {
		return derived, err
	}
	switch {
	case k.version == 5:
		return k.openAEAD(derived)
	case len(k.sealed) > 0:
		return k.openCFB(derived)
	}
	return derived, nil
}

// openCFB decrypts a session key of version 4. It has its cipher with it,
// and that is all there is to tell whether the secret was right.
func (k *esk) openCFB(derived sessionKey) (sessionKey, error) {
	block, err := derived.block()
	if err != nil {
		return sessionKey{}, err
	}
	b := make([]byte, len(k.sealed))
	newCFB(block).decrypt(b, k.sealed)
	key := sessionKey{cipher: cipherID(b[0]), key: b[1:]}
	if len(key.key) != key.cipher.keySize() {
		return sessionKey{}, ErrWrongSecret
	}
	return key, nil
}

// openAEAD decrypts a session key of version 5 and checks its tag.
func (k *esk) openAEAD(derived sessionKey) (sessionKey, error) {
	aead, err := k.mode.open(derived)
	if err != nil {
		return sessionKey{}, err
	}
	header := []byte{tagSymmetricESK.newHeader(), k.version, byte(k.cipher), byte(k.mode)}
	key, err := aead.Open(nil, k.nonce, k.sealed, header)
	if err != nil || len(key) != k.cipher.keySize() {
		return sessionKey{}, ErrWrongSecret
	}
	return sessionKey{cipher: k.cipher, key: key}, nil
}

// An aeadMode is OpenPGP's number for a mode of authenticated encryption.
type aeadMode uint8

const (
	modeEAX aeadMode = 1
	modeOCB aeadMode = 2

	aeadTagSize = 16
)

// nonceSize returns the length of the mode's nonces in bytes, 0 if there is
// no such mode here.
func (m aeadMode) nonceSize() int {
	switch m {
	case modeEAX:
		return 16
	case modeOCB:
		return 15
	}
	return 0
}

// open returns the mode of operation under a key, whose cipher must have
// blocks of 16 bytes.
func (m aeadMode) open(key sessionKey) (cipher.AEAD, error) {
	block, err := key.block()
	if err != nil {
		return nil, err
	}
	if block.BlockSize() == 16 {
		switch m {
		case modeEAX:
			return eax.NewEAXWithNonceAndTagSize(block, m.nonceSize(), aeadTagSize)
		case modeOCB:
			return ocb.NewOCBWithNonceAndTagSize(block, m.nonceSize(), aeadTagSize)
		}
	}
	return nil, fmt.Errorf("OpenPGP mode %d with cipher %d: %w", m, key.cipher, errors.ErrUnsupported)
}
