package seal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A packetTag says what an OpenPGP packet holds (RFC 4880, section 4.3; 20
// and version 5 of 3 are those of GnuPG 2.3, draft-koch-openpgp-2015-rfc4880bis).
type packetTag uint8

const (
	tagPublicKeyESK  packetTag = 1
	tagSymmetricESK  packetTag = 3
	tagCompressed    packetTag = 8
	tagEncrypted     packetTag = 9
	tagMarker        packetTag = 10
	tagLiteral       packetTag = 11
	tagEncryptedMDC  packetTag = 18
	tagMDC           packetTag = 19
	tagEncryptedAEAD packetTag = 20
)

// isData reports whether a packet's length need not be known at its start.
func (t packetTag) isData() bool {
	switch t {
	case tagCompressed, tagEncrypted, tagLiteral, tagEncryptedMDC, tagEncryptedAEAD:
		return true
	}
	return false
}

// oldHeader returns the first byte of a packet in the old format; form 3
// means that it reaches to the end of what it is in.
func (t packetTag) oldHeader(form byte) byte { return 0x80 | byte(t)<<2 | form }

const formToTheEnd = 3

// newHeader returns the first byte of a packet in the new format.
func (t packetTag) newHeader() byte { return 0xc0 | byte(t) }

// partialLength returns the length byte of a part of 1<<log bytes that other
// parts follow. The first part must have 512 bytes or more.
func partialLength(log byte) byte { return 0xe0 | log }

// appendLength appends a packet's length in the new format, or that of its
// last part.
func appendLength(dst []byte, n uint32) []byte {
	switch {
	case n < 192:
		return append(dst, byte(n))
	case n < 8384:
		n -= 192
		return append(dst, byte(n>>8)+192, byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 255), n)
}

// packetBody reads one packet's content. It ends with io.EOF at the packet's
// end and with io.ErrUnexpectedEOF if the input ends before.
type packetBody struct {
	r     *bufio.Reader
	left  int64 // bytes of the current part
	parts bool  // others follow it
	toEnd bool  // no length: ends where the input does
}

func (b *packetBody) Read(p []byte) (int, error) {
	if b.toEnd {
		return b.r.Read(p)
	}
	for b.left == 0 {
		if !b.parts {
			return 0, io.EOF
		}
		if err := b.readLength(); err != nil {
			return 0, err
		}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, notEOF(err)
}

// readLength reads the length of a packet, or of its next part, in the new
// format (section 4.2.2).
func (b *packetBody) readLength() error {
	first, err := b.r.ReadByte()
	if err != nil {
		return notEOF(err)
	}
	b.parts = false
	switch {
	case first < 192:
		b.left = int64(first)
	case first < 224:
		second, err := b.r.ReadByte()
		b.left = int64(first-192)<<8 + int64(second) + 192
		return notEOF(err)
	case first < 255:
		b.left, b.parts = 1<<(first&0x1f), true
	default:
		return b.readNumber(4)
	}
	return nil
}

// readNumber reads a length of n bytes.
func (b *packetBody) readNumber(n int) error {
	b.left = 0
	for range n {
		c, err := b.r.ReadByte()
		if err != nil {
			return notEOF(err)
		}
		b.left = b.left<<8 | int64(c)
	}
	return nil
}

// nextPacket reads the header of the packet that starts at r, which must not
// be used before the body has been read. Without a packet it is io.EOF.
func nextPacket(r *bufio.Reader) (packetTag, *packetBody, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	body := &packetBody{r: r}
	tag := packetTag(first & 0x3f)
	switch {
	case first&0x80 == 0:
		return 0, nil, errors.New("it is not an OpenPGP message")
	case first&0x40 != 0:
		err = body.readLength()
	default:
		tag >>= 2
		if form := first & 3; form == formToTheEnd {
			body.toEnd = true
		} else {
			err = body.readNumber(1 << form)
		}
	}
	if err == nil && (body.parts || body.toEnd) && !tag.isData() {
		err = fmt.Errorf("OpenPGP packet %d has no length", tag)
	}
	return tag, body, err
}
