package webdav_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	netdav "golang.org/x/net/webdav"

	"tklbam/backends"
)

// odd is a server that does some things in a manner of its own: change
// returns true for the requests it has answered.
func odd(t *testing.T, change func(w http.ResponseWriter, r *http.Request) bool) *server {
	t.Helper()
	dir := serverDir(t)
	h := &netdav.Handler{FileSystem: netdav.Dir(dir + "/files"), LockSystem: netdav.NewMemLS()}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !change(w, r) {
			h.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return &server{root: dir + "/files", address: strings.Replace(s.URL, "http", "webdav", 1), env: environment(dir)}
}

func put(ctx context.Context, b backends.Backend, name string, content []byte) error {
	return b.Put(ctx, name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func read(t *testing.T, b backends.Reader, name string) ([]byte, error) {
	t.Helper()
	r, err := b.Open(t.Context(), name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

// big is longer than what is kept in memory.
var big = bytes.Repeat([]byte("0123456789abcde\n"), 200_000)

// TestStores lets every kind of server have a small and a big file: it must
// have them whole, and nothing else.
func TestStores(t *testing.T) {
	refuseChunks := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && r.ContentLength < 0 {
				w.WriteHeader(code)
				return true
			}
			return false
		}
	}
	once := func(method string, do func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		done := false
		return func(w http.ResponseWriter, r *http.Request) bool {
			if done || r.Method != method {
				return false
			}
			done = true
			return do(w, r)
		}
	}
	hangUp := func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }
	for name, change := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"plain":         func(http.ResponseWriter, *http.Request) bool { return false },
		"411 to chunks": refuseChunks(http.StatusLengthRequired),
		"501 to chunks": refuseChunks(http.StatusNotImplemented),
		"417 to Expect": refuseChunks(http.StatusExpectationFailed),
		"chunks stored as empty": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && r.ContentLength < 0 {
				io.Copy(io.Discard, r.Body)
				r.Body, r.ContentLength = http.NoBody, 0
			}
			return false
		},
		"502 to the full destination": func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.Header.Get("Destination"), "http") {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			return false
		},
		"423 to the first MOVE": once("MOVE", func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusLocked)
			return true
		}),
		"hangs up on the first MOVE": once("MOVE", hangUp),
		"no HEAD, no length in PROPFIND, full hrefs": rewritten(func(r *http.Request, p []byte) []byte {
			p = bytes.ReplaceAll(p, []byte("<D:href>/"), []byte("<D:href>http://"+r.Host+"/"))
			return bytes.ReplaceAll(p, []byte("getcontentlength"), []byte("x"))
		}),
		"relative hrefs": rewritten(func(r *http.Request, p []byte) []byte {
			if r.Header.Get("Depth") == "0" {
				return p
			}
			return bytes.ReplaceAll(p, []byte("<D:href>/dav/"), []byte("<D:href>"))
		}),
	} {
		t.Run(name, func(t *testing.T) { storesWhole(t, odd(t, change)) })
	}
}

// rewritten changes the bodies of the answers to PROPFIND.
func rewritten(change func(r *http.Request, p []byte) []byte) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != "PROPFIND" || r.Header.Get("X-Again") != "" {
			return false
		}
		sent, _ := io.ReadAll(r.Body)
		again := r.Clone(r.Context())
		again.URL.Scheme, again.URL.Host, again.RequestURI = "http", r.Host, ""
		again.Header.Set("X-Again", "yes")
		again.Body = io.NopCloser(bytes.NewReader(sent))
		res, err := http.DefaultTransport.RoundTrip(again)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		w.WriteHeader(res.StatusCode)
		w.Write(change(r, body))
		return true
	}
}

func storesWhole(t *testing.T, s *server) {
	b := s.open(t, "/dav", backends.Options{})
	for _, content := range [][]byte{[]byte("small"), big, nil} {
		for range 2 {
			if err := put(t.Context(), b, "a name", content); err != nil {
				t.Fatal(err)
			}
			got, err := read(t, b, "a name")
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
			}
			wantNames(t, b, fmt.Sprintf("a name %d", len(content)))
		}
	}
	wantOnly(t, s, "a name")
}

func wantNames(t *testing.T, b backends.Reader, want ...string) {
	t.Helper()
	var got []string
	err := b.List(t.Context(), func(name string, size int64) error {
		got = append(got, fmt.Sprintf("%s %d", name, size))
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List gives %q, %v, want %q", got, err, want)
	}
}

// wantOnly looks into the server's directory.
func wantOnly(t *testing.T, s *server, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.root, "dav"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server has %q, want %q", got, want)
	}
}

// TestFailures has each request of a kind fail in turn: the name holds what it
// held, the error is what callers branch on, and names no secret.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		method string
		code   int
		want   error
	}{
		{"PUT", http.StatusInsufficientStorage, backends.ErrNoSpace},
		{"PUT", http.StatusForbidden, fs.ErrPermission},
		{"PUT", http.StatusServiceUnavailable, backends.ErrUnavailable},
		{"PUT", http.StatusConflict, fs.ErrNotExist},
		{"PUT", 0, backends.ErrUnavailable},
		{"MOVE", http.StatusForbidden, fs.ErrPermission},
		{"MOVE", http.StatusLocked, backends.ErrUnavailable},
		{"MOVE", http.StatusMultiStatus, fs.ErrPermission},
		{"MOVE", 0, backends.ErrUnavailable},
	} {
		for _, content := range [][]byte{[]byte("small"), big} {
			t.Run(fmt.Sprintf("%s %d of %d bytes", c.method, c.code, len(content)), func(t *testing.T) {
				failing := false
				s := odd(t, func(w http.ResponseWriter, r *http.Request) bool {
					if !failing || r.Method != c.method || r.ContentLength < 0 && strings.Contains(r.URL.Path, "never") {
						return false
					}
					if c.code == 0 {
						panic(http.ErrAbortHandler)
					}
					w.WriteHeader(c.code)
					if c.code == http.StatusMultiStatus {
						fmt.Fprintf(w, `<m:multistatus xmlns:m="DAV:"><m:response><m:href>/dav/name</m:href><m:status>HTTP/1.1 403 Forbidden</m:status></m:response></m:multistatus>`)
					}
					return true
				})
				b := s.open(t, "/dav", backends.Options{})
				if err := put(t.Context(), b, "name", []byte("old")); err != nil {
					t.Fatal(err)
				}
				failing = true
				err := put(t.Context(), b, "name", content)
				if !errors.Is(err, c.want) {
					t.Errorf("error is %v, want %v", err, c.want)
				}
				if err != nil && strings.Contains(err.Error(), testPassword) {
					t.Errorf("the error shows the password: %v", err)
				}
				failing = false
				wantNames(t, b, "name 3")
				wantOnly(t, s, "name")
				if err := put(t.Context(), b, "name", content); err != nil {
					t.Errorf("repeated: %v", err)
				}
			})
		}
	}
}

// TestShortUpload is a server that loses the end of what it is sent.
func TestShortUpload(t *testing.T) {
	s := odd(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			r.Body = io.NopCloser(io.LimitReader(r.Body, 100))
		}
		return false
	})
	b := s.open(t, "/dav", backends.Options{})
	for _, content := range [][]byte{big[:1000], big} {
		if err := put(t.Context(), b, "name", content); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("storing less than was sent: %v", err)
		}
	}
	wantOnly(t, s)
}

// TestShortAnswers cuts what the server sends: a file and a listing that end
// early are errors, however the server marks their end.
func TestShortAnswers(t *testing.T) {
	cutting := false
	s := odd(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !cutting || r.Method == "PROPFIND" && r.Header.Get("Depth") == "0" {
			return false
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		if r.Method == "PROPFIND" {
			fmt.Fprintf(conn, "HTTP/1.1 207 Multi-Status\r\nConnection: close\r\n\r\n<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/dav/a</D:href></D:response>")
		} else {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonly this")
		}
		return true
	})
	b := s.open(t, "/dav", backends.Options{})
	if err := put(t.Context(), b, "name", []byte("only this and more")); err != nil {
		t.Fatal(err)
	}
	cutting = true
	if got, err := read(t, b, "name"); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("read gives %q, %v", got, err)
	}
	if err := b.List(t.Context(), func(string, int64) error { return nil }); err == nil {
		t.Error("a listing that ends early is no error")
	}
}

// TestStale leaves temporary files of different ages for the first Put.
func TestStale(t *testing.T) {
	s := goServer(t)
	old, young, other := ".tklbam-AAAAAAAAAAAAAAAAAAAAAAAAAA.tmp", ".tklbam-BBBBBBBBBBBBBBBBBBBBBBBBBB.tmp", ".other"
	for _, name := range []string{old, young, other} {
		path := filepath.Join(s.root, "dav", name)
		write(t, path, "data")
		if name != young {
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := s.open(t, "/dav", backends.Options{})
	wantNames(t, b)
	if err := put(t.Context(), b, "name", []byte("data")); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, s, other, young, "name")
}

func TestOpenTarget(t *testing.T) {
	s := goServer(t)
	write(t, s.root+"/dav/plain", "data")
	for _, c := range []struct {
		path   string
		create bool
		want   error
	}{
		{"/dav", false, nil},
		{"//dav//", false, nil},
		{"/dav/a/b", false, fs.ErrNotExist},
		{"/dav/a/b", true, nil},
		{"/dav/a/b", false, nil},
	} {
		if _, err := s.tryOpen(t.Context(), c.path, backends.Options{Create: c.create}); !errors.Is(err, c.want) {
			t.Errorf("open %q, create %v: %v, want %v", c.path, c.create, err, c.want)
		}
	}
	for _, create := range []bool{false, true} {
		if _, err := s.tryOpen(t.Context(), "/dav/plain", backends.Options{Create: create}); err == nil {
			t.Error("a file is opened as a collection")
		}
	}
	s.env.Password = backends.NewSecret("wrong")
	if _, err := s.tryOpen(t.Context(), "/dav", backends.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("with a wrong password: %v", err)
	}
	s.env = environment(t.TempDir())
	s.env.Password = backends.Secret{}
	s.address = strings.Replace(s.address, "://", "://back%20up:p%3Aa%22s%5Cs%40%2F%25%26%C3%BC@", 1)
	b := s.open(t, "/dav", backends.Options{})
	if strings.Contains(b.String(), "s%5Cs") {
		t.Errorf("String shows the password: %s", b)
	}
}

// TestUntrusted holds a server's certificate against the system's authorities.
func TestUntrusted(t *testing.T) {
	s := apache(t, 0, true)
	s.env.CAFile = ""
	_, err := s.tryOpen(t.Context(), "/dav", backends.Options{})
	if err == nil || errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a certificate nobody trusts: %v", err)
	}
}

// TestRedirected is an address that the server knows by another path; only
// opening it follows.
func TestRedirected(t *testing.T) {
	s := odd(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/old/") {
			http.Redirect(w, r, "/dav/"+strings.TrimPrefix(r.URL.Path, "/old/"), http.StatusMovedPermanently)
			return true
		}
		return false
	})
	b := s.open(t, "/old", backends.Options{})
	if err := put(t.Context(), b, "name", big); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, s, "name")
}
