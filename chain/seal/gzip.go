package seal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gzipHeader starts a member without name or time, of unknown origin (RFC
// 1952, section 2.3).
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// gzipTail is the length of what follows the deflated data in a segment: the
// block's CRC-32 and its length in 8 bytes. They don't reach the file.
const gzipTail = 4 + 8

// gzipCodec writes a file as one gzip member however many blocks it has. A
// member for each block would be as good to gzip -d, but a file cut between
// two members looks whole to every reader.
type gzipCodec struct {
	deflater deflater
}

func newGzipCodec() *gzipCodec { return new(gzipCodec) }

func (c *gzipCodec) compress(dst, block []byte) ([]byte, error) {
	dst, err := c.deflater.compress(dst, block)
	if err != nil {
		return nil, err
	}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(block))
	return binary.LittleEndian.AppendUint64(dst, uint64(len(block))), nil
}

func (c *gzipCodec) begin(w io.Writer) (body, error) {
	if _, err := io.WriteString(w, gzipHeader); err != nil {
		return nil, err
	}
	return &gzipBody{w: w}, nil
}

type gzipBody struct {
	w   io.Writer
	crc uint32
	len uint64
}

func (b *gzipBody) segment(seg []byte) error {
	n := len(seg) - gzipTail
	if n < 0 {
		return errors.New("the segment is not one of gzip")
	}
	crc := binary.LittleEndian.Uint32(seg[n:])
	size := binary.LittleEndian.Uint64(seg[n+4:])
	b.crc = joinCRC(b.crc, crc, size)
	b.len += size
	_, err := b.w.Write(seg[:n])
	return err
}

func (b *gzipBody) end(bool) error {
	end := binary.LittleEndian.AppendUint32([]byte(deflateEnd), b.crc)
	_, err := b.w.Write(binary.LittleEndian.AppendUint32(end, uint32(b.len)))
	return err
}

// joinCRC returns the CRC-32 of two strings put together, of which the
// second has n bytes: a's remainder is moved up by the 8n bits that follow
// it, which is a multiplication by x to the power of 8n.
func joinCRC(a, b uint32, n uint64) uint32 {
	const one, x8 = 1 << 31, 1 << 23 // x^0 and x^8, lowest power in the highest bit
	shift, square := uint32(one), uint32(x8)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = mulCRC(shift, square)
		}
		square = mulCRC(square, square)
	}
	return mulCRC(shift, a) ^ b
}

// mulCRC multiplies two polynomials over GF(2) modulo that of CRC-32.
func mulCRC(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc32.IEEE
		}
	}
	return product
}

// openGzip reads a gzip file of any number of members.
func (o *Opener) openGzip(f *file) error {
	outer := bufio.NewReaderSize(f.source, readAhead)
	z, ok := o.gzips.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	if err := z.Reset(outer); err != nil {
		return notEOF(err)
	}
	f.push(outer, z)
	f.release = func() { o.gzips.Put(z) }
	return nil
}
