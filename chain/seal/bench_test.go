package seal

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// corpora returns what the benchmarks compress: a file named by the
// environment (SEAL_CORPUS, say a tar of /usr/share/doc), or made-up text;
// and noise.
func corpora(b *testing.B) map[string][]byte {
	all := map[string][]byte{"text": text(16 << 20), "noise": noise(16 << 20)}
	if name := os.Getenv("SEAL_CORPUS"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		all["corpus"] = data[:min(len(data), 64<<20)]
	}
	return all
}

func forEach(b *testing.B, f func(b *testing.B, s *Sealer, e Encoding, data []byte)) {
	for name, data := range corpora(b) {
		for _, e := range Encodings() {
			b.Run(e.String()+"/"+name, func(b *testing.B) {
				s := newSealer(b, e)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				f(b, s, e, data)
			})
		}
	}
}

// One core compresses.
func BenchmarkCompress(b *testing.B) {
	forEach(b, func(b *testing.B, s *Sealer, _ Encoding, data []byte) {
		var seg []byte
		for b.Loop() {
			size := 0
			for rest := data; len(rest) > 0; {
				n := min(len(rest), BlockSize)
				var err error
				if seg, err = s.Compress(seg[:0], rest[:n]); err != nil {
					b.Fatal(err)
				}
				rest, size = rest[n:], size+len(seg)
			}
			b.ReportMetric(float64(size)/float64(len(data)), "ratio")
		}
	})
}

// One core encrypts what is compressed already.
func BenchmarkSeal(b *testing.B) {
	seg := append(noise(2<<20), make([]byte, gzipTail)...)
	for _, e := range Encodings() {
		b.Run(e.String(), func(b *testing.B) {
			s := newSealer(b, e)
			b.SetBytes(8 * int64(len(seg)))
			for b.Loop() {
				env, err := s.Seal(io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				for range 8 {
					if err := env.WriteSegment(seg); err != nil {
						b.Fatal(err)
					}
				}
				if err := env.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// All cores compress and one of them encrypts.
func BenchmarkWriter(b *testing.B) {
	forEach(b, func(b *testing.B, s *Sealer, _ Encoding, data []byte) {
		for b.Loop() {
			w := s.NewWriter(io.Discard)
			if _, err := w.Write(data); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	forEach(b, func(b *testing.B, s *Sealer, e Encoding, data []byte) {
		stored := sealBlocks(b, s, data, BlockSize)
		benchmarkOpen(b, stored, e)
	})
}

// What a file costs beside its length.
func BenchmarkOpenSmall(b *testing.B) {
	for _, e := range Encodings() {
		b.Run(e.String(), func(b *testing.B) {
			benchmarkOpen(b, sealBlocks(b, newSealer(b, e), text(1000), 1000), e)
		})
	}
}

func benchmarkOpen(b *testing.B, stored []byte, e Encoding) {
	o := newOpener()
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		r, err := o.Open(bytes.NewReader(stored), e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
