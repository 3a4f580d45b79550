package imap_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/imap"
)

const (
	testUser     = servers.IMAPUser
	testPassword = servers.IMAPPassword
)

// A server is a real one on the loopback interface.
type server struct {
	*servers.IMAPServer
	env imap.Environment
}

type setup = servers.DovecotOptions

func dovecot(t testing.TB, s setup) *server {
	t.Helper()
	started := servers.Dovecot(t, s)
	if s.Password == "" {
		s.Password = testPassword
	}
	return &server{started, imap.Environment{
		Password: backends.NewSecret(s.Password), CAFile: started.CAFile, TempDir: t.TempDir(),
	}}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// address returns one with a path.
func (s *server) address(scheme, path string) string {
	port := s.Port
	if scheme == "imaps" {
		port = s.TLSPort
	}
	u := strings.ReplaceAll(url.PathEscape(testUser), "@", "%40")
	return fmt.Sprintf("%s://%s@%s:%d/%s", scheme, u, s.Host, port, path)
}

func tryOpen(ctx context.Context, env imap.Environment, address string, opts backends.Options) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{imap.Driver(env)}, address, opts)
}

func (s *server) open(t testing.TB, scheme, path string) backends.Backend {
	t.Helper()
	b, err := tryOpen(t.Context(), s.env, s.address(scheme, path), backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// conform runs the suite, each of its targets in a mailbox of its own.
func conform(t *testing.T, s *server, scheme string) {
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return s.open(t, scheme, fmt.Sprintf("sub/a%%20b%%C3%%BC+%%25&/%d", n))
	})
}

func TestBoxTLS(t *testing.T) {
	t.Parallel()
	conform(t, dovecot(t, setup{}), "imaps")
}

func TestMaildir(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("the suite takes a minute on Maildir: it is for CI=true")
	}
	t.Parallel()
	conform(t, dovecot(t, setup{Mail: "maildir:~/Maildir"}), "imap")
}
