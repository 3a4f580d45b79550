package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"slices"

	//lint:ignore SA1019 chains written with it must stay readable
	"golang.org/x/crypto/blowfish"
	//lint:ignore SA1019 as above
	"golang.org/x/crypto/cast5"
	//lint:ignore SA1019 as above
	"golang.org/x/crypto/ripemd160"
	//lint:ignore SA1019 as above
	"golang.org/x/crypto/twofish"
)

// A cipherID is OpenPGP's number for a block cipher (RFC 4880, section 9.2).
type cipherID uint8

const (
	cipher3DES     cipherID = 2
	cipherCAST5    cipherID = 3
	cipherBlowfish cipherID = 4
	cipherAES128   cipherID = 7
	cipherAES192   cipherID = 8
	cipherAES256   cipherID = 9
	cipherTwofish  cipherID = 10
)

// keySize returns the length of the cipher's keys in bytes, 0 if there is no
// such cipher here (IDEA and Camellia among those that gpg writes).
func (c cipherID) keySize() int {
	switch c {
	case cipherCAST5, cipherBlowfish, cipherAES128:
		return 16
	case cipher3DES, cipherAES192:
		return 24
	case cipherAES256, cipherTwofish:
		return 32
	}
	return 0
}

// A sessionKey is what a message is encrypted with.
type sessionKey struct {
	cipher cipherID
	key    []byte
}

// block returns the key's block cipher.
func (k sessionKey) block() (cipher.Block, error) {
	switch k.cipher {
	case cipher3DES:
		return des.NewTripleDESCipher(k.key)
	case cipherCAST5:
		return cast5.NewCipher(k.key)
	case cipherBlowfish:
		return blowfish.NewCipher(k.key)
	case cipherAES128, cipherAES192, cipherAES256:
		return aes.NewCipher(k.key)
	case cipherTwofish:
		return twofish.NewCipher(k.key)
	}
	return nil, unsupportedCipher(k.cipher)
}

func unsupportedCipher(c cipherID) error {
	return fmt.Errorf("OpenPGP cipher %d: %w", c, errors.ErrUnsupported)
}

// A hashID is OpenPGP's number for a hash (section 9.4).
type hashID uint8

const (
	hashSHA1      hashID = 2
	hashRIPEMD160 hashID = 3
	hashSHA256    hashID = 8
	hashSHA384    hashID = 9
	hashSHA512    hashID = 10
	hashSHA224    hashID = 11
)

// hasher returns a new hash, nil if there is no such hash here.
func (h hashID) hasher() hash.Hash {
	switch h {
	case hashSHA1:
		return sha1.New()
	case hashRIPEMD160:
		return ripemd160.New()
	case hashSHA256:
		return sha256.New()
	case hashSHA384:
		return sha512.New384()
	case hashSHA512:
		return sha512.New()
	case hashSHA224:
		return sha256.New224()
	}
	return nil
}

// An s2k says how a passphrase becomes a key (section 3.7).
type s2k struct {
	mode  s2kMode
	hash  hashID
	salt  [8]byte // zero for s2kSimple
	count byte    // coded, s2kIterated only
}

type s2kMode uint8

const (
	s2kSimple   s2kMode = 0
	s2kSalted   s2kMode = 1
	s2kIterated s2kMode = 3
)

// parseS2K cuts an s2k from the start of b.
func parseS2K(b []byte) (s s2k, rest []byte, err error) {
	if len(b) < 2 {
		return s, nil, errShortESK
	}
	s.mode, s.hash, b = s2kMode(b[0]), hashID(b[1]), b[2:]
	want := map[s2kMode]int{s2kSimple: 0, s2kSalted: 8, s2kIterated: 9}
	n, ok := want[s.mode]
	if !ok {
		return s, nil, fmt.Errorf("OpenPGP S2K mode %d: %w", s.mode, errors.ErrUnsupported)
	}
	if len(b) < n {
		return s, nil, errShortESK
	}
	copy(s.salt[:], b[:n])
	if s.mode == s2kIterated {
		s.count = b[8]
	}
	return s, b[n:], nil
}

// octets returns how many bytes an iterated s2k hashes: between 1024 and
// 65011712 (section 3.7.1.3).
func (s s2k) octets() int { return (16 + int(s.count&15)) << (s.count>>4 + 6) }

// derive returns a key of size bytes.
func (s s2k) derive(secret []byte, size int) ([]byte, error) {
	h := s.hash.hasher()
	if h == nil {
		return nil, fmt.Errorf("OpenPGP hash %d: %w", s.hash, errors.ErrUnsupported)
	}
	input := secret
	if s.mode != s2kSimple {
		input = slices.Concat(s.salt[:], secret)
	}
	total := len(input)
	if s.mode == s2kIterated {
		total = max(total, s.octets())
		input = bytes.Repeat(input, 1+8192/len(input)) // hashing short pieces is slow
	}
	var key []byte
	for zeros := 0; len(key) < size; zeros++ {
		h.Reset()
		h.Write(make([]byte, zeros))
		for left := total; left > 0; left -= len(input) {
			h.Write(input[:min(left, len(input))])
		}
		key = h.Sum(key)
	}
	return key[:size], nil
}

// A keyCache has the keys derived from one secret: the files of a session
// can share an s2k, and a chain has thousands of files.
type keyCache map[keyID][]byte

type keyID struct {
	s2k  s2k
	size int
}

// maxCachedKeys bounds the cache; a chain whose every file has its own salt
// gains nothing from it.
const maxCachedKeys = 1024

// deriveKey returns the key of size bytes that s makes of the secret.
func (o *Opener) deriveKey(s s2k, size int) ([]byte, error) {
	o.deriving.Lock()
	defer o.deriving.Unlock()
	id := keyID{s, size}
	if key, ok := o.keys[id]; ok {
		return key, nil
	}
	key, err := s.derive(o.secret, size)
	if err != nil {
		return nil, err
	}
	if o.keys == nil || len(o.keys) >= maxCachedKeys {
		o.keys = make(keyCache)
	}
	o.keys[id] = key
	return key, nil
}
