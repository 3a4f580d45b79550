package keypacket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	ageIntro    = "age-encryption.org/"
	plainIntro  = "# tklbam escrow key"
	fingerIntro = "# fingerprint: "
)

// scryptWork is the work factor of age files, as stock age sets it: about a
// second and 256 MB of memory. Files that ask for more than maxScryptWork,
// which takes four times that, are refused.
const (
	scryptWork    = 18
	maxScryptWork = 20
)

// maxEscrow bounds an escrow file, in bytes.
const maxEscrow = 64 << 10

// SealAge makes an escrow file of the secret that stock age opens with the
// passphrase: `age -d FILE` prints the secret and a newline. It is armored and
// ends with a newline. The passphrase must not be empty: age has no such thing;
// see SealPlain.
func SealAge(secret, passphrase []byte) (string, error) {
	s, err := sealAge(secret, passphrase, scryptWork)
	if err != nil {
		return "", fmt.Errorf("seal age escrow key: %w", err)
	}
	return s, nil
}

func sealAge(secret, passphrase []byte, work int) (string, error) {
	if err := checkLine(secret); err != nil {
		return "", err
	}
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return "", err
	}
	recipient.SetWorkFactor(work)
	var out strings.Builder
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(w, "%s\n", secret); err != nil {
		return "", err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return "", err
	}
	return out.String(), nil
}

// SealPlain makes an escrow file that holds the secret in plain text, as a line
// of its own below comments. An age file always needs a key, and age takes none
// from the file itself, so that this is what is left without a passphrase.
func SealPlain(secret []byte) (string, error) {
	if err := checkLine(secret); err != nil {
		return "", fmt.Errorf("write plain escrow key: %w", err)
	}
	return fmt.Sprintf("%s: whoever has this file can read the backup\n%s%s\n%s\n",
		plainIntro, fingerIntro, FingerprintOf(secret), secret), nil
}

// checkLine says why a secret is no line that comes back from a text file as
// it went in.
func checkLine(secret []byte) error {
	switch {
	case len(secret) == 0 || len(secret) > MaxSecret:
		return fmt.Errorf("the secret has %d bytes, not 1 to %d", len(secret), MaxSecret)
	case !bytes.Equal(bytes.TrimSpace(secret), secret) || bytes.ContainsAny(secret, "\r\n"):
		return errors.New("the secret is not a single line without space around it")
	case secret[0] == '#':
		return errors.New("the secret looks like a comment")
	}
	return nil
}

// An Escrow is an escrow file, or the key packet of a backup record, that was
// recognized. Printed, it shows which form it has and not the secret.
type Escrow struct {
	form        string
	fingerprint string // "" when it is not known yet
	plain       []byte // the secret, when it takes no passphrase
	open        func(passphrase []byte) ([]byte, error)
}

// Parse tells the forms of escrow files apart:
//
//   - a key packet;
//   - an age file sealed with a passphrase, armored or not, whose content is the
//     secret and perhaps a newline;
//   - plain text as SealPlain writes it: comments, the first of them saying that
//     this is an escrow key, and the secret.
//
// Space around the content is ignored. A key packet that opens without a
// passphrase is opened.
func Parse(data []byte) (*Escrow, error) {
	if len(data) > maxEscrow {
		return nil, fmt.Errorf("read escrow key: it has %d bytes, more than %d", len(data), maxEscrow)
	}
	e, err := parseEscrow(data, bytes.TrimSpace(data))
	if err != nil {
		return nil, fmt.Errorf("read escrow key: %w", err)
	}
	return e, nil
}

// parseEscrow takes the data as it is, since a binary age file may end with
// what looks like a space, and trimmed.
func parseEscrow(data, text []byte) (*Escrow, error) {
	switch {
	case bytes.HasPrefix(data, []byte(ageIntro)):
		return ageEscrow(data)
	case bytes.HasPrefix(text, []byte(armor.Header)):
		raw, err := io.ReadAll(armor.NewReader(bytes.NewReader(text)))
		if err != nil {
			return nil, err
		}
		return ageEscrow(raw)
	case bytes.HasPrefix(text, []byte(plainIntro)):
		return plainEscrow(string(text))
	}
	return packetEscrow(text)
}

func packetEscrow(text []byte) (*Escrow, error) {
	p, err := parsePacket(text)
	if err != nil {
		return nil, fmt.Errorf("neither plain text nor an age file, and as a key packet %w", err)
	}
	e := &Escrow{form: "key packet", fingerprint: fmt.Sprintf("%X", p.fingerprint), open: p.open}
	e.plain, err = p.open(nil)
	if err != nil && !errors.Is(err, ErrPassphrase) {
		return nil, fmt.Errorf("key packet: %w", err)
	}
	return e, nil
}

func plainEscrow(text string) (*Escrow, error) {
	e := &Escrow{form: "plain text"}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, fingerIntro); ok {
			e.fingerprint = s
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if e.plain != nil {
			return nil, errors.New("there are two secrets in it")
		}
		e.plain = []byte(line)
	}
	if err := checkLine(e.plain); err != nil {
		return nil, err
	}
	computed := FingerprintOf(e.plain)
	if e.fingerprint != "" && !strings.EqualFold(e.fingerprint, computed) {
		return nil, fmt.Errorf("the secret in it has fingerprint %s, not %q", computed, e.fingerprint)
	}
	e.fingerprint = computed
	return e, nil
}

func ageEscrow(file []byte) (*Escrow, error) {
	_, err := age.Decrypt(bytes.NewReader(file), noIdentity{})
	noMatch, ok := errors.AsType[*age.NoIdentityMatchError](err)
	if !ok {
		return nil, fmt.Errorf("age file: %w", err)
	}
	if !slices.Equal(noMatch.StanzaTypes, []string{"scrypt"}) {
		return nil, errors.New("the age file is not sealed with a passphrase, but for a key")
	}
	return &Escrow{form: "age file", open: func(passphrase []byte) ([]byte, error) {
		return openAge(file, passphrase)
	}}, nil
}

// noIdentity matches no file, which makes age read the header and say what it
// is sealed for.
type noIdentity struct{}

func (noIdentity) Unwrap([]*age.Stanza) ([]byte, error) {
	return nil, age.ErrIncorrectIdentity
}

func openAge(file, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxScryptWork)
	r, err := age.Decrypt(bytes.NewReader(file), identity)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r) // no larger than the file
	if err != nil {
		return nil, err
	}
	secret := bytes.TrimRight(content, "\r\n")
	return secret, checkLine(secret)
}

// NeedsPassphrase reports whether Secret needs one.
func (e *Escrow) NeedsPassphrase() bool { return e.plain == nil }

// Fingerprint returns the fingerprint of the secret, as far as the file tells
// before it is opened: an age file doesn't, and gives "".
func (e *Escrow) Fingerprint() string { return e.fingerprint }

// Secret returns the secret. The passphrase does not matter if the file needs
// none. If it does, the error may be ErrPassphrase; any other says that no
// passphrase helps.
func (e *Escrow) Secret(passphrase []byte) ([]byte, error) {
	if e.plain != nil {
		return bytes.Clone(e.plain), nil
	}
	secret, err := e.open(passphrase)
	if err != nil {
		return nil, fmt.Errorf("open escrow key: %s: %w", e.form, err)
	}
	return secret, nil
}

// String names the form.
func (e *Escrow) String() string { return "escrow key (" + e.form + ")" }

// GoString is String.
func (e *Escrow) GoString() string { return e.String() }
