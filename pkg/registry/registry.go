// Package registry keeps what a system remembers about its backups: the
// secret, the key packet, the Hub link, the cached credentials and backup
// record, the session that was interrupted, and the profile.
//
// It is a directory of small text files, as the predecessor of this program
// left it: one value a file, or one name=value a line, readable by the owner
// only, with one newline at the end. Files are replaced as a whole; see
// package atomicfile for what a crash leaves. Values that are absent are
// fs.ErrNotExist.
//
// A Registry may be used by several goroutines and processes at once, each
// file being read and replaced as a whole; who changes a value after reading
// it must hold a lock of its own.
package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"

	"tklbam/pkg/atomicfile"
)

// DefaultPath is the system's registry.
const DefaultPath = "/var/lib/tklbam"

// EnvVar names the environment variable that moves the registry. Reading it is
// the caller's part.
const EnvVar = "TKLBAM_REGISTRY"

// The files, by their names in the directory.
const (
	secretFile      = "secret"
	keyFile         = "key"
	subAPIKeyFile   = "sub_apikey"
	credentialsFile = "credentials"
	recordFile      = "hbr"
	resumeFile      = "backup-resume"
)

// Names for PathOr, of what else may have its place in the registry.
const (
	BackupLog  = "backup.log"
	RestoreLog = "restore.log"
	BackupPID  = "backup.pid"
)

// maxFile bounds what is read of one file, in bytes. The largest is the
// interrupted session with its overrides.
const maxFile = 16 << 20

// A Registry is an open registry directory.
type Registry struct {
	dir string
}

// DefaultPathFor returns the registry that a user works with who names none:
// DefaultPath for root and for whoever may write there, else
// .local/state/tklbam in the home directory, if that is known.
func DefaultPathFor(uid int, home string) string {
	return defaultPathFor(uid, home, DefaultPath)
}

func defaultPathFor(uid int, home, system string) string {
	if uid == 0 || !filepath.IsAbs(home) || writable(system) {
		return system
	}
	return filepath.Join(home, ".local", "state", "tklbam")
}

// Open opens the registry at path. It creates the directory, with mode 0700,
// and the directories above it, if need be; it leaves the mode of one that is
// there alone: see Check.
func Open(path string) (*Registry, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open registry %q: %w", path, err)
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return &Registry{dir}, nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return os.Chmod(dir, 0o700) // the umask may have taken bits away
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a directory", dir)
	}
	return nil
}

// Path returns the absolute path of the directory.
func (r *Registry) Path() string { return r.dir }

func (r *Registry) join(name string) string { return filepath.Join(r.dir, name) }

// PathOr returns global when this process may write there, or else the file
// called local in the registry: for logs and locks, which have their place in
// system directories that only root may write to.
func (r *Registry) PathOr(global, local string) string {
	if writable(global) || (absent(global) && writable(filepath.Dir(global))) {
		return global
	}
	return r.join(local)
}

// writable asks the kernel, which knows about read-only mounts and ACLs too.
func writable(path string) bool {
	const write = 2 // W_OK
	return syscall.Access(path, write) == nil
}

func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// Check returns what makes the registry unsafe, one error for each reason:
// others that may write to it, or read what they should not, or own it. None
// of it keeps the registry from working.
func (r *Registry) Check() []error {
	found := check(r.dir, 0o022)
	for _, name := range []string{secretFile, keyFile, subAPIKeyFile, credentialsFile, recordFile, resumeFile} {
		found = append(found, check(r.join(name), 0o077)...)
	}
	return found
}

// check looks for permissions among forbidden, and for another owner than this
// user and root.
func check(path string, forbidden fs.FileMode) (found []error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []error{fmt.Errorf("check registry: %w", err)}
	}
	if perm := info.Mode().Perm(); perm&forbidden != 0 {
		found = append(found, fmt.Errorf("check registry: other users may access %q: mode is %#o", path, perm))
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		found = append(found, fmt.Errorf("check registry: %q belongs to another user: uid %d", path, st.Uid))
	}
	return found
}

// read returns a file without the white space at its end. A file with nothing
// else in it counts as absent, as it always did: it holds no value.
func (r *Registry) read(name string) (string, error) {
	f, err := os.Open(r.join(name))
	if err != nil {
		return "", fmt.Errorf("read registry: %w", err)
	}
	defer f.Close() // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("read registry: %w", err)
	}
	if len(data) > maxFile {
		return "", fmt.Errorf("read registry: %q is larger than %d bytes", f.Name(), maxFile)
	}
	value := strings.TrimRightFunc(string(data), unicode.IsSpace)
	if value == "" {
		return "", fmt.Errorf("read registry: %q is empty: %w", f.Name(), fs.ErrNotExist)
	}
	return value, nil
}

// writeLine writes a value that is one line by its nature.
func (r *Registry) writeLine(name, value string) error {
	if strings.ContainsAny(strings.TrimRightFunc(value, unicode.IsSpace), "\r\n") {
		return fmt.Errorf("update registry: %q can't hold several lines", r.join(name))
	}
	return r.write(name, value)
}

// write replaces a file, or removes it when there is nothing to write.
func (r *Registry) write(name, value string) error {
	value = strings.TrimRightFunc(value, unicode.IsSpace)
	if value == "" {
		return r.remove(name)
	}
	if err := atomicfile.Write(r.join(name), []byte(value+"\n"), 0o600); err != nil {
		return fmt.Errorf("update registry: %w", err)
	}
	return nil
}

// remove removes a file; if there is none, that is no error. Unlike a write, it
// may turn out not to have happened after a crash.
func (r *Registry) remove(name string) error {
	err := os.Remove(r.join(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("update registry: %w", err)
	}
	return nil
}
