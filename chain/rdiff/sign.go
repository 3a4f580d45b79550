package rdiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errClosed = errors.New("already closed")

// blockSink receives a file cut in blocks: whole blocks as the caller's own
// bytes, others in parts.
type blockSink interface {
	whole(block []byte) error
	part(p []byte)
	end() error // the parts since the last block are one
}

// A splitter cuts what it is given in blocks without copying.
type splitter struct {
	blockLen int
	open     int // bytes of the open block handed on as parts
}

func (s *splitter) write(p []byte, sink blockSink) error {
	if s.open > 0 {
		n := min(s.blockLen-s.open, len(p))
		sink.part(p[:n])
		s.open += n
		p = p[n:]
		if s.open < s.blockLen {
			return nil
		}
		if err := s.close(sink); err != nil {
			return err
		}
	}
	for ; len(p) >= s.blockLen; p = p[s.blockLen:] {
		if err := sink.whole(p[:s.blockLen]); err != nil {
			return err
		}
	}
	if len(p) > 0 {
		sink.part(p)
		s.open = len(p)
	}
	return nil
}

// close ends the open block, if there is one.
func (s *splitter) close(sink blockSink) error {
	if s.open == 0 {
		return nil
	}
	s.open = 0
	return sink.end()
}

// Sums are written in batches of about this many bytes.
const signerBatch = 1 << 10

// A Signer writes the signature of the content written to it.
type Signer struct {
	w         io.Writer
	split     splitter
	weak      weak
	strong    strong
	strongLen int
	batch     []byte
	tree      blockTree
	hasDigest bool // MD4 protects nothing
	err       error
}

// NewSigner writes a signature's header to w and returns the Signer for the
// rest. Parameters that no signature can have are an error.
func NewSigner(w io.Writer, p Params) (*Signer, error) {
	s := &Signer{batch: make([]byte, 0, signerBatch+weakLen+maxStrongLen)}
	return s, s.Reset(w, p)
}

// Reset makes s write another signature, as a new one would, whatever became
// of the one before.
func (s *Signer) Reset(w io.Writer, p Params) error {
	s.w, s.split, s.strongLen, s.err = w, splitter{blockLen: p.BlockLen}, p.StrongLen, nil
	if s.err = p.check(); s.err != nil {
		s.err = fmt.Errorf("write signature: %w", s.err)
		return s.err
	}
	s.weak = p.weak()
	s.strong.reset(p.blake2b())
	if s.hasDigest = p.blake2b(); s.hasDigest {
		s.tree.reset(p.BlockLen)
	}
	s.batch = binary.BigEndian.AppendUint32(s.batch[:0], p.Magic)
	s.batch = binary.BigEndian.AppendUint32(s.batch, uint32(p.BlockLen))
	s.batch = binary.BigEndian.AppendUint32(s.batch, uint32(p.StrongLen))
	s.err = s.flush()
	return s.err
}

// Write adds file content. The first error sticks.
func (s *Signer) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.err = s.split.write(p, s); s.err != nil {
		return 0, s.err
	}
	s.tree.size += uint64(len(p))
	return len(p), nil
}

// Close writes the sums of the last, short block and all that is pending. It
// doesn't close the writer below.
func (s *Signer) Close() error {
	if s.err != nil {
		return s.err
	}
	if err := s.split.close(s); err != nil {
		s.err = err
		return err
	}
	if err := s.flush(); err != nil {
		s.err = err
		return err
	}
	s.err = fmt.Errorf("write signature: %w", errClosed)
	return nil
}

// Digest returns the digest of the whole content, as a Digester computes it.
// It may be called after Close, and is nil for MD4 signatures.
func (s *Signer) Digest() []byte {
	if !s.hasDigest {
		return nil
	}
	return s.tree.sum()
}

func (s *Signer) whole(block []byte) error {
	return s.add(s.weak.of(block), s.strong.of(block))
}

func (s *Signer) part(p []byte) {
	s.weak.update(p)
	s.strong.part(p)
}

func (s *Signer) end() error {
	return s.add(s.weak.sum(), s.strong.end())
}

func (s *Signer) add(weak uint32, strong []byte) error {
	s.weak.reset()
	if s.hasDigest {
		s.tree.add(strong)
	}
	s.batch = binary.BigEndian.AppendUint32(s.batch, weak)
	s.batch = append(s.batch, strong[:s.strongLen]...)
	if len(s.batch) < signerBatch {
		return nil
	}
	return s.flush()
}

func (s *Signer) flush() error {
	if _, err := s.w.Write(s.batch); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	s.batch = s.batch[:0]
	return nil
}
