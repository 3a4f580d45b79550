package rdiff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
)

// Every edit, with every kind of signature, against rdiff in both directions.
func TestDeltaAgainstRdiff(t *testing.T) {
	needs(t, "rdiff")
	for k, kind := range kinds {
		for e, edit := range edits {
			t.Run(kind.name+"/"+edit.name, func(t *testing.T) {
				for i, size := range []int{100, 4000, 60000, 300000} {
					r := newRand(uint64(1000*k + 10*e + i))
					old := randomBytes(r, size)
					compareDeltas(t, kind.magic, 1<<(5+2*i), old, edit.do(r, old))
				}
			})
		}
	}
}

func TestDeltaAtBlockBoundaries(t *testing.T) {
	needs(t, "rdiff")
	const blockLen = 64
	content := randomBytes(newRand(3), 6*blockLen)
	for _, oldSize := range boundarySizes(blockLen) {
		for _, newSize := range boundarySizes(blockLen) {
			compareDeltas(t, MagicBLAKE2b, blockLen, content[:oldSize], content[:newSize])
			compareDeltas(t, MagicMD4, blockLen, content[:oldSize], join([]byte("x"), content[:newSize]))
		}
	}
}

// compareDeltas checks that rdiff's delta and ours each patch with the other
// program, and that ours is about as small.
func compareDeltas(t *testing.T, magic uint32, blockLen int, old, new []byte) {
	t.Helper()
	signature := signAll(t, old, Params{magic, blockLen, 8})
	ours := deltaAll(t, signature, new, windowBlocks)
	theirs := mustRdiff(t, []string{"delta"}, signature, new)
	checkPatch(t, old, ours, new)
	checkPatch(t, old, theirs, new)
	if patched := mustRdiff(t, []string{"patch"}, old, ours); !bytes.Equal(patched, new) {
		t.Errorf("rdiff doesn't patch %d bytes to %d with our delta", len(old), len(new))
	}
	if len(ours) > len(theirs)*102/100+64 {
		t.Errorf("delta from %d bytes to %d has %d bytes, rdiff's %d", len(old), len(new), len(ours), len(theirs))
	}
}

// Deltas without surprises have the very bytes of rdiff's.
func TestDeltaEqualsRdiff(t *testing.T) {
	needs(t, "rdiff")
	old := randomBytes(newRand(4), 70000)
	signature := signAll(t, old, Params{MagicMD4, 512, 8})
	for name, new := range map[string][]byte{
		"same":          old,
		"empty":         nil,
		"short literal": join(old[:1024], []byte("abc"), old[1024:]),
		"long literal":  join(old[:1024], make([]byte, 65), old[1024:]),
		"longer":        join(old[:1024], make([]byte, 256), old[1024:]),
		"swapped":       join(old[32768:], old[:32768]),
		"short tail":    old[len(old)-len(old)%512:],
	} {
		got, want := deltaAll(t, signature, new, windowBlocks), mustRdiff(t, []string{"delta"}, signature, new)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: delta of %d bytes differs from rdiff's of %d", name, len(got), len(want))
		}
	}
}

// A signature without blocks makes a delta of literals.
func TestDeltaFromEmpty(t *testing.T) {
	new := randomBytes(newRand(5), 200000)
	delta := deltaAll(t, signAll(t, nil, ParamsFor(0)), new, windowBlocks)
	checkPatch(t, nil, delta, new)
	if len(delta) > len(new)+64 {
		t.Errorf("delta has %d bytes for %d", len(delta), len(new))
	}
}

// With a window far smaller than the signature every delta must still patch.
func TestSmallWindowPatches(t *testing.T) {
	for e, edit := range edits {
		for window := 2; window < 40; window += 9 {
			for seed := range uint64(4) {
				r := newRand(uint64(100*e) + seed)
				old := randomBytes(r, 1+r.IntN(100000))
				new := edit.do(r, old)
				delta := deltaAll(t, signAll(t, old, Params{kinds[seed].magic, 64, 8}), new, window)
				checkPatch(t, old, delta, new)
			}
		}
	}
}

// With a small window, prediction, window and samples together must find what
// stayed.
func TestSmallWindowFinds(t *testing.T) {
	const (
		blockLen = 64
		window   = 32
		blocks   = 4096
		stride   = blocks/(window/2) + 1
	)
	old := randomBytes(newRand(6), blocks*blockLen+17)
	inPlace := bytes.Clone(old)
	for at := 1000; at < len(old); at += 5000 {
		inPlace[at] ^= 1
	}
	far := blockLen * (blocks/2 + 100) // far from a sample
	fresh := randomBytes(newRand(7), far)
	for name, c := range map[string]struct {
		new   []byte
		limit int // bytes of delta
	}{
		"in place":          {inPlace, len(old) / 5000 * (blockLen + 16)},
		"small insertion":   {join(old[:1111], []byte("xyz"), old[1111:]), 200},
		"small deletion":    {join(old[:1111], old[1114:]), 200},
		"overwritten":       {join(old[:1024], fresh[:4*blockLen], old[1024+4*blockLen:]), 4*blockLen + 100},
		"large insertion":   {join(old[:1024], fresh, old[1024:]), len(fresh) + 2*stride*blockLen},
		"large deletion":    {join(old[:1024], old[far:]), 2 * stride * blockLen},
		"large overwritten": {join(old[:1024], fresh[1024:], old[far:]), len(fresh) + 2*stride*blockLen},
		"swapped halves":    {join(old[far:], old[:far]), 3 * stride * blockLen},
		"appended":          {join(old, fresh), len(fresh) + 200},
	} {
		delta := deltaAll(t, signAll(t, old, Params{MagicBLAKE2b, blockLen, 8}), c.new, window)
		checkPatch(t, old, delta, c.new)
		if len(delta) > c.limit {
			t.Errorf("%s: delta has %d bytes, want at most %d", name, len(delta), c.limit)
		}
	}
}

// After a stretch that was overwritten in place the next block is at hand,
// however long the stretch.
func TestOverwrittenStretch(t *testing.T) {
	const (
		blockLen = 512
		window   = 2048
		blocks   = 8 * window
		resume   = blockLen * (blocks/2 + 3) // between samples
	)
	old := randomBytes(newRand(27), blocks*blockLen)
	new := join(old[:1024], randomBytes(newRand(28), resume-1024), old[resume:])
	delta := deltaAll(t, signAll(t, old, Params{MagicBLAKE2b, blockLen, 8}), new, window)
	checkPatch(t, old, delta, new)
	if limit := resume + 1000; len(delta) > limit {
		t.Errorf("delta has %d bytes, want at most %d", len(delta), limit)
	}
}

// Matches from all over a large file must not move the window each time.
func TestWindowMovesSeldom(t *testing.T) {
	const blockLen, blocks, window = 64, 8192, 512
	r := newRand(16)
	old := randomBytes(r, blockLen*blocks)
	var new []byte
	for _, i := range r.Perm(blocks) {
		new = append(new, old[i*blockLen:(i+1)*blockLen]...)
	}
	signature := signAll(t, old, Params{MagicBLAKE2b, blockLen, 8})
	src := &countingReader{ReaderAt: bytes.NewReader(signature), size: window / 2 * 12}
	sig, err := OpenSignature(src, int64(len(signature)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := newDeltaWriter(&out, sig, window)
	writePieces(t, d, new, r)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	checkPatch(t, old, out.Bytes(), new)
	if limit := blocks/(window/2/8) + 1; src.count > limit {
		t.Errorf("window moved %d times, want at most %d", src.count, limit)
	}
}

// countingReader counts the reads of size bytes.
type countingReader struct {
	io.ReaderAt
	size  int
	count int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == c.size {
		c.count++
	}
	return c.ReaderAt.ReadAt(p, off)
}

// Unchanged content takes no index and few reads of the signature.
func TestUnchangedIsPredicted(t *testing.T) {
	old := randomBytes(newRand(19), 10000*32)
	signature := signAll(t, old, Params{MagicBLAKE2b, 32, 8})
	reads := 1 + 5 + 10000/lookaheadMax + 1
	src := &failingReader{ReaderAt: bytes.NewReader(signature), left: reads}
	sig, err := OpenSignature(src, int64(len(signature)))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDeltaWriter(io.Discard, sig)
	writePieces(t, d, old, newRand(19))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d.index.loaded {
		t.Error("unchanged content loads the index")
	}
}

// Wherever the next match is expected, the window must reach from an eighth
// before it to a quarter after it.
func TestWindowPlace(t *testing.T) {
	const blocks, window = 5000, 256
	p := Params{MagicBLAKE2b, 64, 8}
	signature := signAll(t, nil, p)
	signature = append(signature, randomBytes(newRand(25), blocks*p.sumLen())...)
	var x index
	x.reset(openSignature(t, signature), 2*window)
	r := newRand(26)
	for i := range int64(2000) {
		expected := r.Int64N(blocks + 100)
		if err := x.cover(expected, i*window); err != nil {
			t.Fatal(err)
		}
		from, to := max(0, min(expected-window/8, blocks-1)), max(0, min(expected+window/4, blocks))
		if x.first > from || x.first+int64(x.window) < to {
			t.Errorf("window at %d of %d blocks for a match expected at %d", x.first, x.window, expected)
		}
	}
}

// When the signature fits, a block is found wherever it went.
func TestEveryBlockIsFound(t *testing.T) {
	const blockLen, blocks = 32, 500
	r := newRand(8)
	old := randomBytes(r, blockLen*blocks)
	var new []byte
	for _, i := range r.Perm(blocks) {
		new = append(new, old[i*blockLen:(i+1)*blockLen]...)
		new = append(new, randomBytes(r, r.IntN(3))...)
	}
	for _, kind := range kinds {
		delta := deltaAll(t, signAll(t, old, Params{kind.magic, blockLen, 8}), new, blocks)
		checkPatch(t, old, delta, new)
		if limit := blocks * (1 + 2 + 1 + 3); len(delta) > limit {
			t.Errorf("%s: delta has %d bytes, want at most %d", kind.name, len(delta), limit)
		}
	}
}

// A writer used again must not remember the file before, in particular after
// an error and with another kind of signature.
func TestReset(t *testing.T) {
	r := newRand(9)
	d := newDeltaWriter(&failAfter{0}, openSignature(t, signAll(t, nil, ParamsFor(0))), windowBlocks)
	if _, err := d.Write(make([]byte, 1<<20)); !errors.Is(err, errFull) {
		t.Errorf("Write: %v", err)
	}
	if err := d.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: %v", err)
	}
	for i := range 60 {
		old := randomBytes(r, r.IntN(1<<r.IntN(17)))
		new := edits[i%len(edits)].do(r, old)
		signature := signAll(t, old, Params{kinds[i%4].magic, 16 << r.IntN(8), 8})
		var out bytes.Buffer
		d.Reset(&out, openSignature(t, signature))
		writePieces(t, d, new, r)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if want := deltaAll(t, signature, new, windowBlocks); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%d: delta differs from a new writer's", i)
		}
	}
	if _, err := d.Write([]byte("x")); err == nil {
		t.Error("Write after Close succeeds")
	}
}

// A source that fails must fail the delta, at whichever read.
func TestSignatureReadError(t *testing.T) {
	old := randomBytes(newRand(10), 100000)
	new := join(old[50000:], []byte("x"), old[:50000])
	signature := signAll(t, old, Params{MagicBLAKE2b, 64, 8})
	for n := 1; ; n++ {
		src := &failingReader{ReaderAt: bytes.NewReader(signature), left: n}
		sig, err := OpenSignature(src, int64(len(signature)))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		d := newDeltaWriter(&out, sig, 100)
		_, werr := d.Write(new)
		cerr := d.Close()
		if src.left >= 0 {
			checkPatch(t, old, out.Bytes(), new)
			return
		}
		if !errors.Is(cerr, errMedium) || werr != nil && !errors.Is(werr, errMedium) {
			t.Fatalf("read %d fails: Write %v, Close %v", n, werr, cerr)
		}
	}
}

// A writer that fails must fail the delta, at whichever write.
func TestDeltaWriteError(t *testing.T) {
	old := randomBytes(newRand(17), 50000)
	new := join(randomBytes(newRand(18), 20000), old[20000:], []byte("end"))
	sig := openSignature(t, signAll(t, old, ParamsFor(50000)))
	for n := range 100 {
		w := &failAfter{n}
		d := NewDeltaWriter(w, sig)
		_, werr := d.Write(new)
		cerr := d.Close()
		if w.n >= 0 {
			if werr != nil || cerr != nil || n < 3 {
				t.Errorf("%d writes: Write %v, Close %v", n, werr, cerr)
			}
			return
		}
		if !errors.Is(cerr, errFull) || werr != nil && !errors.Is(werr, errFull) {
			t.Fatalf("write %d fails: Write %v, Close %v", n, werr, cerr)
		}
	}
}

var errMedium = errors.New("medium error")

// failingReader fails once it has been read left times.
type failingReader struct {
	io.ReaderAt
	left int
}

func (f *failingReader) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errMedium
	}
	return f.ReaderAt.ReadAt(p, off)
}

// Many blocks with one weak sum and different content must not make every
// byte a search through all of them.
func TestOneWeakSum(t *testing.T) {
	const blockLen, blocks = 64, 5000
	var old []byte
	for i := range blocks {
		block := bytes.Repeat([]byte{100}, blockLen)
		for at := range 12 { // +1 -2 +1 changes neither of the two sums
			if i>>at&1 == 1 {
				block[4*at]++
				block[4*at+1] -= 2
				block[4*at+2]++
			}
		}
		old = append(old, block...)
	}
	signature := signAll(t, old, Params{MagicBLAKE2b, blockLen, 8})
	if n := longestChain(t, signature); n != maxChain {
		t.Errorf("the longest chain has %d blocks, want %d", n, maxChain)
	}
	new := join([]byte("x"), old)
	checkPatch(t, old, deltaAll(t, signature, new, windowBlocks), new)
}

// Of equal blocks the index holds one.
func TestEqualBlocks(t *testing.T) {
	if n := longestChain(t, signAll(t, make([]byte, 64*1000), Params{MagicMD4, 64, 8})); n != 1 {
		t.Errorf("the longest chain has %d blocks, want 1", n)
	}
}

func longestChain(t *testing.T, signature []byte) int {
	t.Helper()
	var x index
	x.reset(openSignature(t, signature), windowBlocks)
	if err := x.cover(0, 0); err != nil {
		t.Fatal(err)
	}
	longest := 0
	for _, e := range x.heads {
		n := 0
		for ; e != 0; e = x.links[e].next {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

func TestCommandWidths(t *testing.T) {
	for _, c := range []struct {
		c    command
		want string
	}{
		{command{kind: kindEnd}, "00"},
		{command{kind: kindLiteral, length: 1}, "01"},
		{command{kind: kindLiteral, length: 64}, "40"},
		{command{kind: kindLiteral, length: 65}, "4141"},
		{command{kind: kindLiteral, length: 255}, "41ff"},
		{command{kind: kindLiteral, length: 256}, "420100"},
		{command{kind: kindLiteral, length: 65536}, "4300010000"},
		{command{kind: kindLiteral, length: 1 << 32}, "440000000100000000"},
		{command{kind: kindCopy, start: 0, length: 1}, "450001"},
		{command{kind: kindCopy, start: 255, length: 256}, "46ff0100"},
		{command{kind: kindCopy, start: 256, length: 255}, "490100ff"},
		{command{kind: kindCopy, start: 1 << 32, length: 1 << 16}, "53000000010000000000010000"},
		{command{kind: kindCopy, start: 1<<63 - 1, length: 1<<63 - 1}, "547fffffffffffffff7fffffffffffffff"},
	} {
		b := c.c.append(nil)
		if got := fmt.Sprintf("%x", b); got != c.want {
			t.Errorf("%+v is written as %s, want %s", c.c, got, c.want)
		}
		got, n, err := parseCommand(b)
		if got != c.c || n != len(b) || err != nil {
			t.Errorf("%s reads as %+v, %d, %v", c.want, got, n, err)
		}
	}
}

// Memory must follow the signature, not the other way round.
func TestDeltaMemory(t *testing.T) {
	for _, c := range []struct {
		blocks, strongLen int
		limit             int // bytes
	}{
		{10, 12, 4 << 10}, {1000, 8, 40 << 10}, {windowBlocks, 12, 9 << 20}, {windowBlocks * 2, 32, 12 << 20},
	} {
		t.Run(strconv.Itoa(c.blocks), func(t *testing.T) {
			p := Params{MagicBLAKE2b, 512, c.strongLen}
			signature := signAll(t, nil, p)
			r := newRand(uint64(c.blocks))
			signature = append(signature, randomBytes(r, c.blocks*p.sumLen())...)
			d := NewDeltaWriter(io.Discard, openSignature(t, signature))
			if _, err := d.Write(randomBytes(r, 1<<20)); err != nil {
				t.Fatal(err)
			}
			x := &d.index
			tables := cap(x.sums) + 4*cap(x.heads) + 8*cap(x.links) + 8*cap(x.filter.words)
			if tables > c.limit {
				t.Errorf("index takes %d bytes, want at most %d", tables, c.limit)
			}
			if rest := cap(d.buf) + cap(d.ahead.sums); rest > 128<<10 {
				t.Errorf("buffers take %d bytes", rest)
			}
		})
	}
}
