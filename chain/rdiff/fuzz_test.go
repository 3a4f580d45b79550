package rdiff

import (
	"bytes"
	"io"
	"testing"
)

// Any bytes give a signature or an error, and a signature makes a delta that
// ends, whatever its sums.
func FuzzSignature(f *testing.F) {
	content := randomBytes(newRand(20), 3000)
	for _, kind := range kinds {
		f.Add(signAll(f, content, Params{kind.magic, 512, 8}), content)
	}
	f.Add([]byte{}, []byte{})
	f.Add(signAll(f, nil, ParamsFor(0)), []byte("x"))
	f.Fuzz(func(t *testing.T, signature, content []byte) {
		sig, err := OpenSignature(bytes.NewReader(signature), int64(len(signature)))
		if err != nil {
			return
		}
		if err := sig.Params().check(); err != nil {
			t.Fatal(err)
		}
		d := newDeltaWriter(io.Discard, sig, 8)
		if _, err := d.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Patch and Version agree on every delta: both refuse it or both give the
// same content.
func FuzzPatchEqualsVersion(f *testing.F) {
	old := randomBytes(newRand(21), 2000)
	signature := signAll(f, old, Params{MagicBLAKE2b, 64, 8})
	for _, e := range edits {
		f.Add(old, deltaAll(f, signature, e.do(newRand(22), old), windowBlocks))
	}
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		v, err := OpenVersion(bytes.NewReader(base), bytes.NewReader(delta), int64(len(delta)))
		if err == nil && v.Size() > 16<<20 {
			return
		}
		want, patchErr := patchAll(base, delta)
		if (err == nil) != (patchErr == nil) {
			t.Fatalf("OpenVersion: %v; Patch: %v", err, patchErr)
		}
		if err == nil {
			checkVersion(t, v, want)
		}
	})
}

// Signature, delta and patch lead to the new content, whatever the window.
func FuzzRoundTrip(f *testing.F) {
	old := randomBytes(newRand(23), 2000)
	for i, e := range edits {
		f.Add(old, e.do(newRand(24), old), uint8(i), uint16(64), uint8(i))
	}
	f.Add([]byte("aaaaaaaabbbb"), []byte("aaaabbbbaaaab"), uint8(1), uint16(4), uint8(0))
	f.Fuzz(func(t *testing.T, old, new []byte, kind uint8, blockLen uint16, window uint8) {
		p := Params{kinds[kind%4].magic, 1 + int(blockLen), 16}
		checkPatch(t, old, deltaAll(t, signAll(t, old, p), new, 2+int(window)), new)
	})
}
