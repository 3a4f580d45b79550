package seal

import (
	"crypto/rand"
	"crypto/sha1"
	"fmt"
	"hash"
	"io"
	"slices"
)

// Coded counts of the s2k that is written: 65011712 bytes hashed, as gpg
// does, and 65536, since a random secret needs no stretching at all.
const (
	weakS2KCount   = 0xff
	strongS2KCount = 0x60
)

// pgpCipher is what stock TKLBAM asks gpg for (--cipher-algo=aes).
const pgpCipher = cipherAES128

// pgpCodec writes OpenPGP messages as gpg -c does: the key derived from the
// passphrase encrypts the data itself. All messages of a session have one
// key. What keeps them apart is the random block at the start of each, which
// works as the initial vector. A session key for each message, encrypted
// under the derived key, would be worse: that encryption has no initial
// vector, and must never be done twice with one key (RFC 4880, section 5.3).
type pgpCodec struct {
	deflater deflater
	key      sessionKey
	esk      []byte // the packet that leads every message
}

func newPGPCodec(secret []byte, weak bool) (*pgpCodec, error) {
	s := s2k{mode: s2kIterated, hash: hashSHA256, count: strongS2KCount}
	if weak {
		s.count = weakS2KCount
	}
	if _, err := rand.Read(s.salt[:]); err != nil {
		return nil, fmt.Errorf("make salt: %w", err)
	}
	key, err := s.derive(secret, pgpCipher.keySize())
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	content := slices.Concat([]byte{4, byte(pgpCipher), byte(s.mode), byte(s.hash)}, s.salt[:], []byte{s.count})
	esk := appendLength([]byte{tagSymmetricESK.newHeader()}, uint32(len(content)))
	return &pgpCodec{key: sessionKey{pgpCipher, key}, esk: append(esk, content...)}, nil
}

func (c *pgpCodec) compress(dst, block []byte) ([]byte, error) {
	return c.deflater.compress(dst, block)
}

// partLog is the length of the parts that a message is written in as a power
// of two.
const partLog = 16

// begin writes the message up to the content. The compressed packet reaches
// to the end of the encrypted data, as it does in gpg's messages, and the
// literal packet to the end of the compressed data: its length is not known,
// and length bytes within could not follow from blocks of any size, because
// the first part of a packet must have 512 bytes.
func (c *pgpCodec) begin(w io.Writer) (body, error) {
	block, err := c.key.block()
	if err != nil {
		return nil, err
	}
	b := &pgpBody{w: w, cfb: newCFB(block), sum: sha1.New(), part: make([]byte, 1, 1+1<<partLog)}
	if _, err := w.Write(append(c.esk[:len(c.esk):len(c.esk)], tagEncryptedMDC.newHeader())); err != nil {
		return nil, err
	}
	b.part = append(b.part, 1) // version, not encrypted
	size := block.BlockSize()
	prefix := make([]byte, size, size+2)
	if _, err := rand.Read(prefix); err != nil {
		return nil, err
	}
	prefix = append(prefix, prefix[size-2:]...)
	return b, b.add(slices.Concat(prefix, pgpContentHeader()))
}

// pgpContentHeader returns what comes before the segments: the headers of
// the compressed and the literal packet. The latter is part of the deflate
// stream, as a stored block.
func pgpContentHeader() []byte {
	literal := []byte{tagLiteral.oldHeader(formToTheEnd), 'b', 0, 0, 0, 0, 0} // binary, no name, no time
	n := byte(len(literal))
	stored := []byte{0, n, 0, ^n, 0xff}
	return slices.Concat([]byte{tagCompressed.oldHeader(formToTheEnd), compressionZIP}, stored, literal)
}

// pgpBody encrypts and sums what is in the encrypted packet, and cuts it in
// parts.
type pgpBody struct {
	w    io.Writer
	cfb  *cfb
	sum  hash.Hash
	part []byte // its length byte, and cipher text
}

func (b *pgpBody) segment(seg []byte) error { return b.add(seg) }

// add sums, encrypts and writes clear text.
func (b *pgpBody) add(p []byte) error {
	for len(p) > 0 {
		if len(b.part) == cap(b.part) {
			b.part[0] = partialLength(partLog)
			if _, err := b.w.Write(b.part); err != nil {
				return err
			}
			b.part = b.part[:1]
		}
		n := min(len(p), cap(b.part)-len(b.part))
		start := len(b.part)
		b.sum.Write(p[:n])
		b.part = append(b.part, p[:n]...)
		b.cfb.encrypt(b.part[start:])
		p = p[n:]
	}
	return nil
}

// end writes the last deflate block, the MDC and the last part.
func (b *pgpBody) end(bool) error {
	if err := b.add([]byte(deflateEnd)); err != nil {
		return err
	}
	b.sum.Write(mdcHeader())
	if err := b.add(b.sum.Sum(mdcHeader())); err != nil {
		return err
	}
	last := b.part[1:]
	_, err := b.w.Write(append(appendLength(nil, uint32(len(last))), last...))
	return err
}
