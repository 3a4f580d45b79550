package rdiff

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// A Signature is a signature opened for matching. Its sums stay where they
// are and are read when needed, so it costs no memory. It may be used by
// several goroutines if its source may.
type Signature struct {
	params Params
	blocks int64
	r      io.ReaderAt
}

// OpenSignature reads the header of the signature that r holds in its first
// size bytes. All four magic numbers are accepted, with any block length to
// 64 MiB and any strong length the hash has. The error wraps ErrCorrupt if the
// header or the size is not a signature's.
func OpenSignature(r io.ReaderAt, size int64) (*Signature, error) {
	if size < signatureHeaderLen {
		return nil, fmt.Errorf("read signature: %w: %d bytes hold no header", ErrCorrupt, size)
	}
	var header [signatureHeaderLen]byte
	if err := readFull(r, header[:], 0); err != nil {
		return nil, fmt.Errorf("read signature: %w", err)
	}
	p, err := parseHeader(header[:])
	if err != nil {
		return nil, fmt.Errorf("read signature: %w: %w", ErrCorrupt, err)
	}
	body, sumLen := size-signatureHeaderLen, int64(p.sumLen())
	if body%sumLen != 0 {
		return nil, fmt.Errorf("read signature: %w: it ends inside a block's sums", ErrCorrupt)
	}
	if body/sumLen > math.MaxInt64/int64(p.BlockLen) {
		return nil, fmt.Errorf("read signature: %w: its blocks make no file size", ErrCorrupt)
	}
	return &Signature{params: p, blocks: body / sumLen, r: r}, nil
}

func parseHeader(b []byte) (Params, error) {
	blockLen, strongLen := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	p := Params{
		Magic:     binary.BigEndian.Uint32(b),
		BlockLen:  int(min(blockLen, maxBlockLen+1)), // kept in range of a 32-bit int
		StrongLen: int(min(strongLen, maxStrongLen+1)),
	}
	return p, p.check()
}

// Params returns what the header says.
func (s *Signature) Params() Params { return s.params }

// Blocks returns the number of blocks, the last of which may be short.
func (s *Signature) Blocks() int64 { return s.blocks }

// read fills dst with the sums of block first and those after it.
func (s *Signature) read(dst []byte, first int64) error {
	if err := readFull(s.r, dst, signatureHeaderLen+first*int64(s.params.sumLen())); err != nil {
		return fmt.Errorf("read signature at block %d: %w", first, err)
	}
	return nil
}

// Sums ahead of the last match are read in pieces that grow from the one
// number of blocks to the other while they are used up in order.
const (
	lookaheadMin = 32
	lookaheadMax = 1024
)

// A lookahead reads a signature's sums from front to back.
type lookahead struct {
	sums  []byte
	first int64 // block of the first sum
}

func (l *lookahead) reset() { l.sums = l.sums[:0] }

// at returns the sums of block i, valid until the next call.
func (l *lookahead) at(sig *Signature, i int64) ([]byte, error) {
	sumLen := sig.params.sumLen()
	held := int64(len(l.sums) / sumLen)
	if i < l.first || i >= l.first+held {
		n := int64(lookaheadMin)
		if i == l.first+held {
			n = min(max(n, 2*held), lookaheadMax)
		}
		if err := l.fill(sig, i, int(min(n, sig.blocks-i))*sumLen); err != nil {
			return nil, err
		}
	}
	at := int(i-l.first) * sumLen
	return l.sums[at : at+sumLen], nil
}

func (l *lookahead) fill(sig *Signature, first int64, size int) error {
	l.sums, l.first = resize(l.sums, size), first
	err := sig.read(l.sums, first)
	if err != nil {
		l.reset()
	}
	return err
}
