package ftp_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/ftp"
)

const (
	testUser     = servers.User
	testPassword = servers.Password
)

// A server is a real one on the loopback interface.
type server struct {
	root    string // the directory its users begin in
	address string // without path
	port    int
	env     ftp.Environment
}

func newServer(s *servers.FTPServer, scheme string) *server {
	return &server{
		root: s.Root, address: fmt.Sprintf("%s://localhost:%d", scheme, s.Port), port: s.Port,
		env: ftp.Environment{CAFile: s.CAFile},
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// vsftpd starts vsftpd, which is for anonymous users. The scheme says which
// encryption it insists on.
func vsftpd(t testing.TB, scheme string, implicit bool) *server {
	t.Helper()
	tls := servers.NoTLS
	switch {
	case implicit:
		tls = servers.ImplicitTLS
	case scheme != "ftp":
		tls = servers.ExplicitTLS
	}
	return newServer(servers.Vsftpd(t, tls), scheme)
}

type oddity = servers.PyftpdlibOptions

// pyftpdlib starts pyftpdlib, which has a user.
func pyftpdlib(t testing.TB, o oddity) *server {
	t.Helper()
	scheme := "ftp"
	if o.TLS {
		scheme = "ftpes"
	}
	s := newServer(servers.Pyftpdlib(t, o), scheme)
	s.env.User, s.env.Password = testUser, backends.NewSecret(testPassword)
	return s
}

func (s *server) tryOpen(ctx context.Context, path string, opts backends.Options) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{ftp.Driver(s.env)}, s.address+path, opts)
}

func (s *server) open(t testing.TB, path string, opts backends.Options) backends.Backend {
	t.Helper()
	b, err := s.tryOpen(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// conform runs the suite, each of its targets in a directory of its own.
func conform(t *testing.T, s *server) {
	t.Parallel()
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return s.open(t, fmt.Sprintf("/dir/a%%20b%%C3%%BC+%%25/%d", n), backends.Options{Create: true})
	})
}

func TestVsftpd(t *testing.T)         { conform(t, vsftpd(t, "ftp", false)) }
func TestVsftpdImplicit(t *testing.T) { conform(t, vsftpd(t, "ftps", true)) }
func TestPyftpdlib(t *testing.T)      { conform(t, pyftpdlib(t, oddity{})) }
