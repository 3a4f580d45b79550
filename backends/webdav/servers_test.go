package webdav_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/webdav"
)

const (
	testUser     = servers.User
	testPassword = servers.Password
)

// A server is a real one on the loopback interface.
type server struct {
	root    string // the directory its collection "dav" is in
	address string // of the server's root, without user and slash at the end
	env     webdav.Environment
}

func newServer(s *servers.WebDAVServer) *server {
	scheme := "webdav"
	if s.CAFile != "" {
		scheme = "webdavs"
	}
	env := environment(s.Dir)
	env.CAFile = s.CAFile
	return &server{root: s.Root, address: scheme + "://" + s.Host, env: env}
}

func environment(dir string) webdav.Environment {
	return webdav.Environment{User: testUser, Password: backends.NewSecret(testPassword), SpoolDir: dir}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// apache starts Apache with mod_dav. nonceLife is in seconds, 0 for Basic.
func apache(t testing.TB, nonceLife int, tls bool) *server {
	t.Helper()
	return newServer(servers.Apache(t, servers.ApacheOptions{NonceLife: nonceLife, TLS: tls}))
}

func goServer(t testing.TB) *server {
	t.Helper()
	return newServer(servers.GoDAV(t))
}

func serverDir(t testing.TB) string {
	t.Helper()
	return servers.OpenDir(t, "files", "files/dav")
}

// open opens a collection of a server.
func (s *server) open(t testing.TB, path string, opts backends.Options) backends.Backend {
	t.Helper()
	b, err := s.tryOpen(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func (s *server) tryOpen(ctx context.Context, path string, opts backends.Options) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{webdav.Driver(s.env)}, s.address+path, opts)
}

// conform runs the suite, each of its targets in a collection of its own.
func conform(t *testing.T, s *server) {
	t.Parallel()
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return s.open(t, fmt.Sprintf("/dav/a%%20b%%C3%%BC+%%25/%d", n), backends.Options{Create: true})
	})
}

func TestApacheBasic(t *testing.T)  { conform(t, apache(t, 0, false)) }
func TestApacheDigest(t *testing.T) { conform(t, apache(t, 1, true)) }
func TestGoServer(t *testing.T)     { conform(t, goServer(t)) }
