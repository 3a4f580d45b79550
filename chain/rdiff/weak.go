package rdiff

import "encoding/binary"

// A weak is the sum of a stretch of bytes that can be moved along a file byte
// by byte. librsync has two: the rolling checksum of rsync (two 16-bit sums,
// here kept modulo 2^32 and cut when read) and Rabin-Karp (a polynomial
// modulo 2^32).
type weak struct {
	rabinKarp bool
	n         uint32 // bytes in the sum
	a         uint32 // rollsum: sum of bytes; Rabin-Karp: the hash
	b         uint32 // rollsum: sum of the sums; Rabin-Karp: rkMult to the power of n
}

const (
	charOffset = 31 // added by rollsum to every byte

	rkSeed = 1 // makes runs of zeros of different length differ
	rkMult = 0x08104225
	rkInv  = 0x98f009ad        // rkMult * rkInv == 1 modulo 2^32
	rkAdj  = rkMult - 1*rkSeed // takes the seed out with the byte that leaves
)

func newWeak(rabinKarp bool) weak {
	w := weak{rabinKarp: rabinKarp}
	w.reset()
	return w
}

func (w *weak) reset() {
	w.n, w.a, w.b = 0, 0, 0
	if w.rabinKarp {
		w.a, w.b = rkSeed, 1
	}
}

// sum returns the value a signature stores.
func (w *weak) sum() uint32 {
	if w.rabinKarp {
		return w.a
	}
	return w.b<<16 | w.a&0xffff
}

// of replaces the sum with that of p.
func (w *weak) of(p []byte) uint32 {
	w.reset()
	w.update(p)
	return w.sum()
}

// update appends p.
func (w *weak) update(p []byte) {
	n := uint32(len(p))
	w.n += n
	if w.rabinKarp {
		w.a = rkUpdate(w.a, p)
		w.b *= rkPow(n)
		return
	}
	s1, s2 := byteSums(p)
	w.b += n*w.a + s2 + charOffset*uint32(uint64(n)*uint64(n+1)/2)
	w.a += s1 + charOffset*n
}

// rotate drops the first byte, out, and appends in.
func (w *weak) rotate(out, in byte) {
	if w.rabinKarp {
		w.a = w.a*rkMult + uint32(in) - w.b*(uint32(out)+rkAdj)
		return
	}
	w.a += uint32(in) - uint32(out)
	w.b += w.a - w.n*(uint32(out)+charOffset)
}

// rollOut drops the first byte, out.
func (w *weak) rollOut(out byte) {
	if w.rabinKarp {
		w.b *= rkInv
		w.a -= w.b * (uint32(out) + rkAdj)
	} else {
		w.a -= uint32(out) + charOffset
		w.b -= w.n * (uint32(out) + charOffset)
	}
	w.n--
}

// roll moves the sum along a file until f may hold it, at most len(out)
// bytes: out holds the bytes that leave, in those that enter. It returns the
// number of bytes moved.
func (w *weak) roll(f *filter, out, in []byte) int {
	if w.rabinKarp {
		return w.rollRabinKarp(f, out, in)
	}
	return w.rollRollsum(f, out, in)
}

func (w *weak) rollRollsum(f *filter, out, in []byte) int {
	a, b, n := w.a, w.b, w.n
	in = in[:len(out)]
	i := 0
	for ; i < len(out); i++ {
		if f.has(b<<16 | a&0xffff) {
			break
		}
		o := uint32(out[i])
		a += uint32(in[i]) - o
		b += a - n*(o+charOffset)
	}
	w.a, w.b = a, b
	return i
}

func (w *weak) rollRabinKarp(f *filter, out, in []byte) int {
	a, b := w.a, w.b
	in = in[:len(out)]
	i := 0
	for ; i < len(out); i++ {
		if f.has(a) {
			break
		}
		a = a*rkMult + uint32(in[i]) - b*(uint32(out[i])+rkAdj)
	}
	w.a = a
	return i
}

// Bytes are summed eight at a time in the 16-bit lanes of two words. A lane
// holds its share of a stretch this long without overflow: the largest is
// prefix, 510 * (0+1+...+15) = 61200.
const laneStretch = 128

// byteSums returns the sum of p's bytes and the sum of all its prefix sums,
// both modulo 2^16.
func byteSums(p []byte) (s1, s2 uint32) {
	for ; len(p) >= laneStretch; p = p[laneStretch:] {
		t1, t2 := stretchSums((*[laneStretch]byte)(p))
		s2 += laneStretch*s1 + t2
		s1 += t1
	}
	for _, c := range p {
		s1 += uint32(c)
		s2 += s1
	}
	return s1, s2
}

func stretchSums(p *[laneStretch]byte) (s1, s2 uint32) {
	const (
		lanes = 0x00ff00ff00ff00ff
		// How often the bytes of a word count within it, eight for the
		// first: the highest lane of the product collects the total.
		evenWeights = 8<<48 | 6<<32 | 4<<16 | 2
		oddWeights  = 7<<48 | 5<<32 | 3<<16 | 1
	)
	var even, odd, prefix uint64
	for i := 0; i < laneStretch; i += 16 {
		x := binary.LittleEndian.Uint64(p[i:])
		y := binary.LittleEndian.Uint64(p[i+8:])
		prefix += even + odd
		even += x & lanes
		odd += x >> 8 & lanes
		prefix += even + odd
		even += y & lanes
		odd += y >> 8 & lanes
	}
	s1 = laneSum(even + odd)
	s2 = 8*laneSum(prefix) + uint32(even*evenWeights>>48) + uint32(odd*oddWeights>>48)
	return s1, s2
}

func laneSum(v uint64) uint32 {
	const pairs = 0x0000ffff0000ffff
	v = v&pairs + v>>16&pairs
	return uint32(v) + uint32(v>>32)
}

// rkUpdate appends p to a Rabin-Karp hash, four bytes for one dependent
// multiplication.
func rkUpdate(hash uint32, p []byte) uint32 {
	const (
		mult2 = rkMult * rkMult & 0xffffffff
		mult3 = mult2 * rkMult & 0xffffffff
		mult4 = mult3 * rkMult & 0xffffffff
	)
	for ; len(p) >= 4; p = p[4:] {
		hash = hash*mult4 + uint32(p[0])*mult3 + uint32(p[1])*mult2 + uint32(p[2])*rkMult + uint32(p[3])
	}
	for _, c := range p {
		hash = hash*rkMult + uint32(c)
	}
	return hash
}

func rkPow(n uint32) uint32 {
	pow, square := uint32(1), uint32(rkMult)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			pow *= square
		}
		square *= square
	}
	return pow
}
