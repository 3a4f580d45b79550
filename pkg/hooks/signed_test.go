package hooks

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tklbam/pkg/command"
)

// gpg runs GnuPG with a home of its own.
func gpg(t *testing.T, home string, args ...string) {
	t.Helper()
	args = append([]string{"--homedir", home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)
	if out, err := exec.Command("gpg", args...).CombinedOutput(); err != nil {
		t.Fatalf("gpg %q: %v: %s", args, err, out)
	}
}

// newKey returns a GnuPG home with a signing key, and its keyring.
func newKey(t *testing.T, expires string) (home, keyring string) {
	t.Helper()
	needs(t, "gpg", "gpgv", "gpgconf")
	home, err := os.MkdirTemp("", "gpg") // short, for the agent's socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--homedir", home, "--kill", "all")
		if err := errors.Join(stop.Run(), os.RemoveAll(home)); err != nil {
			t.Error(err)
		}
	})
	var fake []string
	if strings.HasPrefix(expires, "2") { // a date: it is past
		fake = []string{"--faked-system-time", "20200101T000000"}
	}
	gpg(t, home, append(fake, "--quick-generate-key", "signer@example.com", "ed25519", "sign", expires)...)
	keyring = filepath.Join(newDir(t), "turnkey.gpg")
	gpg(t, home, "--output", keyring, "--export")
	return home, keyring
}

func sign(t *testing.T, home, path string, extra ...string) {
	t.Helper()
	gpg(t, home, append(extra, "--output", path+".sig", "--detach-sign", path)...)
}

// signedHooks returns hooks of a profile, and what was skipped.
func signedHooks(t *testing.T, keyring string) (*Hooks, *bytes.Buffer, map[string]string) {
	t.Helper()
	h, out := newHooks(t)
	h.Local, h.Profile, h.TempDir = "", h.Local, t.TempDir()
	h.Verifier = GPGV{Keyring: keyring, Runner: command.Exec{}}
	skipped := make(map[string]string)
	h.Skipped = func(hook string, reason error) { skipped[filepath.Base(hook)] = reason.Error() }
	return h, out, skipped
}

func TestSignedHooks(t *testing.T) {
	home, keyring := newKey(t, "never")
	other, _ := newKey(t, "never")
	h, out, skipped := signedHooks(t, keyring)

	sign(t, home, hook(t, h.Profile, "good", `echo "good $*" "$(basename "$0")"`))
	hook(t, h.Profile, "unsigned", "echo unsigned")
	sign(t, other, hook(t, h.Profile, "foreign", "echo foreign"))
	sign(t, home, hook(t, h.Profile, "edited", "echo edited"))
	hook(t, h.Profile, "edited", "echo evil")
	hook(t, h.Profile, "broken", "echo broken")
	write(t, h.Profile, "broken.sig", "no signature", 0o644)
	hook(t, h.Profile, "empty", "echo empty")
	write(t, h.Profile, "empty.sig", "", 0o644)
	sign(t, home, hook(t, h.Profile, "attached", "echo attached"), "--armor")
	gpg(t, home, "--output", filepath.Join(h.Profile, "attached.sig"), "--sign", filepath.Join(h.Profile, "good"))
	symlink(t, "good", filepath.Join(h.Profile, "linked"))
	sign(t, home, hook(t, h.Profile, "linked-signature", `echo "good $*" "$(basename "$0")"`))
	sig := filepath.Join(h.Profile, "linked-signature.sig")
	if err := os.Rename(sig, filepath.Join(h.Profile, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	symlink(t, "elsewhere", sig)

	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil {
		t.Fatal(err)
	}
	if want := "good backup pre good\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	for name, reason := range map[string]string{
		"unsigned": "it is not signed", "foreign": "verify signature: ", "edited": "verify signature: ",
		"broken": "verify signature: ", "empty": "verify signature: ", "attached": "verify signature: ", "linked-signature": "",
	} {
		if got, ok := skipped[name]; !ok || !strings.HasPrefix(got, reason) {
			t.Errorf("%s: skipped is %v, because %q", name, ok, got)
		}
		delete(skipped, name)
	}
	if len(skipped) > 0 {
		t.Errorf("skipped too: %v", skipped)
	}
	expectNothingIn(t, h.TempDir)
}

func expectNothingIn(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
}

// gpgv itself is content with an expired key.
func TestExpiredKey(t *testing.T) {
	home, keyring := newKey(t, "2020-02-01")
	h, out, skipped := signedHooks(t, keyring)
	sign(t, home, hook(t, h.Profile, "1", "echo expired"), "--faked-system-time", "20200102T000000")
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 || !strings.Contains(skipped["1"], "EXPKEYSIG") {
		t.Errorf("got %q, skipped %q", out, skipped)
	}
}

func TestKeyring(t *testing.T) {
	home, keyring := newKey(t, "never")
	h, out, skipped := signedHooks(t, keyring)
	sign(t, home, hook(t, h.Profile, "1", "echo one"))
	run := func(name string) {
		t.Helper()
		clear(skipped)
		h.skipped = nil
		if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil {
			t.Fatal(err)
		}
		if out.Len() > 0 || skipped["1"] == "" {
			t.Errorf("%s: got %q, skipped %q", name, out, skipped)
		}
	}
	chmod(t, keyring, 0o666)
	run("writable keyring")
	h.Verifier = GPGV{Keyring: keyring + ".none", Runner: command.Exec{}}
	run("absent keyring")
	h.Verifier = nil
	run("no verifier")
	err := GPGV{Keyring: keyring + ".none"}.Verify(t.Context(), "", "")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

type verifierFunc func(file string) error

func (f verifierFunc) Verify(_ context.Context, file, _ string) error { return f(file) }

// What is run is what was verified, whatever happens to the profile meanwhile.
func TestRunsWhatWasVerified(t *testing.T) {
	h, out, _ := signedHooks(t, "")
	path := hook(t, h.Profile, "1", "echo verified")
	write(t, h.Profile, "1.sig", "signature", 0o644)
	h.Verifier = verifierFunc(func(private string) error {
		hook(t, h.Profile, "1", "echo replaced")
		if info, err := os.Stat(filepath.Dir(private)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the copy's directory: %v, %v", info, err)
		}
		return nil
	})
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil || out.String() != "verified\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expectNothingIn(t, h.TempDir)
}

func TestFailingSignedHook(t *testing.T) {
	h, _, _ := signedHooks(t, "")
	hook(t, h.Profile, "1", "echo why; exit 1")
	write(t, h.Profile, "1.sig", "signature", 0o644)
	h.Verifier = verifierFunc(func(string) error { return nil })
	err := h.Run(t.Context(), Call{Operation: Backup, State: Pre})
	if err == nil || !strings.Contains(err.Error(), `backup hook "1", pre: `) || !strings.Contains(err.Error(), "why") {
		t.Errorf("got %v", err)
	}
	expectNothingIn(t, h.TempDir)
}

// Odd files in a profile end in a reason, not in a wait.
func TestOddSignedFiles(t *testing.T) {
	h, out, skipped := signedHooks(t, "")
	h.Verifier = verifierFunc(func(string) error { return nil })
	hook(t, h.Profile, "fifo", "echo no")
	if err := syscall.Mkfifo(filepath.Join(h.Profile, "fifo.sig"), 0o644); err != nil {
		t.Fatal(err)
	}
	hook(t, h.Profile, "long", "echo no")
	write(t, h.Profile, "long.sig", strings.Repeat("x", maxSignature+1), 0o644)
	hook(t, h.Profile, "large", strings.Repeat("#", maxHook))
	write(t, h.Profile, "large.sig", "x", 0o644)
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil || out.Len() > 0 {
		t.Errorf("got %q, %v", out, err)
	}
	if len(skipped) != 3 {
		t.Errorf("skipped %q", skipped)
	}
}

func TestCheckStatus(t *testing.T) {
	const good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0123 somebody\n[GNUPG:] VALIDSIG 0123\n"
	if err := checkStatus(good); err != nil {
		t.Error(err)
	}
	for _, s := range []string{
		"", "GOODSIG\n", "[GNUPG:]\n", "gpgv: GOODSIG 0123\n", "[GNUPG:] EXPKEYSIG 0123 [GNUPG:] GOODSIG\n",
		good + "[GNUPG:] BADSIG 0123 x\n", good + "[GNUPG:] REVKEYSIG 1 x\n", good + "[GNUPG:] ERRSIG 1\n", good + "[GNUPG:] EXPSIG 1\n",
	} {
		if err := checkStatus(s); err == nil {
			t.Errorf("%q is a good signature", s)
		}
	}
}
