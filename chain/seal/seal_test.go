package seal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

const testSecret = "correct horse battery staple"

// text returns n bytes that compress like a log; noise returns n that don't.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("info warn error GET PUT /usr/share/doc /var/lib open close denied 200 404 eth0 started")
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%06d %s %s %s\n", r.IntN(1e6), words[r.IntN(len(words))], words[r.IntN(len(words))], words[r.IntN(len(words))])
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func newSealer(t testing.TB, e Encoding) *Sealer {
	t.Helper()
	s, err := NewSealer(Options{Encoding: e, Secret: []byte(testSecret)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sealBlocks seals data in blocks of the given length.
func sealBlocks(t testing.TB, s *Sealer, data []byte, block int) []byte {
	t.Helper()
	var b bytes.Buffer
	env, err := s.Seal(&b)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(data, block) {
		seg, err := s.Compress(nil, part)
		if err != nil {
			t.Fatal(err)
		}
		if err := env.WriteSegment(seg); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// open reads a stored file to its end.
func open(o *Opener, stored []byte, e Encoding) ([]byte, error) {
	r, err := o.Open(bytes.NewReader(stored), e)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func newOpener() *Opener { return NewOpener([]byte(testSecret), OpenOptions{}) }

func mustOpen(t testing.TB, o *Opener, stored []byte, e Encoding) []byte {
	t.Helper()
	data, err := open(o, stored, e)
	if err != nil {
		t.Fatalf("open %s: %v", e, err)
	}
	return data
}

func sameData(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes with sum %x, want %d with %x", what,
			len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
	}
}

func TestEncodingNames(t *testing.T) {
	for _, e := range Encodings() {
		if got, err := ParseEncoding(e.String()); got != e || err != nil {
			t.Errorf("ParseEncoding(%q) = %v, %v", e.String(), got, err)
		}
		if got, err := ParseSuffix(e.Suffix()); got != e || err != nil {
			t.Errorf("ParseSuffix(%q) = %v, %v", e.Suffix(), got, err)
		}
	}
	for _, s := range []string{"gz", ".bz2", ".age", ".zst", ".GPG"} {
		if e, err := ParseSuffix(s); err == nil {
			t.Errorf("ParseSuffix(%q) = %v", s, e)
		}
	}
	if e, err := ParseEncoding(""); err == nil {
		t.Errorf("ParseEncoding(\"\") = %v", e)
	}
	manifests := map[Encoding]Encoding{Plain: Plain, Gzip: Plain, GPG: GPG, ZstdAge: ZstdAge}
	for e, want := range manifests {
		if got := e.ManifestEncoding(); got != want {
			t.Errorf("%v.ManifestEncoding() = %v, want %v", e, got, want)
		}
	}
}

func TestNewSealerRefuses(t *testing.T) {
	for _, opts := range []Options{{}, {Encoding: 9}, {Encoding: GPG}, {Encoding: ZstdAge}} {
		if _, err := NewSealer(opts); err == nil {
			t.Errorf("NewSealer(%v) without error", opts)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	sizes := []int{0, 1, 2, 100, 191, 192, 193, 8383, 8384, 1<<16 - 30, 1 << 16, 1<<16 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1}
	for n := 500; n <= 520; n++ {
		sizes = append(sizes, n)
	}
	data, rough := text(1<<20+1), noise(1<<20+1)
	o := newOpener()
	for _, e := range Encodings() {
		s := newSealer(t, e)
		for _, n := range sizes {
			for _, d := range [][]byte{data[:n], rough[:n]} {
				sameData(t, fmt.Sprintf("%s of %d", e, n), mustOpen(t, o, sealBlocks(t, s, d, 1<<18), e), d)
			}
		}
	}
}

func TestBlocksOfAnySize(t *testing.T) {
	data := append(text(3000), noise(3000)...)
	o := newOpener()
	for _, e := range Encodings() {
		s := newSealer(t, e)
		for _, block := range []int{1, 2, 7, 64, 505, 506, 512, 513, 4096, 6000} {
			sameData(t, fmt.Sprintf("%s by %d", e, block), mustOpen(t, o, sealBlocks(t, s, data, block), e), data)
		}
	}
}

func TestWriter(t *testing.T) {
	data := append(text(5*BlockSize+17), noise(BlockSize)...)
	o := newOpener()
	for _, e := range Encodings() {
		s := newSealer(t, e)
		for _, n := range []int{0, 1, BlockSize - 1, BlockSize, BlockSize + 1, len(data)} {
			var b bytes.Buffer
			w := s.NewWriter(&b)
			if _, err := io.CopyBuffer(struct{ io.Writer }{w}, bytes.NewReader(data[:n]), make([]byte, 77777)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			sameData(t, fmt.Sprintf("%s of %d", e, n), mustOpen(t, o, b.Bytes(), e), data[:n])
		}
	}
}

// One Sealer and one Opener serve many files at the same time.
func TestConcurrentUse(t *testing.T) {
	data := text(300000)
	o := newOpener()
	for _, e := range Encodings() {
		s := newSealer(t, e)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				want := data[i*1000:]
				got, err := open(o, sealBlocks(t, s, want, 50000), e)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: file %d: %v", e, i, err)
				}
			})
		}
		wg.Wait()
	}
}

// failAfter fails once it has taken n bytes.
type failAfter struct{ n int }

var errFull = errors.New("no space left")

func (w *failAfter) Write(p []byte) (int, error) {
	if len(p) > w.n {
		n := w.n
		w.n = 0
		return n, errFull
	}
	w.n -= len(p)
	return len(p), nil
}

// An error of the underlying writer reaches the caller wherever it happens,
// and stays.
func TestWriteErrors(t *testing.T) {
	data := noise(200000)
	for _, e := range Encodings() {
		s := newSealer(t, e)
		whole := len(sealBlocks(t, s, data, len(data)))
		for _, n := range []int{0, 1, 20, 100, 1000, 69999, 150000, whole - 1} {
			w := s.NewWriter(&failAfter{n})
			_, err := w.Write(data)
			closed := w.Close()
			if !errors.Is(errors.Join(err, closed), errFull) {
				t.Errorf("%s: failure after %d: write: %v, close: %v", e, n, err, closed)
			}
			if err := w.Close(); err == nil {
				t.Errorf("%s: a second Close returns nil", e)
			}
			if _, err := w.Write(data); err == nil {
				t.Errorf("%s: Write after Close returns nil", e)
			}
		}
	}
}

func TestEnvelopeAfterClose(t *testing.T) {
	for _, e := range Encodings() {
		env, err := newSealer(t, e).Seal(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		if env.Close() == nil || env.WriteSegment([]byte("x")) == nil {
			t.Errorf("%s: a closed envelope takes more", e)
		}
	}
}

// The cost of a weak secret is in the header of age; for gpg see
// TestGPGListsOurs.
func TestWeakSecret(t *testing.T) {
	s, err := NewSealer(Options{Encoding: ZstdAge, Secret: []byte("abc"), WeakSecret: true})
	if err != nil {
		t.Fatal(err)
	}
	header := sealBlocks(t, s, nil, 1)[:80]
	if want := fmt.Sprintf(" %d\n", weakLogN); !bytes.Contains(header, []byte(want)) {
		t.Errorf("header %q", header)
	}
}

// Readers give the same whatever pieces the source comes in.
func TestSmallReads(t *testing.T) {
	data := text(20000)
	for _, e := range Encodings() {
		stored := sealBlocks(t, newSealer(t, e), data, 5000)
		r, err := newOpener().Open(iotest.OneByteReader(bytes.NewReader(stored)), e)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, data); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
}

func TestCloseOpened(t *testing.T) {
	for _, e := range Encodings() {
		o := newOpener()
		stored := sealBlocks(t, newSealer(t, e), text(10000), 5000)
		r, err := o.Open(bytes.NewReader(stored), e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("%s: %v", e, err)
		}
		if n, err := r.Read(make([]byte, 10)); n > 0 || err == nil || err == io.EOF {
			t.Errorf("%s: read after Close: %d, %v", e, n, err)
		}
		sameData(t, e.String(), mustOpen(t, o, stored, e), text(10000)) // with what was given back
	}
}

func TestOpenUnknownEncoding(t *testing.T) {
	if _, err := newOpener().Open(bytes.NewReader(nil), 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// A gzip file of ours is one member, so that any cut can be seen.
func TestGzipIsOneMember(t *testing.T) {
	data := text(100000)
	r := bytes.NewReader(sealBlocks(t, newSealer(t, Gzip), data, 1000))
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	got, err := io.ReadAll(z)
	if err != nil || r.Len() > 0 {
		t.Fatalf("%v, %d bytes left", err, r.Len())
	}
	sameData(t, "member", got, data)
}

func TestGzipMembers(t *testing.T) {
	var b bytes.Buffer
	for _, part := range []string{"one ", "", "two"} {
		z := gzip.NewWriter(&b)
		z.Name = "part"
		io.WriteString(z, part)
		z.Close()
	}
	sameData(t, "members", mustOpen(t, newOpener(), b.Bytes(), Gzip), []byte("one two"))
}

func TestGzipForeignSegment(t *testing.T) {
	env, err := newSealer(t, Gzip).Seal(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := env.WriteSegment([]byte("short")); err == nil {
		t.Error("a segment without tail is taken")
	}
}

// The cost of a secret is in the file, and a reader refuses to pay any.
func TestAgeWorkFactor(t *testing.T) {
	stored := sealBlocks(t, newSealer(t, ZstdAge), nil, 1)
	if want := fmt.Sprintf(" %d\n", strongLogN); !bytes.Contains(stored[:80], []byte(want)) {
		t.Errorf("header %q", stored[:80])
	}
	for _, n := range []string{"23", "30", "64", "-1", "0"} {
		bad := bytes.Replace(stored, []byte(" 10\n"), []byte(" "+n+"\n"), 1)
		if _, err := open(newOpener(), bad, ZstdAge); !errors.Is(err, ErrDamaged) {
			t.Errorf("work factor %s: %v", n, err)
		}
	}
}

// Noise must not grow, and must not be worth a second thought.
func TestNoiseStaysItsSize(t *testing.T) {
	data := noise(BlockSize)
	for _, e := range Encodings() {
		if n := len(sealBlocks(t, newSealer(t, e), data, BlockSize)); n > BlockSize+BlockSize/1000 {
			t.Errorf("%s: %d bytes became %d", e, BlockSize, n)
		}
	}
}

// Files of one Sealer have nothing in common after their headers.
func TestFilesDiffer(t *testing.T) {
	for _, e := range []Encoding{GPG, ZstdAge} {
		s := newSealer(t, e)
		a, b := sealBlocks(t, s, text(500), 500), sealBlocks(t, s, text(500), 500)
		if n := min(len(a), len(b)) / 2; bytes.Equal(a[n:n+16], b[n:n+16]) {
			t.Errorf("%s: two files share cipher text", e)
		}
	}
}
