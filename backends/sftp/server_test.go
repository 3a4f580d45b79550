package sftp_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/sftp"
)

type server = servers.SSHServer

// startServer starts a server whose configuration has the given lines.
func startServer(t testing.TB, lines ...string) *server {
	t.Helper()
	return servers.SSHD(t, servers.SSHOptions{Lines: lines})
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

// A client is a user with a home directory.
type client struct {
	home string
	env  sftp.Environment
}

// newClient makes a client that the server knows and that knows the server.
func newClient(t testing.TB, s *server) *client {
	t.Helper()
	c := &client{home: t.TempDir()}
	c.env = sftp.Environment{User: s.User, HomeDir: c.home}
	s.Admit(t, c.home)
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
