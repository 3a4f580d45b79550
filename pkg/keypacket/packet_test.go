package keypacket

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

const testSecret = "GiCdGZs7Z0s2Yhc2TG5yTb4zXOk"

// A vector is a packet that an independent program made: see testdata.
type vector struct {
	secret, passphrase string
	hashKR, cipherKR   uint16
	packet             string
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		hashKR, err1 := strconv.ParseUint(f[2], 10, 16)
		cipherKR, err2 := strconv.ParseUint(f[3], 10, 16)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, vector{f[0], f[1], uint16(hashKR), uint16(cipherKR), f[4]})
	}
	if len(vectors) < 9 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	return vectors
}

func TestVectorsOpen(t *testing.T) {
	for i, v := range readVectors(t) {
		secret, err := Open([]byte(v.packet), []byte(v.passphrase))
		if err != nil || string(secret) != v.secret {
			t.Errorf("vector %d: got %q, %v", i, secret, err)
		}
		fingerprint, err := Fingerprint([]byte(v.packet))
		if err != nil || fingerprint != FingerprintOf([]byte(v.secret)) {
			t.Errorf("vector %d: fingerprint %s, %v", i, fingerprint, err)
		}
	}
}

func TestVectorsSeal(t *testing.T) {
	for i, v := range readVectors(t) {
		// Their bytes count up from 0xA0, the salt before the padding.
		var random []byte
		for b := range 16 {
			random = append(random, byte(0xA4+b))
		}
		padding := -(saltLen + 20 + len(v.secret) + lengthLen) & 15
		random = append(random[:padding], 0xA0, 0xA1, 0xA2, 0xA3)
		got, err := seal([]byte(v.secret), []byte(v.passphrase), v.hashKR, v.cipherKR, bytes.NewReader(random))
		if err != nil || got != v.packet {
			t.Errorf("vector %d: got %s, %v, want %s", i, got, err, v.packet)
		}
	}
}

func TestSealHeader(t *testing.T) {
	for passphrase, want := range map[string]string{"": "\x01\x00\x00\x00\x00", "x": "\x01\x00\x50\x00\x50"} {
		packet, err := Seal([]byte(testSecret), []byte(passphrase), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(packet)
		if err != nil || !strings.HasPrefix(string(raw), want) {
			t.Errorf("passphrase %q: packet starts with %x, %v", passphrase, raw[:5], err)
		}
	}
}

func TestSealOpensAgain(t *testing.T) {
	for n := range 70 {
		secret := bytes.Repeat([]byte{'s'}, n+1)
		packet, err := seal(secret, []byte("x"), 0, 0, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open([]byte(packet), []byte("x")); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%d bytes: got %q, %v", n+1, got, err)
		}
	}
	secret := bytes.Repeat([]byte{0xFF}, MaxSecret)
	packet, err := Seal(secret, nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Open([]byte(packet), nil); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("longest secret: got %q, %v", got, err)
	}
}

func TestSealDiffersEachTime(t *testing.T) {
	a, err1 := Seal([]byte(testSecret), nil, rand.Reader)
	b, err2 := Seal([]byte(testSecret), nil, rand.Reader)
	if err := errors.Join(err1, err2); err != nil || a == b {
		t.Errorf("got %q twice, %v", a, err)
	}
}

func TestSealErrors(t *testing.T) {
	for _, secret := range []string{"", strings.Repeat("s", MaxSecret+1)} {
		if packet, err := Seal([]byte(secret), nil, rand.Reader); err == nil {
			t.Errorf("%d bytes: got %s", len(secret), packet)
		}
	}
	if packet, err := Seal([]byte("s"), nil, iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: %s, %v", packet, err)
	}
}

func TestOpenWrongPassphrase(t *testing.T) {
	for i, v := range readVectors(t) {
		for _, passphrase := range []string{"", "wrong", v.passphrase + "."} {
			if passphrase == v.passphrase {
				continue
			}
			secret, err := Open([]byte(v.packet), []byte(passphrase))
			if secret != nil || !errors.Is(err, ErrPassphrase) {
				t.Errorf("vector %d with %q: got %q, %v", i, passphrase, secret, err)
			}
		}
	}
}

// A packet with a hostile length field inside is one with a wrong passphrase,
// as far as anybody can tell.
func TestUnpadLengths(t *testing.T) {
	plain, err := pad([]byte(testSecret), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unpad(plain); err != nil || string(got) != testSecret {
		t.Fatalf("got %q, %v", got, err)
	}
	for n := range 1 << 16 {
		if n == saltLen+20+len(testSecret) {
			continue
		}
		copy(plain[len(plain)-2:], []byte{byte(n >> 8), byte(n)})
		if got, err := unpad(plain); got != nil || err != ErrPassphrase {
			t.Fatalf("length %d: got %q, %v", n, got, err)
		}
	}
}

// A packet of nothing must not become an empty secret that "encrypts" backups.
func TestOpenEmptySecret(t *testing.T) {
	empty := sealEmpty(t)
	secret, err := Open(empty, nil)
	if secret != nil || err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("got %q, %v", secret, err)
	}
	if e, err := Parse(empty); err == nil {
		t.Errorf("as an escrow key: %v", e)
	}
}

// sealEmpty makes the packet that seal refuses to make.
func sealEmpty(t *testing.T) []byte {
	t.Helper()
	plain, err1 := pad(nil, rand.Reader)
	block, err2 := newCipher(nil, 1)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	encryptCBC(block, plain)
	return []byte(encode(append([]byte{1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6}, plain...)))
}

func TestOpenIgnoresWhiteSpace(t *testing.T) {
	packet := readVectors(t)[0].packet
	spaced := " " + packet[:30] + "\r\n\t" + packet[30:50] + " " + packet[50:] + "\n\n"
	if got, err := Open([]byte(spaced), nil); err != nil || string(got) != testSecret {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestOpenMalformed(t *testing.T) {
	good, err := base64.StdEncoding.DecodeString(readVectors(t)[0].packet)
	if err != nil {
		t.Fatal(err)
	}
	with := func(index int, b ...byte) []byte {
		raw := bytes.Clone(good)
		copy(raw[index:], b)
		return raw
	}
	malformed := map[string]string{
		"not base64":     "!" + base64.StdEncoding.EncodeToString(good),
		"no padding":     strings.TrimRight(base64.StdEncoding.EncodeToString(good[:len(good)-1]), "="),
		"a large file":   strings.Repeat(" ", 1<<20),
		"empty":          "",
		"space":          " \n",
		"only a version": encode([]byte{1}),
	}
	for name, raw := range map[string][]byte{
		"version 0":         with(0, 0),
		"version 2":         with(0, 2),
		"many hashes":       with(1, 0xFF, 0xFF),
		"many passes":       with(3, 0x27, 0x11),
		"a header":          good[:headerLen-1],
		"no ciphertext":     good[:headerLen],
		"one block":         good[:headerLen+16],
		"a part of a block": good[:len(good)-1],
		"one byte more":     append(bytes.Clone(good), 0),
		"a long ciphertext": append(bytes.Clone(good), make([]byte, maxCiphertext)...),
	} {
		malformed[name] = encode(raw)
	}
	for name, packet := range malformed {
		secret, err := Open([]byte(packet), []byte("x"))
		if secret != nil || err == nil || errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: got %q, %v", name, secret, err)
		}
		if fingerprint, err := Fingerprint([]byte(packet)); err == nil {
			t.Errorf("%s: fingerprint %s", name, fingerprint)
		}
	}
}

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// TestIndependentProgram seals here what the program in testdata opens, and
// the other way round, with a real passphrase.
func TestIndependentProgram(t *testing.T) {
	needs(t, "python3")
	packet, err := Seal([]byte(testSecret), []byte("correct horse"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := runPython(t, "open", packet, "correct horse"); got != testSecret {
		t.Errorf("their program opens our packet as %q", got)
	}
	theirs := runPython(t, "seal", testSecret, "battery staple", "80", "80", strings.Repeat("5a", 20))
	if got, err := Open([]byte(theirs), []byte("battery staple")); err != nil || string(got) != testSecret {
		t.Errorf("our program opens their packet as %q, %v", got, err)
	}
}

// needs skips a test whose program is not installed, except where everything
// has to be.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

func runPython(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("python3", append([]string{"testdata/keypacket.py"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v: %s", err, stderr.String())
	}
	return string(out)
}

func TestNewSecret(t *testing.T) {
	// SHA-1 of 32 zero bytes is de8a847bff8c343d69b853a215e6ee775ef2ef96.
	got, err := NewSecret(bytes.NewReader(make([]byte, 32)))
	if want := "3oqEe/+MND1puFOiFebud17y75Y"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := NewSecret(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Errorf("short of randomness: got %q", got)
	}
}

func TestRandomPassphrase(t *testing.T) {
	got, err := RandomPassphrase(strings.NewReader("\x00\x44\x32\x14\xc7\x42\x54\xb6\x35\xcf"))
	if want := "ABCD-EFGH-IJKL-MNOP"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	got, err = RandomPassphrase(rand.Reader)
	if err != nil || !regexp.MustCompile(`^[A-Z2-7]{4}(-[A-Z2-7]{4}){3}$`).MatchString(got) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := RandomPassphrase(strings.NewReader("short")); err == nil {
		t.Errorf("short of randomness: got %q", got)
	}
}

// FuzzOpen states that any packet gives a secret with the packet's own length
// of ciphertext, or an error, and that what opens seals to a packet that opens.
func FuzzOpen(f *testing.F) {
	for _, v := range readVectors(f) {
		raw, err := base64.StdEncoding.DecodeString(v.packet)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		packet := []byte(encode(raw))
		secret, err := Open(packet, nil)
		if _, printErr := Fingerprint(packet); (printErr == nil) != (err == nil || errors.Is(err, ErrPassphrase)) {
			t.Errorf("%x: opened with %v, but fingerprint with %v", raw, err, printErr)
		}
		if err != nil {
			return
		}
		if len(secret) == 0 || len(secret) > len(raw) {
			t.Errorf("%x: a secret of %d bytes", raw, len(secret))
		}
		again, err := Seal(secret, nil, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open([]byte(again), nil); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%x: sealed again it opens as %q, %v", raw, got, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	packet := []byte(readVectors(b)[1].packet)
	for b.Loop() {
		if _, err := Open(packet, []byte("correct horse")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenHostile is the most work a packet can ask for.
func BenchmarkOpenHostile(b *testing.B) {
	p := &packet{hashKR: maxKiloRepeats, cipherKR: maxKiloRepeats, ciphertext: make([]byte, maxCiphertext)}
	for b.Loop() {
		if _, err := p.open([]byte("x")); err != ErrPassphrase {
			b.Fatalf("got %v, want ErrPassphrase", err)
		}
	}
}
