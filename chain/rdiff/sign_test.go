package rdiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/crypto/blake2b"
)

// boundarySizes returns file sizes around the ends of blocks.
func boundarySizes(blockLen int) []int {
	sizes := []int{0, 1}
	for _, blocks := range []int{1, 3} {
		n := blocks * blockLen
		sizes = append(sizes, n-1, n, n+1)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

func TestSignatureEqualsRdiff(t *testing.T) {
	needs(t, "rdiff")
	for _, kind := range kinds {
		for _, c := range []struct{ blockLen, strongLen int }{
			{1, 1}, {7, 16}, {127, 5}, {128, 8}, {129, 12}, {512, 8}, {2048, 16}, {5000, 3},
		} {
			t.Run(fmt.Sprintf("%s/%d/%d", kind.name, c.blockLen, c.strongLen), func(t *testing.T) {
				args := append([]string{"-b", strconv.Itoa(c.blockLen), "-S", strconv.Itoa(c.strongLen)}, kind.flags...)
				args = append(args, "signature")
				for _, size := range boundarySizes(c.blockLen) {
					content := randomBytes(newRand(uint64(size)), size)
					got := signAll(t, content, Params{kind.magic, c.blockLen, c.strongLen})
					if want := mustRdiff(t, args, content); !bytes.Equal(got, want) {
						t.Errorf("size %d: signature differs from rdiff's", size)
					}
				}
			})
		}
	}
}

func TestFullStrongSums(t *testing.T) {
	needs(t, "rdiff")
	content := bytes.Repeat([]byte("\xff\x00\x80"), 70000)
	for _, kind := range kinds {
		want := mustRdiff(t, append(kind.flags, "-b", "2048", "signature"), content)
		strongLen := int(binary.BigEndian.Uint32(want[8:]))
		if got := signAll(t, content, Params{kind.magic, 2048, strongLen}); !bytes.Equal(got, want) {
			t.Errorf("%s: signature differs from rdiff's", kind.name)
		}
	}
}

func TestParamsFor(t *testing.T) {
	for _, c := range []struct {
		size     int64
		blockLen int
	}{
		{-1, 512}, {0, 512}, {1023999, 512}, {1024000, 512}, {2047999, 512}, {2048000, 1024},
		{3072000, 1536}, {4096000, 2048}, {1 << 30, 2048}, {4<<30 - 1, 2048},
		{4 << 30, 4096}, {16<<30 - 1, 4096}, {16 << 30, 8192}, {64<<30 - 1, 8192},
		{64 << 30, 16384}, {1 << 60, 16384},
	} {
		want := Params{MagicBLAKE2b, c.blockLen, 8}
		if c.size >= 4<<30 {
			want.StrongLen = 12
		}
		if got := ParamsFor(c.size); got != want {
			t.Errorf("ParamsFor(%d) = %+v, want %+v", c.size, got, want)
		}
	}
}

func TestBadParams(t *testing.T) {
	for _, p := range []Params{
		{}, {magicDelta, 512, 8}, {MagicMD4, 0, 8}, {MagicMD4, -1, 8}, {MagicMD4, maxBlockLen + 1, 8},
		{MagicMD4, 512, 0}, {MagicMD4, 512, 17}, {MagicRabinKarpMD4, 512, 17},
		{MagicBLAKE2b, 512, 33}, {MagicBLAKE2b, 512, -1},
	} {
		if _, err := NewSigner(io.Discard, p); err == nil {
			t.Errorf("NewSigner accepts %+v", p)
		}
		header := binary.BigEndian.AppendUint32(nil, p.Magic)
		header = binary.BigEndian.AppendUint32(header, uint32(p.BlockLen))
		header = binary.BigEndian.AppendUint32(header, uint32(p.StrongLen))
		if _, err := OpenSignature(bytes.NewReader(header), 12); !errors.Is(err, ErrCorrupt) {
			t.Errorf("OpenSignature of %+v: %v", p, err)
		}
	}
	for _, blockLen := range []int{-1, 0, maxBlockLen + 1} {
		if _, err := NewDigester(blockLen); err == nil {
			t.Errorf("NewDigester accepts %d", blockLen)
		}
	}
}

func TestOpenSignature(t *testing.T) {
	p := Params{MagicBLAKE2b, 512, 12}
	good := signAll(t, make([]byte, 1025), p)
	sig := openSignature(t, good)
	if sig.Params() != p || sig.Blocks() != 3 {
		t.Errorf("signature of 1025 bytes: %+v, %d blocks", sig.Params(), sig.Blocks())
	}
	for n := range good {
		_, err := OpenSignature(bytes.NewReader(good[:n]), int64(n))
		if whole := n >= 12 && (n-12)%16 == 0; whole != (err == nil) || !whole && !errors.Is(err, ErrCorrupt) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	if _, err := OpenSignature(bytes.NewReader(good[:4]), 28); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("source shorter than its size: %v", err)
	}
	huge := bytes.Clone(good)
	binary.BigEndian.PutUint32(huge[4:], maxBlockLen)
	if _, err := OpenSignature(bytes.NewReader(huge), 12+16<<40); !errors.Is(err, ErrCorrupt) {
		t.Errorf("2^40 blocks of 64 MiB: %v", err)
	}
}

func TestDigest(t *testing.T) {
	const blockLen = 512
	for _, size := range boundarySizes(blockLen) {
		content := randomBytes(newRand(uint64(size)), size)
		var sums []byte
		for block := range slices.Chunk(content, blockLen) {
			sum := blake2b.Sum256(block)
			sums = append(sums, sum[:]...)
		}
		sums = binary.BigEndian.AppendUint64(sums, uint64(size))
		want := blake2b.Sum256(binary.BigEndian.AppendUint32(sums, blockLen))

		s, err := NewSigner(io.Discard, Params{MagicBLAKE2b, blockLen, 12})
		if err != nil {
			t.Fatal(err)
		}
		d, err := NewDigester(blockLen)
		if err != nil {
			t.Fatal(err)
		}
		r := newRand(uint64(size))
		writePieces(t, s, content, r)
		writePieces(t, d, content, r)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !bytes.Equal(s.Digest(), want[:]) || !bytes.Equal(d.Sum(), want[:]) {
				t.Errorf("size %d: Signer gives %x, Digester %x, want %x", size, s.Digest(), d.Sum(), want)
			}
		}
		if _, err := d.Write([]byte{1}); err == nil {
			t.Error("Digester accepts content after Sum")
		}
		if _, err := s.Write([]byte{1}); err == nil {
			t.Error("Signer accepts content after Close")
		}
	}
}

func TestNoDigestForMD4(t *testing.T) {
	s, err := NewSigner(io.Discard, Params{MagicMD4, 512, 8})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if d := s.Digest(); d != nil {
		t.Errorf("Digest() = %x", d)
	}
}

func TestNoAllocationPerBlock(t *testing.T) {
	for _, kind := range kinds {
		s, err := NewSigner(io.Discard, Params{kind.magic, 2048, 12})
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, 100*2048+1)
		if n := testing.AllocsPerRun(5, func() { s.Write(content) }); n > 0 {
			t.Errorf("%s: %v allocations for 100 blocks", kind.name, n)
		}
	}
}

// Rolling a sum along must give what summing afresh gives.
func TestWeakSums(t *testing.T) {
	content := randomBytes(newRand(1), 3000)
	for _, rabinKarp := range []bool{false, true} {
		for _, n := range []int{1, 2, 127, 128, 129, 1000} {
			w, fresh := newWeak(rabinKarp), newWeak(rabinKarp)
			w.update(content[:n/3])
			w.update(content[n/3 : n])
			for i := 0; ; i++ {
				if got, want := w.sum(), fresh.of(content[i:i+n]); got != want {
					t.Fatalf("rabinKarp %v: sum of %d bytes at %d is %08x, want %08x", rabinKarp, n, i, got, want)
				}
				if i+n == len(content) {
					break
				}
				w.rotate(content[i], content[i+n])
			}
			for i := len(content) - n; i < len(content); i++ {
				w.rollOut(content[i])
				if got, want := w.sum(), fresh.of(content[i+1:]); got != want {
					t.Fatalf("rabinKarp %v: sum from %d is %08x, want %08x", rabinKarp, i+1, got, want)
				}
			}
		}
	}
}

// The lanes of byteSums must hold the largest bytes there are.
func TestByteSumsOfLargestBytes(t *testing.T) {
	b := bytes.Repeat([]byte{0xff}, 10000)
	s1, s2 := byteSums(b)
	if want := uint16(255 * 10000 & 0xffff); uint16(s1) != want {
		t.Errorf("sum is %d, want %d", uint16(s1), want)
	}
	if want := uint16(255 * 10000 * 10001 / 2 & 0xffff); uint16(s2) != want {
		t.Errorf("sum of sums is %d, want %d", uint16(s2), want)
	}
}

// failAfter is a writer that fails at its n-th call.
type failAfter struct{ n int }

var errFull = errors.New("device full")

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestSignerErrorSticks(t *testing.T) {
	for n := range 3 {
		s, err := NewSigner(&failAfter{n}, Params{MagicBLAKE2b, 512, 12})
		if n == 0 {
			if !errors.Is(err, errFull) {
				t.Errorf("NewSigner: %v", err)
			}
			continue
		}
		_, err = s.Write(make([]byte, 200*512))
		if err == nil {
			t.Fatalf("Write with failure at call %d succeeds", n)
		}
		if !errors.Is(s.Close(), errFull) {
			t.Error("Close forgets the error")
		}
	}
	s, err := NewSigner(&failAfter{1}, Params{MagicBLAKE2b, 512, 12})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("less than a batch")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); !errors.Is(err, errFull) {
			t.Errorf("Close: %v", err)
		}
	}
}
