package rdiff

import (
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/md4" //lint:ignore SA1019 the hash of every signature stock sessions write
)

// A strong computes strong sums into a field of its own, so that a block
// costs no allocation. A returned slice is valid until the next call.
type strong struct {
	blake2b bool
	open    hash.Hash // of a block that comes in parts, and of every MD4 block
	value   [maxStrongLen]byte
}

// reset makes s compute sums of the one kind or the other.
func (s *strong) reset(blake2b bool) {
	if s.blake2b != blake2b {
		*s = strong{blake2b: blake2b}
	} else if s.open != nil {
		s.open.Reset()
	}
}

// of returns the untruncated sum of block.
func (s *strong) of(block []byte) []byte {
	if s.blake2b {
		s.value = blake2b.Sum256(block)
		return s.value[:]
	}
	s.part(block)
	return s.end()
}

// part appends p to the open block.
func (s *strong) part(p []byte) {
	if s.open == nil {
		s.open = newHash(s.blake2b)
	}
	s.open.Write(p) // a hash.Hash never returns an error
}

// end returns the sum of the open block and begins the next.
func (s *strong) end() []byte {
	sum := s.open.Sum(s.value[:0])
	s.open.Reset()
	return sum
}

func newHash(blake bool) hash.Hash {
	if !blake {
		return md4.New()
	}
	h, err := blake2b.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong, and there is none
	}
	return h
}
