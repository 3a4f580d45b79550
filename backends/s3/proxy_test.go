package s3_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tklbam/backends"
	"tklbam/backends/s3"
)

// A fault answers a request in the server's place, or changes it, and reports
// whether the request is dealt with.
type fault func(w http.ResponseWriter, r *http.Request) bool

// A proxy stands before a server and lets a test meddle with requests.
type proxy struct {
	*httptest.Server
	server  *server
	forward http.Handler // to the server

	mu       sync.Mutex
	fault    fault
	requests []*http.Request // all so far, without bodies
}

// startProxy starts a server with a bucket, and a proxy before it.
func startProxy(t *testing.T, args ...string) *proxy {
	t.Helper()
	p := &proxy{server: startServer(t, args...)}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: p.server.host})
			r.Out.Host = r.In.Host // the signature covers it
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := p.note(r); f == nil || !f(w, r) {
			p.forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) note(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	return p.fault
}

// set makes the proxy use a fault, or none if it is nil, and forget requests.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.requests = f, nil
}

// seen returns the requests since the last set.
func (p *proxy) seen() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func (p *proxy) host() string { return strings.TrimPrefix(p.URL, "http://") }

// open opens the bucket through the proxy, and makes it.
func (p *proxy) open(t *testing.T, opts s3.Options) backends.Backend {
	t.Helper()
	return open(t, "s3://"+p.host()+"/"+bucket+"/prefix", opts, backends.Options{Create: true})
}

// asProxy is the option to send requests for any host through it.
func (p *proxy) asProxy(*http.Request) (*url.URL, error) { return url.Parse(p.URL) }

// client is the library's own, for what no backend does.
func (s *server) client(t *testing.T) *minio.Core {
	t.Helper()
	c, err := minio.NewCore(s.host, &minio.Options{Creds: credentials.NewStaticV4(rootKey, rootSecret, "")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantNoUploads checks that no upload in parts is left.
func (s *server) wantNoUploads(t *testing.T) {
	t.Helper()
	left, err := s.client(t).ListMultipartUploads(t.Context(), bucket, "", "", "", "", 100)
	if err != nil || len(left.Uploads) > 0 {
		t.Errorf("%d uploads are left, %v", len(left.Uploads), err)
	}
}

// The kinds of requests that faults are for.

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == ""
}

func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}

func isBegin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}

func isJoin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func isAbort(r *http.Request) bool {
	return r.Method == http.MethodDelete && r.URL.Query().Has("uploadId")
}

func isList(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("list-type")
}

func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && !r.URL.Query().Has("list-type") && !r.URL.Query().Has("location")
}
