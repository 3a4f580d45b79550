package rdiff

import (
	"encoding/binary"
	"fmt"
	"hash"
)

// blockTree is the whole-file digest of a signature with BLAKE2b sums. It
// hashes the sums that exist anyway, so it costs a Signer next to nothing:
//
//	BLAKE2b-256(sum of block 1 || ... || sum of block n || u64 size || u32 block length)
//
// with the sums untruncated and the integers big-endian.
type blockTree struct {
	root     hash.Hash
	blockLen int
	size     uint64 // of the file, in bytes
	result   []byte
}

// reset begins another file.
func (t *blockTree) reset(blockLen int) {
	if t.root == nil {
		t.root = newHash(true)
	}
	t.root.Reset()
	t.blockLen, t.size, t.result = blockLen, 0, nil
}

func (t *blockTree) add(sum []byte) { t.root.Write(sum) }

// sum ends the tree; further calls return the same value.
func (t *blockTree) sum() []byte {
	if t.result == nil {
		tail := binary.BigEndian.AppendUint64(nil, t.size)
		t.root.Write(binary.BigEndian.AppendUint32(tail, uint32(t.blockLen)))
		t.result = t.root.Sum(nil)
	}
	return t.result
}

// A Digester computes the digest a Signer gives for the same content and
// block length, without the signature.
type Digester struct {
	split  splitter
	strong strong
	tree   blockTree
}

// NewDigester returns a Digester for blocks of blockLen bytes. Block lengths
// that no signature can have are an error.
func NewDigester(blockLen int) (*Digester, error) {
	d := new(Digester)
	return d, d.Reset(blockLen)
}

// Reset makes d compute another digest, as a new one would.
func (d *Digester) Reset(blockLen int) error {
	p := Params{Magic: MagicBLAKE2b, BlockLen: blockLen, StrongLen: maxStrongLen}
	if err := p.check(); err != nil {
		return fmt.Errorf("digest content: %w", err)
	}
	d.split = splitter{blockLen: blockLen}
	d.strong.reset(true)
	d.tree.reset(blockLen)
	return nil
}

// Write adds content. It fails only after Sum.
func (d *Digester) Write(p []byte) (int, error) {
	if d.tree.result != nil {
		return 0, fmt.Errorf("digest content: %w", errClosed)
	}
	if err := d.split.write(p, d); err != nil {
		return 0, err
	}
	d.tree.size += uint64(len(p))
	return len(p), nil
}

// Sum ends the content and returns its digest, 32 bytes.
func (d *Digester) Sum() []byte {
	if d.split.open > 0 {
		d.split.open = 0
		d.tree.add(d.strong.end())
	}
	return d.tree.sum()
}

func (d *Digester) whole(block []byte) error {
	d.tree.add(d.strong.of(block))
	return nil
}

func (d *Digester) part(p []byte) { d.strong.part(p) }

func (d *Digester) end() error {
	d.tree.add(d.strong.end())
	return nil
}
