package keypacket

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/sys/unix"
)

const quickWork = 5 // an scrypt work factor for tests

func parseString(t *testing.T, data string) *Escrow {
	t.Helper()
	e, err := Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func expectSecret(t *testing.T, e *Escrow, passphrase string) {
	t.Helper()
	if got, err := e.Secret([]byte(passphrase)); err != nil || string(got) != testSecret {
		t.Errorf("%v with %q: got %q, %v", e, passphrase, got, err)
	}
}

func expectLocked(t *testing.T, e *Escrow, passphrases ...string) {
	t.Helper()
	if !e.NeedsPassphrase() {
		t.Errorf("%v needs no passphrase", e)
	}
	for _, p := range passphrases {
		if got, err := e.Secret([]byte(p)); got != nil || !errors.Is(err, ErrPassphrase) {
			t.Errorf("%v with %q: got %q, %v, want ErrPassphrase", e, p, got, err)
		}
	}
}

func TestEscrowPacket(t *testing.T) {
	vectors := readVectors(t)
	for _, end := range []string{"", "\n", "\r\n"} {
		open := parseString(t, vectors[0].packet+end)
		if open.NeedsPassphrase() || open.Fingerprint() != FingerprintOf([]byte(testSecret)) {
			t.Errorf("without a passphrase: needs %v, fingerprint %s", open.NeedsPassphrase(), open.Fingerprint())
		}
		expectSecret(t, open, "")
		expectSecret(t, open, "given for nothing")

		sealed := parseString(t, vectors[1].packet+end)
		if sealed.Fingerprint() != FingerprintOf([]byte(testSecret)) {
			t.Errorf("with a passphrase: fingerprint %s", sealed.Fingerprint())
		}
		expectLocked(t, sealed, "", "wrong")
		expectSecret(t, sealed, vectors[1].passphrase)
	}
}

// Both counts of a packet may be zero although it has a passphrase.
func TestEscrowPacketWithoutRepeats(t *testing.T) {
	e := parseString(t, readVectors(t)[4].packet)
	expectLocked(t, e, "", "wrong")
	expectSecret(t, e, "x")
}

func TestEscrowPlain(t *testing.T) {
	s, err := SealPlain([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(s, "\n"+testSecret+"\n") {
		t.Errorf("the secret is not the last line: %q", s)
	}
	for _, variant := range []string{
		s,
		"\n\n" + strings.ReplaceAll(s, "\n", "\r\n"),
		strings.ReplaceAll(s, FingerprintOf([]byte(testSecret)), strings.ToLower(FingerprintOf([]byte(testSecret)))),
		"# tklbam escrow key of the web server\n# by hand\n\n  " + testSecret + "  \n# end",
	} {
		e := parseString(t, variant)
		if e.NeedsPassphrase() || e.Fingerprint() != FingerprintOf([]byte(testSecret)) {
			t.Errorf("%q: needs %v, fingerprint %s", variant, e.NeedsPassphrase(), e.Fingerprint())
		}
		expectSecret(t, e, "")
	}
}

func TestEscrowPlainErrors(t *testing.T) {
	s, err := SealPlain([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no secret":      "# tklbam escrow key\n# nothing\n",
		"two secrets":    s + "another\n",
		"a typing error": strings.Replace(s, "GiC", "GlC", 1),
		"no header":      "# something else\n" + testSecret + "\n",
		"secret alone":   testSecret + "\n",
	} {
		if e, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s: got %v", name, e)
		} else if strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: error %q shows the secret", name, err)
		}
	}
}

func TestSealRefusesWhatTextLoses(t *testing.T) {
	for _, secret := range []string{"", " a", "a ", "a\n", "a\nb", "a\rb", "#a", strings.Repeat("a", MaxSecret+1)} {
		if s, err := SealPlain([]byte(secret)); err == nil {
			t.Errorf("plain %.20q: got %q", secret, s)
		}
		if s, err := sealAge([]byte(secret), []byte("x"), quickWork); err == nil {
			t.Errorf("age %.20q: got %q", secret, s)
		}
	}
	if s, err := SealAge([]byte("a"), nil); err == nil {
		t.Errorf("age without a passphrase: got %q", s)
	}
}

func TestEscrowAge(t *testing.T) {
	s, err := sealAge([]byte(testSecret), []byte("correct horse"), quickWork)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s, armor.Header+"\n") || !strings.HasSuffix(s, armor.Footer+"\n") {
		t.Errorf("not armored: %q", s)
	}
	binary, err := io.ReadAll(armor.NewReader(strings.NewReader(s)))
	if err != nil {
		t.Fatal(err)
	}
	for _, variant := range []string{s, "\n " + strings.TrimSpace(s), strings.ReplaceAll(s, "\n", "\r\n"), string(binary)} {
		e := parseString(t, variant)
		if got := e.Fingerprint(); got != "" {
			t.Errorf("fingerprint %q out of nowhere", got)
		}
		expectLocked(t, e, "", "wrong")
		expectSecret(t, e, "correct horse")
	}
}

// ageFile seals any content for any recipient.
func ageFile(t *testing.T, content string, recipient age.Recipient) string {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, recipient)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := io.WriteString(w, content)
	if err := errors.Join(err1, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func scryptRecipient(t *testing.T, work int) *age.ScryptRecipient {
	t.Helper()
	r, err := age.NewScryptRecipient("x")
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(work)
	return r
}

func TestEscrowAgeContent(t *testing.T) {
	for content, good := range map[string]bool{
		testSecret:          true,
		testSecret + "\n":   true,
		testSecret + "\r\n": true,
		"":                  false,
		"\n":                false,
		"two\nlines\n":      false,
		" " + testSecret:    false,
	} {
		e := parseString(t, ageFile(t, content, scryptRecipient(t, quickWork)))
		if good {
			expectSecret(t, e, "x")
			continue
		}
		if got, err := e.Secret([]byte("x")); got != nil || err == nil || errors.Is(err, ErrPassphrase) {
			t.Errorf("%q: got %q, %v", content, got, err)
		}
	}
}

func TestEscrowAgeErrors(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	good := ageFile(t, testSecret, scryptRecipient(t, quickWork))
	for name, bad := range map[string]string{
		"sealed for a key":   ageFile(t, testSecret, identity.Recipient()),
		"a cut header":       good[:60],
		"another version":    strings.Replace(good, "/v1", "/v2", 1),
		"armor of something": armor.Header + "\nc29tZXRoaW5n\n" + armor.Footer + "\n",
		"a cut armor":        armor.Header + "\nc29tZXRoaW5n\n",
		"an identity":        identity.String() + "\n",
	} {
		if e, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s: got %v", name, e)
		}
	}
	cut := parseString(t, good[:len(good)-1])
	if got, err := cut.Secret([]byte("x")); got != nil || err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("a cut content: got %q, %v", got, err)
	}
}

// A file may not make this program use gigabytes of memory.
func TestEscrowAgeWorkFactor(t *testing.T) {
	good := ageFile(t, testSecret, scryptRecipient(t, quickWork))
	e := parseString(t, strings.Replace(good, fmt.Sprintf(" %d\n", quickWork), fmt.Sprintf(" %d\n", maxScryptWork+1), 1))
	if got, err := e.Secret([]byte("x")); err == nil || !strings.Contains(err.Error(), "work factor") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestParseRefusesOtherFiles(t *testing.T) {
	for _, data := range []string{"", "\n", "hello", "-----BEGIN PGP MESSAGE-----", strings.Repeat("A", maxEscrow+1)} {
		if e, err := Parse([]byte(data)); err == nil {
			t.Errorf("%.20q: got %v", data, e)
		}
	}
}

func TestEscrowIsNotPrinted(t *testing.T) {
	e := parseString(t, readVectors(t)[0].packet)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, e); got != "escrow key (key packet)" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

func TestSecretIsACopy(t *testing.T) {
	e := parseString(t, readVectors(t)[0].packet)
	got, err := e.Secret(nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	expectSecret(t, e, "")
}

// TestStockAge opens here what the age program sealed, and the other way
// round, its passphrases typed at a terminal.
func TestStockAge(t *testing.T) {
	needs(t, "age")
	dir := t.TempDir()

	ours := filepath.Join(dir, "ours")
	s, err := SealAge([]byte(testSecret), []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ours, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := atTerminal(t, "correct horse\n", "age", "-d", ours); got != testSecret+"\n" {
		t.Errorf("age opens our file as %q", got)
	}

	plain, theirs := filepath.Join(dir, "plain"), filepath.Join(dir, "theirs")
	if err := os.WriteFile(plain, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	atTerminal(t, "battery staple\nbattery staple\n", "age", "-p", "-o", theirs, plain)
	data, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	expectSecret(t, parseString(t, string(data)), "battery staple")
}

// atTerminal runs a program at a terminal of its own, on which the input is
// typed ahead, and returns its standard output, which is no terminal.
func atTerminal(t *testing.T, input string, args ...string) string {
	t.Helper()
	control, terminal := openTerminal(t)
	defer control.Close()
	if _, err := io.WriteString(control, input); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stderr, cmd.Stdout = terminal, terminal, &stdout
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	err := errors.Join(cmd.Run(), terminal.Close())
	if err != nil {
		screen := make([]byte, 4096)
		n, _ := control.Read(screen)
		t.Fatalf("%q: %v: %s", args, err, screen[:n])
	}
	return stdout.String()
}

func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	fd := int(control.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return control, terminal
}

// FuzzParse states that any file gives an error or an escrow key of a known
// form, whose secret, if it needs no passphrase, can be sealed and parsed again.
func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f)[:2] {
		f.Add([]byte(v.packet))
	}
	plain, err1 := SealPlain([]byte(testSecret))
	sealed, err2 := sealAge([]byte(testSecret), []byte("x"), 1)
	if err := errors.Join(err1, err2); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(plain))
	f.Add([]byte(sealed))
	f.Add([]byte(ageIntro + "v1\n-> scrypt a b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil || e.NeedsPassphrase() {
			return
		}
		secret, err := e.Secret(nil)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		packet, err := Seal(secret, nil, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse([]byte(packet))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Secret(nil); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%q: sealed again it opens as %q, %v", data, got, err)
		}
	})
}
