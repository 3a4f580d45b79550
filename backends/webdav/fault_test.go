package webdav_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	netdav "golang.org/x/net/webdav"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/webdav"
)

// host returns the server's address without scheme, by IPv4.
func (s *server) host() string {
	_, host, _ := strings.Cut(s.address, "://")
	return strings.Replace(host, "localhost", "127.0.0.1", 1)
}

// TestSurvives has connections fail in every manner, at every point of what
// the two sides say: while a file is sent with its length, and in chunks.
func TestSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		start func(t *testing.T) *server
		size  int
		fresh bool
	}{
		"Apache": {func(t *testing.T) *server { return apache(t, 60, false) }, 1_300_000, false},
		"Go":     {func(t *testing.T) *server { return goServer(t) }, 300_000, true}, // it removes a file before it looks whether it can replace it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.start(t)
			s.env.StallTimeout = time.Second
			n := 0
			faultproxy.Suite{
				Stall: time.Second, Limit: 15 * time.Second, Size: c.size, Cases: 45, Fresh: c.fresh,
				Open: func(t *testing.T) faultproxy.Site {
					n++
					p, address := faultproxy.Start(t, s.host())
					far := *s
					far.address = "webdav://" + address
					path := fmt.Sprintf("/dav/%d", n)
					b := far.open(t, path, backends.Options{Create: true})
					return faultproxy.Site{Backend: b, Proxies: []*faultproxy.Proxy{p}, Dir: s.root + path}
				},
			}.Run(t)
		})
	}
}

// TestAnswers has the server answer a request in the middle of a Put with an
// error, as one that is overloaded or has forgotten a login does.
func TestAnswers(t *testing.T) {
	s := apache(t, 0, false)
	p := faultproxy.StartHTTP(t, s.host())
	s.address = "webdav://" + p.Host()
	b := s.open(t, "/dav", backends.Options{})
	content := big[:300_000]
	for _, method := range []string{"PUT", "PROPFIND", "MOVE"} {
		for status, want := range map[int]error{
			500: backends.ErrUnavailable, 503: backends.ErrUnavailable, 429: backends.ErrUnavailable,
			401: fs.ErrPermission, 507: backends.ErrNoSpace,
		} {
			if err := put(t.Context(), b, "name", []byte("old")); err != nil {
				t.Fatal(err)
			}
			answer := faultproxy.Answer(status, "", "Retry-After: 1", `WWW-Authenticate: Basic realm="another"`)
			p.Set(faultproxy.Always(faultproxy.Method(method), answer))
			err := put(t.Context(), b, "name", content)
			if !errors.Is(err, want) || strings.Contains(err.Error(), testPassword) {
				t.Errorf("%d to %s: error is %v, want %v", status, method, err, want)
			}
			p.Set(nil)
			if got, err := read(t, b, "name"); err != nil || string(got) != "old" {
				t.Errorf("%d to %s: the name has %d bytes, %v", status, method, len(got), err)
			}
			if err := put(t.Context(), b, "name", content); err != nil {
				t.Errorf("%d to %s: and then %v", status, method, err)
			}
			wantOnly(t, s, "name")
		}
	}
}

// TestLostAnswer has the server do each thing, and the answer not arrive.
func TestLostAnswer(t *testing.T) {
	s := apache(t, 0, false)
	p := faultproxy.StartHTTP(t, s.host())
	s.address = "webdav://" + p.Host()
	b := s.open(t, "/dav", backends.Options{})
	for _, method := range []string{"PUT", "MOVE", "DELETE"} {
		p.Set(faultproxy.Once(faultproxy.Method(method), p.LoseAnswer))
		if err := put(t.Context(), b, "name", big[:300_000]); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		wantNames(t, b, "name 300000")
		if err := b.Delete(t.Context(), "name"); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		wantOnly(t, s)
	}
}

// TestLateMove has a MOVE that was given up reach the server after the one that
// repeats it.
func TestLateMove(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *server{
		"Apache": func(t *testing.T) *server { return apache(t, 0, false) },
		"Go":     func(t *testing.T) *server { return goServer(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			p := faultproxy.StartHTTP(t, s.host())
			s.address = "webdav://" + p.Host()
			b := s.open(t, "/dav", backends.Options{})
			late := make(chan *http.Request, 1)
			p.Set(faultproxy.Once(faultproxy.Method("MOVE"), func(_ http.ResponseWriter, r *http.Request) bool {
				late <- r.Clone(context.Background())
				panic(http.ErrAbortHandler)
			}))
			if err := put(t.Context(), b, "name", []byte("data")); err != nil {
				t.Fatal(err)
			}
			p.Forward(httptest.NewRecorder(), <-late)
			wantOnly(t, s, "name")
		})
	}
}

func TestDiskFull(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *server{
		"Apache": func(t *testing.T) *server { return apache(t, 0, false) },
		"Go":     func(t *testing.T) *server { return goServer(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			dir := s.root + "/dav"
			faultproxy.SmallDisk(t, dir, "2m")
			b := s.open(t, "/dav", backends.Options{})
			old := big[:1_300_000]
			if err := put(t.Context(), b, "old", old); err != nil {
				t.Fatal(err)
			}
			for name, size := range map[string]int{"old": 1_000_000, "new": len(big)} {
				err := put(t.Context(), b, name, big[:size])
				t.Logf("%d bytes: %v", size, err)
				if err == nil || name == "Apache" && !errors.Is(err, backends.ErrNoSpace) {
					t.Errorf("Put of %d bytes: error is %v, want backends.ErrNoSpace", size, err)
				}
			}
			if got, err := read(t, b, "old"); err != nil || !bytes.Equal(got, old) {
				t.Errorf("old holds %d bytes, %v", len(got), err)
			}
			wantOnly(t, s, "old")
		})
	}
}

// TestOddAddresses has both kinds of loopback address, and characters in paths
// that URLs may get wrong; users and passwords are odd in all tests.
func TestOddAddresses(t *testing.T) {
	dir := serverDir(t)
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("needs IPv6: %v", err)
	}
	sixth := &http.Server{Handler: &netdav.Handler{FileSystem: netdav.Dir(dir + "/files"), LockSystem: netdav.NewMemLS()}}
	go sixth.Serve(l)
	t.Cleanup(func() { sixth.Close() })
	s := apache(t, 1, false)
	login := "webdav://back%20up:p%3Aa%22s%5Cs%40%2F%25%26%C3%BC@"
	for address, dir := range map[string]string{
		login + s.host() + "/dav/a%20b/%C3%BC+&=%25/%23%3F": s.root + "/dav/a b/ü+&=%/#?",
		login + s.host() + "//dav/~x/-rf%3B":                s.root + "/dav/~x/-rf;",
		"webdav://" + l.Addr().String() + "/dav/p%3Aq":      dir + "/files/dav/p:q",
	} {
		b, err := backends.Open(t.Context(), []backends.Driver{webdav.Driver(webdav.Environment{})}, address, backends.Options{Create: true})
		if err != nil {
			t.Error(err)
			continue
		}
		for range 2 {
			if err := put(t.Context(), b, "a name+%", []byte("data")); err != nil {
				t.Error(err)
			}
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
