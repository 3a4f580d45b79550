// Package rdiff reads and writes librsync signatures and deltas: the form in
// which a chain remembers a file's content (a signature) and stores what
// changed in it (a delta). The rdiff program reads and writes the same bytes.
//
// All of it streams. Memory depends on the block length and on fixed limits,
// never on the size of a file, a signature or a delta.
package rdiff

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/md4" //lint:ignore SA1019 the hash of every signature stock sessions write
)

// Magic numbers that open a signature. Each names a pair of sums: a weak one
// that can be rolled along a file and a strong one that decides.
const (
	MagicMD4              = 0x72730136 // rollsum and MD4: what stock sessions write
	MagicBLAKE2b          = 0x72730137 // rollsum and BLAKE2b-256: what ours write
	MagicRabinKarpMD4     = 0x72730146 // readable from librsync 2.2 on
	MagicRabinKarpBLAKE2b = 0x72730147
)

const (
	signatureHeaderLen = 12 // magic, block length, strong length
	weakLen            = 4  // bytes of a weak sum
	maxStrongLen       = blake2b.Size256
	maxStrongLenMD4    = md4.Size

	// rdiff itself takes the square root of the size, which makes 64 MiB the
	// block length of a file of 4 PiB.
	maxBlockLen = 64 << 20
)

// What our sessions write: see ParamsFor.
const (
	// As much of a strong sum as stock keeps: with the weak sum, 96 bits have
	// to agree by chance for a wrong match, and the whole-file digest would
	// still tell. Sums don't compress, so that every byte here shows in what
	// a session stores. Large files have more pairs of blocks to mistake.
	sessionStrongLen = 8
	largeStrongLen   = 12

	// Stock's choice: 512 bytes for small files, then about 2000 blocks a
	// file, until its --max-blocksize stops that.
	stockMinBlockLen = 512
	stockBlocks      = 2000
	stockMaxBlockLen = 2048

	// Ours goes on from there, so that sums take one byte in 256 of a
	// file at 4 GiB and one in 1024 of the largest.
	largeFile     = int64(4) << 30
	largeBlockLen = 4096
	hugeFile      = int64(16) << 30
	hugeBlockLen  = 8192
	giantFile     = int64(64) << 30
	giantBlockLen = 16384

	// Pieces of a file are a multiple of every block length.
	sparseMaxBlockLen = 128 << 10
)

// ErrCorrupt is wrapped by every error about bytes that are no signature or
// no delta, or a delta that doesn't fit its base.
var ErrCorrupt = errors.New("corrupt librsync stream")

// Params are what a signature's header says.
type Params struct {
	Magic     uint32
	BlockLen  int // bytes of the file per block
	StrongLen int // bytes kept of each strong sum
}

// ParamsFor returns the parameters our sessions give a file of size bytes.
// Below 4 GiB the block lengths are stock's. Beyond, they grow with the file:
// with stock's 2 KiB a file of 64 GiB would carry half a gigabyte of sums
// through every later session.
func ParamsFor(size int64) Params {
	p := Params{Magic: MagicBLAKE2b, BlockLen: blockLenFor(size), StrongLen: sessionStrongLen}
	if size >= largeFile {
		p.StrongLen = largeStrongLen
	}
	return p
}

func blockLenFor(size int64) int {
	switch {
	case size >= giantFile:
		return giantBlockLen
	case size >= hugeFile:
		return hugeBlockLen
	case size >= largeFile:
		return largeBlockLen
	}
	blocks := size / (stockBlocks * stockMinBlockLen)
	return int(min(max(blocks*stockMinBlockLen, stockMinBlockLen), stockMaxBlockLen))
}

// SparseParamsFor returns the parameters for a large file of which a session
// changes little, if a finer signature is at hand to find that: blocks of
// about the square root of its size, in a power of two.
func SparseParamsFor(size int64) Params {
	p := ParamsFor(size)
	for int64(p.BlockLen)*int64(p.BlockLen) < size && p.BlockLen < sparseMaxBlockLen {
		p.BlockLen *= 2
	}
	return p
}

func (p Params) check() error {
	limit := maxStrongLen
	switch p.Magic {
	case MagicMD4, MagicRabinKarpMD4:
		limit = maxStrongLenMD4
	case MagicBLAKE2b, MagicRabinKarpBLAKE2b:
	default:
		return fmt.Errorf("unknown magic number 0x%08x", p.Magic)
	}
	if p.BlockLen < 1 || p.BlockLen > maxBlockLen {
		return fmt.Errorf("block length %d is not between 1 and %d", p.BlockLen, maxBlockLen)
	}
	if p.StrongLen < 1 || p.StrongLen > limit {
		return fmt.Errorf("strong sum length %d is not between 1 and %d", p.StrongLen, limit)
	}
	return nil
}

// sumLen is the space one block takes in a signature.
func (p Params) sumLen() int { return weakLen + p.StrongLen }

func (p Params) weak() weak {
	return newWeak(p.Magic == MagicRabinKarpMD4 || p.Magic == MagicRabinKarpBLAKE2b)
}

func (p Params) blake2b() bool {
	return p.Magic == MagicBLAKE2b || p.Magic == MagicRabinKarpBLAKE2b
}

// readFull fills p from off. A source that ends before is broken: every
// caller has checked its ranges against the size it was given.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
