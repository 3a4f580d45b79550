package rdiff

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The flags with which rdiff writes each kind of signature.
var kinds = []struct {
	name  string
	magic uint32
	flags []string
}{
	{"md4", MagicMD4, []string{"-H", "md4", "-R", "rollsum"}},
	{"blake2b", MagicBLAKE2b, []string{"-H", "blake2", "-R", "rollsum"}},
	{"rabinkarp-md4", MagicRabinKarpMD4, []string{"-H", "md4", "-R", "rabinkarp"}},
	{"rabinkarp-blake2b", MagicRabinKarpBLAKE2b, []string{"-H", "blake2", "-R", "rabinkarp"}},
}

func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// rdiff runs the program on files with the given contents; it returns the
// content of the file it writes.
func rdiff(t testing.TB, args []string, contents ...[]byte) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	for i, content := range contents {
		name := filepath.Join(dir, fmt.Sprintf("in%d", i))
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args[:len(args):len(args)], name)
	}
	out := filepath.Join(dir, "out")
	if msg, err := exec.Command("rdiff", append(args, out)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, msg)
	}
	return os.ReadFile(out)
}

func mustRdiff(t testing.TB, args []string, contents ...[]byte) []byte {
	t.Helper()
	out, err := rdiff(t, args, contents...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// writePieces writes content in pieces of random length, sometimes one byte,
// sometimes many blocks.
func writePieces(t testing.TB, w io.Writer, content []byte, r *rand.Rand) {
	t.Helper()
	for len(content) > 0 {
		n := min(1+r.IntN(1<<r.IntN(18)), len(content))
		if m, err := w.Write(content[:n]); err != nil || m != n {
			t.Fatalf("Write(%d bytes) = %d, %v", n, m, err)
		}
		content = content[n:]
	}
}

func signAll(t testing.TB, content []byte, p Params) []byte {
	t.Helper()
	var out bytes.Buffer
	s, err := NewSigner(&out, p)
	if err != nil {
		t.Fatal(err)
	}
	writePieces(t, s, content, newRand(uint64(len(content))))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func openSignature(t testing.TB, b []byte) *Signature {
	t.Helper()
	sig, err := OpenSignature(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// deltaAll returns the delta from what signature describes to content.
func deltaAll(t testing.TB, signature, content []byte, window int) []byte {
	t.Helper()
	var out bytes.Buffer
	d := newDeltaWriter(&out, openSignature(t, signature), window)
	writePieces(t, d, content, newRand(uint64(len(content))))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func patchAll(base, delta []byte) ([]byte, error) {
	var out bytes.Buffer
	err := Patch(&out, bytes.NewReader(base), int64(len(base)), bytes.NewReader(delta))
	return out.Bytes(), err
}

func checkPatch(t testing.TB, base, delta, want []byte) {
	t.Helper()
	got, err := patchAll(base, delta)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("patched content of %d bytes is not the new one of %d", len(got), len(want))
	}
}

// An edit makes new content from old.
type edit struct {
	name string
	do   func(r *rand.Rand, old []byte) []byte
}

var edits = append([]edit{
	{"many", func(r *rand.Rand, old []byte) []byte {
		for range 6 {
			old = singleEdits[2+r.IntN(5)].do(r, old)
		}
		return old
	}},
}, singleEdits...)

var singleEdits = []edit{
	{"nothing", func(_ *rand.Rand, old []byte) []byte { return bytes.Clone(old) }},
	{"all new", func(r *rand.Rand, old []byte) []byte { return randomBytes(r, len(old)) }},
	{"insert", func(r *rand.Rand, old []byte) []byte {
		at := r.IntN(len(old) + 1)
		return join(old[:at], randomBytes(r, 1+r.IntN(3000)), old[at:])
	}},
	{"delete", func(r *rand.Rand, old []byte) []byte {
		from, to := stretch(r, old)
		return join(old[:from], old[to:])
	}},
	{"overwrite", func(r *rand.Rand, old []byte) []byte {
		b := bytes.Clone(old)
		for range 5 {
			from, _ := stretch(r, old)
			copy(b[from:], randomBytes(r, 1+r.IntN(100)))
		}
		return b
	}},
	{"move", func(r *rand.Rand, old []byte) []byte {
		from, to := stretch(r, old)
		return join(old[to:], old[:from], old[from:to])
	}},
	{"append", func(r *rand.Rand, old []byte) []byte { return join(old, randomBytes(r, 1+r.IntN(5000))) }},
	{"prepend", func(r *rand.Rand, old []byte) []byte { return join(randomBytes(r, 1+r.IntN(5000)), old) }},
	{"truncate", func(r *rand.Rand, old []byte) []byte { return bytes.Clone(old[:r.IntN(len(old)+1)]) }},
	{"empty", func(_ *rand.Rand, _ []byte) []byte { return nil }},
	{"double", func(_ *rand.Rand, old []byte) []byte { return join(old, old) }},
	{"zeros", func(r *rand.Rand, old []byte) []byte {
		from, to := stretch(r, old)
		return join(old[:from], make([]byte, 20000), old[to:])
	}},
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func stretch(r *rand.Rand, b []byte) (from, to int) {
	from = r.IntN(len(b) + 1)
	return from, from + r.IntN(len(b)-from+1)
}
