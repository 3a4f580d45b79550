package rdiff

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"testing/iotest"
)

func openVersion(t testing.TB, base SizedReaderAt, delta []byte) *Version {
	t.Helper()
	v, err := OpenVersion(base, bytes.NewReader(delta), int64(len(delta)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Deltas that are none. Patch, OpenVersion and rdiff must all refuse them.
var corruptDeltas = map[string]string{
	"nothing":                "",
	"half a header":          "7273",
	"signature":              "72730137 00000200 00000008",
	"no end":                 "72730236",
	"no end after literal":   "72730236 0161",
	"no end after copy":      "72730236 450005",
	"empty literal":          "72730236 4100 00",
	"empty copy":             "72730236 450000 00",
	"half a literal":         "72730236 056161",
	"half a length":          "72730236 4200",
	"half a copy":            "72730236 4500",
	"reserved 55":            "72730236 55 00",
	"reserved ff":            "72730236 ff 00",
	"copy past the base":     "72730236 450006 00",
	"copy from past base":    "72730236 450601 00",
	"copy from base end":     "72730236 450501 00",
	"negative literal":       "72730236 44ffffffffffffffff 00",
	"literal beyond delta":   "72730236 447fffffffffffffff 00",
	"negative start":         "72730236 51800000000000000001 00",
	"negative length":        "72730236 480080000000000000ff 00",
	"start and length wrap":  "72730236 547fffffffffffffff7fffffffffffffff 00",
	"length of all there is": "72730236 48017fffffffffffffff 00",
}

func TestCorruptDelta(t *testing.T) {
	base := []byte("hello")
	for name, text := range corruptDeltas {
		delta := unhex(t, text)
		if _, err := patchAll(base, delta); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Patch: %v", name, err)
		}
		_, err := OpenVersion(bytes.NewReader(base), bytes.NewReader(delta), int64(len(delta)))
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: OpenVersion: %v", name, err)
		}
	}
}

func TestRdiffRefusesThem(t *testing.T) {
	needs(t, "rdiff")
	for name, text := range corruptDeltas {
		if _, err := rdiff(t, []string{"patch"}, []byte("hello"), unhex(t, text)); err == nil {
			t.Errorf("%s: rdiff patches", name)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(text), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What follows the end command is no concern of a delta's reader.
func TestBytesAfterEnd(t *testing.T) {
	delta := unhex(t, "72730236 026869 450005 00 ffff")
	checkPatch(t, []byte("hello"), delta, []byte("hihello"))
	v := openVersion(t, bytes.NewReader([]byte("hello")), delta)
	if v.Size() != 7 {
		t.Errorf("Size() = %d", v.Size())
	}
}

// A size larger than any file must not wrap around.
func TestVersionTooLarge(t *testing.T) {
	const half = math.MaxInt64/2 + 1
	delta := unhex(t, "72730236 4800 4000000000000000 4800 4000000000000000 00")
	_, err := OpenVersion(io.NewSectionReader(zeros{}, 0, half), bytes.NewReader(delta), int64(len(delta)))
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("OpenVersion: %v", err)
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// A chain of versions reads as the contents it was made from, in order and at
// random, at every level.
func TestVersionChain(t *testing.T) {
	r := newRand(11)
	content := randomBytes(r, 150000)
	var v SizedReaderAt = bytes.NewReader(content)
	for level := range 30 {
		e := singleEdits[2+level%7]
		new := e.do(r, content)
		if len(new) < 50000 || len(new) > 300000 {
			new = randomBytes(r, 150000)
		}
		delta := deltaAll(t, signAll(t, content, Params{MagicBLAKE2b, 512, 12}), new, windowBlocks)
		v, content = openVersion(t, v, delta), new
		checkVersion(t, v, content)
	}
}

func checkVersion(t *testing.T, v SizedReaderAt, want []byte) {
	t.Helper()
	if v.Size() != int64(len(want)) {
		t.Fatalf("Size() = %d, want %d", v.Size(), len(want))
	}
	got, err := io.ReadAll(io.NewSectionReader(v, 0, v.Size()))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read in order differs: %v", err)
	}
	r := newRand(uint64(len(want)))
	for range 100 {
		from, to := stretch(r, want)
		p := make([]byte, min(to-from, 5000))
		if _, err := v.ReadAt(p, int64(from)); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(p, want[from:from+len(p)]) {
			t.Fatalf("%d bytes at %d differ", len(p), from)
		}
	}
}

func TestVersionIsAReader(t *testing.T) {
	old := randomBytes(newRand(12), 9000)
	new := join([]byte("first"), old[3000:], old[:4000], []byte("last"))
	v := openVersion(t, bytes.NewReader(old), deltaAll(t, signAll(t, old, Params{MagicMD4, 100, 8}), new, windowBlocks))
	if err := iotest.TestReader(io.NewSectionReader(v, 0, v.Size()), new); err != nil {
		t.Error(err)
	}
	if n, err := v.ReadAt(make([]byte, 10), v.Size()-3); n != 3 || err != io.EOF {
		t.Errorf("ReadAt across the end = %d, %v", n, err)
	}
	if n, err := v.ReadAt(make([]byte, 1), v.Size()); n != 0 || err != io.EOF {
		t.Errorf("ReadAt at the end = %d, %v", n, err)
	}
	if _, err := v.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt before the start succeeds")
	}
}

// A delta with far more commands than marks: every command must still be
// found, and the marks stay few.
func TestVersionManyCommands(t *testing.T) {
	base := randomBytes(newRand(13), 1000)
	const count = 10*maxMarks + 7
	delta := unhex(t, "72730236")
	var want []byte
	r := newRand(14)
	for i := range count {
		if i%3 == 0 {
			delta = append(command{kind: kindLiteral, length: 2}.append(delta), byte(i), byte(i>>8))
			want = append(want, byte(i), byte(i>>8))
			continue
		}
		from := r.IntN(len(base) - 9)
		n := 1 + r.IntN(9)
		delta = command{kind: kindCopy, start: int64(from), length: int64(n)}.append(delta)
		want = append(want, base[from:from+n]...)
	}
	v := openVersion(t, bytes.NewReader(base), append(delta, opEnd))
	checkVersion(t, v, want)
	if n := len(v.marks.places); n != count/16+1 || v.marks.stride != 16 {
		t.Errorf("%d marks for %d commands, one in %d", n, count, v.marks.stride)
	}
	if n := 16*cap(v.marks.places) + cap(v.delta.buf); n > 100<<10 {
		t.Errorf("version takes %d bytes", n)
	}
}

func TestVersionConcurrentReads(t *testing.T) {
	old := randomBytes(newRand(15), 100000)
	new := join(old[50000:], []byte("middle"), old[:50000])
	v := openVersion(t, bytes.NewReader(old), deltaAll(t, signAll(t, old, Params{MagicMD4, 100, 8}), new, windowBlocks))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { checkVersion(t, v, new) })
	}
	wg.Wait()
}

// Sources that break after the delta was checked give errors.
func TestVersionReadErrors(t *testing.T) {
	base := bytes.Repeat([]byte("0123456789"), 1000)
	delta := join(unhex(t, "72730236"), command{kind: kindCopy, length: 10000}.append(nil),
		command{kind: kindLiteral, length: 9000}.append(nil), base[:9000], []byte{opEnd})
	for n := 1; ; n++ {
		src := &failingReader{ReaderAt: bytes.NewReader(delta), left: n}
		v, err := OpenVersion(bytes.NewReader(base), src, int64(len(delta)))
		if err == nil {
			_, err = io.Copy(io.Discard, io.NewSectionReader(v, 0, v.Size()))
		}
		if src.left >= 0 {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, errMedium) {
			t.Fatalf("read %d of the delta fails: %v", n, err)
		}
	}
	short := io.NewSectionReader(bytes.NewReader(base[:500]), 0, 10000)
	v := openVersion(t, short, delta)
	if _, err := v.ReadAt(make([]byte, 1000), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("base shorter than its size: %v", err)
	}
}

func TestPatchErrors(t *testing.T) {
	base := bytes.NewReader([]byte("hello"))
	delta := unhex(t, "72730236 026869 450005 00")
	for n := range 2 {
		if err := Patch(&failAfter{n}, base, 5, bytes.NewReader(delta)); !errors.Is(err, errFull) {
			t.Errorf("write %d fails: %v", n, err)
		}
	}
	for n := range len(delta) {
		in := io.MultiReader(bytes.NewReader(delta[:n]), iotest.ErrReader(errMedium))
		if err := Patch(io.Discard, base, 5, in); !errors.Is(err, errMedium) {
			t.Errorf("delta fails after %d bytes: %v", n, err)
		}
	}
	if err := Patch(io.Discard, &failingReader{ReaderAt: base}, 5, bytes.NewReader(delta)); !errors.Is(err, errMedium) {
		t.Errorf("base fails: %v", err)
	}
}

func ExampleVersion() {
	base := bytes.NewReader([]byte("the first version"))
	delta := []byte("\x72\x73\x02\x36\x45\x00\x04\x06second\x45\x09\x08\x00")
	v, err := OpenVersion(base, bytes.NewReader(delta), int64(len(delta)))
	if err != nil {
		fmt.Println(err)
		return
	}
	content, err := io.ReadAll(io.NewSectionReader(v, 0, v.Size()))
	fmt.Println(string(content), err)
	// Output: the second version <nil>
}
