package swift_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"tklbam/backends"
	"tklbam/backends/swift"
)

// A faulty is a proxy in front of the cluster. Requests that fault answers,
// returning true, don't get through.
type faulty struct {
	*httptest.Server
	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request) bool
	// change, if it is not nil, alters the answers.
	change func(res *http.Response)
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	to, err := url.Parse(startCluster(t))
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(res *http.Response) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.change != nil {
				f.change(res)
			}
			return nil
		},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		fault := f.fault
		f.mu.Unlock()
		if fault == nil || !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *faulty) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) setChange(change func(res *http.Response)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.change = change
}

// big is longer than what is kept in memory, and than two segments.
var big = bytes.Repeat([]byte("0123456789abcde\n"), 200_000)

// onObjects answers a method for objects.
func onObjects(method string, answer func(w http.ResponseWriter, r *http.Request)) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || strings.Count(r.URL.Path, "/") < 4 {
			return false
		}
		answer(w, r)
		return true
	}
}

func status(code int, body string, header ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// cut reads a part of the request and hangs up.
func cut(_ http.ResponseWriter, r *http.Request) {
	io.CopyN(io.Discard, r.Body, 100_000)
	panic(http.ErrAbortHandler)
}

// TestFailedPut has uploads fail in all ways: the name holds what it held, the
// error is what callers branch on, and a repetition works.
func TestFailedPut(t *testing.T) {
	f := newFaulty(t)
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   error
		words  string
	}{
		"503":        {status(503, "<html><h1>Service Unavailable</h1><p>Try again.</p></html>", "Retry-After: 7"), backends.ErrUnavailable, `"Try again." (retry after "7")`},
		"413":        {status(413, "Upload exceeds quota."), backends.ErrNoSpace, "exceeds quota"},
		"413 later":  {status(413, `{"overLimit": {"code": 413, "message": "Slow down."}}`, "Retry-After: 7"), backends.ErrUnavailable, "Slow down."},
		"498":        {status(498, "Slow down"), backends.ErrUnavailable, "Slow down"},
		"429":        {status(429, ""), backends.ErrUnavailable, "429"},
		"507":        {status(507, ""), backends.ErrNoSpace, "507"},
		"403":        {status(403, ""), fs.ErrPermission, "403"},
		"401":        {status(401, ""), fs.ErrPermission, "401"},
		"404":        {status(404, ""), fs.ErrNotExist, "404"},
		"422":        {status(422, ""), backends.ErrUnavailable, "422"},
		"cut":        {cut, backends.ErrUnavailable, ""},
		"wrong ETag": {status(201, "", "Etag: d41d8cd98f00b204e9800998ecf8427f"), backends.ErrUnavailable, "ETag"},
	} {
		for _, size := range []int64{0, 1_000_000} {
			if size != 0 && name != "503" && name != "cut" && name != "wrong ETag" {
				continue
			}
			t.Run(fmt.Sprintf("%s, segments of %d", name, size), func(t *testing.T) {
				f.set(nil)
				env := swift.Environment{Swift: account(f.URL), SegmentSize: size, SpoolDir: t.TempDir()}
				container := strings.ReplaceAll(fmt.Sprintf("fault-%s-%d", name, size), " ", "")
				b := open(t, env, "swift://"+container)
				for _, content := range [][]byte{[]byte("small"), big} {
					f.set(nil)
					if err := put(t.Context(), b, "name", []byte("old")); err != nil {
						t.Fatal(err)
					}
					f.set(onObjects(http.MethodPut, c.answer))
					err := put(t.Context(), b, "name", content)
					if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.words) {
						t.Errorf("error is %v, want %v and %q", err, c.want, c.words)
					}
					f.set(nil)
					if name == "wrong ETag" && (size == 0 || len(content) < 1_000_000) {
						wantNames(t, b) // what the server does not vouch for is removed
					} else {
						wantNames(t, b, "name 3")
					}
					storesAndReads(t, b, content)
				}
				if names := login(t, account(startCluster(t))).names(container); len(names) != 0 {
					t.Errorf("%q are left", names)
				}
				if left, err := os.ReadDir(env.SpoolDir); err != nil || len(left) != 0 {
					t.Errorf("spool files are left: %v, %v", left, err)
				}
			})
		}
	}
}

// TestLostAnswer cuts the connection after the manifest of a large object got
// through, and before.
func TestLostAnswer(t *testing.T) {
	f := newFaulty(t)
	b := open(t, swift.Environment{Swift: account(f.URL), SegmentSize: 1_000_000}, "swift://lost")
	isManifest := func(r *http.Request) bool {
		return r.Method == http.MethodPut && r.URL.Query().Has("multipart-manifest")
	}
	f.setChange(func(res *http.Response) {
		if isManifest(res.Request) {
			panic(http.ErrAbortHandler)
		}
	})
	if err := put(t.Context(), b, "name", big); err != nil {
		t.Errorf("the answer is lost: %v", err)
	}
	wantNames(t, b, fmt.Sprintf("name %d", len(big)))
	f.setChange(nil)
	f.set(func(w http.ResponseWriter, r *http.Request) bool {
		if isManifest(r) {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if err := put(t.Context(), b, "name", big[:2_000_000]); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("the request is lost: %v", err)
	}
	f.set(nil)
	if got, err := read(t.Context(), b, "name"); err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestFailedReads cuts and changes what the server sends.
func TestFailedReads(t *testing.T) {
	f := newFaulty(t)
	b := open(t, swift.Environment{Swift: account(f.URL)}, "swift://reads")
	if err := put(t.Context(), b, "name", big); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(res *http.Response){
		"cut":     func(res *http.Response) { res.Body = io.NopCloser(io.LimitReader(res.Body, 1_000_000)) },
		"changed": func(res *http.Response) { res.Header.Set("Etag", "d41d8cd98f00b204e9800998ecf8427f") },
		"no object": func(res *http.Response) {
			res.Header.Del("Content-Length")
			res.ContentLength = -1
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.setChange(func(res *http.Response) {
				if strings.HasSuffix(res.Request.URL.Path, "/name") {
					change(res)
				}
			})
			defer f.setChange(nil)
			if got, err := read(t.Context(), b, "name"); err == nil {
				t.Errorf("%d bytes of %d without an error", len(got), len(big))
			} else if name != "no object" && !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("error is %v", err)
			}
		})
	}
	f.setChange(func(res *http.Response) {
		if res.Request.URL.Query().Get("format") == "json" {
			res.Header.Del("Content-Length")
			res.Body = io.NopCloser(strings.NewReader(`[{"name": "na`))
		}
	})
	if err := b.List(t.Context(), func(string, int64) error { return nil }); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a listing that breaks off: %v", err)
	}
	f.setChange(nil)
}

// TestExpiredToken has the service forget its tokens in mid-session.
func TestExpiredToken(t *testing.T) {
	f := newFaulty(t)
	b := open(t, swift.Environment{Swift: account(f.URL), SegmentSize: 1_000_000}, "swift://expired")
	logins := 0
	expire := func() {
		expired := ""
		f.set(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/auth") {
				logins++
				expired = "none"
				return false
			}
			if expired == "" {
				expired = r.Header.Get("X-Auth-Token")
			}
			if r.Header.Get("X-Auth-Token") == expired {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			return false
		})
	}
	for i, call := range []func() error{
		func() error { return put(t.Context(), b, "name", big) },
		func() error { return put(t.Context(), b, "small", []byte("small")) },
		func() error {
			got, err := read(t.Context(), b, "name")
			if err == nil && !bytes.Equal(got, big) {
				err = fmt.Errorf("%d bytes", len(got))
			}
			return err
		},
		func() error { return b.List(t.Context(), func(string, int64) error { return nil }) },
		func() error { return b.Delete(t.Context(), "name") },
		func() error { return b.Delete(t.Context(), "small") },
	} {
		expire()
		if err := call(); err != nil || logins != i+1 {
			t.Errorf("call %d: %v after %d log-ins", i, err, logins)
		}
	}
	acc := account(f.URL)
	f.set(nil)
	r := login(t, acc)
	fixed := open(t, swift.Environment{Swift: swift.Account{StorageURL: r.account, Token: backends.NewSecret(r.token)}}, "swift://expired")
	storesAndReads(t, fixed, []byte("content"))
	f.set(onObjects(http.MethodPut, status(401, "")))
	if err := put(t.Context(), fixed, "name", nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a token that can't be renewed: %v", err)
	}
}

// TestCancelledUpload cancels a Put while the server reads.
func TestCancelledUpload(t *testing.T) {
	f := newFaulty(t)
	b := open(t, swift.Environment{Swift: account(f.URL)}, "swift://cancelled")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.set(onObjects(http.MethodPut, func(_ http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 100_000)
		cancel()
		io.Copy(io.Discard, r.Body)
	}))
	if err := put(ctx, b, "name", bytes.Repeat(big, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	f.set(nil)
	wantNames(t, b)
}

// TestStale leaves segments of dead runs, old and young, for a later Put.
func TestStale(t *testing.T) {
	f := newFaulty(t)
	env := swift.Environment{Swift: account(f.URL), SegmentSize: 1000}
	if err := put(t.Context(), open(t, env, "swift://stale/p"), "name", big[:2500]); err != nil {
		t.Fatal(err)
	}
	r := login(t, account(startCluster(t)))
	const dir = "/stale/p/.tklbam-segments/"
	for _, key := range []string{"name/old/00000001", "gone/old/00000001", "gone/old/00000002", "gone/young/00000001", "other"} {
		r.do(http.MethodPut, dir+key, "content")
	}
	f.setChange(func(res *http.Response) {
		var list []map[string]any
		if res.Request.URL.Query().Get("format") != "json" || json.NewDecoder(res.Body).Decode(&list) != nil {
			return
		}
		for _, e := range list {
			if name, _ := e["name"].(string); !strings.Contains(name, "young") {
				e["last_modified"] = "2020-02-02T02:02:02.123456"
			}
		}
		text, _ := json.Marshal(list)
		res.Header.Set("Content-Length", fmt.Sprint(len(text)))
		res.ContentLength, res.Body = int64(len(text)), io.NopCloser(bytes.NewReader(text))
	})
	b := open(t, env, "swift://stale/p")
	if err := put(t.Context(), b, "new", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t.Context(), b, "name"); err != nil || !bytes.Equal(got, big[:2500]) {
		t.Errorf("a file in use: %d bytes, %v", len(got), err)
	}
	if names := strings.Join(r.names("stale"), " "); strings.Contains(names, "/old/") || !strings.Contains(names, "/young/") || !strings.Contains(names, "other") {
		t.Errorf("there remain %q", names)
	}
	f.setChange(nil)
	// What a manifest of an earlier run names goes when its file is replaced.
	if err := put(t.Context(), b, "name", nil); err != nil {
		t.Fatal(err)
	}
	if names := strings.Join(r.names("stale"), " "); strings.Contains(names, "segments/name/") {
		t.Errorf("there remain %q", names)
	}
}
