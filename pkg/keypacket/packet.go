// Package keypacket wraps the secret of a backup with a passphrase, for
// keeping it in the registry, on the Hub, and in escrow files.
//
// The key packet, version 1, is what the predecessor of this program writes
// and reads; old programs and new ones open each other's. It is base64 of
//
//	version              1 byte, 1
//	hash kilo-repeats    2 bytes, big-endian
//	cipher kilo-repeats  2 bytes, big-endian
//	fingerprint          6 bytes, the start of SHA-1(secret)
//	ciphertext           whole blocks of 16 bytes
//
// The key is the passphrase put through SHA-256 over and over; the ciphertext
// is the plaintext put through AES-256-CBC, without padding and with a zero
// IV, over and over. The number of times is kilo-repeats times 1000 plus 1, or
// 1 for both when there is no passphrase. The plaintext is random padding, 4
// bytes of salt, the 20 bytes of SHA-1(secret), the secret, and the length of
// all that follows the padding in 2 bytes, big-endian.
//
// An escrow file holds a key packet or one of two other forms: see Parse.
package keypacket

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	version        = 1
	kiloRepeats    = 80 // what writers ask for
	fingerprintLen = 6
	headerLen      = 5 + fingerprintLen
	saltLen        = 4
	lengthLen      = 2
)

// Bounds on a packet from outside. Together they keep opening it to seconds,
// where the format allows for days.
const (
	maxKiloRepeats = 10_000
	maxCiphertext  = 1024
)

// MaxSecret is the length of the longest secret that Seal takes, in bytes.
const MaxSecret = maxCiphertext - saltLen - sha1.Size - lengthLen

// ErrPassphrase says that the passphrase is not the one that the secret was
// sealed with, or that there is one and none was given. Other errors say that
// what should be a packet or an escrow file is none.
var ErrPassphrase = errors.New("wrong passphrase")

// Seal makes a key packet of the secret. An empty passphrase makes one that
// anybody can open. The packet is a line of base64 without the newline.
func Seal(secret, passphrase []byte, rand io.Reader) (string, error) {
	n := uint16(0)
	if len(passphrase) > 0 {
		n = kiloRepeats
	}
	packet, err := seal(secret, passphrase, n, n, rand)
	if err != nil {
		return "", fmt.Errorf("seal key packet: %w", err)
	}
	return packet, nil
}

func seal(secret, passphrase []byte, hashKR, cipherKR uint16, rand io.Reader) (string, error) {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return "", fmt.Errorf("the secret has %d bytes, not 1 to %d", len(secret), MaxSecret)
	}
	buf, err := pad(secret, rand)
	if err != nil {
		return "", err
	}
	block, err := newCipher(passphrase, repeats(hashKR))
	if err != nil {
		return "", err
	}
	for range repeats(cipherKR) {
		encryptCBC(block, buf)
	}
	sum := sha1.Sum(secret)
	packet := []byte{version}
	packet = binary.BigEndian.AppendUint16(packet, hashKR)
	packet = binary.BigEndian.AppendUint16(packet, cipherKR)
	packet = append(packet, sum[:fingerprintLen]...)
	return base64.StdEncoding.EncodeToString(append(packet, buf...)), nil
}

// pad makes the plaintext.
func pad(secret []byte, rand io.Reader) ([]byte, error) {
	payload := saltLen + sha1.Size + len(secret)
	size := (payload + lengthLen + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
	random := size - lengthLen - sha1.Size - len(secret)
	buf := make([]byte, random, size)
	if _, err := io.ReadFull(rand, buf); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	sum := sha1.Sum(secret)
	buf = append(buf, sum[:]...)
	buf = append(buf, secret...)
	return binary.BigEndian.AppendUint16(buf, uint16(payload)), nil
}

// unpad returns the secret in a plaintext. Anything but a plaintext that is
// right in itself comes from a wrong key, as far as anybody can tell.
func unpad(buf []byte) ([]byte, error) {
	end := len(buf) - lengthLen
	payload := int(binary.BigEndian.Uint16(buf[end:]))
	if payload < saltLen+sha1.Size || payload > end {
		return nil, ErrPassphrase
	}
	sum := buf[end-payload+saltLen:][:sha1.Size]
	secret := buf[end-payload+saltLen+sha1.Size : end]
	if got := sha1.Sum(secret); !bytes.Equal(got[:], sum) {
		return nil, ErrPassphrase
	}
	if len(secret) == 0 {
		return nil, errors.New("there is no secret in it")
	}
	return secret, nil
}

func repeats(kilo uint16) int { return int(kilo)*1000 + 1 }

func newCipher(passphrase []byte, repeats int) (cipher.Block, error) {
	key := sha256.Sum256(passphrase)
	for range repeats - 1 {
		key = sha256.Sum256(key[:])
	}
	return aes.NewCipher(key[:])
}

// encryptCBC encrypts whole blocks in place, with a zero IV. The mode in
// crypto/cipher allocates for every pass, which is most of the cost of 80001.
func encryptCBC(block cipher.Block, buf []byte) {
	for i := 0; i < len(buf); i += aes.BlockSize {
		this := buf[i : i+aes.BlockSize]
		if i > 0 {
			subtle.XORBytes(this, this, buf[i-aes.BlockSize:i])
		}
		block.Encrypt(this, this)
	}
}

// decryptCBC is the inverse of encryptCBC. It goes backwards, so that the block
// before is still there to be combined with.
func decryptCBC(block cipher.Block, buf []byte) {
	for i := len(buf) - aes.BlockSize; i >= 0; i -= aes.BlockSize {
		this := buf[i : i+aes.BlockSize]
		block.Decrypt(this, this)
		if i > 0 {
			subtle.XORBytes(this, this, buf[i-aes.BlockSize:i])
		}
	}
}

// Open returns the secret in a key packet. White space in and around the
// packet is ignored. With an empty passphrase it opens only what was sealed
// without one. The error is ErrPassphrase, or the packet is malformed or asks
// for more work than any writer does.
func Open(packet, passphrase []byte) ([]byte, error) {
	p, err := parsePacket(packet)
	if err != nil {
		return nil, fmt.Errorf("open key packet: %w", err)
	}
	secret, err := p.open(passphrase)
	if err != nil {
		return nil, fmt.Errorf("open key packet: %w", err)
	}
	return secret, nil
}

// Fingerprint returns the fingerprint in a key packet, as upper-case hex. It
// needs no passphrase, and so proves nothing about the secret.
func Fingerprint(packet []byte) (string, error) {
	p, err := parsePacket(packet)
	if err != nil {
		return "", fmt.Errorf("read key packet: %w", err)
	}
	return fmt.Sprintf("%X", p.fingerprint), nil
}

// FingerprintOf returns the fingerprint of a secret, as upper-case hex. Two
// packets with the same fingerprint hold the same secret.
func FingerprintOf(secret []byte) string {
	sum := sha1.Sum(secret)
	return fmt.Sprintf("%X", sum[:fingerprintLen])
}

// A packet is a key packet taken apart.
type packet struct {
	hashKR, cipherKR uint16
	fingerprint      []byte
	ciphertext       []byte
}

func parsePacket(text []byte) (*packet, error) {
	const maxText = 2 * (headerLen + maxCiphertext) // base64 and some white space
	if len(text) > maxText {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(text), maxText)
	}
	raw, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	if len(raw) == 0 || raw[0] != version {
		return nil, errors.New("it is not of version 1")
	}
	if len(raw) < headerLen {
		return nil, errors.New("it is cut short")
	}
	p := &packet{
		hashKR:      binary.BigEndian.Uint16(raw[1:]),
		cipherKR:    binary.BigEndian.Uint16(raw[3:]),
		fingerprint: raw[5:headerLen],
		ciphertext:  raw[headerLen:],
	}
	return p, p.check()
}

func (p *packet) check() error {
	n := len(p.ciphertext)
	if n < 2*aes.BlockSize || n > maxCiphertext || n%aes.BlockSize != 0 {
		return fmt.Errorf("its ciphertext has %d bytes, not whole blocks from %d to %d", n, 2*aes.BlockSize, maxCiphertext)
	}
	if kr := max(p.hashKR, p.cipherKR); kr > maxKiloRepeats {
		return fmt.Errorf("it asks for %d thousand repeats, more than %d", kr, maxKiloRepeats)
	}
	return nil
}

// open decrypts the packet. Without a passphrase there are no repeats, whatever
// the packet says.
func (p *packet) open(passphrase []byte) ([]byte, error) {
	hash, passes := 1, 1
	if len(passphrase) > 0 {
		hash, passes = repeats(p.hashKR), repeats(p.cipherKR)
	}
	block, err := newCipher(passphrase, hash)
	if err != nil {
		return nil, err
	}
	buf := bytes.Clone(p.ciphertext)
	for range passes {
		decryptCBC(block, buf)
	}
	return unpad(buf)
}
