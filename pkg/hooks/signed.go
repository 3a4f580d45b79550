package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"tklbam/pkg/command"
)

// DefaultKeyring has the keys that sign the hooks of TurnKey's profiles.
const DefaultKeyring = "/etc/apt/trusted.gpg.d/turnkey.gpg"

// A Verifier says whether a detached signature is one of somebody trusted.
type Verifier interface {
	// Verify returns nil if the signature in one file is good for the content
	// of the other. Nobody else can write to either; Verify may make files
	// beside them.
	Verify(ctx context.Context, file, signature string) error
}

// Bounds of a signed hook and its signature, in bytes.
const (
	maxHook      = 8 << 20
	maxSignature = 64 << 10
)

// callSigned runs a hook of the profile. What is verified and run is a copy
// that nobody else can get at, under the same name in a directory of its own;
// other files in the profile are not beside it.
func (h *Hooks) callSigned(ctx context.Context, path string, c Call) (err error) {
	if h.Verifier == nil {
		h.skip(path, errors.New("there is no keyring to verify it with"))
		return nil
	}
	dir, err := os.MkdirTemp(h.TempDir, "tklbam-hook-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	private := filepath.Join(dir, filepath.Base(path))
	if reason := h.verify(ctx, path, private); reason != nil {
		if ctx.Err() != nil {
			return reason
		}
		h.skip(path, reason)
		return nil
	}
	return h.call(ctx, private, c)
}

// verify makes a private copy of a hook and verifies it.
func (h *Hooks) verify(ctx context.Context, path, private string) error {
	err := copyFile(path+signatureSuffix, private+signatureSuffix, 0o600, maxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is not signed")
	}
	if err == nil {
		err = copyFile(path, private, 0o700, maxHook)
	}
	if err != nil {
		return err
	}
	return h.Verifier.Verify(ctx, private, private+signatureSuffix)
}

// copyFile copies a regular file that is no longer than limit.
func copyFile(from, to string, perm fs.FileMode, limit int64) error {
	src, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is not a regular file", from)
	}
	content, err := io.ReadAll(io.LimitReader(src, limit+1))
	if err != nil {
		return err
	}
	if int64(len(content)) > limit {
		return fmt.Errorf("%q is longer than %d bytes", from, limit)
	}
	// A process that is forked meanwhile would inherit the descriptor, and
	// what is open for writing cannot be executed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, content, perm)
}

// GPGV verifies with the program gpgv, the part of GnuPG that trusts every key
// in a keyring.
type GPGV struct {
	Keyring string // a file of keys, not armored
	Runner  command.Runner
}

// Verify implements Verifier. The keyring itself must be safe; see ErrUnsafe.
// An expired or revoked key, or an expired signature, is an error, also where
// gpgv itself is content.
func (g GPGV) Verify(ctx context.Context, file, signature string) error {
	keyring, err := filepath.Abs(g.Keyring)
	if err != nil {
		return err
	}
	if err := checkTrusted(keyring); err != nil {
		return err
	}
	var status bytes.Buffer
	err = g.Runner.Run(ctx, command.Command{
		Args: []string{"gpgv", "--homedir", filepath.Dir(file), "--keyring", keyring,
			"--status-fd", "1", "--", signature, file},
		Stdout: &status,
	})
	if err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	return checkStatus(status.String())
}

// checkStatus reads the lines that gpgv reports in, as its file doc/DETAILS
// describes them: every signature there is must be good.
func checkStatus(status string) error {
	good := false
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "[GNUPG:]" {
			continue
		}
		switch keyword := fields[1]; keyword {
		case "GOODSIG":
			good = true
		case "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG":
			return fmt.Errorf("verify signature: gpgv reports %s", keyword)
		}
	}
	if !good {
		return errors.New("verify signature: gpgv reports none")
	}
	return nil
}
