package ftp_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/ftp"
)

// behind returns the server as it is reached through a proxy.
func (s *server) behind(t *testing.T) (*server, *faultproxy.FTP) {
	t.Helper()
	p, address := faultproxy.StartFTP(t, fmt.Sprintf("127.0.0.1:%d", s.port))
	far := *s
	far.address = "ftp://" + address
	return &far, p
}

// TestSurvives has connections fail in every manner, at every point of what
// the two sides say.
func TestSurvives(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *server{
		"pyftpdlib": func(t *testing.T) *server { return pyftpdlib(t, oddity{}) },
		"vsftpd":    func(t *testing.T) *server { return vsftpd(t, "ftp", false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.env.StallTimeout = time.Second
			n := 0
			faultproxy.Suite{
				Stall: time.Second, Limit: 15 * time.Second, Size: 300_000, Cases: 40, Blind: true,
				Open: func(t *testing.T) faultproxy.Site {
					n++
					far, p := s.behind(t)
					path := fmt.Sprintf("/dir/%d", n)
					b := far.open(t, path, backends.Options{Create: true})
					return faultproxy.Site{Backend: b, Proxies: []*faultproxy.Proxy{p.Control, p.Data}, Dir: s.root + path}
				},
			}.Run(t)
		})
	}
}

// TestDiskFull has servers with a full disk: vsftpd says so in its own words,
// and pyftpdlib that something went wrong.
func TestDiskFull(t *testing.T) {
	for name, c := range map[string]struct {
		start func(t *testing.T) *server
		want  error
	}{
		"pyftpdlib": {func(t *testing.T) *server { return pyftpdlib(t, oddity{}) }, backends.ErrUnavailable},
		"vsftpd":    {func(t *testing.T) *server { return vsftpd(t, "ftp", false) }, backends.ErrNoSpace},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.start(t)
			dir := s.root + "/dir"
			faultproxy.SmallDisk(t, dir, "2m")
			b := s.open(t, "/dir", backends.Options{})
			if err := put(t.Context(), b, "old", big[:500_000]); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"old", "new"} {
				if err := put(t.Context(), b, name, big); !errors.Is(err, c.want) {
					t.Errorf("error is %v, want %v", err, c.want)
				}
			}
			wantNames(t, b, "old 500000")
			wantOnly(t, s, "old")
		})
	}
}

// TestOddAddresses has characters in users, passwords and paths that addresses
// and commands may get wrong, and both kinds of loopback address.
func TestOddAddresses(t *testing.T) {
	s := pyftpdlib(t, oddity{})
	s.env = ftp.Environment{}
	sixth := pyftpdlib(t, oddity{Sixth: true})
	login := "ftp://back%20up:p%3Aa%22s%5Cs%40%2F%25%26%C3%BC@"
	for address, dir := range map[string]string{
		fmt.Sprintf("%s127.0.0.1:%d/dir/a%%20b/%%C3%%BC+&=%%25/%%23%%3F", login, s.port): s.root + "/dir/a b/ü+&=%/#?",
		fmt.Sprintf("%slocalhost:%d//dir/~x/-rf", login, s.port):                         s.root + "/dir/~x/-rf",
		fmt.Sprintf("%s[::1]:%d/dir/p%%3Aq", login, sixth.port):                          sixth.root + "/dir/p:q",
	} {
		b, err := backends.Open(t.Context(), []backends.Driver{ftp.Driver(s.env)}, address, backends.Options{Create: true})
		if err != nil {
			t.Error(err)
			continue
		}
		if err := put(t.Context(), b, "a name+%", []byte("data")); err != nil {
			t.Error(err)
		}
		if got, err := read(t, b, "a name+%"); err != nil || string(got) != "data" {
			t.Errorf("%s: %q, %v", address, got, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "a name+%")); err != nil {
			t.Error(err)
		}
		if strings.Contains(b.String(), "s%5Cs") {
			t.Errorf("%s shows the password", b)
		}
		b.Close()
	}
}

// TestNoCommands puts commands into an address.
func TestNoCommands(t *testing.T) {
	s := pyftpdlib(t, oddity{})
	write(t, s.root+"/dir/precious", "data")
	host := fmt.Sprintf("127.0.0.1:%d", s.port)
	for _, address := range []string{
		"ftp://u%0D%0ADELE%20dir/precious:secret-one@" + host + "/dir",
		"ftp://u:secret-one%0D%0ADELE%20dir/precious@" + host + "/dir",
		"ftp://back%20up:p%3Aa%22s%5Cs%40%2F%25%26%C3%BC@" + host + "/dir%0D%0ADELE%20dir/precious",
	} {
		b, err := backends.Open(t.Context(), []backends.Driver{ftp.Driver(ftp.Environment{})}, address, backends.Options{Create: true})
		if err == nil {
			b.Close()
			t.Errorf("%q is opened", address)
		} else if strings.Contains(err.Error(), "secret-one") || errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("error is %v", err)
		}
	}
	wantOnly(t, s, "precious")
}
