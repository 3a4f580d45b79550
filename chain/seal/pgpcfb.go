package seal

import (
	"crypto/cipher"
	"crypto/subtle"
)

// cfb is cipher feedback over whole blocks, as OpenPGP uses it with an
// initial vector of zeros (RFC 4880, section 13.9, without the resync). It
// takes input in pieces of any length. Encryption and decryption don't mix.
//
// The standard library's is deprecated, and that of the OpenPGP library goes
// byte by byte, at a fifth of the speed.
type cfb struct {
	block cipher.Block
	last  []byte // the previous block of cipher text, overwritten from the left by the current one
	mask  []byte // the key stream for the current block
	used  int    // bytes of mask that are spent
}

func newCFB(block cipher.Block) *cfb {
	size := block.BlockSize()
	return &cfb{block: block, last: make([]byte, size), mask: make([]byte, size), used: size}
}

// encrypt encrypts buf in place.
func (c *cfb) encrypt(buf []byte) {
	n := c.encryptPartial(buf)
	n += c.encryptBlocks(buf[n:])
	c.encryptPartial(buf[n:])
}

// decrypt decrypts src to dst, which don't overlap and are equally long.
func (c *cfb) decrypt(dst, src []byte) {
	n := c.decryptPartial(dst, src)
	n += c.decryptBlocks(dst[n:], src[n:])
	c.decryptPartial(dst[n:], src[n:])
}

// next returns what is left of the mask for the current block, starting one
// if the last is complete and there is data for it.
func (c *cfb) next(pending int) []byte {
	if c.used == len(c.mask) && pending > 0 && pending < len(c.mask) {
		c.block.Encrypt(c.mask, c.last)
		c.used = 0
	}
	return c.mask[c.used:]
}

func (c *cfb) encryptPartial(buf []byte) int {
	n := subtle.XORBytes(buf, buf, c.next(len(buf)))
	c.used += copy(c.last[c.used:], buf[:n])
	return n
}

func (c *cfb) decryptPartial(dst, src []byte) int {
	n := subtle.XORBytes(dst, src, c.next(len(src)))
	c.used += copy(c.last[c.used:], src[:n])
	return n
}

func (c *cfb) encryptBlocks(buf []byte) int {
	size, n := len(c.mask), 0
	prev := c.last
	for ; n+size <= len(buf); n += size {
		b := buf[n : n+size]
		c.block.Encrypt(c.mask, prev)
		subtle.XORBytes(b, b, c.mask)
		prev = b
	}
	copy(c.last, prev)
	return n
}

// decryptBlocks makes the key stream in dst: unlike in encryption the blocks
// don't wait for each other.
func (c *cfb) decryptBlocks(dst, src []byte) int {
	size, n := len(c.mask), 0
	prev := c.last
	for ; n+size <= len(src); n += size {
		c.block.Encrypt(dst[n:n+size], prev)
		prev = src[n : n+size]
	}
	subtle.XORBytes(dst, dst[:n], src)
	copy(c.last, prev)
	return n
}
