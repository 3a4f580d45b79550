package rdiff

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

const (
	benchSize  = 64 << 20
	benchPiece = 256 << 10
)

// writeBench writes content in pieces of the length a session reads.
func writeBench(b *testing.B, w io.Writer, content []byte) {
	b.Helper()
	for len(content) > 0 {
		n := min(benchPiece, len(content))
		if _, err := w.Write(content[:n]); err != nil {
			b.Fatal(err)
		}
		content = content[n:]
	}
}

func BenchmarkSign(b *testing.B) {
	content := randomBytes(newRand(30), benchSize)
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				s, err := NewSigner(io.Discard, Params{kind.magic, 2048, 12})
				if err != nil {
					b.Fatal(err)
				}
				writeBench(b, s, content)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	content := randomBytes(newRand(30), benchSize)
	b.SetBytes(benchSize)
	for b.Loop() {
		d, err := NewDigester(2048)
		if err != nil {
			b.Fatal(err)
		}
		writeBench(b, d, content)
		d.Sum()
	}
}

func BenchmarkWeak(b *testing.B) {
	block := randomBytes(newRand(30), 2048)
	for _, rabinKarp := range []bool{false, true} {
		b.Run(fmt.Sprintf("rabinKarp=%v", rabinKarp), func(b *testing.B) {
			w := newWeak(rabinKarp)
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				w.of(block)
			}
		})
	}
}

func BenchmarkDelta(b *testing.B) {
	old := randomBytes(newRand(31), benchSize)
	inPlace := bytes.Clone(old)
	for at := 0; at < len(old); at += 100 << 10 {
		inPlace[at]++
	}
	for _, c := range []struct {
		name string
		new  []byte
	}{
		{"unchanged", old},
		{"in-place", inPlace},
		{"shifted", join([]byte("x"), old)},
		{"all-new", randomBytes(newRand(32), benchSize)},
	} {
		for _, kind := range kinds {
			b.Run(c.name+"/"+kind.name, func(b *testing.B) {
				benchDelta(b, signAll(b, old, Params{kind.magic, 2048, 12}), c.new)
			})
		}
	}
}

// A signature of 2^20 blocks, of which the window holds an eighth.
func BenchmarkDeltaWindow(b *testing.B) {
	signature := signAll(b, nil, Params{MagicBLAKE2b, 2048, 12})
	signature = append(signature, randomBytes(newRand(33), 16<<20)...)
	benchDelta(b, signature, randomBytes(newRand(34), benchSize))
}

// The files a session has most of.
func BenchmarkDeltaSmall(b *testing.B) {
	old := randomBytes(newRand(35), 20000)
	benchDelta(b, signAll(b, old, ParamsFor(20000)), join(old[:9000], []byte("x"), old[9001:]))
}

func benchDelta(b *testing.B, signature, new []byte) {
	b.Helper()
	sig := openSignature(b, signature)
	d := NewDeltaWriter(io.Discard, sig)
	b.SetBytes(int64(len(new)))
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(io.Discard, sig)
		writeBench(b, d, new)
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// Every level overwrites a byte in each 100 KiB, each time elsewhere.
func BenchmarkVersionChain(b *testing.B) {
	const size = 16 << 20
	for _, levels := range []int{1, 5, 30} {
		b.Run(fmt.Sprint(levels), func(b *testing.B) {
			content := randomBytes(newRand(36), size)
			var v SizedReaderAt = bytes.NewReader(content)
			for level := range levels {
				signature := signAll(b, content, Params{MagicBLAKE2b, 2048, 12})
				content = bytes.Clone(content)
				for at := level * 3000; at < size; at += 100 << 10 {
					content[at]++
				}
				v = openVersion(b, v, deltaAll(b, signature, content, windowBlocks))
			}
			b.SetBytes(size)
			b.ReportAllocs()
			p := make([]byte, benchPiece)
			for b.Loop() {
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.NewSectionReader(v, 0, size)}, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
