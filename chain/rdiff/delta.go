package rdiff

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// Content that matches nothing is written in literals of up to this many
	// bytes, the most that a two-byte length can say, or of one block if
	// blocks are longer.
	literalLen = 1<<16 - 1

	commandBuffer = 4 << 10
)

// A DeltaWriter writes the delta from the content a signature describes to
// the content written to it.
//
// After a match it expects the block that follows, which takes no search, so
// unchanged content costs its strong sums. Otherwise it looks for any block
// at every byte, in an index of at most 2^18 blocks (see index). Every match
// that rdiff finds is found if the signature has no more blocks than that. As
// in rdiff a short last block matches only at the end.
//
// Memory is about 12 MiB at most plus two blocks; small signatures take little.
// Reset keeps what is allocated.
type DeltaWriter struct {
	out    commandWriter
	sig    *Signature
	window int // blocks in the index
	index  index
	ahead  lookahead
	weak   weak
	strong strong

	// buf[:start] is done with, buf[start:pos] matched nothing and is not
	// written yet, the block at pos is looked at next. While rolling, weak is
	// the sum of the block at pos and the expected block is not there; while
	// not, start is pos.
	buf        []byte
	start, pos int
	rolling    bool

	seen     int64 // bytes of content before start
	matched  int64 // those before the end of the last match
	expected int64 // block after the last match
	err      error
}

// NewDeltaWriter returns a DeltaWriter for one delta. Errors of w and of the
// signature's source are returned by Write and Close.
func NewDeltaWriter(w io.Writer, sig *Signature) *DeltaWriter {
	return newDeltaWriter(w, sig, windowBlocks)
}

func newDeltaWriter(w io.Writer, sig *Signature, window int) *DeltaWriter {
	d := &DeltaWriter{window: window, out: commandWriter{w: bufio.NewWriterSize(nil, commandBuffer)}}
	d.Reset(w, sig)
	return d
}

// Reset makes d write another delta, whatever became of the one before.
func (d *DeltaWriter) Reset(w io.Writer, sig *Signature) {
	d.out.w.Reset(w)
	d.sig = sig
	d.index.reset(sig, d.window)
	d.ahead.reset()
	d.weak = sig.params.weak()
	d.strong.reset(sig.params.blake2b())
	d.buf, d.start, d.pos, d.rolling = d.buf[:0], 0, 0, false
	d.seen, d.matched, d.expected = 0, 0, 0
	d.err = d.out.begin()
}

// Write adds content. The first error sticks.
func (d *DeltaWriter) Write(p []byte) (int, error) {
	if d.err == nil {
		d.err = d.write(p)
	}
	if d.err != nil {
		return 0, d.err
	}
	return len(p), nil
}

// Close writes what is left and the end command. It doesn't close the writer
// below.
func (d *DeltaWriter) Close() error {
	if d.err != nil {
		return d.err
	}
	if d.err = d.finish(); d.err != nil {
		return d.err
	}
	d.err = fmt.Errorf("write delta: %w", errClosed)
	return nil
}

func (d *DeltaWriter) write(p []byte) error {
	blockLen := d.sig.params.BlockLen
	limit := max(literalLen, blockLen) + blockLen
	for {
		n, err := d.follow(p)
		if err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		n = min(limit-len(d.buf), len(p))
		d.buf = append(d.buf, p[:n]...)
		p = p[n:]
		if err := d.scan(); err != nil {
			return err
		}
		if err := d.reclaim(len(d.buf) == limit); err != nil {
			return err
		}
	}
}

// follow matches p with the blocks expected, without a copy, and returns the
// number of bytes that are dealt with. It does nothing while content waits
// that doesn't match.
func (d *DeltaWriter) follow(p []byte) (int, error) {
	if d.rolling {
		return 0, nil
	}
	blockLen, n := d.sig.params.BlockLen, 0
	if held := len(d.buf) - d.pos; held > 0 {
		if held+len(p) < blockLen {
			return 0, nil
		}
		n = blockLen - held
		d.buf = append(d.buf, p[:n]...)
		if err := d.scan(); err != nil || d.rolling {
			return n, err
		}
		d.buf, d.start, d.pos = d.buf[:0], 0, 0
	}
	for len(p)-n >= blockLen {
		ok, err := d.isExpected(p[n : n+blockLen])
		if err != nil || !ok {
			return n, err
		}
		if err := d.match(d.expected, blockLen); err != nil {
			return n, err
		}
		n += blockLen
	}
	return n, nil
}

// scan looks at everything in buf that has a block's length of content after
// it.
func (d *DeltaWriter) scan() error {
	blockLen := d.sig.params.BlockLen
	for len(d.buf)-d.pos >= blockLen {
		block := d.buf[d.pos : d.pos+blockLen]
		if !d.rolling {
			ok, err := d.isExpected(block)
			if err != nil {
				return err
			}
			if ok {
				if err := d.matchHere(d.expected, blockLen); err != nil {
					return err
				}
				continue
			}
			d.rolling = true
		}
		if err := d.roll(); err != nil || d.rolling {
			return err
		}
	}
	return nil
}

// roll moves on until a block matches or the content in buf ends with the
// block at pos, which is then not looked up yet.
func (d *DeltaWriter) roll() error {
	blockLen := d.sig.params.BlockLen
	if d.sig.blocks == 0 {
		d.pos = len(d.buf) - blockLen
		return nil
	}
	here := d.seen + int64(d.pos-d.start)
	inPlace := d.expected + (here-d.matched)/int64(blockLen)
	if err := d.index.cover(inPlace, here/int64(blockLen)); err != nil {
		return err
	}
	for {
		out, in := d.buf[d.pos:len(d.buf)-blockLen], d.buf[d.pos+blockLen:]
		d.pos += d.weak.roll(&d.index.filter, out, in)
		if d.pos+blockLen == len(d.buf) {
			return nil
		}
		if i, ok := d.index.find(d.weak.sum(), d.buf[d.pos:d.pos+blockLen], &d.strong); ok {
			return d.matchHere(i, blockLen)
		}
		d.weak.rotate(d.buf[d.pos], d.buf[d.pos+blockLen])
		d.pos++
	}
}

// finish deals with the last block's length of content.
func (d *DeltaWriter) finish() error {
	if d.sig.blocks > 0 && d.pos < len(d.buf) {
		if err := d.matchTail(); err != nil {
			return err
		}
	}
	d.pos = len(d.buf)
	if err := d.flushLiteral(); err != nil {
		return err
	}
	return d.out.end()
}

// matchTail looks for a match that ends where the content ends: of a whole
// block or, after it, of the signature's last block.
func (d *DeltaWriter) matchTail() error {
	if !d.rolling {
		d.weak.of(d.buf[d.pos:])
	} else if i, ok := d.index.find(d.weak.sum(), d.buf[d.pos:], &d.strong); ok {
		return d.matchHere(i, len(d.buf)-d.pos)
	}
	last, err := d.sums(d.sig.blocks - 1)
	if err != nil {
		return err
	}
	for ; d.pos < len(d.buf); d.pos++ {
		if tail := d.buf[d.pos:]; d.same(last, tail) {
			return d.matchHere(d.sig.blocks-1, len(tail))
		}
		d.weak.rollOut(d.buf[d.pos])
	}
	return nil
}

// isExpected reports whether block, a whole one, is the block after the last
// match. It leaves block's sum in weak.
func (d *DeltaWriter) isExpected(block []byte) (bool, error) {
	d.weak.of(block)
	if d.expected >= d.sig.blocks {
		return false, nil
	}
	sums, err := d.sums(d.expected)
	return err == nil && d.same(sums, block), err
}

// same reports whether sums are those of block, whose weak sum is in weak.
func (d *DeltaWriter) same(sums, block []byte) bool {
	return binary.BigEndian.Uint32(sums) == d.weak.sum() &&
		bytes.Equal(sums[weakLen:], d.strong.of(block)[:d.sig.params.StrongLen])
}

// sums returns the sums of block i, valid until the next call.
func (d *DeltaWriter) sums(i int64) ([]byte, error) {
	if sums, ok := d.index.windowed(i); ok {
		return sums, nil
	}
	return d.ahead.at(d.sig, i)
}

// matchHere notes that n bytes at pos are block i.
func (d *DeltaWriter) matchHere(i int64, n int) error {
	if err := d.flushLiteral(); err != nil {
		return err
	}
	d.pos += n
	d.start = d.pos
	return d.match(i, n)
}

func (d *DeltaWriter) match(i int64, n int) error {
	d.rolling = false
	d.seen += int64(n)
	d.matched, d.expected = d.seen, i+1
	return d.out.copy(i*int64(d.sig.params.BlockLen), int64(n))
}

func (d *DeltaWriter) flushLiteral() error {
	d.seen += int64(d.pos - d.start)
	err := d.out.literal(d.buf[d.start:d.pos])
	d.start = d.pos
	return err
}

// reclaim makes room in buf: all there is when it is full, otherwise what
// costs nothing to reclaim.
func (d *DeltaWriter) reclaim(full bool) error {
	if full {
		if err := d.flushLiteral(); err != nil {
			return err
		}
	}
	if d.start == d.pos {
		d.buf = d.buf[:copy(d.buf, d.buf[d.pos:])]
		d.start, d.pos = 0, 0
	}
	return nil
}
