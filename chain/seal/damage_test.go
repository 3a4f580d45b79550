package seal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

// refusesOthers tries wrong secrets. One in 65536 looks like the right one
// to gpg's format at first.
func refusesOthers(t testing.TB, opts OpenOptions, stored []byte, e Encoding) {
	t.Helper()
	refused := 0
	for _, secret := range []string{"wrong", testSecret + " ", "Wrong", ""} {
		_, err := open(NewOpener([]byte(secret), opts), stored, e)
		if err == nil {
			t.Errorf("%s opens with secret %q", e, secret)
		}
		if errors.Is(err, ErrWrongSecret) && !errors.Is(err, ErrDamaged) {
			refused++
		}
	}
	if refused < 3 {
		t.Errorf("%s: only %d secrets out of 4 are called wrong", e, refused)
	}
}

func TestWrongSecret(t *testing.T) {
	for _, e := range []Encoding{GPG, ZstdAge} {
		refusesOthers(t, OpenOptions{}, sealBlocks(t, newSealer(t, e), text(1000), 1000), e)
	}
}

// cheapSealer is newSealer with the least that scrypt can cost.
func cheapSealer(t testing.TB, e Encoding) *Sealer {
	s := newSealer(t, e)
	if c, ok := s.codec.(*ageCodec); ok {
		c.recipient.SetWorkFactor(1)
	}
	return s
}

// No cut goes unnoticed, nor anything that is added.
func TestTruncation(t *testing.T) {
	for _, e := range []Encoding{Gzip, GPG, ZstdAge} {
		o := newOpener()
		stored := sealBlocks(t, cheapSealer(t, e), slices.Concat(text(700), noise(100)), 300)
		for i := range stored {
			if got, err := open(o, stored[:i], e); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s cut at %d of %d: %d bytes, %v", e, i, len(stored), len(got), err)
			}
		}
		for _, tail := range [][]byte{{0}, []byte("x"), stored[:len(stored)-1]} {
			if _, err := open(o, slices.Concat(stored, tail), e); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s with %d bytes after it: %v", e, len(tail), err)
			}
		}
	}
}

// promised reports whether err is one of those that callers tell apart.
func promised(err error) bool {
	return slices.ContainsFunc([]error{ErrDamaged, ErrWrongSecret, ErrNoMDC, errors.ErrUnsupported},
		func(known error) bool { return errors.Is(err, known) })
}

// No altered byte goes unnoticed. Of gzip that is true for the content only:
// there are bits that nothing depends on, in its header and before the
// length of a stored block.
func TestAlteration(t *testing.T) {
	data := slices.Concat(text(700), noise(100))
	for _, e := range []Encoding{Gzip, GPG, ZstdAge} {
		o := newOpener()
		stored := sealBlocks(t, cheapSealer(t, e), data, 300)
		for i := range stored {
			for _, mask := range []byte{0x01, 0x10, 0x55, 0x80} {
				bad := bytes.Clone(stored)
				bad[i] ^= mask
				got, err := open(o, bad, e)
				same := e == Gzip && bytes.Equal(got, data)
				if err == nil && !same || err != nil && !promised(err) {
					t.Errorf("%s with byte %d altered by %#x: %d bytes, %v", e, i, mask, len(got), err)
				}
			}
		}
	}
}

// Past the header, damage is told from a wrong secret.
func TestDamageIsNotWrongSecret(t *testing.T) {
	for e, from := range map[Encoding]int{GPG: 60, ZstdAge: 200} {
		stored := sealBlocks(t, cheapSealer(t, e), noise(1000), 300)
		for i := from; i < len(stored); i += 13 {
			bad := bytes.Clone(stored)
			bad[i] ^= 4
			for _, bad := range [][]byte{bad, stored[:i]} {
				if _, err := open(newOpener(), bad, e); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrWrongSecret) {
					t.Fatalf("%s damaged at %d: %v", e, i, err)
				}
			}
		}
	}
}

// A large file damaged in the middle gives an error after some content, and
// it sticks.
func TestDamageInLargeFile(t *testing.T) {
	data := noise(1 << 20)
	for _, e := range []Encoding{Gzip, GPG, ZstdAge} {
		stored := sealBlocks(t, newSealer(t, e), data, 1<<18)
		stored[len(stored)/2] ^= 1
		r, err := newOpener().Open(bytes.NewReader(stored), e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", e, err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: next read: %v", e, err)
		}
	}
}

// An error in reading the stored file is not damage, wherever it happens.
func TestSourceErrors(t *testing.T) {
	reset := errors.New("connection reset")
	data := noise(200000)
	for _, e := range Encodings() {
		stored := sealBlocks(t, newSealer(t, e), data, 1<<16)
		for _, n := range []int{0, 1, 5, 14, 20, 100, 190, 70000, len(stored) - 1, len(stored)} {
			src := io.MultiReader(bytes.NewReader(stored[:n]), iotest.ErrReader(reset))
			r, err := newOpener().Open(src, e)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if !errors.Is(err, reset) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrWrongSecret) {
				t.Errorf("%s: failure after %d: %v", e, n, err)
			}
		}
	}
}
