package sftp_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"

	"tklbam/backends"
	"tklbam/backends/sftp"
)

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && program == "sshd" {
		path, err = exec.LookPath("/usr/sbin/sshd")
	}
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// nobody is the user that the server runs as where the tests are root's.
const nobody = 65534

// A server is OpenSSH's sshd, one process per connection, as a user that is
// not root.
type server struct {
	dir     string // the user's home directory, where it is not the real one
	addr    string
	user    string
	hostKey ssh.PublicKey
	command []string
	log     string

	mu    sync.Mutex
	conns []net.Conn
	procs sync.WaitGroup
}

// startServer starts a server whose configuration has the given lines.
func startServer(t testing.TB, lines ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), user: "keeper"}
	s.log = filepath.Join(s.dir, "log")
	_, s.hostKey = s.newKey(t, "host_ed25519")
	lines = append([]string{
		"HostKey " + filepath.Join(s.dir, "host_ed25519"),
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized_keys"),
		"StrictModes no", "UsePAM no", "PidFile none", "LogLevel ERROR",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no",
	}, lines...)
	s.write(t, "sshd_config", strings.Join(lines, "\n")+"\n")
	s.command = []string{needs(t, "sshd"), "-i", "-f", filepath.Join(s.dir, "sshd_config"), "-E", s.log}
	if os.Geteuid() == 0 {
		s.dropRoot(t)
	} else {
		s.user = os.Getenv("USER")
	}
	s.listen(t)
	return s
}

// dropRoot runs the server as nobody, who is given a name, a shell and the directory
// of the test as home in the server's own view of the file system.
func (s *server) dropRoot(t testing.TB) {
	needs(t, "unshare")
	needs(t, "setpriv")
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		t.Skipf("needs the right to unshare mounts: %v", err)
	}
	s.write(t, "passwd", fmt.Sprintf("root:x:0:0::/root:/bin/sh\nkeeper:*:%d:%d::%s:/bin/sh\n", nobody, nobody, s.dir))
	script := `mount --bind "$1" /etc/passwd && shift && exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"`
	s.command = append([]string{"unshare", "-m", "sh", "-c", script, "sh", filepath.Join(s.dir, "passwd")}, s.command...)
	if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	s.own(t, s.dir)
}

// own gives a file to the server's user.
func (s *server) own(t testing.TB, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

func (s *server) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.own(t, path)
}

// mkdir makes a directory for the server's user and returns its path.
func (s *server) mkdir(t testing.TB) string {
	t.Helper()
	path, err := os.MkdirTemp(s.dir, "target")
	if err != nil {
		t.Fatal(err)
	}
	s.own(t, path)
	return path
}

func (s *server) newKey(t testing.TB, name string) (ed25519.PrivateKey, ssh.PublicKey) {
	t.Helper()
	key, public := newKey(t)
	s.write(t, name, encodeKey(t, key))
	return key, public
}

func newKey(t testing.TB) (ed25519.PrivateKey, ssh.PublicKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, sshPublic
}

func encodeKey(t testing.TB, key ed25519.PrivateKey) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// listen takes connections until the test ends, each for a process.
func (s *server) listen(t testing.TB) {
	l := listenLoopback(t)
	s.addr = l.Addr().String()
	go acceptAll(l, s.serve)
	t.Cleanup(func() {
		l.Close()
		s.cut()
		s.procs.Wait()
		if text, err := os.ReadFile(s.log); t.Failed() && err == nil {
			t.Logf("sshd: %s", text)
		}
	})
}

func listenLoopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func acceptAll(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go serve(conn)
	}
}

func (s *server) serve(conn net.Conn) {
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.procs.Add(1)
	s.mu.Unlock()
	defer s.procs.Done()
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return
	}
	defer file.Close()
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, io.Discard
	cmd.Run()
}

// cut ends all connections.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.(*net.TCPConn).SetLinger(0)
		// The process has the same socket: closing it here is not enough.
		if raw, err := c.(*net.TCPConn).SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
		}
		c.Close()
	}
	s.conns = nil
}

// A client is a user with a home directory.
type client struct {
	home string
	env  sftp.Environment
}

// newClient makes a client that the server knows and that knows the server.
func newClient(t testing.TB, s *server) *client {
	t.Helper()
	c := &client{home: t.TempDir()}
	c.env = sftp.Environment{User: s.user, HomeDir: c.home}
	key, public := newKey(t)
	c.write(t, "id_ed25519", encodeKey(t, key))
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(public)))
	c.trust(t, s.addr, s.hostKey)
	return c
}

// write writes a file in the .ssh directory.
func (c *client) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(c.home, ".ssh", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// trust writes known_hosts.
func (c *client) trust(t testing.TB, addr string, key ssh.PublicKey) {
	t.Helper()
	c.write(t, "known_hosts", knownhosts.Line([]string{addr}, key)+"\n")
}

// open opens a directory by its absolute path.
func (c *client) open(t testing.TB, addr, dir string) backends.Backend {
	t.Helper()
	b, err := c.try(t, "sftp://"+addr+"/"+dir, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func (c *client) try(t testing.TB, address string, opts backends.Options) (backends.Backend, error) {
	t.Helper()
	return backends.Open(t.Context(), drivers(c), address, opts)
}

func drivers(c *client) []backends.Driver { return []backends.Driver{sftp.Driver(c.env)} }

// tryError returns the error of opening an address.
func (c *client) tryError(t testing.TB, address string) error {
	t.Helper()
	b, err := c.try(t, address, backends.Options{})
	if err == nil {
		b.Close()
		t.Errorf("%s can be opened", address)
	}
	return err
}
