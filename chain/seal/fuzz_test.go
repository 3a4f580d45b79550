package seal

import (
	"bytes"
	"encoding/hex"
	"io"
	"testing"

	stdgzip "compress/gzip"
)

// maxFuzzed bounds what a fuzz target reads of one file, which may expand
// without end.
const maxFuzzed = 1 << 22

// openSome reads a stored file up to maxFuzzed. Whatever the bytes are, the
// error must be one of those that callers tell apart.
func openSome(t *testing.T, o *Opener, stored []byte, e Encoding) ([]byte, error) {
	r, err := o.Open(bytes.NewReader(stored), e)
	if err != nil {
		if !promised(err) {
			t.Errorf("open: %v", err)
		}
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFuzzed))
	if err != nil && !promised(err) {
		t.Errorf("read: %v", err)
	}
	return data, err
}

// fuzzEncrypted says that only what was sealed under the secret opens with
// it: any other bytes are an error.
func fuzzEncrypted(f *testing.F, e Encoding, more ...[]byte) {
	known := [][]byte{nil, []byte("x"), text(2000), noise(600)}
	for _, data := range known {
		f.Add(sealBlocks(f, cheapSealer(f, e), data, 500))
	}
	for _, seed := range more {
		f.Add(seed)
	}
	o := newOpener()
	o.maxLogN = strongLogN
	f.Fuzz(func(t *testing.T, stored []byte) {
		data, err := openSome(t, o, stored, e)
		if err != nil {
			return
		}
		for _, k := range known {
			if bytes.Equal(data, k) {
				return
			}
		}
		t.Errorf("%d bytes that were never sealed", len(data))
	})
}

func FuzzOpenAge(f *testing.F) { fuzzEncrypted(f, ZstdAge) }

func FuzzOpenGPG(f *testing.F) {
	var seeds [][]byte
	for _, s := range samples {
		seed, err := hex.DecodeString(s.message)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, seed)
	}
	fuzzEncrypted(f, GPG, seeds...)
}

// FuzzPackets reads what an attacker with the secret could have encrypted:
// any packets under a sound MDC.
func FuzzPackets(f *testing.F) {
	f.Add(literal("hello"))
	f.Add(compressed(f, literal("hello")))
	f.Add(packet(tagCompressed, []byte{compressionZLIB}, []byte("x\x9cK\x04\x00\x00b\x00b")))
	f.Add(packet(tagCompressed, []byte{compressionBZip2}, []byte("BZh91AY&SY")))
	f.Add(packet(tagCompressed, []byte{compressionNone}, literal("hello")))
	f.Add(pgpContentHeader())
	o := newOpener()
	f.Fuzz(func(t *testing.T, packets []byte) {
		openSome(t, o, encryptedMessage(t, packets), GPG)
	})
}

// FuzzFrames does the same for zstd inside age.
func FuzzFrames(f *testing.F) {
	s := cheapSealer(f, ZstdAge)
	for _, data := range [][]byte{nil, text(3000), noise(100)} {
		frame, err := s.Compress(nil, data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	o := newOpener()
	f.Fuzz(func(t *testing.T, frames []byte) {
		var b bytes.Buffer
		env, err := s.Seal(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := env.WriteSegment(frames); err != nil {
			t.Fatal(err)
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		openSome(t, o, b.Bytes(), ZstdAge)
	})
}

// FuzzOpenGzip says that what opens is what the standard library reads.
func FuzzOpenGzip(f *testing.F) {
	for _, data := range [][]byte{nil, text(2000), noise(600)} {
		f.Add(sealBlocks(f, newSealer(f, Gzip), data, 500))
	}
	o := newOpener()
	f.Fuzz(func(t *testing.T, stored []byte) {
		data, err := openSome(t, o, stored, Gzip)
		if err != nil || len(data) == maxFuzzed {
			return
		}
		z, err := stdgzip.NewReader(bytes.NewReader(stored))
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(data, want) {
			t.Errorf("%d bytes, the standard library has %d: %v", len(data), len(want), err)
		}
	})
}

// FuzzOpenPlain says that content is passed through.
func FuzzOpenPlain(f *testing.F) {
	f.Add([]byte("content"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		sameData(t, "plain", mustOpen(t, newOpener(), stored, Plain), stored)
	})
}

// FuzzRoundTrip seals any content in blocks of any size and reads it back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("content"), uint16(3))
	f.Add(text(3000), uint16(511))
	o := newOpener()
	sealers := make(map[Encoding]*Sealer)
	for _, e := range Encodings() {
		sealers[e] = cheapSealer(f, e)
	}
	f.Fuzz(func(t *testing.T, data []byte, block uint16) {
		for e, s := range sealers {
			sameData(t, e.String(), mustOpen(t, o, sealBlocks(t, s, data, max(1, int(block))), e), data)
		}
	})
}
