package servers

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// WithSFTP is the line that makes an SSHD serve SFTP.
const WithSFTP = "Subsystem sftp internal-sftp"

// nobody is the user that sshd runs as where the tests are root's.
const nobody = 65534

// An SSHServer is OpenSSH's sshd, one process per connection.
type SSHServer struct {
	*Inetd
	Dir     string // its files, and the user's home directory where that is not the real one
	User    string
	HostKey ssh.PublicKey
}

// SSHOptions say what is special about an SSHD.
type SSHOptions struct {
	Lines    []string // of its configuration
	Password string   // of the user, who has none if it is empty
	Self     bool     // the user is who runs the test, root too
}

// SSHD starts one for a user that is not root, whose home directory is Dir where
// the test is root's.
func SSHD(t testing.TB, o SSHOptions) *SSHServer {
	t.Helper()
	s := &SSHServer{Dir: t.TempDir(), User: "keeper"}
	key, public := NewKey(t)
	s.HostKey = public
	s.Write(t, "host_ed25519", EncodeKey(t, key))
	answer := map[bool]string{true: "yes", false: "no"}[o.Password != ""]
	lines := append([]string{
		"HostKey " + filepath.Join(s.Dir, "host_ed25519"),
		"AuthorizedKeysFile " + filepath.Join(s.Dir, "authorized_keys"),
		"StrictModes no", "UsePAM no", "PidFile none", "LogLevel ERROR", "PermitRootLogin yes",
		"PasswordAuthentication " + answer, "KbdInteractiveAuthentication no",
	}, o.Lines...)
	s.Write(t, "sshd_config", strings.Join(lines, "\n")+"\n")
	log := filepath.Join(s.Dir, "log")
	command := []string{Needs(t, "sshd"), "-i", "-f", filepath.Join(s.Dir, "sshd_config"), "-E", log}
	switch {
	case o.Self || os.Geteuid() != 0:
		s.beSelf(t, o)
	default:
		command = append(s.dropRoot(t, o.Password), command...)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("sshd: %s", text)
		}
	})
	s.Inetd = StartInetd(t, command...)
	return s
}

// beSelf has the server run as who runs the test.
func (s *SSHServer) beSelf(t testing.TB, o SSHOptions) {
	t.Helper()
	if o.Password != "" {
		t.Skip("needs to be root, for a user with a password")
	}
	s.User = os.Getenv("USER")
	if os.Geteuid() != 0 {
		return
	}
	s.User = "root"
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Skipf("sshd's directory for privilege separation can't be made: %v", err)
	}
}

// dropRoot returns the command that runs a server as nobody, who is given a
// name, a shell and the directory of the test as home in the server's own view
// of the file system.
func (s *SSHServer) dropRoot(t testing.TB, password string) []string {
	t.Helper()
	Needs(t, "unshare")
	Needs(t, "setpriv")
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		t.Skipf("needs the right to unshare mounts: %v", err)
	}
	hash := "*"
	if password != "" {
		out, err := exec.Command(Needs(t, "openssl"), "passwd", "-6", password).Output()
		check(t, err)
		hash = strings.TrimSpace(string(out))
	}
	s.Write(t, "passwd", fmt.Sprintf("root:x:0:0::/root:/bin/sh\nkeeper:%s:%d:%d::%s:/bin/sh\n", hash, nobody, nobody, s.Dir))
	check(t, os.Chmod(filepath.Dir(s.Dir), 0o755))
	s.Own(t, s.Dir)
	script := `mount --bind "$1" /etc/passwd && shift && exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"`
	return []string{"unshare", "-m", "sh", "-c", script, "sh", filepath.Join(s.Dir, "passwd")}
}

// Own gives a file to the server's user.
func (s *SSHServer) Own(t testing.TB, path string) {
	t.Helper()
	if os.Geteuid() == 0 {
		check(t, os.Chown(path, nobody, nobody))
	}
}

// Write writes a file of Dir.
func (s *SSHServer) Write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	check(t, os.WriteFile(path, []byte(text), 0o600))
	s.Own(t, path)
}

// Mkdir makes a directory for the server's user and returns its path.
func (s *SSHServer) Mkdir(t testing.TB) string {
	t.Helper()
	path, err := os.MkdirTemp(s.Dir, "target")
	check(t, err)
	s.Own(t, path)
	return path
}

// Admit has a user with a home directory log in by a key of his own: id_ed25519
// and known_hosts are written in its .ssh directory. The server then admits
// none it did before.
func (s *SSHServer) Admit(t testing.TB, home string) {
	t.Helper()
	dir := filepath.Join(home, ".ssh")
	check(t, os.MkdirAll(dir, 0o700))
	key, public := NewKey(t)
	check(t, os.WriteFile(filepath.Join(dir, "id_ed25519"), []byte(EncodeKey(t, key)), 0o600))
	s.Write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(public)))
	s.Known(t, home, s.Addr)
}

// Known writes known_hosts in the .ssh directory, with this server at addresses,
// each a host and a port.
func (s *SSHServer) Known(t testing.TB, home string, addresses ...string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Join(home, ".ssh"), 0o700))
	write(t, filepath.Join(home, ".ssh/known_hosts"), knownhosts.Line(addresses, s.HostKey)+"\n")
}

// NewKey makes a key of a user or a host.
func NewKey(t testing.TB) (ed25519.PrivateKey, ssh.PublicKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	check(t, err)
	sshPublic, err := ssh.NewPublicKey(public)
	check(t, err)
	return key, sshPublic
}

// EncodeKey returns a key as ssh has it in files.
func EncodeKey(t testing.TB, key ed25519.PrivateKey) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	check(t, err)
	return string(pem.EncodeToMemory(block))
}
