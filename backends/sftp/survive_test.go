package sftp_test

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/backendtest/servers"
)

// TestSurvives has connections fail in every manner, at every point of what
// the two sides say.
func TestSurvives(t *testing.T) {
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, lines...)
			c := newClient(t, s)
			c.write(t, "config", "StrictHostKeyChecking accept-new\n")
			c.env.StallTimeout = 2 * time.Second
			faultproxy.Suite{
				Stall: 2 * time.Second, Limit: 20 * time.Second, Size: 300_000, Cases: 25,
				Open: func(t *testing.T) faultproxy.Site {
					p, address := faultproxy.Start(t, s.Addr)
					dir := s.Mkdir(t)
					return faultproxy.Site{Backend: c.open(t, address, dir), Proxies: []*faultproxy.Proxy{p}, Dir: dir}
				},
			}.Run(t)
		})
	}
}

// TestOddAddresses has characters in users, passwords and paths that addresses
// may get wrong, on both kinds of loopback address.
func TestOddAddresses(t *testing.T) {
	t.Parallel()
	const user, password = `back up:/@%&ü`, `p:a"s\s@/%&#?ü`
	const login = "back%20up%3A%2F%40%25%26%C3%BC:p%3Aa%22s%5Cs%40%2F%25%26%23%3F%C3%BC@"
	check := func(config *ssh.ServerConfig) {
		config.PasswordCallback = func(meta ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			if meta.User() == user && string(p) == password {
				return nil, nil
			}
			return nil, errors.New("wrong")
		}
	}
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", host)
		if err != nil {
			t.Logf("needs the address %s: %v", host, err)
			continue
		}
		t.Cleanup(func() { l.Close() })
		key := serveAt(t, l, check)
		c := &client{home: t.TempDir()}
		c.env.HomeDir = c.home
		c.trust(t, l.Addr().String(), key)
		dir := t.TempDir()
		b, err := c.try(t, "sftp://"+login+l.Addr().String()+"/"+dir+"/a%20b/%C3%BC+&=%25/%23%3F:~", backends.Options{Create: true})
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		put(t, b, "a name+%", []byte("data"))
		wantContent(t, b, "a name+%", []byte("data"))
		wantEntries(t, filepath.Join(dir, "a b/ü+&=%/#?:~"), "a name+%")
		if strings.Contains(b.String(), "s%5Cs") {
			t.Errorf("%s shows the password", b)
		}
		b.Close()
	}
}
