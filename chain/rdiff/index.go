package rdiff

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

const (
	// An index holds at most this many blocks, and their sums in at most this
	// many bytes. With tables and filter that makes up to 12 MiB.
	windowBlocks = 1 << 18
	windowBytes  = 8 << 20

	// A bucket takes no more blocks than this. Content gets nowhere near it,
	// but whoever makes thousands of blocks with one weak sum could otherwise
	// make a session compare all of them at every byte.
	maxChain = 128
)

// An index finds blocks of a signature by their sums. It holds the whole
// signature if that fits. Of a larger one it holds
//
//   - a window: all blocks around the place where the next match is expected;
//   - samples: every n-th block of the file, with which a delta finds its way
//     back after more was inserted, deleted or moved than the window covers.
//
// Tables are allocated for the blocks there are and kept for the next file.
type index struct {
	sig    *Signature
	limit  int // blocks
	loaded bool

	// sums holds those of blocks first, first+1, ... (window of them), then
	// those of blocks 0, stride, 2*stride, ...
	sums   []byte
	first  int64
	window int
	stride int64

	// movedAt is the new content seen, in blocks, when the window was placed.
	// It stays for an eighth of its length at least: the cost of a move is
	// that of a good deal of content, and matches may come from all over the
	// file in turn.
	movedAt int64

	// heads and links chain the entries with the same bucket; 0 is none, and
	// an entry's number is its place in sums plus 1.
	heads  []uint32
	links  []link
	shift  uint // of a mixed sum, to a bucket
	filter filter
}

// A link is an entry in the chain of its bucket. It repeats the entry's weak
// sum, which settles most comparisons with one access to memory.
type link struct {
	next uint32
	weak uint32
}

// reset begins with another signature, holding at most limit blocks, two at
// least.
func (x *index) reset(sig *Signature, limit int) {
	x.sig = sig
	x.limit = min(limit, windowBytes/sig.params.sumLen())
	x.loaded = false
}

// cover makes the index hold the blocks around the one expected next. seen
// is the new content so far, in blocks.
func (x *index) cover(expected, seen int64) error {
	if x.loaded && (x.covers(expected) || seen-x.movedAt < int64(x.window/8)) {
		return nil
	}
	if !x.loaded {
		if err := x.open(); err != nil {
			return err
		}
	}
	x.first = max(0, min(expected-int64(x.window/4), x.sig.blocks-int64(x.window)))
	x.loaded = false
	if err := x.sig.read(x.sums[:x.window*x.sig.params.sumLen()], x.first); err != nil {
		return err
	}
	x.loaded, x.movedAt = true, seen
	x.build()
	return nil
}

// covers leaves half a window to go before it asks for a move.
func (x *index) covers(expected int64) bool {
	end := x.first + int64(x.window)
	return (x.first == 0 || expected >= x.first+int64(x.window/8)) &&
		(end == x.sig.blocks || expected < end-int64(x.window/4))
}

// open shares the room between window and samples and reads the samples.
func (x *index) open() error {
	samples := 0
	x.window, x.stride = int(min(x.sig.blocks, int64(x.limit))), 0
	if x.sig.blocks > int64(x.limit) {
		x.window = x.limit - x.limit/2
		x.stride = (x.sig.blocks-1)/int64(x.limit/2) + 1
		samples = int((x.sig.blocks-1)/x.stride) + 1
	}
	sumLen := x.sig.params.sumLen()
	x.sums = resize(x.sums, (x.window+samples)*sumLen)
	for i := range samples {
		at := (x.window + i) * sumLen
		if err := x.sig.read(x.sums[at:at+sumLen], int64(i)*x.stride); err != nil {
			return err
		}
	}
	return nil
}

// build fills tables and filter from sums. Of blocks with the same content
// it keeps one.
func (x *index) build() {
	n := len(x.sums) / x.sig.params.sumLen()
	log := uint(bits.Len(uint(max(n, 4) - 1)))
	x.shift = 64 - log
	x.heads, x.links = resize(x.heads, 1<<log), resize(x.links, n+1)
	clear(x.heads)
	x.filter.reset(log - 1)
	for e := range n {
		entry := x.entry(e)
		sum := binary.BigEndian.Uint32(entry)
		head := &x.heads[mix(sum)>>(x.shift&63)]
		if !x.wanted(*head, entry) {
			continue
		}
		x.links[e+1] = link{next: *head, weak: sum}
		*head = uint32(e + 1)
		x.filter.add(sum)
	}
}

// wanted reports whether the chain from e has room for entry and lacks it.
func (x *index) wanted(e uint32, entry []byte) bool {
	for room := maxChain; e != 0; e = x.links[e].next {
		if room--; room == 0 || bytes.Equal(x.entry(int(e-1)), entry) {
			return false
		}
	}
	return true
}

func (x *index) entry(e int) []byte {
	sumLen := x.sig.params.sumLen()
	return x.sums[e*sumLen : (e+1)*sumLen]
}

// find returns the number of a block with the content of block, whose weak
// sum is sum.
func (x *index) find(sum uint32, block []byte, s *strong) (int64, bool) {
	var want []byte
	for e := x.heads[mix(sum)>>(x.shift&63)]; e != 0; e = x.links[e].next {
		if x.links[e].weak != sum {
			continue
		}
		if want == nil {
			want = s.of(block)[:x.sig.params.StrongLen]
		}
		if bytes.Equal(x.entry(int(e - 1))[weakLen:], want) {
			return x.block(int(e - 1)), true
		}
	}
	return 0, false
}

func (x *index) block(e int) int64 {
	if e < x.window {
		return x.first + int64(e)
	}
	return int64(e-x.window) * x.stride
}

// windowed returns the sums of block i if the window holds it.
func (x *index) windowed(i int64) ([]byte, bool) {
	if !x.loaded || i < x.first || i >= x.first+int64(x.window) {
		return nil, false
	}
	return x.entry(int(i - x.first)), true
}

// A filter says of most sums that were not added that they were not, and of
// those that were that they may have been: two bits for each, in one word, so
// that a question costs one access to memory.
type filter struct {
	words []uint64
	shift uint // of a mixed sum, to a word
}

// reset empties the filter and gives it 1<<log words.
func (f *filter) reset(log uint) {
	f.words = resize(f.words, 1<<log)
	clear(f.words)
	f.shift = 64 - log
}

func (f *filter) add(sum uint32) {
	h := mix(sum)
	f.words[h>>(f.shift&63)] |= filterBits(h)
}

func (f *filter) has(sum uint32) bool {
	h := mix(sum)
	return filterBits(h)&^f.words[h>>(f.shift&63)] == 0
}

func filterBits(h uint64) uint64 { return 1<<(h>>32&63) | 1<<(h>>38&63) }

// mix spreads a weak sum, best over the upper 32 bits: rollsums of similar
// blocks are close together.
func mix(sum uint32) uint64 { return uint64(sum) * 0x9e3779b97f4a7c15 }

// resize returns s with length n, its array if that is large enough. The
// content is whatever the array holds.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
